"""When the managers' channel is gone or closed, the server's owner is told what they should have been, and what waits is asked again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import discord
import pytest

from bot.localdiscord import File, Message, Permissions, Person
from bot.localdiscord.objects import Channel
from tests.cogs.town import TIMEOUT_S, Town, town_at

TWEETS = File("tweets.txt", b"I stand. I wait.\nThe pond is mine.\n")


@pytest.fixture
async def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    async with town_at(tmp_path / "home", monkeypatch) as town:
        yield town


async def settings(town: Town, command: str, **values: object) -> str:
    return (await (await town.mayor.slash(f"settings {command}", values, channel=town.channel)).done(TIMEOUT_S)).content


async def office_of(town: Town) -> Channel:
    """A channel for the managers, in which they approve every training."""
    office = town.world.add_channel(town.guild, "office")
    assert "approval: yes" in await settings(town, "moderation", channel=office, approval=True)
    return office


async def owner_is_told(town: Town, part: str) -> Message:
    application = next(iter(town.world.applications.values()))
    owner = Person(town.world, town.guild.owner)
    return await owner.wait_for(owner.direct(application), lambda message: part in message.content, TIMEOUT_S)


async def bot_knows(known: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not known():
            await asyncio.sleep(0.01)


def may_write_in(town: Town, channel: Channel) -> bool:
    """As far as the bot knows."""
    known = town.bot.get_channel(channel.id)
    return isinstance(known, discord.TextChannel) and known.permissions_for(known.guild.me).send_messages


async def ask(town: Town) -> None:
    values = {"handle": "@heron", "archive": TWEETS, "consent": "own"}
    await (await town.alice.slash("train", values, channel=town.channel)).done(TIMEOUT_S)


async def test_a_channel_that_was_deleted(town: Town) -> None:
    office = await office_of(town)
    town.world.remove_channel(office)
    await bot_knows(lambda: town.bot.get_channel(office.id) is None)
    await ask(town)
    told = await owner_is_told(town, "May Mynah learn how @heron tweets?")
    assert "The channel is gone. Choose a channel for that with /settings moderation" in told.content
    assert not told.buttons
    assert "is gone, or Mynah may not write there" in await settings(town, "show")
    another = town.world.add_channel(town.guild, "attic")
    assert "gone" not in await settings(town, "moderation", channel=another)
    asked = await town.mayor.wait_for(another, lambda message: "May Mynah learn" in message.content, TIMEOUT_S)
    await town.mayor.click(asked, "Approve")
    await town.alice.wait_for(town.channel, lambda message: "Queued, 1st" in message.content, TIMEOUT_S)


async def test_a_channel_that_was_closed_to_the_bot_and_opened_again(town: Town) -> None:
    office = await office_of(town)
    application = next(iter(town.world.applications.values()))
    office.deny(application, Permissions.SEND_MESSAGES)
    town.world.tell_channel(office)
    await bot_knows(lambda: not may_write_in(town, office))
    await town.add_character()
    values = {"reason": "It is rude.", "character": "heron"}
    await (await town.alice.slash("privacy report", values, channel=town.channel)).done(TIMEOUT_S)
    assert "may not post in this channel" in (await owner_is_told(town, "Report 1")).content
    await ask(town)
    await owner_is_told(town, "May Mynah learn how @heron tweets?")
    office.allow(application, Permissions.SEND_MESSAGES)
    town.world.tell_channel(office)
    await bot_knows(lambda: may_write_in(town, office))
    await settings(town, "moderation", channel=office)
    asked = await town.mayor.wait_for(office, lambda message: "May Mynah learn" in message.content, TIMEOUT_S)
    assert [button.label for button in asked.buttons] == ["Approve", "Deny"]


async def test_what_the_owner_was_told_is_forgotten_too(town: Town) -> None:
    office = await office_of(town)
    town.world.remove_channel(office)
    await ask(town)
    told = await owner_is_told(town, "@heron")
    question = await (await town.alice.slash("privacy forget", {"handle": "heron"}, channel=town.channel)).done(TIMEOUT_S)
    await town.alice.click(question, question.buttons[0].label)
    await bot_knows(lambda: told.id not in told.channel.messages)
