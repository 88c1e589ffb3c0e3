"""Who is told of a post that Discord refused, and that it is told once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.messages import Message
from bot.outbox import Refused
from storage.database import Database
from storage.jobs import JobStore
from storage.posts import Post, PostStore
from tests.records import NOON, training_of
from tests.test_outbox import Scripted, add, add_slots, settle

GONE = Refused("The channel is gone.")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "mynah.sqlite3")
    yield database
    await database.close()


async def notices(database: Database) -> list[Post]:
    rows = await database.fetch_all("SELECT * FROM posts WHERE recipient_id IS NOT NULL ORDER BY id")
    return [Post.from_row(row) for row in rows]


async def ended_job(database: Database) -> int:
    """Id of a training that succeeded, which 42 had asked for."""
    store = JobStore(database)
    async with database.transaction() as tx:
        job = await store.insert(
            tx,
            training_of("heron", Path("tweets.txt")),
            guild_id=7,
            channel_id=8,
            user_id=42,
            dedupe_key="interaction:1",
            now=NOON,
        )
        assert job is not None
        await store.claim(tx, owner="boot", now=NOON)
        assert await store.finish(tx, job.id, state="succeeded", now=NOON, attempt=1)
        await tx.execute("UPDATE posts SET created_by = 0")
    return job.id


@pytest.mark.fault(21)
async def test_a_result_that_no_channel_takes_is_told_to_the_one_who_asked(database: Database) -> None:
    """A training's result that its channel refuses or has gone with is told to its owner by direct message; the job stays succeeded."""
    job_id = await ended_job(database)
    post_id = await add(database, "Heron can speak now", kind="result", job_id=job_id)
    async with database.transaction() as tx:
        await tx.execute("UPDATE posts SET created_by = 0 WHERE id = ?", (post_id,))
    outbox = Scripted(database)
    outbox.answers = {"Heron can speak now": GONE}
    [post] = await settle(outbox, post_id)
    assert (post.state, post.error) == ("failed", "The channel is gone.")
    [notice] = await notices(database)
    assert (notice.kind, notice.recipient_id, notice.about_id) == ("notice", 42, post_id)
    content = Message.from_dict(notice.message or {}).content
    for part in ("<#8>", "The channel is gone.", "Heron can speak now"):
        assert part in content
    assert (await settle(outbox, notice.id))[0].state == "sent"
    job = await JobStore(database).get(job_id)
    assert job is not None
    assert job.state == "succeeded"


async def test_a_schedule_that_cannot_post_is_told_once_until_it_has_worked(database: Database) -> None:
    outbox = Scripted(database)
    posts = await add_slots(database, 4, "once")
    outbox.answers = {"slot 0": GONE, "slot 1": GONE, "slot 3": GONE}
    await settle(outbox, *posts)
    told = await notices(database)
    assert [notice.about_id for notice in told] == [posts[0], posts[3]]
    assert {notice.recipient_id for notice in told} == {42}


async def test_what_was_said_too_late_for_its_reply_is_told(database: Database) -> None:
    outbox = Scripted(database)
    outbox.answers = {"early": GONE, "late": GONE}
    early, late = await add(database, "early"), await add(database, "late", channel=9)
    async with database.transaction() as tx:
        await tx.execute("UPDATE posts SET created_at = '2026-03-01T11:58:59.000000+00:00' WHERE id = ?", (late,))
    await settle(outbox, early, late)
    assert [notice.about_id for notice in await notices(database)] == [late]


async def test_a_person_who_takes_no_messages_is_let_be(database: Database) -> None:
    outbox = Scripted(database)
    job_id = await ended_job(database)
    post_id = await add(database, "card", kind="result", job_id=job_id)
    outbox.answers = {"card": GONE}
    await settle(outbox, post_id)
    [notice] = await notices(database)
    outbox.answers = {Message.from_dict(notice.message or {}).content: Refused("They take no direct messages from Mynah.")}
    async with database.transaction() as tx:
        await tx.execute("UPDATE posts SET state = 'pending', sending_at = NULL WHERE id = ?", (notice.id,))
    await settle(outbox, notice.id)
    [stored] = await notices(database)
    assert stored.state == "failed"
    assert [post.id for post in await PostStore(database).in_state("unknown")] == []
