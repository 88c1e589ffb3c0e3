"""The commands as people use them, on a local Discord; everything is real but the training and the models."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.executor.contract import Progress
from bot.localdiscord import Fault, File, Harm, Message, NotPossible, Permissions, Reply
from bot.localdiscord.events import Event
from bot.messages import CONTENT_LIMIT
from bot.messages import Message as BotMessage
from storage.jobs import JobStore
from storage.posts import Post, PostStore
from tests.cogs.town import TIMEOUT_S, Town, town_at
from tests.discord.openapi import check_exchanges

TWEETS = File("tweets.txt", b"I stand. I wait.\nThe pond is mine.\n")


@pytest.fixture
async def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    async with town_at(tmp_path / "home", monkeypatch) as town:
        yield town
        assert check_exchanges(town.world.exchanges) == []


async def said(reply: Reply) -> str:
    return (await reply.done(TIMEOUT_S)).content


# /train


async def test_train_queues_a_job_and_shows_it(town: Town) -> None:
    reply = await town.alice.slash("train", {"handle": "@Heron", "archive": TWEETS, "consent": "own"}, channel=town.channel)
    message = await reply.done(TIMEOUT_S)
    assert not message.ephemeral
    assert "@heron" in message.content
    assert "Queued, 1st" in message.content
    assert [button.label for button in message.buttons] == ["Cancel"]
    [job] = await town.app.queue.list(town.guild.id)
    assert (job.handle, job.file_name, job.user_id) == ("heron", "tweets.txt", town.alice.id)
    assert town.uploads() == [Path(job.source_path)]
    assert town.uploads()[0].read_bytes() == TWEETS.data


async def test_the_message_of_a_job_follows_it_by_the_bots_token(town: Town) -> None:
    reply = await town.alice.slash("train", {"handle": "heron", "archive": TWEETS, "consent": "own"}, channel=town.channel)
    first = await reply.done(TIMEOUT_S)
    town.world.clock.advance(16 * 60)  # the interaction's token is dead
    [job] = await town.app.queue.list(town.guild.id)
    async with town.app.database.transaction() as tx:
        await JobStore(town.app.database).claim(tx, owner="test", now=town.app.clock.now())
    running = await town.app.queue.get(job.id, guild_id=town.guild.id)
    town.bot._announce(running, Progress("training", 0.43, eta_s=130, loss=3.2, heldout_loss=3.4))
    shown = await town.alice.wait_for(town.channel, lambda message: "43%" in message.content, TIMEOUT_S)
    assert shown.id == first.id
    assert "training" in shown.content
    assert "loss 3.20 · held-out loss 3.40" in shown.content


async def test_a_job_whose_message_is_gone_gets_a_new_one(town: Town) -> None:
    reply = await town.alice.slash("train", {"handle": "heron", "archive": TWEETS, "consent": "own"}, channel=town.channel)
    first = await reply.done(TIMEOUT_S)
    [job] = await town.app.queue.list(town.guild.id)
    town.mayor.world.channels[town.channel.id].messages.pop(first.id)
    town.bot._announce(job, None)
    second = await town.alice.wait_for(town.channel, lambda message: "Queued" in message.content, TIMEOUT_S)
    assert second.id != first.id
    assert second.buttons


async def test_asking_twice_joins_the_job_and_keeps_one_upload(town: Town) -> None:
    await said(await town.alice.slash("train", {"handle": "heron", "archive": TWEETS, "consent": "own"}, channel=town.channel))
    content = await said(await town.mayor.slash("train", {"handle": "HERON", "archive": TWEETS, "consent": "own"}, channel=town.channel))
    assert "already" in content
    assert "1st" in content
    assert len(await town.app.queue.list(town.guild.id)) == 1
    assert len(town.uploads()) == 1


@pytest.mark.parametrize("handle", ["a b", "../x", "a..b"])
async def test_a_bad_handle_is_refused_in_a_sentence(town: Town, handle: str) -> None:
    reply = await town.alice.slash("train", {"handle": handle, "archive": TWEETS, "consent": "own"}, channel=town.channel)
    assert "is no handle" in await said(reply)
    assert reply.ephemeral
    assert not town.uploads()


async def test_a_refused_training_leaves_no_upload(town: Town) -> None:
    for handle in ("one", "two"):
        await said(await town.alice.slash("train", {"handle": handle, "archive": TWEETS, "consent": "own"}, channel=town.channel))
    content = await said(await town.alice.slash("train", {"handle": "three", "archive": TWEETS, "consent": "own"}, channel=town.channel))
    assert "2" in content
    assert "cancel" in content
    assert len(town.uploads()) == 2


async def test_a_file_that_cannot_be_fetched_leaves_nothing_and_an_id(town: Town) -> None:
    town.world.files.clear()
    reply = await town.alice.slash("train", {"handle": "heron", "archive": TWEETS, "consent": "own"}, channel=town.channel)
    town.world.files.clear()
    assert "(id " in await said(reply)
    assert not town.uploads()
    assert not await town.app.queue.list(town.guild.id)


# /jobs


async def test_a_job_is_cancelled_by_its_button_by_the_one_who_asked(town: Town) -> None:
    message = await (await town.alice.slash("train", {"handle": "heron", "archive": TWEETS, "consent": "own"}, channel=town.channel)).done(
        TIMEOUT_S
    )
    stranger = town.world.user("stranger")
    assert "Manage Server" in await said(await stranger.click(message, "Cancel"))
    assert "cancelled" in await said(await town.alice.click(message, "Cancel"))
    ended = await town.alice.wait_for(town.channel, lambda message: "Cancelled." in message.content, TIMEOUT_S)
    assert not ended.buttons
    [job] = await town.app.queue.list(town.guild.id)
    assert job.state == "cancelled"


async def test_jobs_are_listed_shown_and_cancelled(town: Town) -> None:
    await said(await town.alice.slash("train", {"handle": "heron", "archive": TWEETS, "consent": "own"}, channel=town.channel))
    [job] = await town.app.queue.list(town.guild.id)
    assert "@heron · queued" in await said(await town.alice.slash("jobs list", channel=town.channel))
    assert "Queued, 1st" in await said(await town.alice.slash("jobs show", {"job": job.id}, channel=town.channel))
    choices = await town.alice.autocomplete("jobs cancel", {"job": ""}, focused="job", channel=town.channel)
    assert [choice.value for choice in choices] == [job.id]
    assert "cancelled" in await said(await town.mayor.slash("jobs cancel", {"job": job.id}, channel=town.channel))
    assert "already" in await said(await town.mayor.slash("jobs cancel", {"job": job.id}, channel=town.channel))
    assert not await town.alice.autocomplete("jobs cancel", {"job": ""}, focused="job", channel=town.channel)
    assert "no job 99" in await said(await town.alice.slash("jobs show", {"job": 99}, channel=town.channel))


async def test_a_manager_puts_a_job_first(town: Town) -> None:
    for handle in ("one", "two"):
        await said(await town.alice.slash("train", {"handle": handle, "archive": TWEETS, "consent": "own"}, channel=town.channel))
    second, first = await town.app.queue.list(town.guild.id)
    choices = await town.mayor.autocomplete("jobs first", {"job": "two"}, focused="job", channel=town.channel)
    assert [choice.value for choice in choices] == [second.id]
    assert "Manage Server" in await said(await town.alice.slash("jobs first", {"job": second.id}, channel=town.channel))
    assert "Queued, 1st" in await said(await town.mayor.slash("jobs first", {"job": second.id}, channel=town.channel))
    assert "Queued, 2nd" in await said(await town.alice.slash("jobs show", {"job": first.id}, channel=town.channel))
    await said(await town.alice.slash("jobs cancel", {"job": second.id}, channel=town.channel))
    assert "has cancelled already" in await said(await town.mayor.slash("jobs first", {"job": second.id}, channel=town.channel))


# Posts that may or may not have arrived.


async def doubtful(town: Town) -> Post:
    """A post of alice's that Discord did not confirm, in a channel that may not be read."""
    store = PostStore(town.app.database)
    async with town.app.database.transaction() as tx:
        post = await store.insert(
            tx,
            dedupe_key="doubtful",
            kind="say",
            guild_id=town.guild.id,
            channel_id=town.channel.id,
            created_by=town.alice.id,
            now=town.app.clock.now(),
            message=BotMessage("The pond is mine.").to_dict(),
        )
        assert post is not None
        await store.mark_sending(tx, post.id, town.app.clock.now())
        await store.mark_unknown(tx, post.id, "Nobody can tell.")
    town.app.poster.wake()
    return post


@pytest.mark.fault(23)
@pytest.mark.parametrize(("label", "copies"), [("It is there", 0), ("Post it again", 1)])
async def test_a_doubt_is_settled_by_a_button_once(town: Town, label: str, copies: int) -> None:
    """The question about an unknown post is answered by one press of who called for it or manages the server; later ones change nothing."""
    post = await doubtful(town)
    question = await town.alice.wait_for(town.channel, lambda message: "Is this post there?" in message.content, TIMEOUT_S)
    assert "Manage Server" in await refusal(await town.world.user("stranger").click(question, label))
    clicks = await asyncio.gather(*(person.click(question, label) for person in (town.mayor, town.alice)))
    for click in clicks:
        await click.done(TIMEOUT_S)
    answered = await town.alice.wait_for(
        town.channel, lambda message: message.id == question.id and not message.buttons and "Post " in message.content, TIMEOUT_S
    )
    assert ("it is there" in answered.content) == (copies == 0)
    await town.app.poster.delivered([post.id], TIMEOUT_S)
    assert [message.content for message in town.channel.messages.values()].count("The pond is mine.") == copies
    stored = await town.app.poster.get(post.id, guild_id=town.guild.id)
    assert stored.state == "sent"


async def test_a_doubt_is_listed_with_the_jobs_and_settled_there(town: Town) -> None:
    post = await doubtful(town)
    listed = await (await town.mayor.slash("jobs list", channel=town.channel)).done(TIMEOUT_S)
    assert "1 post may or may not have arrived" in listed.content
    assert [button.label for button in listed.buttons] == ["It is there", "Post it again"]
    await (await town.mayor.click(listed, "It is there")).done(TIMEOUT_S)
    await town.mayor.wait_for(town.channel, lambda message: message.id == listed.id and "it is there" in message.content, TIMEOUT_S)
    assert (await town.app.poster.get(post.id, guild_id=town.guild.id)).state == "sent"
    assert "No job yet" in await said(await town.mayor.slash("jobs list", channel=town.channel))


@pytest.mark.fault(23)
async def test_a_doubt_is_settled_alone_where_mynah_may_not_ask_in_the_channel(town: Town) -> None:
    """Who called for a post can answer the question about it in the direct messages as well."""
    application = next(iter(town.world.applications.values()))
    town.channel.deny(application, Permissions.SEND_MESSAGES)
    post = await doubtful(town)
    question = await town.alice.wait_for(
        town.alice.direct(application), lambda message: "Is this post there?" in message.content, TIMEOUT_S
    )
    await (await town.alice.click(question, "It is there")).done(TIMEOUT_S)
    await town.alice.wait_for(town.alice.direct(application), lambda message: "it is there" in message.content, TIMEOUT_S)
    assert (await town.app.poster.get(post.id, guild_id=town.guild.id)).state == "sent"


async def refusal(reply: Reply) -> str:
    """What one person alone is told in answer to a button."""
    await reply.done(TIMEOUT_S)
    async with asyncio.timeout(TIMEOUT_S):
        while not reply.followups:
            await asyncio.sleep(0.01)
    return reply.followups[0].content


# Discord on a bad day.

LOST = [Harm.ERROR_AFTER, Harm.DROP_AFTER, Harm.ERROR_BEFORE, Harm.DROP_BEFORE]


@pytest.mark.fault(19)
@pytest.mark.parametrize("harm", LOST, ids=[harm.name for harm in LOST])
async def test_a_command_whose_acknowledgement_is_lost_is_done_once(town: Town, harm: Harm) -> None:
    """A command is carried out, and once, when Discord fails before or after it took the bot's acknowledgement."""
    town.world.faults.append(Fault(harm, "POST", "/callback"))
    reply = await town.alice.slash("train", {"handle": "heron", "archive": TWEETS, "consent": "own"}, channel=town.channel)
    assert "Queued, 1st" in await said(reply)
    assert len(await town.app.queue.list(town.guild.id)) == 1


@pytest.mark.fault(19)
@pytest.mark.parametrize("harm", LOST, ids=[harm.name for harm in LOST])
async def test_an_answer_that_is_lost_is_given_again(town: Town, harm: Harm) -> None:
    """The answer to a command is shown when Discord fails before or after it took it."""
    town.world.faults.append(Fault(harm, "PATCH", "@original"))
    assert "Queued, 1st" in await said(
        await town.alice.slash("train", {"handle": "heron", "archive": TWEETS, "consent": "own"}, channel=town.channel)
    )


@pytest.mark.fault(18)
async def test_an_interaction_that_is_delivered_twice_is_answered_once(town: Town) -> None:
    """A command or a press that Discord delivers twice is carried out once."""
    await town.add_character()
    values = {"character": "heron", "when": "every day at 9:00"}
    await said(await town.mayor.slash("schedule add", values, channel=town.channel))
    await said(await town.mayor.slash("say", {"character": "heron"}, channel=town.channel))
    again = [dispatch for dispatch in town.world.dispatches if dispatch.event == "INTERACTION_CREATE"]
    assert len(again) == 2
    for dispatch in again:
        town.world.events.emit(Event("INTERACTION_CREATE", dispatch.data, application_id=dispatch.application_id))
    assert "@heron" in await said(await town.mayor.slash("schedule list", channel=town.channel))
    assert len(await town.app.scheduler.list(town.guild.id)) == 1
    assert len([message for message in town.channel.messages.values() if message.is_webhook]) == 1


# /say


async def test_a_character_speaks_and_the_asker_is_told(town: Town) -> None:
    await town.add_character()
    reply = await town.alice.slash("say", {"character": "heron", "prompt": "My", "count": 3, "seed": 7}, channel=town.channel)
    answer = await said(reply)
    assert reply.ephemeral
    assert [f"seed {seed}" in answer for seed in (7, 8, 9)] == [True] * 3
    posts = [message for message in town.alice.read(town.channel) if message.is_webhook]
    assert [post.author_name for post in posts] == ["Heron (AI)"] * 3
    assert [post.content for post in posts] == [f"My parrot {seed}\n-# AI · not written by @heron" for seed in (7, 8, 9)]


async def test_a_character_that_is_not_there_is_told_with_those_that_are(town: Town) -> None:
    await town.add_character()
    assert "@heron" in await said(await town.alice.slash("say", {"character": "egret"}, channel=town.channel))


async def test_characters_are_offered_while_typing(town: Town) -> None:
    await town.add_character()
    await town.add_character("egret", "Egret")
    for typed, handles in (("", ["egret", "heron"]), ("her", ["heron"]), ("@eg", ["egret"]), ("x", [])):
        choices = await town.alice.autocomplete("say", {"character": typed}, focused="character", channel=town.channel)
        assert [choice.value for choice in choices] == handles


async def spoken(town: Town) -> Message:
    await town.add_character()
    await said(await town.alice.slash("say", {"character": "heron", "prompt": "My"}, channel=town.channel))
    return town.alice.read(town.channel)[-1]


async def test_again_says_another(town: Town) -> None:
    first = await spoken(town)
    assert "Said" in await said(await town.alice.click(first, "Again"))
    posts = [message for message in town.alice.read(town.channel) if message.is_webhook]
    assert len(posts) == 2
    assert posts[1].content.startswith("My parrot")


async def test_why_this_explains_to_the_one_who_asks(town: Town) -> None:
    reply = await town.mayor.click(await spoken(town), "Why this?")
    answer = await said(reply)
    assert reply.ephemeral
    for part in ("version 1", "nano", "rank 8", "My", "1000", "a parrot was here", "50%", "dull words", "repeat"):
        assert part in answer


async def test_a_post_is_deleted_by_the_one_who_asked_and_by_managers_only(town: Town) -> None:
    post = await spoken(town)
    assert "Manage Server" in await said(await town.world.user("stranger").click(post, "Delete"))
    assert "Deleted" in await said(await town.alice.click(post, "Delete"))
    assert post.id not in town.channel.messages


# /character


async def test_characters_are_listed_and_described(town: Town) -> None:
    assert "/train" in await said(await town.alice.slash("character list", channel=town.channel))
    await town.add_character()
    assert "@heron" in await said(await town.alice.slash("character list", channel=town.channel))
    message = await (await town.alice.slash("character info", {"character": "heron"}, channel=town.channel)).done(TIMEOUT_S)
    for part in ("Tweets downloaded", "Tweets kept", "5.00 → 4.00", "nano"):
        assert part in message.content
    assert "Said" in await said(await town.alice.click(message, "Say"))


async def test_a_character_is_deleted_after_a_question(town: Town) -> None:
    await town.add_character()
    question = await (await town.alice.slash("character delete", {"character": "heron"}, channel=town.channel)).done(TIMEOUT_S)
    assert question.ephemeral
    assert await town.app.characters.list(town.guild.id)
    await town.alice.click(question, question.buttons[0].label)
    await town.alice.wait_for(town.channel, lambda message: "is deleted" in message.content, TIMEOUT_S)
    assert not await town.app.characters.list(town.guild.id)


async def test_a_stranger_deletes_no_character(town: Town) -> None:
    await town.add_character()
    stranger = town.world.user("stranger")
    assert "Manage Server" in await said(await stranger.slash("character delete", {"character": "heron"}, channel=town.channel))


# /schedule


async def test_a_schedule_is_added_listed_and_removed(town: Town) -> None:
    await town.add_character()
    values = {"character": "heron", "when": "every day at 9:00", "zone": "europe/paris", "prompt": "My"}
    assert "09:00" in await said(await town.mayor.slash("schedule add", values, channel=town.channel))
    [schedule] = await town.app.scheduler.list(town.guild.id)
    assert (schedule.cron, schedule.zone, schedule.channel_id, schedule.prompt) == ("0 9 * * *", "Europe/Paris", town.channel.id, "My")
    assert "@heron" in await said(await town.mayor.slash("schedule list", channel=town.channel))
    choices = await town.mayor.autocomplete("schedule remove", {"schedule": ""}, focused="schedule", channel=town.channel)
    assert [choice.value for choice in choices] == [schedule.id]
    assert "removed" in await said(await town.mayor.slash("schedule remove", {"schedule": schedule.id}, channel=town.channel))
    assert not await town.app.scheduler.list(town.guild.id)


async def test_a_schedule_may_have_jitter_quiet_hours_and_leave_out_what_is_missed(town: Town) -> None:
    await town.add_character()
    values = {"character": "heron", "when": "every hour", "jitter": 10, "quiet": "10 pm - 7", "missed": "skip"}
    answer = await said(await town.mayor.slash("schedule add", values, channel=town.channel))
    assert "up to 10 min later · quiet 22:00-07:00 · what is missed is left out · next" in answer
    [schedule] = await town.app.scheduler.list(town.guild.id)
    assert (schedule.jitter_s, schedule.quiet, schedule.policy) == (600, "22:00-07:00", "skip")
    refused = await said(await town.mayor.slash("schedule add", {**values, "quiet": "at night"}, channel=town.channel))
    assert "try 22-7" in refused


async def test_a_slot_is_posted_in_the_channel_in_character(town: Town) -> None:
    await town.add_character()
    await said(await town.mayor.slash("schedule add", {"character": "heron", "when": "every hour", "prompt": "My"}, channel=town.channel))
    [schedule] = await town.app.scheduler.list(town.guild.id)
    async with town.app.database.transaction() as tx:
        past = (schedule.next_at - timedelta(hours=1)).isoformat(timespec="microseconds")
        await tx.execute("UPDATE schedules SET next_at = ?", (past,))
    assert await town.app.scheduler.tick() == 1
    post = await town.alice.wait_for(town.channel, lambda message: message.is_webhook, TIMEOUT_S)
    assert (post.author_name, post.content.split("\n")[0]) == ("Heron (AI)", "My parrot 1000")


@pytest.mark.parametrize(("option", "value"), [("when", "sometimes"), ("zone", "Middle Earth"), ("when", "* * * * *")])
async def test_a_schedule_that_cannot_be_is_refused_in_a_sentence(town: Town, option: str, value: str) -> None:
    await town.add_character()
    reply = await town.mayor.slash("schedule add", {"character": "heron", "when": "every day at 9:00", option: value}, channel=town.channel)
    assert "(id " not in await said(reply)
    assert not await town.app.scheduler.list(town.guild.id)


async def test_times_and_zones_are_offered_while_typing(town: Town) -> None:
    times = await town.mayor.autocomplete("schedule add", {"character": "x", "when": "every day"}, focused="when", channel=town.channel)
    assert "every day at 9:00" in [choice.value for choice in times]
    zones = await town.mayor.autocomplete(
        "schedule add", {"character": "x", "when": "x", "zone": "toky"}, focused="zone", channel=town.channel
    )
    assert zones[0].value == "Asia/Tokyo"


async def test_schedules_are_for_those_who_manage_the_server(town: Town) -> None:
    with pytest.raises(NotPossible):
        await town.alice.slash("schedule list", channel=town.channel)


# What holds for all.


async def test_an_unknown_error_is_told_by_an_id_alone(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: int) -> None:
        raise KeyError("secret detail")

    monkeypatch.setattr(town.app.queue, "list", broken)
    answer = await said(await town.alice.slash("jobs list", channel=town.channel))
    assert "(id " in answer
    assert "secret" not in answer


async def test_everything_was_acknowledged_first_and_pinged_nobody(town: Town) -> None:
    await town.add_character(name="@everyone")
    await said(await town.alice.slash("say", {"character": "heron", "prompt": "@everyone"}, channel=town.channel))
    await said(await town.alice.slash("character info", {"character": "heron"}, channel=town.channel))
    for exchange in town.world.exchanges:
        if exchange.path.endswith("/callback"):
            assert b'"type":5' in exchange.body.replace(b" ", b"")
    for message in town.channel.messages.values():
        assert not message.pinged
        assert len(message.content) <= CONTENT_LIMIT


async def test_a_reply_that_discord_refuses_for_a_moment_is_no_silence(town: Town) -> None:
    town.world.faults.append(Fault(Harm.ERROR_BEFORE, "PATCH", "@original"))
    assert "/train" in await said(await town.alice.slash("character list", channel=town.channel))
