"""/privacy and /settings, as people use them; everything is real but the training and the models."""

import asyncio
import json
import zipfile
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Any

import pytest

from bot.executor.saying import SayReply, SayRequest
from bot.localdiscord import Message, Person
from bot.localdiscord.messages import Attachment
from bot.receipts import enclosed
from storage.characters import CharacterStore
from tests.cogs.town import TIMEOUT_S, TWEETS, Town, said

MINE = "It is mine, or I act for its owner: forget it in every server"
HERE = "I manage this server: forget it here only"


async def use(town: Town, command: str, values: dict[str, object] | None = None, *, manager: bool = False) -> Message:
    """What the one who uses it reads, alone."""
    person = town.mayor if manager else town.alice
    message = await (await person.slash(command, values or {}, channel=town.channel)).done(TIMEOUT_S)
    assert message.ephemeral
    return message


async def speak(town: Town, character: str = "heron") -> Message:
    """Let it say something, and find what it said."""
    before = {message.id for message in town.alice.read(town.channel)}
    await said(await town.alice.slash("say", {"character": character, "prompt": "My"}, channel=town.channel))
    return next(message for message in town.alice.read(town.channel) if message.is_webhook and message.id not in before)


async def becomes(town: Town, message: Message, part: str, *, manager: bool = False) -> Message:
    person = town.mayor if manager else town.alice
    return await person.wait_for(message.channel, lambda now: now.id == message.id and part in now.content, TIMEOUT_S)


# Opting out and in.


async def test_an_account_that_is_opted_out_is_refused_before_its_upload_is_kept(town: Town) -> None:
    assert "opted out" in (await use(town, "privacy opt-out", {"handle": "@Heron"})).content
    for more in ({"archive": TWEETS}, {"archive": TWEETS, "consent": "own"}, {"source": "bluesky"}):
        fetched = len(town.world.exchanges)
        told = await said(await town.mayor.slash("train", {"handle": "heron", **more}, channel=town.channel))
        assert "@heron has opted out" in told
        assert "/privacy opt-in" in told
        assert not [exchange for exchange in town.world.exchanges[fetched:] if "/cdn/" in exchange.path or "attachments" in exchange.path]
    assert not town.uploads()
    assert not await town.app.queue.list(town.guild.id)
    rows = await town.app.database.fetch_all("SELECT digest FROM opt_outs")
    assert ["heron" in row["digest"] for row in rows] == [False]


async def test_a_part_of_a_mash_up_is_refused_too(town: Town) -> None:
    await use(town, "privacy opt-out", {"handle": "egret"})
    values = {"handle": "heron", "archive": TWEETS, "second": "egret", "second_archive": TWEETS, "consent": "own"}
    assert "@egret has opted out" in await said(await town.alice.slash("train", values, channel=town.channel))
    assert not town.uploads()


async def test_what_is_opted_out_falls_silent(town: Town) -> None:
    await town.add_character()
    post = await speak(town)
    await said(await town.mayor.slash("schedule add", {"character": "heron", "when": "every hour"}, channel=town.channel))
    [schedule] = await town.app.scheduler.list(town.guild.id)
    told = await use(town, "privacy opt-out", {"handle": "heron"})
    assert "1 character is silent" in told.content
    for reply in (
        await town.alice.slash("say", {"character": "heron"}, channel=town.channel),
        await town.alice.click(post, "Again"),
        await town.mayor.slash("schedule add", {"character": "heron", "when": "every hour"}, channel=town.channel),
    ):
        assert "opted out" in await said(reply)
    async with town.app.database.transaction() as tx:
        await tx.execute("UPDATE schedules SET next_at = ?", (schedule.created_at.isoformat(timespec="microseconds"),))
    await town.app.scheduler.tick()
    async with asyncio.timeout(TIMEOUT_S):
        while not (failed := await town.app.database.fetch_all("SELECT error FROM posts WHERE kind = 'schedule' AND state = 'failed'")):
            await asyncio.sleep(0.01)
    assert "opted out" in failed[0]["error"]
    assert "silent" in (await use(town, "character list")).content
    info = await use(town, "character info", {"character": "heron"})
    assert "It may not speak" in info.content
    assert not info.buttons


async def silenced(town: Town) -> None:
    await town.app.privacy.opt_out("heron", guild_id=town.guild.id, user_id=town.mayor.id)


async def forgotten(town: Town) -> None:
    await town.app.forgetting.forget("heron", guild_id=town.guild.id, user_id=town.mayor.id, statement="own")


@pytest.mark.parametrize(("meanwhile", "told"), [(silenced, "opted out"), (forgotten, "just been deleted")])
async def test_what_is_silenced_or_forgotten_while_it_thinks_says_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[Town], Awaitable[None]], told: str
) -> None:
    await town.add_character()
    generator = town.app.characters._generator
    thought = generator.say

    async def interrupted(request: SayRequest) -> SayReply:
        reply = await thought(request)
        await meanwhile(town)
        return reply

    monkeypatch.setattr(generator, "say", interrupted)
    assert told in await said(await town.alice.slash("say", {"character": "heron"}, channel=town.channel))
    assert not [message for message in town.alice.read(town.channel) if message.is_webhook]


async def test_what_was_asked_for_is_dropped_with_an_opt_out(town: Town) -> None:
    question = await (await town.alice.slash("train", {"handle": "heron", "archive": TWEETS}, channel=town.channel)).done(TIMEOUT_S)
    await said(await town.mayor.slash("train", {"handle": "heron", "archive": TWEETS, "consent": "own"}, channel=town.channel))
    told = await use(town, "privacy opt-out", {"handle": "heron"})
    assert "2 trainings were cancelled" in told.content
    assert not town.uploads()
    [job] = await town.app.queue.list(town.guild.id)
    assert job.state == "cancelled"
    reply = await town.alice.click(question, "This is my account")
    async with asyncio.timeout(TIMEOUT_S):
        while not reply.followups:
            await asyncio.sleep(0.01)
    assert "closed" in reply.followups[0].content


async def test_only_who_opted_out_takes_it_back(town: Town) -> None:
    await town.add_character()
    await use(town, "privacy opt-out", {"handle": "heron"})
    assert "Only whoever" in (await use(town, "privacy opt-in", {"handle": "heron"}, manager=True)).content
    assert "no longer opted out" in (await use(town, "privacy opt-in", {"handle": "heron"})).content
    assert "not opted out" in (await use(town, "privacy opt-in", {"handle": "heron"})).content
    assert (await speak(town)).content.startswith("My parrot")


# Forgetting.


async def test_an_account_is_forgotten_with_a_receipt_and_its_messages_go(town: Town) -> None:
    await town.add_character()
    posts = [await speak(town), await speak(town)]
    other = town.world.add_channel(town.guild, "other")
    await said(await town.alice.slash("say", {"character": "heron"}, channel=other))
    await said(await town.mayor.slash("schedule add", {"character": "heron", "when": "every hour"}, channel=town.channel))
    question = await use(town, "privacy forget", {"handle": "@heron"})
    assert [button.label for button in question.buttons] == [MINE]
    assert await town.app.characters.list(town.guild.id)
    await town.alice.click(question, MINE)
    receipt = await becomes(town, question, "Forgotten: @heron")
    for part in ("receipt 1", "Characters: 1. Trained versions: 1.", "Schedules: 1", "of 3 are deleted"):
        assert part in receipt.content
    async with asyncio.timeout(TIMEOUT_S):
        while any(post.id in town.channel.messages for post in posts) or any(m.is_webhook for m in other.messages.values()):
            await asyncio.sleep(0.01)
    assert not await town.app.characters.list(town.guild.id)
    assert not await town.app.scheduler.list(town.guild.id)
    assert "no character @heron" in await said(await town.alice.slash("say", {"character": "heron"}, channel=town.channel))


async def test_the_receipt_tells_later_how_far_it_is(town: Town) -> None:
    await town.add_character()
    await speak(town)
    question = await use(town, "privacy forget", {"handle": "heron"})
    await town.alice.click(question, MINE)
    receipt = await becomes(town, question, "Forgotten")
    if receipt.buttons:  # the background may have been quicker
        async with asyncio.timeout(TIMEOUT_S):
            while (await town.app.database.fetch_all("SELECT 1 FROM erasure_messages WHERE state = 'due'")) != []:
                await asyncio.sleep(0.01)
        await town.alice.click(receipt, "How far is it now?")
        receipt = await becomes(town, question, "1 of 1 are deleted")
    assert "1 of 1 are deleted" in receipt.content


async def test_managers_forget_for_their_server_alone(town: Town) -> None:
    await town.add_character()
    async with town.app.database.transaction() as tx:
        await CharacterStore(town.app.database).ensure(tx, guild_id=7, handle="heron", name="Heron", created_by=1, now=town.app.clock.now())
    question = await use(town, "privacy forget", {"handle": "heron"}, manager=True)
    assert [button.label for button in question.buttons] == [MINE, HERE]
    await town.mayor.click(question, HERE)
    await becomes(town, question, "Forgotten", manager=True)
    left = await CharacterStore(town.app.database).list_all()
    assert [character.guild_id for character in left] == [7]


async def test_an_opt_out_leads_to_forgetting(town: Town) -> None:
    await town.add_character()
    told = await use(town, "privacy opt-out", {"handle": "heron"})
    question = await (await town.alice.click(told, "Forget it as well")).done(TIMEOUT_S)
    await town.alice.click(question, MINE)
    await becomes(town, question, "Forgotten: @heron")
    told_again = await said(await town.mayor.slash("train", {"handle": "heron", "archive": TWEETS}, channel=town.channel))
    assert "@heron has opted out" in told_again


async def test_a_person_is_forgotten(town: Town) -> None:
    await town.add_character()
    post = await speak(town)
    await said(await town.alice.slash("train", {"handle": "egret", "archive": TWEETS, "consent": "own"}, channel=town.channel))
    question = await use(town, "privacy forget")
    await town.alice.click(question, "Forget me")
    await becomes(town, question, "Forgotten: you")
    async with asyncio.timeout(TIMEOUT_S):
        while post.id in town.channel.messages:
            await asyncio.sleep(0.01)
    assert [(job.handle, job.user_id) for job in await town.app.queue.list(town.guild.id)] == [("heron", 0)]
    assert not town.uploads()
    held = json.loads(await town.app.privacy.my_data(town.alice.id))
    assert not [name for name, rows in held.items() if isinstance(rows, list) and rows and name != "forgotten"]
    # What she had trained of somebody else stays, as nobody's.
    assert [character.created_by for character in await CharacterStore(town.app.database).list_all()] == [0]


# One's data.


def kept_of(town: Town, file: Attachment) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(town.world.files[file.path][0])
    return read


async def test_my_data_is_a_file_for_one_alone(town: Town) -> None:
    await town.add_character()
    await speak(town)
    await said(await town.alice.slash("train", {"handle": "egret", "archive": TWEETS, "consent": "own"}, channel=town.channel))
    message = await use(town, "privacy my-data")
    [file] = message.attachments
    assert file.filename == "my-data.json"
    held = kept_of(town, file)
    assert held["discord_user"] == town.alice.id
    assert [consent["handle"] for consent in held["consents"]] == ["egret"]
    assert [account["handle"] for account in held["own_accounts"]] == ["egret"]
    assert [post["kind"] for post in held["posts"]] == ["say"]
    [of_another] = (await use(town, "privacy my-data", manager=True)).attachments
    assert not kept_of(town, of_another)["posts"]


def test_much_data_is_packed() -> None:
    held = b'{"texts": ["The pond is mine."]}' * 1000
    assert enclosed(held, limit=100_000) == ("my-data.json", held)
    name, packed = enclosed(held, limit=1000)
    assert name == "my-data.zip"
    assert zipfile.ZipFile(BytesIO(packed)).read("my-data.json") == held


# Reports.


async def test_a_post_is_reported_by_its_button(town: Town) -> None:
    await town.add_character()
    post = await speak(town)
    office = town.world.add_channel(town.guild, "office")
    await use(town, "settings moderation", {"channel": office}, manager=True)
    modal = await (await town.alice.click(post, "Report")).opened(TIMEOUT_S)
    thanked = await (await town.alice.submit(modal, {"What is wrong with it?": "It is **rude** to @everyone."})).done(TIMEOUT_S)
    assert thanked.ephemeral
    assert "managers of this server are told" in thanked.content
    told = await town.mayor.wait_for(office, lambda message: "Report 1" in message.content, TIMEOUT_S)
    for part in (f"<@{town.alice.id}>", "a post of @heron", f"/{town.guild.id}/{town.channel.id}/{post.id}", "\\*\\*rude"):
        assert part in told.content
    assert [button.label for button in told.buttons] == ["Delete the post", "Delete the character"]
    assert "Deleted" in await said(await town.mayor.click(told, "Delete the post"))
    assert post.id not in town.channel.messages


async def test_a_post_is_reported_by_its_link_and_a_character_by_name(town: Town) -> None:
    await town.add_character()
    post = await speak(town)
    link = f"https://discord.com/channels/{town.guild.id}/{town.channel.id}/{post.id}"
    for values in ({"post": link}, {"post": str(post.id)}, {"character": "heron"}):
        assert "This is report" in (await use(town, "privacy report", {"reason": "It is rude.", **values})).content
    rows = await town.app.database.fetch_all("SELECT handle, post_id IS NULL AS whole, reason, user_id FROM reports ORDER BY id")
    assert [tuple(row) for row in rows] == [("heron", whole, "It is rude.", town.alice.id) for whole in (0, 0, 1)]


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({}, "what the report is about"),
        ({"character": "egret"}, "no character @egret"),
        ({"post": "the second one"}, "no link"),
        ({"post": "https://discord.com/channels/1/2/100000000000000003"}, "no post of a character"),
    ],
)
async def test_a_report_of_nothing_is_refused_in_a_sentence(town: Town, values: dict[str, object], part: str) -> None:
    await town.add_character()
    assert part in (await use(town, "privacy report", {"reason": "It is rude.", **values})).content
    assert not await town.app.database.fetch_all("SELECT * FROM reports")


async def test_without_a_channel_the_servers_owner_is_told(town: Town) -> None:
    await town.add_character()
    await use(town, "privacy report", {"reason": "It is rude.", "character": "heron"})
    application = next(iter(town.world.applications.values()))
    owner = Person(town.world, town.guild.owner)
    told = await owner.wait_for(owner.direct(application), lambda message: "Report 1" in message.content, TIMEOUT_S)
    assert "It is rude." in told.content
    assert not told.buttons
