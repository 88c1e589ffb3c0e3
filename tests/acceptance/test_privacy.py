"""Whose tweets they are: consent, approval, opting out, forgetting, one's data and reports, by the real bot process."""

import asyncio
import json
from pathlib import Path
from typing import Any

from bot.localdiscord import File, Message
from bot.localdiscord.objects import Channel
from tests.acceptance.conftest import mynah
from tests.acceptance.house import House, open_house, some_tweets, standing

MINE = "It is mine, or I act for its owner: forget it in every server"


async def told(house: House, command: str, values: dict[str, object] | None = None, *, wait_s: float = 60) -> Message:
    """What alice alone reads in answer to a command."""
    message = await (await house.alice.slash(command, values or {}, channel=house.channel)).done(wait_s)
    assert message.ephemeral
    return message


async def becomes(house: House, message: Message, part: str, *, wait_s: float = 60) -> Message:
    return await house.alice.wait_for(message.channel, lambda now: now.id == message.id and part in now.content, wait_s)


async def moderated(house: House) -> Channel:
    """Bob manages the server, and approves every training in a channel for it."""
    house.make_manager(house.bob)
    office = house.world.add_channel(house.guild, "office")
    values = {"channel": office, "approval": True}
    shown = await (await house.bob.slash("settings moderation", values, channel=house.channel)).done(20)
    assert "approval: yes" in shown.content
    return office


async def test_a_training_that_needs_approval_begins_after_a_restart_and_with_it_alone(tmp_path: Path) -> None:
    async with open_house(tmp_path / "data") as house:
        office = await moderated(house)
        values = {"handle": "@ferry", "archive": File("tweets.jsonl", some_tweets(70)), "preset": "fast"}
        question = await (await house.alice.slash("train", values, channel=house.channel)).done(20)
        await house.alice.click(question, "Its owner agreed")
        await becomes(house, question, "asked to approve it")
        asked = await house.bob.wait_for(office, lambda message: bool(message.buttons), 20)
        assert "its owner agreed" in asked.content
        await house.stop()
        await house.start()
        assert not list((house.home / "jobs").glob("*"))
        assert len(list((house.home / "uploads").glob("*/tweets.jsonl"))) == 1
        await house.bob.click(asked, "Approve")
        progress = await house.alice.wait_for(house.channel, lambda message: "Learning how @ferry tweets" in message.content, 20)
        card = await house.result(after=progress)
        assert "@ferry, version 1" in card.content
        data = await told(house, "privacy my-data")
        held: dict[str, Any] = json.loads(house.world.files[data.attachments[0].path][0])
        assert [(consent["handle"], consent["basis"], consent["user_id"]) for consent in held["consents"]] == [
            ("ferry", "agreed", house.alice.id)
        ]
        assert not list((house.home / "uploads").glob("*"))


async def test_an_opted_out_account_is_refused_before_anything_is_fetched(trained: Path) -> None:
    async with open_house(trained) as house:
        assert "1 character is silent" in (await told(house, "privacy opt-out", {"handle": "@Ferry"})).content
        for more in ({"archive": File("tweets.jsonl", some_tweets())}, {"source": "bluesky"}):
            asked = await house.bob.slash("train", {"handle": "ferry", "consent": "own", **more}, channel=house.channel)
            assert "@ferry has opted out" in (await asked.done(20)).content
        for folder in ("uploads", "jobs"):
            assert not list((house.home / folder).glob("*"))
        assert "opted out" in (await told(house, "say", {"character": "ferry"})).content
        await house.stop()
        done = mynah("train", "ferry", "--from", str(__file__), home=trained)
        assert done.returncode != 0
        assert "opted out" in done.stderr
        await house.start()
        assert "no longer opted out" in (await told(house, "privacy opt-in", {"handle": "ferry"})).content
        assert "Said" in (await told(house, "say", {"character": "ferry"})).content


async def test_forgetting_leaves_no_sentence_of_it_behind(trained: Path) -> None:
    tweets = [str(json.loads(line)["text"]) for line in some_tweets().decode().splitlines()]
    async with open_house(trained) as house:
        other = house.world.add_channel(house.guild, "other")
        for channel in (house.channel, other):
            reply = await house.alice.slash("say", {"character": "ferry", "prompt": "The heron", "count": 2}, channel=channel)
            await reply.done(90)
        spoken = [message.content.split("\n")[0] for message in [*house.said(), *other.messages.values()] if message.is_webhook]
        assert len(spoken) == 4
        assert len(standing(house.home, tweets)) == len(tweets)
        done = mynah("backup", str(house.home / "backups" / "by-hand.tar"), home=trained)
        assert done.returncode == 0, done.stderr

        question = await told(house, "privacy forget", {"handle": "ferry"})
        await house.alice.click(question, MINE)
        receipt = await becomes(house, question, "Forgotten: @ferry", wait_s=120)
        assert "Characters: 1. Trained versions: 1." in receipt.content
        assert "of 4 are deleted" in receipt.content
        async with asyncio.timeout(60):
            while [message for channel in (house.channel, other) for message in channel.messages.values() if message.is_webhook]:
                await asyncio.sleep(0.05)
        assert standing(house.home, [*tweets, *spoken]) == []
        for folder in ("models", "corpora", "uploads", "jobs"):
            assert not list((house.home / folder).rglob("*.jsonl"))
        assert "no character @ferry" in (await told(house, "say", {"character": "ferry"})).content
        assert await house.stop() == 0
        assert standing(house.home, [*tweets, *spoken]) == []


async def test_a_mash_up_of_two_speaks_as_both(tmp_path: Path) -> None:
    lines = some_tweets(140).splitlines(keepends=True)
    async with open_house(tmp_path / "data") as house:
        values = {
            "handle": "@wren",
            "archive": File("tweets.jsonl", b"".join(lines[:70])),
            "second": "@Heron",
            "second_archive": File("tweets.jsonl", b"".join(lines[70:])),
            "preset": "fast",
        }
        question = await (await house.alice.slash("train", values, channel=house.channel)).done(20)
        await house.alice.click(question, "Organisations, bots or fictional characters")
        card = await house.result(after=await becomes(house, question, "Queued"))
        assert "AI cyborg" in card.content
        assert "@heron and @wren, version 1" in card.content
        assert "Tweets downloaded       140" in card.content
        await told(house, "say", {"character": "heron+wren"}, wait_s=90)
        [post] = house.said()
        assert post.author_name.endswith("(AI cyborg)")
        assert post.content.endswith("-# AI · not written by @heron or @wren")

        question = await told(house, "privacy forget", {"handle": "wren"})
        await house.alice.click(question, MINE)
        receipt = await becomes(house, question, "Forgotten: @wren", wait_s=120)
        assert "Mash-ups" in receipt.content or "Characters: 1" in receipt.content
        assert "Said" not in (await told(house, "say", {"character": "heron+wren"})).content
        sentences = [str(json.loads(line)["text"]) for line in lines]
        assert standing(house.home, sentences) == []


async def test_a_post_is_reported_to_the_managers_who_delete_it(trained: Path) -> None:
    async with open_house(trained) as house:
        office = await moderated(house)
        await told(house, "say", {"character": "ferry"}, wait_s=90)
        [post] = house.said()
        modal = await (await house.alice.click(post, "Report")).opened(20)
        thanked = await (await house.alice.submit(modal, {"What is wrong with it?": "It is about me."})).done(20)
        assert "the managers of this server are told" in thanked.content
        report = await house.bob.wait_for(office, lambda message: "Report 1" in message.content, 20)
        assert "It is about me." in report.content
        assert "Deleted" in (await (await house.bob.click(report, "Delete the post")).done(20)).content
        assert not house.said()
