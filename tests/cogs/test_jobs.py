"""/jobs as people use it, and the question about a post that may or may not have arrived."""

import asyncio

import pytest

from bot.localdiscord import Permissions
from bot.messages import Message as BotMessage
from storage.posts import Post, PostStore
from tests.cogs.town import TIMEOUT_S, TWEETS, Town, said, told_alone

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
    assert "Manage Server" in await told_alone(await town.world.user("stranger").click(question, label))
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
