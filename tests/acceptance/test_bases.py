"""Characters on several bases, side by side in one registry and one running bot."""

import json
import shutil
from pathlib import Path

from tests.acceptance.conftest import mynah
from tests.acceptance.house import House, open_house, some_tweets

NANO = Path(__file__).parents[2] / "bot" / "lm" / "nano"


async def test_each_character_speaks_on_the_base_it_was_trained_on(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my-base"
    shutil.copytree(NANO, folder)
    source = tmp_path / "tweets.jsonl"
    source.write_bytes(some_tweets(70))
    done = mynah("train", "@second", "--from", str(source), "--base", str(folder), "--preset", "fast", "--json", home=trained)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["base"] == str(folder)
    listed = json.loads(mynah("characters", "--json", home=trained).stdout)["characters"]
    assert {row["character"]: row["base"] for row in listed} == {"ferry": "nano", "second": str(folder)}

    async with open_house(trained) as house:
        for character in ("ferry", "second", "ferry"):
            before = len(house.said())
            await _say(house, character)
            assert len(house.said()) == before + 1, character

    shutil.rmtree(folder)
    async with open_house(trained) as house:
        gone = await _say(house, "second")
        assert "my-base" in gone
        assert "\n" not in gone
        assert house.said() == []
        await _say(house, "ferry")
        assert len(house.said()) == 1


async def _say(house: House, character: str) -> str:
    reply = await house.alice.slash("say", {"character": character, "prompt": "Today"}, channel=house.channel)
    return (await reply.done(90)).content
