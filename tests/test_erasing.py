"""Messages whose words were forgotten go from Discord, as far as that lets the bot; also those that were on their way."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.erasing import Eraser
from bot.messages import Message
from bot.outbox import Later, Refused, Unreadable
from storage.database import Database
from storage.erased import Target
from storage.erasing import forget, through
from storage.posts import Post
from storage.privacy import ErasureStore
from tests.clock import ManualClock
from tests.records import NOON
from tests.test_outbox import Lost, Scripted, add, running

CLOCK = ManualClock(NOON)
MEMBER = 42
"""Who called for every post here, and is forgotten."""


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "mynah.sqlite3")
    yield database
    await database.close()


async def forgotten(database: Database) -> int:
    """Everything that the member called for; the number of the erasure."""
    store = ErasureStore(database)
    async with database.transaction() as tx:
        number = await store.insert(tx, digest="user:00", guild_id=7, user_id=0, statement="own", now=NOON)
        found = await through(tx.fetch_all, forget(Target(user_id=MEMBER), erasure_id=number))
        await store.add_messages(tx, number, found.messages)
        await store.write(tx, number, receipt=found.numbers, todo=None)
    return number


async def look(database: Database, sql: str) -> list[Any]:
    return [row[0] if len(row) == 1 else tuple(row) for row in await database.fetch_all(sql)]


class Interrupted(Scripted):
    """While a post is on its way, it is forgotten."""

    async def transmit(self, post: Post, message: Message) -> int:
        await forgotten(self._database)
        return await super().transmit(post, message)

    async def find(self, post: Post, message: Message) -> int | None:
        assert message.content == ""  # it is looked for without its words
        if self.readable is not None:
            raise self.readable
        return 500 + post.id if self.in_channel else None


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        (None, [(501, "due")]),
        (Lost(arrived=True), [(501, "due")]),
        (Lost(arrived=False), []),
        (Later(0), []),
        (Refused("The channel is gone."), []),
    ],
)
async def test_a_post_that_is_forgotten_on_its_way_leaves_no_row_and_its_message_goes(
    database: Database, answer: Exception | None, left: list[Any]
) -> None:
    """A post that is being sent when its words are forgotten is looked for, deleted where it arrived, and never sent again."""
    outbox = Interrupted(database)
    woken = asyncio.Event()
    outbox.forgotten = woken.set
    outbox.answers = {"one": answer}
    post_id = await add(database, "one")
    async with running(outbox):
        await outbox.delivered([post_id], 20)
    assert outbox.sent == (["one"] if answer is None or isinstance(answer, Lost) else [])
    assert await look(database, "SELECT count(*) FROM posts") == [0]
    assert await look(database, "SELECT message_id, state FROM erasure_messages") == left
    assert woken.is_set()


async def test_where_nobody_can_tell_it_is_out_of_reach(database: Database) -> None:
    outbox = Interrupted(database)
    outbox.answers, outbox.readable = {"one": Lost(arrived=True)}, Unreadable("It may not be read.")
    post_id = await add(database, "one")
    async with running(outbox):
        await outbox.delivered([post_id], 20)
    assert await look(database, "SELECT count(*) FROM posts") == [0]  # and nobody is asked
    assert await ErasureStore(database).counts(1) == {"due": 0, "gone": 0, "unreachable": 1}


@pytest.mark.parametrize("state", ["sending", "unknown"])
async def test_what_a_dead_bot_was_sending_is_looked_for_and_goes(database: Database, state: str) -> None:
    post_id = await add(database, "one", state="sending")
    async with database.transaction() as tx:
        await tx.execute("UPDATE posts SET state = ?", (state,))
    await forgotten(database)
    assert await look(database, "SELECT count(*) FROM posts WHERE message LIKE '%one%' OR text IS NOT NULL") == [0]
    outbox = Interrupted(database)
    outbox.in_channel = {"one": 1}
    async with running(outbox):
        await outbox.delivered([post_id], 20)
    assert outbox.sent == []
    assert await look(database, "SELECT message_id, state FROM erasure_messages") == [(500 + post_id, "due")]


async def test_what_waits_is_never_sent(database: Database) -> None:
    outbox = Scripted(database)
    await add(database, "one")
    await add(database, "two", state="due")
    await forgotten(database)
    async with running(outbox):
        for _ in range(50):
            await asyncio.sleep(0)
    assert (outbox.sent, await look(database, "SELECT count(*) FROM posts")) == ([], [0])


class Channel:
    """Answers each message's deletion as it is told, then lets it be deleted."""

    def __init__(self) -> None:
        self.answers: dict[int, list[Exception]] = {}
        self.deleted: list[tuple[int, int, int | None]] = []

    async def attached(self) -> None:
        pass

    async def erase(self, channel_id: int, message_id: int, recipient_id: int | None) -> None:
        if self.answers.get(message_id):
            raise self.answers[message_id].pop(0)
        self.deleted.append((channel_id, message_id, recipient_id))


async def test_messages_are_deleted_newest_first_and_counted(database: Database) -> None:
    """Messages already posted are deleted, one by one; those out of reach are counted, and what has to wait is tried again."""
    store, channel = ErasureStore(database), Channel()
    number = await forgotten(database)
    async with database.transaction() as tx:
        await store.add_messages(tx, number, [(8, 100 + n, None) for n in range(250)] + [(0, 5, MEMBER)])
    channel.answers = {110: [Later(0), Later(0)], 120: [Refused("No.")]}
    eraser = Eraser(database=database, clock=CLOCK, remover=channel, first_wait_s=0)
    await eraser.work()
    assert await store.counts(number) == {"due": 0, "gone": 250, "unreachable": 1}
    assert [message for _, message, _ in channel.deleted] == [n for n in range(349, 99, -1) if n != 120] + [5]
    assert (0, 5, MEMBER) in channel.deleted
    done = await store.get(number)
    assert done is not None
    assert done.finished_at == NOON


async def test_a_message_that_turns_up_later_opens_it_again(database: Database) -> None:
    store, channel = ErasureStore(database), Channel()
    number = await forgotten(database)
    eraser = Eraser(database=database, clock=CLOCK, remover=channel)
    task = asyncio.create_task(eraser.run())
    async with asyncio.timeout(20):
        while not await look(database, "SELECT 1 FROM erasures WHERE finished_at IS NOT NULL"):
            await asyncio.sleep(0)
        async with database.transaction() as tx:
            await store.add_messages(tx, number, [(8, 77, None)])
        assert await store.is_any_open()
        eraser.wake()
        while await store.is_any_open():
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert channel.deleted == [(8, 77, None)]
