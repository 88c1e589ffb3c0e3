"""The rules for answering an interaction: three seconds, fifteen minutes, once; who sees it; what an answer may hold."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.discord.events import check_dispatch
from tests.discord.openapi import check_exchanges
from tests.localdiscord.scene import Interaction, Scene, scene_with_bot

REPLY, DEFER, DEFER_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9
EPHEMERAL, LOADING, COMPONENTS_V2 = 1 << 6, 1 << 7, 1 << 15
QUARTER_OF_AN_HOUR = 15 * 60


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with scene_with_bot() as made:
        yield made


@pytest.fixture
async def slash(scene: Scene) -> Interaction:
    return await scene.slash("hi")


def choices(count: int, name: str = "n") -> list[dict[str, Any]]:
    return [{"name": f"{name}{n}", "value": f"{n}"} for n in range(count)]


def text_rows(count: int) -> list[dict[str, Any]]:
    return [{"type": 1, "components": [{"type": 4, "custom_id": f"{n}", "label": "l", "style": 1}]} for n in range(count)]


async def test_the_interaction_has_what_discord_gives(scene: Scene, slash: Interaction) -> None:
    data = slash.data
    assert check_dispatch("INTERACTION_CREATE", data) == []
    assert (data["type"], data["application_id"], data["guild_id"], data["channel_id"], data["version"]) == (
        2,
        str(scene.app.id),
        str(scene.guild.id),
        str(scene.channel.id),
        1,
    )
    assert data["member"]["user"]["id"] == str(scene.alice.id)
    assert "user" not in data, "in a server the user stands in the member"
    assert data["data"]["name"] == "hello"
    assert data["data"]["options"] == [{"name": "text", "type": 3, "value": "hi"}]
    assert data["attachment_size_limit"] == 10 * 1024 * 1024
    assert {"app_permissions", "locale", "guild_locale", "entitlements", "authorizing_integration_owners", "context"} <= data.keys()


async def test_three_seconds(scene: Scene, slash: Interaction) -> None:
    scene.world.clock.advance(2.5)
    assert (await slash.answer(DEFER)).status == 200
    late = await scene.slash()
    scene.world.clock.advance(3.1)
    answer = await late.answer(DEFER)
    assert (answer.status, answer.code) == (404, 10062)
    assert (await late.seen).failed


async def test_an_answer_in_time_has_not_failed(slash: Interaction) -> None:
    await slash.answer(REPLY, content="hello")
    reply = await slash.seen
    assert not reply.failed
    assert reply.message.content == "hello"


async def test_only_once(slash: Interaction) -> None:
    assert (await slash.answer(DEFER)).status == 200
    for kind in (REPLY, DEFER):
        answer = await slash.answer(kind, content="again")
        assert (answer.status, answer.code) == (400, 40060)


async def test_without_being_asked_the_callback_says_nothing(slash: Interaction) -> None:
    answer = await slash.rest("POST", slash.path, {"type": DEFER})
    assert (answer.status, answer.body) == (204, None)


async def test_fifteen_minutes(scene: Scene, slash: Interaction) -> None:
    made = await slash.answer(REPLY, content="working")
    message = made.body["resource"]["message"]["id"]
    scene.world.clock.advance(QUARTER_OF_AN_HOUR - 5)
    assert (await slash.rest("PATCH", f"{slash.webhook}/messages/@original", {"content": "nearly"})).status == 200
    scene.world.clock.advance(6)
    for method, path, body in (
        ("PATCH", f"{slash.webhook}/messages/@original", {"content": "late"}),
        ("GET", f"{slash.webhook}/messages/@original", None),
        ("DELETE", f"{slash.webhook}/messages/@original", None),
        ("POST", f"{slash.webhook}?wait=true", {"content": "late"}),
    ):
        answer = await slash.rest(method, path, body)
        assert (answer.status, answer.code) == (401, 50027)
    edited = await slash.rest("PATCH", f"{scene.messages}/{message}", {"content": "by the channel"})
    assert edited.status == 200, "an ordinary answer is still a message of the bot"
    assert scene.bob.read(scene.channel)[-1].content == "by the channel"


async def test_before_the_answer_there_is_no_message(slash: Interaction) -> None:
    assert (await slash.rest("GET", f"{slash.webhook}/messages/@original")).status == 404
    assert (await slash.rest("POST", slash.webhook, {"content": "early"})).status == 404


async def test_a_deferred_answer_thinks_until_it_is_edited(scene: Scene, slash: Interaction) -> None:
    await slash.answer(DEFER)
    original = (await slash.rest("GET", f"{slash.webhook}/messages/@original")).body
    assert original["flags"] & LOADING
    assert scene.bob.read(scene.channel)[-1].loading
    edited = (await slash.rest("PATCH", f"{slash.webhook}/messages/@original", {"content": "done"})).body
    assert edited["id"] == original["id"]
    assert not edited["flags"] & LOADING
    assert scene.bob.read(scene.channel)[-1].content == "done"


async def test_the_first_followup_takes_the_place_of_thinking(slash: Interaction) -> None:
    await slash.answer(DEFER)
    original = (await slash.rest("GET", f"{slash.webhook}/messages/@original")).body
    first = (await slash.rest("POST", f"{slash.webhook}?wait=1", {"content": "first"})).body
    second = (await slash.rest("POST", f"{slash.webhook}?wait=true", {"content": "second"})).body
    assert first["id"] == original["id"]
    assert first["content"] == "first"
    assert second["id"] != original["id"]


async def test_a_followup_wears_no_other_name(scene: Scene, slash: Interaction) -> None:
    await slash.answer(REPLY, content="hello")
    sent = await slash.rest(
        "POST", f"{slash.webhook}?wait=1", {"content": "more", "username": "Nadia", "avatar_url": "https://example.org/a.png"}
    )
    assert sent.body["author"]["id"] == str(scene.app.id)
    assert scene.alice.read(scene.channel)[-1].author_name == scene.app.name


async def test_ephemeral_is_for_one_person(scene: Scene, slash: Interaction) -> None:
    await slash.answer(DEFER, flags=EPHEMERAL)
    edited = (await slash.rest("PATCH", f"{slash.webhook}/messages/@original", {"content": "secret", "flags": 0})).body
    assert edited["flags"] & EPHEMERAL, "what was deferred for one person stays so"
    assert [message.content for message in scene.alice.read(scene.channel)] == ["secret"]
    assert not scene.bob.read(scene.channel)
    assert (await scene.rest("GET", scene.messages)).body == []
    for method in ("GET", "PATCH", "DELETE"):
        answer = await scene.rest(method, f"{scene.messages}/{edited['id']}", {"content": "x"} if method == "PATCH" else None)
        assert (answer.status, answer.code) == (404, 10008), "no channel route reaches it"


async def test_deferring_takes_no_flag_but_ephemeral(scene: Scene, slash: Interaction) -> None:
    answer = await slash.answer(DEFER, flags=EPHEMERAL | COMPONENTS_V2 | 1 << 2)
    if answer.status != 400:
        original = (await slash.rest("GET", f"{slash.webhook}/messages/@original")).body
        assert not original["flags"] & (COMPONENTS_V2 | 1 << 2)


async def test_a_deleted_answer_is_gone(scene: Scene, slash: Interaction) -> None:
    await slash.answer(REPLY, content="hello")
    assert (await slash.rest("DELETE", f"{slash.webhook}/messages/@original")).status == 204
    assert (await slash.rest("PATCH", f"{slash.webhook}/messages/@original", {"content": "x"})).code == 10008
    assert not scene.alice.read(scene.channel)


REFUSED = {
    "2001 characters": (REPLY, {"content": "a" * 2001}, 50035, "data/content"),
    "empty": (REPLY, {}, 50006, ""),
    "label of 81": (
        REPLY,
        {"components": [{"type": 1, "components": [{"type": 2, "style": 1, "label": "l" * 81, "custom_id": "a"}]}]},
        50035,
        "data/components/0/components/0/label",
    ),
    "embeds of 6001": (REPLY, {"embeds": [{"description": "d" * 4096}, {"description": "d" * 1905}]}, 50035, ""),
    "parse and users": (REPLY, {"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}}, 50035, ""),
    "unknown kind": (99, {}, 50035, "type"),
    "update where there is no message": (UPDATE, {"content": "x"}, 50035, ""),
    "choices where none are asked for": (CHOICES, {"choices": []}, 50035, ""),
    "modal without a title": (MODAL, {"custom_id": "m", "components": text_rows(1)}, 50035, "data/title"),
    "modal title of 46": (MODAL, {"custom_id": "m", "title": "t" * 46, "components": text_rows(1)}, 50035, "data/title"),
    "modal without parts": (MODAL, {"custom_id": "m", "title": "t", "components": []}, 50035, "data/components"),
    "modal of 6 parts": (MODAL, {"custom_id": "m", "title": "t", "components": text_rows(6)}, 50035, "data/components"),
    "modal custom_id of 101": (MODAL, {"custom_id": "m" * 101, "title": "t", "components": text_rows(1)}, 50035, "data/custom_id"),
}


@pytest.mark.parametrize(("kind", "data", "code", "place"), REFUSED.values(), ids=REFUSED)
async def test_refused_answers(kind: int, data: dict[str, Any], code: int, place: str, slash: Interaction) -> None:
    answer = await slash.answer(kind, **data)
    assert (answer.status, answer.code) == (400, code), answer.body
    assert not place or place in answer.places
    assert (await slash.answer(DEFER)).status == 200, "a refused answer is none: another may follow"


async def test_a_modal_of_five_parts_is_shown(slash: Interaction) -> None:
    assert (await slash.answer(MODAL, custom_id="m", title="t" * 45, components=text_rows(5))).status == 200


CHOICE_TABLE = {
    "25": (choices(25), 200),
    "none": ([], 200),
    "26": (choices(26), 400),
    "name of 101": ([{"name": "n" * 101, "value": "v"}], 400),
    "value of 101": ([{"name": "n", "value": "v" * 101}], 400),
    "empty name": ([{"name": "", "value": "v"}], 400),
    "number for a text": ([{"name": "n", "value": 5}], 400),
    "no value": ([{"name": "n"}], 400),
}


@pytest.mark.parametrize(("offered", "status"), CHOICE_TABLE.values(), ids=CHOICE_TABLE)
async def test_choices(offered: list[dict[str, Any]], status: int, scene: Scene) -> None:
    asked = await scene.acted(scene.alice.autocomplete("hello", {"text": "a"}, focused="text", channel=scene.channel))
    assert asked.data["type"] == 4
    assert asked.data["data"]["options"] == [{"name": "text", "type": 3, "value": "a", "focused": True}]
    answer = await asked.answer(CHOICES, choices=offered)
    assert (answer.status, answer.code) == (status, 0 if status == 200 else 50035), answer.body
    if status == 200:
        assert [(choice.name, choice.value) for choice in await asked.seen] == [(c["name"], c["value"]) for c in offered]


async def test_an_autocompletion_takes_nothing_but_choices(scene: Scene) -> None:
    asked = await scene.acted(scene.alice.autocomplete("hello", {"text": "a"}, focused="text", channel=scene.channel))
    assert (await asked.answer(REPLY, content="x")).status == 400


async def test_a_button_may_update_its_message(scene: Scene) -> None:
    button = {"type": 1, "components": [{"type": 2, "style": 1, "label": "Go", "custom_id": "go"}]}
    sent = await scene.send("press", components=[button])
    (message,) = scene.alice.read(scene.channel)
    pressed = await scene.acted(scene.alice.click(message, "Go"))
    assert pressed.data["type"] == 3
    assert pressed.data["data"] == {"component_type": 2, "custom_id": "go", "id": pressed.data["data"]["id"]}
    assert pressed.data["message"]["id"] == sent["id"]
    assert check_dispatch("INTERACTION_CREATE", pressed.data) == []
    updated = await pressed.answer(UPDATE, content="pressed", components=[])
    assert updated.body["resource"]["message"]["id"] == sent["id"]
    (message,) = scene.bob.read(scene.channel)
    assert (message.content, message.buttons) == ("pressed", ())


async def test_a_button_may_be_taken_note_of_and_edited_later(scene: Scene) -> None:
    button = {"type": 1, "components": [{"type": 2, "style": 1, "label": "Go", "custom_id": "go"}]}
    await scene.send("press", components=[button])
    pressed = await scene.acted(scene.alice.click(scene.alice.read(scene.channel)[0], "Go"))
    assert (await pressed.rest("POST", pressed.path, {"type": DEFER_UPDATE})).status == 204
    await pressed.rest("PATCH", f"{pressed.webhook}/messages/@original", {"content": "later"})
    followup = await pressed.rest("POST", f"{pressed.webhook}?wait=1", {"content": "new"})
    assert [message.content for message in scene.bob.read(scene.channel)] == ["later", "new"]
    assert followup.status == 200


async def test_answers_fit_the_description(scene: Scene, slash: Interaction) -> None:
    await slash.answer(DEFER)
    await slash.rest("PATCH", f"{slash.webhook}/messages/@original", {"content": "done"})
    await slash.rest("POST", f"{slash.webhook}?wait=1", {"content": "more", "flags": EPHEMERAL})
    assert check_exchanges(scene.world.exchanges) == []
