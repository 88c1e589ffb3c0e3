"""After /privacy forget no message in any channel names the account, whatever became of its trainings."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.localdiscord import File, Message
from tests.clock import ManualClock
from tests.cogs.town import TIMEOUT_S, Town, town_at

TWEETS = File("tweets.txt", b"I stand. I wait.\nThe pond is mine.\n")


@pytest.fixture
async def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    async with town_at(tmp_path / "home", monkeypatch) as town:
        yield town


def naming(town: Town) -> list[str]:
    """What stands in any channel and names the account; what one person alone was shown stands in none."""
    return [
        message.content
        for channel in town.world.channels.values()
        for message in channel.messages.values()
        if "heron" in message.content.lower() and not message.ephemeral
    ]


async def ask(town: Town, **more: Any) -> Message:
    command = await town.alice.slash("train", {"handle": "@heron", "archive": TWEETS, **more}, channel=town.channel)
    return await command.done(TIMEOUT_S)


async def press(town: Town, message: Message, label: str, becomes: str) -> None:
    await town.alice.click(message, label)
    await town.alice.wait_for(message.channel, lambda now: now.id == message.id and becomes in now.content, TIMEOUT_S)


async def in_the_office(town: Town) -> Message:
    """The question to the managers."""
    office = town.world.add_channel(town.guild, "office")
    await (await town.mayor.slash("settings moderation", {"channel": office, "approval": True}, channel=town.channel)).done(TIMEOUT_S)
    await ask(town, consent="own")
    return await town.mayor.wait_for(office, lambda message: "May Mynah learn" in message.content, TIMEOUT_S)


async def not_answered(town: Town) -> None:
    await ask(town)


async def withdrawn(town: Town) -> None:
    await press(town, await ask(town), "Cancel", "Not learned")


async def expired(town: Town) -> None:
    await ask(town)
    town.app.requests._clock = ManualClock(town.app.clock.now() + timedelta(days=8))
    assert await town.app.requests.expire() == 1


async def not_approved_yet(town: Town) -> None:
    await in_the_office(town)


async def denied(town: Town) -> None:
    await town.mayor.click(await in_the_office(town), "Deny")
    await town.alice.wait_for(town.channel, lambda message: "did not approve" in message.content, TIMEOUT_S)


async def approved(town: Town) -> None:
    await town.mayor.click(await in_the_office(town), "Approve")
    await town.alice.wait_for(town.channel, lambda message: "Queued, 1st" in message.content, TIMEOUT_S)


async def asked_for_twice(town: Town) -> None:
    assert "Queued, 1st" in (await ask(town, consent="own")).content
    assert "being trained already" in (await ask(town, consent="own")).content


@pytest.mark.parametrize("happens", [not_answered, withdrawn, expired, not_approved_yet, denied, approved, asked_for_twice])
async def test_of_a_training_nothing_stays(town: Town, happens: Callable[[Town], Awaitable[None]]) -> None:
    await happens(town)
    assert naming(town)
    question = await (await town.alice.slash("privacy forget", {"handle": "heron"}, channel=town.channel)).done(TIMEOUT_S)
    await town.alice.click(question, question.buttons[0].label)
    async with asyncio.timeout(TIMEOUT_S):
        while naming(town):
            await asyncio.sleep(0.01)


async def test_of_a_member_who_is_forgotten_no_question_stays(town: Town) -> None:
    await ask(town)
    question = await (await town.alice.slash("privacy forget", channel=town.channel)).done(TIMEOUT_S)
    await town.alice.click(question, "Forget me")
    async with asyncio.timeout(TIMEOUT_S):
        while naming(town):
            await asyncio.sleep(0.01)
