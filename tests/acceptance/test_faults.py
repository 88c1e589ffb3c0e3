"""Kills and stops of the real processes."""

import asyncio
import signal
from pathlib import Path

import psutil
import pytest

from bot.localdiscord import Message
from tests.acceptance.house import House, open_house, some_tweets


async def training(house: House, fragment: str = "training") -> Message:
    """Start a training and wait until its worker is at work."""
    progress = await (await house.train("@ferry", some_tweets())).done(20)
    return await house.alice.wait_for(house.channel, lambda m: m.id == progress.id and fragment in m.content, 120)


async def test_kill_9_of_the_bot_leaves_no_process_and_the_next_start_finishes_the_job(tmp_path: Path) -> None:
    async with open_house(tmp_path / "data") as house:
        progress = await training(house)
        children = house.children()
        assert len(children) >= 2
        await house.stop(signal.SIGKILL)
        _, alive = await asyncio.to_thread(psutil.wait_procs, children, 1.0)
        assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []

        await house.start()
        card = await house.result(after=progress)
        assert "can speak now" in card.content
        await asyncio.sleep(0)
        cards = [m for m in house.alice.read(house.channel) if "can speak now" in m.content]
        assert len(cards) == 1


async def test_kill_9_of_the_worker_is_one_attempt(tmp_path: Path) -> None:
    async with open_house(tmp_path / "data") as house:
        progress = await training(house)
        assert house.process is not None
        children = psutil.Process(house.process.pid).children()
        [worker] = [p for p in children if "training_worker" in " ".join(p.cmdline())]
        worker.kill()
        card = await house.result(after=progress)
        assert "can speak now" in card.content


async def test_sigterm_saves_and_ends_well(tmp_path: Path) -> None:
    async with open_house(tmp_path / "data") as house:
        progress = await training(house)
        children = house.children()
        assert await house.stop(signal.SIGTERM) == 0
        assert [p for p in children if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
        await house.start()
        assert "can speak now" in (await house.result(after=progress)).content


async def test_a_running_job_is_cancelled_by_its_button(tmp_path: Path) -> None:
    async with open_house(tmp_path / "data") as house:
        progress = await training(house)
        answer = await (await house.alice.click(progress, "Cancel")).done(30)
        assert "cancelled" in answer.content.lower()
        ended = await house.alice.wait_for(house.channel, lambda m: m.id == progress.id and "Cancelled" in m.content, 30)
        assert not ended.buttons
        async with asyncio.timeout(30):
            while any("training_worker" in " ".join(p.cmdline()) for p in house.children()):
                await asyncio.sleep(0.1)
        listed = await (await house.alice.slash("jobs list", channel=house.channel)).done(10)
        assert "cancelled" in listed.content
        for folder in ("uploads", "jobs", "models"):
            assert not list((house.home / folder).glob("*")), folder


async def test_the_same_character_asked_twice_joins(tmp_path: Path) -> None:
    async with open_house(tmp_path / "data") as house:
        progress = await training(house, "job")
        joined = await (await house.train("@Ferry", some_tweets(), person=house.bob)).done(20)
        assert "is being trained already" in joined.content
        await (await house.alice.click(progress, "Cancel")).done(30)
        assert len(list((house.home / "uploads").glob("*"))) <= 1


async def test_a_second_bot_on_the_same_folder_refuses_to_start(trained: Path) -> None:
    async with open_house(trained) as house:
        first = house.process
        assert first is not None
        house.process = None
        ready = len(house.log)
        settings_held = house.application.token
        second = House(house.server, trained)
        second.application = house.application
        with pytest.raises(AssertionError):
            await second.start()
        assert second.process is not None
        assert await asyncio.wait_for(second.process.wait(), 30) != 0
        assert str(first.pid) in second.log[ready:]
        assert settings_held not in second.log
        house.process = first
