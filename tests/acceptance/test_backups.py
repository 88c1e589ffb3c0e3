"""Backups and restores of a bot that runs."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from bot.localdiscord.faults import Fault, Harm
from tests.acceptance.conftest import mynah
from tests.acceptance.house import House, open_house


async def say(house: House, prompt: str) -> None:
    await (await house.alice.slash("say", {"character": "ferry", "prompt": prompt}, channel=house.channel)).done(90)


async def command(house: House, *arguments: str) -> dict[str, Any]:
    done = await asyncio.to_thread(mynah, *arguments, "--json", home=house.home)
    assert done.returncode == 0, done.stdout + done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def states(home: Path) -> dict[str, int]:
    with closing(sqlite3.connect(f"{(home / 'mynah.sqlite3').as_uri()}?mode=ro", uri=True)) as connection:
        return dict(connection.execute("SELECT state, count(*) FROM posts GROUP BY state"))


@pytest.mark.fault(32)
async def test_a_backup_under_load_restored_into_the_running_bot_sends_nothing_twice(trained: Path, tmp_path: Path) -> None:
    """A backup taken while the bot works is whole; restored while it runs, the same process goes on and no post is sent twice."""
    async with open_house(trained) as house:
        assert house.process is not None
        pid, began = house.process.pid, psutil.Process(house.process.pid).create_time()
        await say(house, "First")
        # Discord has the second post and does not say so yet: in the backup it is on its way.
        house.world.faults.append(Fault(Harm.DELAY, "POST", r"/webhooks/\d+/[^/]+$", seconds=12))
        second = asyncio.create_task(say(house, "Second"))
        async with asyncio.timeout(60):
            while len(house.said()) < 2 and states(house.home).get("sending") != 1:
                await asyncio.sleep(0.05)
        made = await command(house, "backup", str(tmp_path / "backup.tar"))
        assert made["models"] == 1
        await second
        await say(house, "Third")
        assert states(house.home) == {"sent": 3}

        ready = sum(dispatch.event == "READY" for dispatch in house.world.dispatches)
        told = await command(house, "restore", str(tmp_path / "backup.tar"))
        assert (told["unknown"], told["dropped"]) == (1, 0)
        async with asyncio.timeout(60):
            while sum(dispatch.event == "READY" for dispatch in house.world.dispatches) == ready:
                await asyncio.sleep(0.05)
        asked = await house.alice.wait_for(house.channel, lambda m: not m.is_webhook and len(m.buttons) == 2, 30)
        assert asked.author_name == "Mynah"
        assert psutil.Process(pid).create_time() == began
        await say(house, "Fourth")
        said = [message.content for message in house.said()]
        assert len(said) == 4, said
        assert all(text.startswith(prompt) for text, prompt in zip(said, ("First", "Second", "Third", "Fourth"), strict=True)), said
        assert states(house.home) == {"sent": 3, "unknown": 1}
        (aside,) = house.home.glob("replaced-*")
        assert states(aside) == {"sent": 3}
        assert Path(told["replaced"]) == aside
        assert await house.stop() == 0


async def test_a_training_survives_a_restore(trained: Path, tmp_path: Path) -> None:
    async with open_house(trained) as house:
        progress = await house.training("@second")
        backup = await command(house, "backup")
        told = await command(house, "restore", backup["path"])
        assert (told["open_jobs"], told["failed_jobs"], told["missing_files"]) == (1, 0, 0)
        assert "can speak now" in (await house.result(after=progress)).content
        cards = [m for m in house.alice.read(house.channel) if "can speak now" in m.content]
        assert len(cards) == 1


async def test_the_running_bot_makes_the_copy_of_the_day_and_a_start_that_is_refused_names_it(trained: Path) -> None:
    async with open_house(trained) as house:
        async with asyncio.timeout(30):
            while not list((house.home / "backups").glob("mynah-*-daily.db")):
                await asyncio.sleep(0.05)
        await house.stop()
        (copy,) = (house.home / "backups").glob("mynah-*-daily.db")
        content = bytearray((house.home / "mynah.sqlite3").read_bytes())
        content[4096:8192] = b"\xff" * 4096
        (house.home / "mynah.sqlite3").write_bytes(content)
        refused = await asyncio.to_thread(mynah, "run", home=house.home, DISCORD_TOKEN="x", DISCORD_BASE_URL=house.server.url)
        assert refused.returncode == 1
        sentence = " ".join(refused.stderr.split())
        assert "is damaged" in sentence
        assert f"mynah restore {copy}" in sentence
        await command(house, "restore", str(copy))
        await house.start()
        await say(house, "Again")
        assert len(house.said()) == 1
