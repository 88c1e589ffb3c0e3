"""The Poster takes forgotten messages from a local Discord, and finds those that a dead bot was sending."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.clock import SystemClock
from bot.localdiscord.permissions import Permissions
from bot.outbox import Refused
from storage.erased import Target
from storage.erasing import forget, through
from storage.privacy import ErasureStore
from tests.place import EVERYTHING, Place, place_at


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    async with place_at(tmp_path, monkeypatch) as place:
        yield place


@pytest.mark.parametrize("character", [True, False])
async def test_a_forgotten_message_is_erased_and_gone_already_is_as_good(place: Place, character: bool) -> None:
    [post] = await place.deliver(await place.promise("one", character=character))
    assert post.message_id is not None
    place.permit(EVERYTHING & ~Permissions.MANAGE_MESSAGES)
    for _ in range(2):
        await place.poster().erase(place.channel.id, post.message_id, None)
        assert place.texts() == []
    place.world.remove_channel(place.channel)
    await place.poster().erase(place.channel.id, post.message_id, None)


async def test_a_message_whose_webhook_is_gone_is_erased_by_the_bot_or_out_of_reach(place: Place) -> None:
    """A character's message goes by the bot itself where its webhook is gone, if the bot may delete there."""
    posts = await place.deliver(await place.promise("one"), await place.promise("two"))
    place.world.remove_webhook(next(iter(place.world.webhooks.values())))
    first, second = (post.message_id for post in posts)
    assert first is not None
    assert second is not None
    await place.poster().erase(place.channel.id, first, None)
    assert place.texts() == ["two"]
    place.permit(EVERYTHING & ~Permissions.MANAGE_MESSAGES)
    with pytest.raises(Refused):
        await place.poster().erase(place.channel.id, second, None)


@pytest.mark.parametrize("character", [True, False])
@pytest.mark.parametrize("arrived", [True, False])
async def test_what_was_forgotten_while_a_dead_bot_sent_it_is_found_without_its_words(place: Place, character: bool, arrived: bool) -> None:
    """Without its words a character's message is known by its buttons, the bot's own by a fingerprint, and no other is taken for it."""
    await place.deliver(await place.promise("before", character=character))
    if arrived:
        twin = await place.promise("one", character=character)
        await place.deliver(twin, await place.promise("after", character=character))
    else:
        await place.deliver(await place.promise("after", character=character))
        twin = await place.promise("one", character=character, sending=True)
    async with place.database.transaction() as tx:
        await tx.execute("UPDATE posts SET state = 'sending', message_id = NULL, sending_at = created_at WHERE id = ?", (twin,))
        await tx.execute("UPDATE posts SET created_by = 5 WHERE id = ?", (twin,))
        number = await ErasureStore(place.database).insert(tx, digest="00", guild_id=1, user_id=5, statement="own", now=SystemClock().now())
        await through(tx.fetch_all, forget(Target(user_id=5), erasure_id=number))
    await place.deliver(twin)
    assert await place.database.fetch_all("SELECT 1 FROM posts WHERE id = ?", (twin,)) == []
    found = [row["message_id"] for row in await place.database.fetch_all("SELECT message_id FROM erasure_messages")]
    assert found == ([list(place.channel.messages)[1]] if arrived else [])
    poster = place.poster()
    for message_id in found:
        await poster.erase(place.channel.id, message_id, None)
    assert place.texts() == ["before", "after"]
