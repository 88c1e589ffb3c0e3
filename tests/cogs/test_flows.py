"""The commands as people use them, on a local Discord; everything is real but the training and the models."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.executor.contract import Progress
from bot.localdiscord import Fault, File, Harm, Message, NotPossible, Reply
from bot.messages import CONTENT_LIMIT
from storage.jobs import JobStore
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


def uploads(town: Town) -> list[Path]:
    return [path for path in (town.app.home / "uploads").rglob("*") if path.is_file()]


# /train


async def test_train_queues_a_job_and_shows_it(town: Town) -> None:
    reply = await town.alice.slash("train", {"handle": "@Heron", "archive": TWEETS}, channel=town.channel)
    message = await reply.done(TIMEOUT_S)
    assert not message.ephemeral
    assert "@heron" in message.content
    assert "Queued, 1st" in message.content
    assert [button.label for button in message.buttons] == ["Cancel"]
    [job] = await town.app.queue.list(town.guild.id)
    assert (job.handle, job.file_name, job.user_id) == ("heron", "tweets.txt", town.alice.id)
    assert uploads(town) == [Path(job.source_path)]
    assert uploads(town)[0].read_bytes() == TWEETS.data


async def test_the_message_of_a_job_follows_it_by_the_bots_token(town: Town) -> None:
    reply = await town.alice.slash("train", {"handle": "heron", "archive": TWEETS}, channel=town.channel)
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
    reply = await town.alice.slash("train", {"handle": "heron", "archive": TWEETS}, channel=town.channel)
    first = await reply.done(TIMEOUT_S)
    [job] = await town.app.queue.list(town.guild.id)
    town.mayor.world.channels[town.channel.id].messages.pop(first.id)
    town.bot._announce(job, None)
    second = await town.alice.wait_for(town.channel, lambda message: "Queued" in message.content, TIMEOUT_S)
    assert second.id != first.id
    assert second.buttons


async def test_asking_twice_joins_the_job_and_keeps_one_upload(town: Town) -> None:
    await said(await town.alice.slash("train", {"handle": "heron", "archive": TWEETS}, channel=town.channel))
    content = await said(await town.mayor.slash("train", {"handle": "HERON", "archive": TWEETS}, channel=town.channel))
    assert "already" in content
    assert "1st" in content
    assert len(await town.app.queue.list(town.guild.id)) == 1
    assert len(uploads(town)) == 1


@pytest.mark.parametrize("handle", ["a b", "../x", "a..b"])
async def test_a_bad_handle_is_refused_in_a_sentence(town: Town, handle: str) -> None:
    reply = await town.alice.slash("train", {"handle": handle, "archive": TWEETS}, channel=town.channel)
    assert "is no handle" in await said(reply)
    assert reply.ephemeral
    assert not uploads(town)


async def test_a_refused_training_leaves_no_upload(town: Town) -> None:
    for handle in ("one", "two"):
        await said(await town.alice.slash("train", {"handle": handle, "archive": TWEETS}, channel=town.channel))
    content = await said(await town.alice.slash("train", {"handle": "three", "archive": TWEETS}, channel=town.channel))
    assert "2" in content
    assert "cancel" in content
    assert len(uploads(town)) == 2


async def test_a_file_that_cannot_be_fetched_leaves_nothing_and_an_id(town: Town) -> None:
    town.world.files.clear()
    reply = await town.alice.slash("train", {"handle": "heron", "archive": TWEETS}, channel=town.channel)
    town.world.files.clear()
    assert "(id " in await said(reply)
    assert not uploads(town)
    assert not await town.app.queue.list(town.guild.id)


# /jobs


async def test_a_job_is_cancelled_by_its_button_by_the_one_who_asked(town: Town) -> None:
    message = await (await town.alice.slash("train", {"handle": "heron", "archive": TWEETS}, channel=town.channel)).done(TIMEOUT_S)
    stranger = town.world.user("stranger")
    assert "Manage Server" in await said(await stranger.click(message, "Cancel"))
    assert "cancelled" in await said(await town.alice.click(message, "Cancel"))
    ended = await town.alice.wait_for(town.channel, lambda message: "Cancelled." in message.content, TIMEOUT_S)
    assert not ended.buttons
    [job] = await town.app.queue.list(town.guild.id)
    assert job.state == "cancelled"


async def test_jobs_are_listed_shown_and_cancelled(town: Town) -> None:
    await said(await town.alice.slash("train", {"handle": "heron", "archive": TWEETS}, channel=town.channel))
    [job] = await town.app.queue.list(town.guild.id)
    assert "@heron · queued" in await said(await town.alice.slash("jobs list", channel=town.channel))
    assert "Queued, 1st" in await said(await town.alice.slash("jobs show", {"job": job.id}, channel=town.channel))
    choices = await town.alice.autocomplete("jobs cancel", {"job": ""}, focused="job", channel=town.channel)
    assert [choice.value for choice in choices] == [job.id]
    assert "cancelled" in await said(await town.mayor.slash("jobs cancel", {"job": job.id}, channel=town.channel))
    assert "already" in await said(await town.mayor.slash("jobs cancel", {"job": job.id}, channel=town.channel))
    assert not await town.alice.autocomplete("jobs cancel", {"job": ""}, focused="job", channel=town.channel)
    assert "no job 99" in await said(await town.alice.slash("jobs show", {"job": 99}, channel=town.channel))


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
