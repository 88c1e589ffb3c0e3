"""Kills and stops of the real processes."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from bot.localdiscord import Fault, Harm, Permissions
from tests.acceptance.house import SAY_S, TRAIN_S, House, open_house, some_tweets


def running(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


async def test_one_training_survives_sigterm_and_kill_9_of_its_worker_and_of_the_bot(tmp_path: Path) -> None:
    async with open_house(tmp_path / "data") as house:
        progress = await house.training()
        children = house.children()
        assert await house.stop(signal.SIGTERM) == 0
        assert running(children) == []

        await house.start()
        await house.learning(2)
        assert house.process is not None
        [worker] = [p for p in psutil.Process(house.process.pid).children() if "training_worker" in " ".join(p.cmdline())]
        worker.kill()

        await house.learning(3)
        children = house.children()
        assert len(children) >= 2
        await house.stop(signal.SIGKILL)
        _, alive = await asyncio.to_thread(psutil.wait_procs, children, 1.0)
        assert running(alive) == []

        await house.start()
        card = await house.result(after=progress)
        assert "can speak now" in card.content
        await asyncio.sleep(0)
        cards = [m for m in house.alice.read(house.channel) if "can speak now" in m.content]
        assert len(cards) == 1


async def test_a_character_asked_for_twice_is_one_job_which_its_button_cancels(tmp_path: Path) -> None:
    async with open_house(tmp_path / "data") as house:
        progress = await house.training("@ferry")
        joined = await (await house.train("@Ferry", some_tweets(), person=house.bob)).done(20)
        assert "is being trained already" in joined.content
        assert len(list((house.home / "uploads").glob("*"))) <= 1
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


@pytest.mark.fault(17)
async def test_a_second_bot_on_the_same_folder_refuses_to_start(trained: Path) -> None:
    """A second bot on the same folder refuses to start, names the first one's process and leaves everything alone."""
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


# Discord on a bad day.


async def answered(house: House) -> str:
    """What a plain command says."""
    return (await (await house.alice.slash("character list", channel=house.channel)).done(10)).content


async def broken(house: House) -> None:
    house.server.gateway.abort()


async def reconnect(house: House) -> None:
    house.server.gateway.reconnect()


async def invalid(house: House) -> None:
    house.server.gateway.invalidate(resumable=True)


async def forgotten(house: House) -> None:
    house.server.gateway.invalidate()


def closed(code: int) -> Callable[[House], Awaitable[None]]:
    return lambda house: house.server.gateway.drop(code)


ACCIDENTS = {
    "closed with 4000": closed(4000),
    "closed with 4009": closed(4009),
    "closed with 1001": closed(1001),
    "connection broken": broken,
    "op 7": reconnect,
    "op 9, resumable": invalid,
    "op 9": forgotten,
}


@pytest.mark.fault(20)
async def test_every_accident_of_the_connection_is_survived(trained: Path) -> None:
    """After each way in which the gateway can end or restart a session the bot is back by itself, with its commands told once."""
    async with open_house(trained) as house:
        assert "@ferry" in await answered(house)
        for name, accident in ACCIDENTS.items():
            lines = house.log.count("the connection to Discord is gone")
            events = len(house.world.dispatches)
            await accident(house)
            async with asyncio.timeout(30):
                while not any(dispatch.event in ("READY", "RESUMED") for dispatch in house.world.dispatches[events:]):
                    await asyncio.sleep(0.02)
            assert "@ferry" in await answered(house), name
            assert house.log.count("the connection to Discord is gone") == lines + 1, name
        assert len([exchange for exchange in house.world.exchanges if exchange.method == "PUT"]) == 1
        assert "Traceback" not in house.log


@pytest.mark.fault(19, 20)
async def test_a_bad_day_of_discord_doubles_nothing_and_loses_nothing(trained: Path) -> None:
    """Rate limits, a ban, errors before and after the effect, lost connections and delays: every post of /say stands there once."""
    async with open_house(trained) as house:
        for number, harm in enumerate(Harm):
            house.world.faults.append(Fault(harm, "POST", r"/webhooks/\d+/[^/]+$", seconds=0.2))
            say = await house.alice.slash("say", {"character": "ferry", "prompt": "Today", "seed": number}, channel=house.channel)
            assert "Said" in (await say.done(90)).content, harm
            assert len(house.said()) == number + 1, harm
        assert "Traceback" not in house.log
        lost = [harm for harm in Harm if harm.name.startswith(("ERROR", "DROP", "UNAVAILABLE"))]
        assert house.log.count("no clear answer to a post") == len(lost)


@pytest.mark.fault(20)
async def test_a_training_goes_on_while_discord_is_away(tmp_path: Path) -> None:
    """While the gateway is gone and Discord answers nothing, a training goes on; its result is told once, when Discord is back."""
    async with open_house(tmp_path / "data") as house:
        progress = await house.training()
        house.world.faults.append(Fault(Harm.UNAVAILABLE, "*", "/channels/", times=6))
        await house.server.gateway.drop(4000)
        card = await house.result(after=progress)
        assert "can speak now" in card.content
        assert "1 attempt" not in card.content
        assert len([m for m in house.alice.read(house.channel) if "can speak now" in m.content]) == 1
        assert "Traceback" not in house.log


@pytest.mark.fault(21)
async def test_a_result_whose_channel_is_gone_reaches_the_one_who_asked(tmp_path: Path) -> None:
    """When the channel was deleted meanwhile, the training has succeeded all the same, and who asked for it gets the result alone."""
    async with open_house(tmp_path / "data") as house:
        await house.training()
        house.world.remove_channel(house.channel)
        told = await house.alice.wait_for(house.alice.direct(house.application), lambda m: "can speak now" in m.content, TRAIN_S)
        assert "could not be told" in told.content
        other = house.guild.add_channel("other")
        listed = await (await house.alice.slash("jobs list", channel=other)).done(10)
        assert "succeeded" in listed.content


@pytest.mark.fault(23)
async def test_a_question_is_answered_after_a_restart(trained: Path) -> None:
    """The question about a post that may have arrived is asked once, and its buttons work after a restart."""
    async with open_house(trained) as house:
        house.channel.deny(house.application, Permissions.READ_MESSAGE_HISTORY)
        house.world.faults.append(Fault(Harm.DROP_AFTER, "POST", r"/webhooks/\d+/[^/]+$"))
        await house.alice.slash("say", {"character": "ferry", "prompt": "Today"}, channel=house.channel)
        question = await house.alice.wait_for(house.channel, lambda m: "Is this post there?" in m.content, SAY_S)
        await house.stop(signal.SIGKILL)
        await house.start()
        await house.alice.click(question, "It is there")
        await house.alice.wait_for(house.channel, lambda m: m.id == question.id and "it is there" in m.content, 20)
        assert len(house.said()) == 1
        assert len([m for m in house.alice.read(house.channel) if "Is this post there?" in m.content]) == 0


@pytest.mark.fault(20)
async def test_a_closing_code_for_good_ends_the_bot_with_a_sentence(trained: Path) -> None:
    """When Discord forbids what the bot wants to hear of, the bot ends with one sentence."""
    async with open_house(trained, start=False) as house:
        house.server.gateway.refusals.append(4014)
        with pytest.raises(AssertionError):
            await house.start()
        assert house.process is not None
        assert await asyncio.wait_for(house.process.wait(), 30) == 1
        assert "Discord does not let this bot" in house.log
        assert "Traceback" not in house.log
