"""What each command shows, offers while typing, and refuses."""

from pathlib import Path

import pytest

from bot.localdiscord import NotPossible
from tests.acceptance.house import open_house

BROKEN = {
    "empty.zip": b"",
    "truncated.zip": b"PK\x03\x04" + b"\0" * 40,
    "picture.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 400,
    "one.jsonl": b'{"text": "Just the one tweet from me, sorry."}\n',
    "latin.txt": "Café au lait with the heron again this morning\n".encode("latin-1") * 300,
}
NO_HANDLES = ["@", "has space", "../etc", "a" * 70, "@everyone!", "名前"]


async def test_a_file_that_cannot_be_used_is_refused_in_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    async with open_house(tmp_path / "data") as house:
        for name, content in BROKEN.items():
            before = await (await house.train("@someone", content, name)).done(20)
            told = await house.result(after=before, timeout=60) if before.buttons else before
            assert "\n" not in told.content.split("): ", 1)[-1], told.content
            assert "Traceback" not in told.content
            assert not list((house.home / "uploads").glob("*")), name
        for folder in ("jobs", "models", "corpora"):
            assert not list((house.home / folder).glob("*")), folder
        listed = await (await house.alice.slash("character list", channel=house.channel)).done(10)
        assert "No character yet" in listed.content


async def test_what_is_no_handle_is_refused(tmp_path: Path) -> None:
    async with open_house(tmp_path / "data") as house:
        for handle in NO_HANDLES:
            answer = await (await house.train(handle, b"{}")).done(10)
            assert "is no handle" in answer.content, handle
            assert answer.ephemeral, handle


async def test_characters_are_shown_and_offered_and_say_no_more_than_five_posts(trained: Path) -> None:
    async with open_house(trained) as house:
        listed = await (await house.alice.slash("character list", channel=house.channel)).done(10)
        assert "@ferry" in listed.content
        info = await (await house.alice.slash("character info", {"character": "@FERRY"}, channel=house.channel)).done(10)
        assert "Tweets kept" in info.content
        assert "110" in info.content
        choices = await house.alice.autocomplete("say", {"character": "fe"}, focused="character", channel=house.channel)
        assert [choice.value for choice in choices] == ["ferry"]
        unknown = await (await house.alice.slash("say", {"character": "nobody"}, channel=house.channel)).done(10)
        assert "@nobody" in unknown.content
        assert "@ferry" in unknown.content
        with pytest.raises(NotPossible):
            await house.alice.slash("say", {"character": "ferry", "count": 6}, channel=house.channel)


async def test_schedules_are_added_listed_and_removed(trained: Path) -> None:
    async with open_house(trained) as house:
        keeper = house.alice
        house.make_manager(keeper)
        zones = await keeper.autocomplete("schedule add", {"zone": "berl"}, focused="zone", channel=house.channel)
        assert "Europe/Berlin" in [choice.value for choice in zones]
        values = {"character": "ferry", "when": "every day at 9:00", "zone": "Europe/Berlin"}
        added = await (await keeper.slash("schedule add", values, channel=house.channel)).done(10)
        assert "09:00" in added.content or "9:00" in added.content
        listed = await (await keeper.slash("schedule list", channel=house.channel)).done(10)
        assert "@ferry" in listed.content
        for bad in ({"when": "every blue moon"}, {"when": "0 0 30 2 *"}, {"zone": "Mars/Olympus"}, {"when": "* * * * *"}):
            refused = await (await keeper.slash("schedule add", values | bad, channel=house.channel)).done(10)
            assert refused.content.count("\n") == 0, refused.content
        offered = await keeper.autocomplete("schedule remove", {}, focused="schedule", channel=house.channel)
        removed = await (await keeper.slash("schedule remove", {"schedule": offered[0].value}, channel=house.channel)).done(10)
        assert "removed" in removed.content
        assert "No schedule" in (await (await keeper.slash("schedule list", channel=house.channel)).done(10)).content
        with pytest.raises(NotPossible):
            await house.bob.slash("schedule add", values, channel=house.channel)
