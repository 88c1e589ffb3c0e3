"""The Poster against a local Discord: each post once, whatever goes wrong on the way."""

from collections.abc import AsyncIterator
from pathlib import Path

import discord
import pytest

from bot.errors import NotAllowed
from bot.localdiscord.faults import Fault, Harm
from bot.localdiscord.permissions import Permissions
from bot.messages import Button, Message
from storage.webhooks import WebhookStore
from tests.place import EVERYTHING, Place, place_at

WEBHOOK = r"/webhooks/\d+/[^/]+$"
CHANNEL = r"/channels/\d+/messages$"


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    async with place_at(tmp_path, monkeypatch) as place:
        yield place


async def test_a_character_speaks_through_a_webhook_with_its_label(place: Place) -> None:
    [post] = await place.deliver(await place.promise("I stand. I wait."))
    [message] = place.alice.read(place.channel)
    assert post.message_id == message.id
    assert message.is_webhook
    assert message.author_name == "Heron (AI)"
    assert message.content == "I stand. I wait.\n-# AI · not written by @heron"
    assert [button.custom_id for button in message.buttons] == [f"post:{what}:{post.id}" for what in ("again", "why", "report", "delete")]


@pytest.mark.fault(29)
async def test_nothing_pings(place: Place) -> None:
    """Nothing that Mynah posts mentions anybody, whatever a character says."""
    await place.deliver(
        await place.promise(f"@everyone <@{place.alice.id}> <@&{place.guild.id}> come"), await place.promise("@here", character=False)
    )
    assert [message.pinged for message in place.alice.read(place.channel)] == [(), ()]


async def test_one_webhook_serves_a_channel_and_a_restart(place: Place) -> None:
    await place.deliver(await place.promise("one"), await place.promise("two"))
    await place.deliver(await place.promise("three"))
    assert place.texts() == ["one", "two", "three"]
    assert len(place.world.webhooks) == 1


async def test_a_webhook_of_ours_is_found_again_when_it_was_forgotten(place: Place) -> None:
    await place.deliver(await place.promise("one"))
    async with place.database.transaction() as tx:
        await WebhookStore(place.database).delete(tx, place.channel.id)
    await place.deliver(await place.promise("two"))
    assert len(place.world.webhooks) == 1


async def test_a_lost_webhook_is_made_anew_once(place: Place) -> None:
    await place.deliver(await place.promise("one"))
    place.world.remove_webhook(next(iter(place.world.webhooks.values())))
    [post] = await place.deliver(await place.promise("two"))
    assert post.state == "sent"
    assert place.texts() == ["one", "two"]


@pytest.mark.fault(19)
@pytest.mark.parametrize("harm", [Harm.ERROR_AFTER, Harm.DROP_AFTER, Harm.ERROR_BEFORE, Harm.DROP_BEFORE, Harm.UNAVAILABLE])
@pytest.mark.parametrize("character", [True, False])
async def test_a_failing_discord_gets_a_post_once(place: Place, harm: Harm, character: bool) -> None:
    """Whether Discord fails before or after it took a post, the post stands in the channel once, and the next one too."""
    place.world.faults.append(Fault(harm, "POST", WEBHOOK if character else CHANNEL))
    posts = await place.deliver(await place.promise("one", character=character), await place.promise("two", character=character))
    assert [post.state for post in posts] == ["sent", "sent"]
    assert place.texts() == ["one", "two"]
    assert [post.message_id for post in posts] == list(place.channel.messages)


async def test_a_webhook_message_is_asked_for_once_when_the_answer_is_lost(place: Place) -> None:
    await place.deliver(await place.promise("first"))
    place.world.exchanges.clear()
    place.world.faults.append(Fault(Harm.ERROR_AFTER, "POST", WEBHOOK))
    await place.deliver(await place.promise("second"))
    asked = [exchange for exchange in place.world.exchanges if exchange.method == "POST"]
    assert len(asked) == 1


@pytest.mark.fault(20)
@pytest.mark.parametrize("harm", [Harm.RATE_LIMITED, Harm.RATE_LIMITED_EVERYWHERE, Harm.BANNED])
async def test_a_limited_post_goes_later(place: Place, harm: Harm) -> None:
    """A post that meets a rate limit, the global one or a ban of the address waits as long as it is told, and is sent once."""
    place.world.faults.append(Fault(harm, "POST", WEBHOOK, times=2, seconds=0.01))
    [post] = await place.deliver(await place.promise("one"))
    assert post.state == "sent"
    assert place.texts() == ["one"]


@pytest.mark.parametrize("character", [True, False])
@pytest.mark.parametrize("arrived", [True, False])
async def test_what_a_dead_bot_was_sending_stands_there_once(place: Place, character: bool, arrived: bool) -> None:
    """The bot died between its request and the note that it was answered."""
    before = await place.promise("before", character=character)
    await place.deliver(before)
    if arrived:
        twin = await place.promise("one", character=character)
        await place.deliver(twin)
        async with place.database.transaction() as tx:
            await tx.execute("UPDATE posts SET state = 'sending', message_id = NULL, sent_at = NULL WHERE id = ?", (twin,))
    else:
        twin = await place.promise("one", character=character, sending=True)
    [post] = await place.deliver(twin)
    assert post.state == "sent"
    assert place.texts() == ["before", "one"]
    assert post.message_id == list(place.channel.messages)[-1]


async def test_a_clock_that_is_weeks_ahead_posts_nothing_twice(place: Place) -> None:
    post_id = await place.promise("one")
    await place.deliver(post_id)
    async with place.database.transaction() as tx:
        await tx.execute("UPDATE posts SET state = 'sending', sending_at = '2099-01-01T00:00:00.000000+00:00' WHERE id = ?", (post_id,))
    await place.deliver(post_id)
    assert place.texts() == ["one"]


async def test_looking_for_a_post_passes_over_those_that_are_known(place: Place) -> None:
    """Else a channel full of posts costs a request for each, and one of so many may always fail."""
    await place.deliver(*[await place.promise(text) for text in ("one", "two", "three")])
    [post] = await place.deliver(await place.promise("four", sending=True))
    assert post.state == "sent"
    assert place.texts() == ["one", "two", "three", "four"]
    assert [e.path for e in place.world.exchanges if e.method == "GET" and "/webhooks/" in e.path and "/messages/" in e.path] == []


async def test_the_same_words_by_somebody_else_are_no_post_of_ours(place: Place) -> None:
    place.alice.send(place.channel, "one\n-# AI · not written by @heron")
    [post] = await place.deliver(await place.promise("one", sending=True))
    assert len(place.texts()) == 2
    assert post.message_id == list(place.channel.messages)[-1]


async def test_the_same_words_of_an_earlier_post_are_another_post(place: Place) -> None:
    await place.deliver(await place.promise("one"))
    async with place.database.transaction() as tx:
        await tx.execute("UPDATE posts SET dedupe_key = 'earlier'")
    await place.deliver(await place.promise("one", sending=True))
    assert place.texts() == ["one", "one"]


@pytest.mark.fault(23)
@pytest.mark.parametrize("arrived", [True, False])
async def test_without_the_right_to_read_nobody_can_tell_and_one_question_is_asked_there(place: Place, arrived: bool) -> None:
    """A post whose fate cannot be looked up is not sent again by itself: its channel is asked about it once, with two buttons."""
    post_id = await place.promise("one", sending=not arrived)
    if arrived:
        await place.deliver(post_id)
        async with place.database.transaction() as tx:
            await tx.execute("UPDATE posts SET state = 'sending', message_id = NULL, sent_at = NULL WHERE id = ?", (post_id,))
    place.permit(EVERYTHING & ~Permissions.READ_MESSAGE_HISTORY)  # Discord then gives an empty history, and no error
    [post] = await place.deliver(post_id)
    assert post.state == "unknown"
    assert "Read Message History" in (post.error or "")
    assert place.texts().count("one") == int(arrived)
    for _ in range(2):
        async with place.asked() as [question]:
            assert (question.state, question.channel_id) == ("sent", place.channel.id)
    [message] = [message for message in place.channel.messages.values() if "Is this post there?" in message.content]
    assert [button.custom_id for button in message.buttons] == [f"post:there:{post_id}", f"post:repeat:{post_id}"]
    assert place.texts().count("one") == int(arrived)


@pytest.mark.fault(23)
async def test_where_mynah_may_not_write_the_one_who_called_for_the_post_is_asked_alone(place: Place) -> None:
    """Where Mynah may not ask in the channel either, the one who called for the post is asked by direct message."""
    post_id = await place.promise("one", sending=True)
    place.permit(0)
    async with place.asked(2) as [refused, alone]:
        assert (refused.state, refused.recipient_id) == ("failed", None)
        assert (alone.state, alone.recipient_id) == ("sent", place.alice.id)
    assert place.texts() == []
    [message] = place.alice.direct(place.application).messages.values()
    assert [button.custom_id for button in message.buttons] == [f"post:there:{post_id}", f"post:repeat:{post_id}"]


async def test_a_message_to_one_person_is_delivered_once_whatever_is_lost(place: Place) -> None:
    for harm in (Harm.ERROR_AFTER, Harm.DROP_AFTER, Harm.ERROR_BEFORE):
        place.world.faults.append(Fault(harm, "POST", CHANNEL))
        async with place.database.transaction() as tx:
            post = await place.store.insert(
                tx,
                dedupe_key=harm.name,
                kind="notice",
                guild_id=place.guild.id,
                channel_id=0,
                created_by=0,
                now=place.world.clock.now(),
                message=Message(f"to you, {harm.name}").to_dict(),
                recipient_id=place.alice.id,
            )
        assert post is not None
        [delivered] = await place.deliver(post.id)
        assert delivered.state == "sent"
    told = [message.content for message in place.alice.read(place.alice.direct(place.application))]
    assert told == ["to you, ERROR_AFTER", "to you, DROP_AFTER", "to you, ERROR_BEFORE"]


async def test_without_webhooks_the_bot_itself_speaks(place: Place) -> None:
    place.permit(EVERYTHING & ~Permissions.MANAGE_WEBHOOKS)
    [post] = await place.deliver(await place.promise("one"))
    [message] = place.channel.messages.values()
    assert post.state == "sent"
    assert not message.is_webhook
    assert message.content == "**Heron (AI)**: one\n-# AI · not written by @heron"


@pytest.mark.fault(21)
async def test_without_the_right_to_write_a_post_has_failed(place: Place) -> None:
    """A post that Discord refuses for good has failed, with a sentence that names the missing permissions."""
    place.permit(EVERYTHING & ~Permissions.SEND_MESSAGES & ~Permissions.MANAGE_WEBHOOKS)
    [post] = await place.deliver(await place.promise("one"))
    assert post.state == "failed"
    assert "Send Messages" in (post.error or "")


async def test_a_deleted_channel_ends_its_posts(place: Place) -> None:
    pending, sending = await place.promise("one"), await place.promise("two", sending=True)
    place.world.remove_channel(place.channel)
    posts = await place.deliver(pending, sending)
    assert [(post.state, post.error) for post in posts] == [("failed", "The channel is gone.")] * 2


async def test_a_message_is_edited_by_the_bots_token_and_said_to_be_gone(place: Place) -> None:
    poster = place.poster()
    message_id = await poster.send(place.channel.id, Message("queued", (Button("Cancel", "job:cancel:1"),)), nonce="1:0")
    assert await poster.edit(place.channel.id, message_id, Message("running"))
    [message] = place.alice.read(place.channel)
    assert (message.content, message.buttons) == ("running", ())
    place.channel.messages.clear()
    assert not await poster.edit(place.channel.id, message_id, Message("done"))


@pytest.mark.parametrize("character", [True, False])
async def test_a_post_is_taken_back(place: Place, character: bool) -> None:
    [post] = await place.deliver(await place.promise("one", character=character))
    place.permit(EVERYTHING & ~Permissions.MANAGE_MESSAGES)
    await place.poster().delete(post, by=place.alice.id)
    assert place.texts() == []
    stored = await place.store.get(post.id)
    assert stored is not None
    assert stored.state == "deleted"


async def test_a_post_that_is_gone_already_counts_as_taken_back(place: Place) -> None:
    [post] = await place.deliver(await place.promise("one"))
    place.channel.messages.clear()
    await place.poster().delete(post, by=place.alice.id)
    stored = await place.store.get(post.id)
    assert stored is not None
    assert stored.state == "deleted"


async def test_taking_back_without_the_right_says_which(place: Place) -> None:
    [post] = await place.deliver(await place.promise("one"))
    async with place.database.transaction() as tx:
        await WebhookStore(place.database).delete(tx, place.channel.id)
    place.permit(EVERYTHING & ~Permissions.MANAGE_MESSAGES)
    with pytest.raises(NotAllowed, match="Manage Messages"):
        await place.poster().delete(post, by=place.alice.id)


async def test_a_thread_uses_the_webhook_of_the_channel_around_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    thread = object.__new__(discord.Thread)
    thread.id, thread.parent_id = 5, place.channel.id
    monkeypatch.setattr(place.client, "get_channel", {5: thread}.get)
    poster = place.poster()
    assert (poster._home(5), poster._thread(5)) == (place.channel.id, {"thread": discord.Object(5)})
    assert (poster._home(6), poster._thread(6)) == (6, {})
