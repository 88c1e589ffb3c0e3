"""/train and the message of its job, on a local Discord; everything is real but the training."""

from pathlib import Path

import pytest

from bot.executor.contract import Progress
from storage.jobs import JobStore
from tests.cogs.town import TIMEOUT_S, TWEETS, Town, said


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
