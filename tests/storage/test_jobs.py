"""The queue's rows: one job for one request and for one character, turns, and attempts that count only while they are current."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.database import Database
from storage.jobs import Job, JobStore, claiming_order
from storage.trainings import Material, Training
from tests.records import job as job_record
from tests.records import training_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def insert(database: Database, **changes: Any) -> Job | None:
    handle = changes.pop("handle", "heron")
    training = changes.pop("training", None) or training_of(handle, Path(f"/uploads/x/{handle}.zip"))
    values: dict[str, Any] = {
        "guild_id": 7,
        "channel_id": 8,
        "user_id": 9,
        "dedupe_key": f"interaction:{handle}:{changes.get('guild_id', 7)}",
        "now": NOON,
    }
    async with database.transaction() as tx:
        return await JobStore(database).insert(tx, training, **{**values, **changes})


async def inserted(database: Database, **changes: Any) -> Job:
    job = await insert(database, **changes)
    assert job is not None
    return job


async def claim(database: Database, now: datetime = NOON, owner: str = "boot") -> Job | None:
    async with database.transaction() as tx:
        return await JobStore(database).claim(tx, owner=owner, now=now)


async def finish(database: Database, job: Job, state: Any, now: datetime = NOON) -> bool:
    async with database.transaction() as tx:
        return await JobStore(database).finish(tx, job.id, state=state, now=now, attempt=job.attempt)


async def test_the_same_request_is_one_job(database: Database) -> None:
    first = await inserted(database)
    assert await insert(database, handle="wren", dedupe_key=first.dedupe_key) is None
    assert await JobStore(database).by_dedupe_key(first.dedupe_key) == first


async def test_a_character_has_one_open_job_and_another_when_that_has_ended(database: Database) -> None:
    first = await inserted(database)
    with pytest.raises(sqlite3.IntegrityError):
        await insert(database, dedupe_key="another")
    assert await JobStore(database).find_open(7, "heron") == first
    await inserted(database, guild_id=70)
    assert await finish(database, first, "cancelled")
    assert await JobStore(database).find_open(7, "heron") is None
    await inserted(database, dedupe_key="another")


async def test_a_claim_starts_an_attempt(database: Database) -> None:
    waiting = await inserted(database)
    running = await claim(database, NOON + timedelta(minutes=1))
    assert running == replace(waiting, state="running", attempt=1, owner="boot", started_at=NOON + timedelta(minutes=1))
    assert await claim(database) is None


async def test_servers_take_turns(database: Database) -> None:
    for guild, handles in ((1, "abcd"), (2, "xy"), (3, "m")):
        for handle in handles:
            await inserted(database, guild_id=guild, handle=handle)
    line = [(job.guild_id, job.handle) for job in await JobStore(database).in_line()]
    assert line == [(1, "a"), (2, "x"), (3, "m"), (1, "b"), (2, "y"), (1, "c"), (1, "d")]
    claimed = []
    for minute in range(7):
        job = await claim(database, NOON + timedelta(minutes=minute))
        assert job is not None
        claimed.append((job.guild_id, job.handle))
        assert await finish(database, job, "succeeded")
    assert claimed == line, "the line that people are shown is the order that is kept"


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2), st.integers(0, 2)), max_size=12),
    st.dictionaries(st.integers(1, 4), st.integers(0, 100), max_size=4),
)
def test_every_job_has_its_turn_once_and_no_server_waits_for_two_of_another(
    jobs: list[tuple[int, int, int]], starts: dict[int, int]
) -> None:
    queued = [
        job_record(id=n, guild_id=guild, attempt=attempt, charged=min(charged, attempt)) for n, (guild, attempt, charged) in enumerate(jobs)
    ]
    order = claiming_order(queued, {guild: NOON + timedelta(seconds=s) for guild, s in starts.items()})
    assert sorted(job.id for job in order) == [job.id for job in queued]
    fresh = [job for job in order if job.attempt <= job.charged]
    assert order[len(order) - len(fresh) :] == fresh, "what was interrupted goes on first"
    for place, job in enumerate(fresh):
        again = [other.guild_id for other in fresh[place + 1 :]]
        if job.guild_id in again:
            between = set(again[: again.index(job.guild_id)])
            assert {other.guild_id for other in fresh[place + 1 :]} - {job.guild_id} <= between


async def test_an_interrupted_job_goes_on_before_others_start(database: Database) -> None:
    await inserted(database, handle="a")
    first = await claim(database)
    assert first is not None
    await inserted(database, guild_id=1, handle="b")
    async with database.transaction() as tx:
        assert await JobStore(database).requeue(tx, first.id, charge=False, reason="restart", now=NOON)
    again = await claim(database)
    assert again is not None
    assert (again.id, again.attempt, again.charged) == (first.id, 2, 0)


async def test_only_the_current_attempt_ends_a_job(database: Database) -> None:
    await inserted(database)
    first = await claim(database)
    assert first is not None
    async with database.transaction() as tx:
        await JobStore(database).requeue(tx, first.id, charge=True, reason="it failed", now=NOON)
    assert not await finish(database, first, "succeeded")
    second = await claim(database)
    assert second is not None
    assert second.charged == 1
    assert not await finish(database, first, "succeeded")
    assert await finish(database, second, "succeeded")
    assert not await finish(database, second, "failed")
    assert not await finish(database, second, "cancelled")


async def test_a_waiting_job_is_open_and_not_claimed(database: Database) -> None:
    await inserted(database)
    job = await claim(database)
    assert job is not None
    store = JobStore(database)
    async with database.transaction() as tx:
        assert await store.requeue(tx, job.id, charge=False, reason="The disk is full.", state="waiting", now=NOON)
    assert await claim(database) is None
    assert await store.in_line() == []
    waiting = await store.get(job.id)
    assert waiting is not None
    assert (waiting.state, waiting.waiting_since, waiting.reason, waiting.is_open) == ("waiting", NOON, "The disk is full.", True)
    assert await store.count_open(guild_id=7) == 1
    assert not await finish(database, job, "failed"), "only cancelling ends a job that does not run"
    assert await finish(database, job, "cancelled")


async def test_a_waiting_job_keeps_when_it_is_tried_again_until_it_is(database: Database) -> None:
    await inserted(database)
    job = await claim(database)
    assert job is not None
    until = NOON + timedelta(hours=1)
    async with database.transaction() as tx:
        await JobStore(database).requeue(tx, job.id, charge=False, reason="A limit.", state="waiting", now=NOON, retry_at=until)
    waiting = await JobStore(database).get(job.id)
    assert waiting is not None
    assert waiting.retry_at == until
    async with database.transaction() as tx:
        await JobStore(database).requeue(tx, job.id, charge=False, reason="A limit.", now=NOON)
    again = await claim(database)
    assert again is not None
    assert again.retry_at is None


@pytest.mark.parametrize(
    ("now", "retry_at", "due"),
    [
        (NOON, None, False),
        (NOON + timedelta(minutes=5), None, True),
        (NOON + timedelta(minutes=5), NOON + timedelta(hours=1), False),
        (NOON + timedelta(hours=1), NOON + timedelta(hours=1), True),
        (NOON + timedelta(minutes=1), NOON + timedelta(minutes=1), True),
        (NOON - timedelta(seconds=1), NOON + timedelta(hours=1), True),
        (NOON - timedelta(days=30), None, True),
    ],
)
def test_when_a_waiting_job_is_due(now: datetime, retry_at: datetime | None, due: bool) -> None:
    waiting = job_record(state="waiting", waiting_since=NOON, retry_at=retry_at)
    assert waiting.is_due(now, usual=timedelta(minutes=5)) == due


async def test_materials_are_kept_in_order_and_what_was_learned_of_them(database: Database) -> None:
    materials = (
        Material("heron", "x", "x-heron.jsonl", "@heron on X"),
        Material("wren", "file", "/elsewhere/wren.zip", "wren.zip"),
    )
    training = Training("heron+wren", materials, "/uploads/x/x-heron.jsonl", "nano", "nano", seed=1, multilingual="Qwen/Qwen3-0.6B-Base")
    job = await inserted(database, training=training)
    assert (job.materials, job.handles, job.handle, job.multilingual) == (materials, ("heron", "wren"), "heron+wren", training.multilingual)
    assert job.file_name == "@heron on X and wren.zip"
    assert [str(job.path_of(material)) for material in materials] == ["/uploads/x/x-heron.jsonl", "/elsewhere/wren.zip"]
    told = (replace(materials[0], name="Grüne Heron", avatar_url="https://example.org/h.jpg"), materials[1])
    async with database.transaction() as tx:
        await JobStore(database).set_materials(tx, job.id, told, 77)
    kept = await JobStore(database).get(job.id)
    assert kept is not None
    assert (kept.materials, kept.source_bytes) == (told, 77)


async def test_a_job_of_an_older_version_has_one_file(database: Database) -> None:
    job = await inserted(database)
    async with database.transaction() as tx:
        await tx.execute("UPDATE jobs SET materials = '[]'")
    old = await JobStore(database).get(job.id)
    assert old == job
    assert old.materials == (Material("heron", "file", "heron.zip", "heron.zip"),)


async def test_orphans_are_the_running_jobs_of_another_boot(database: Database) -> None:
    await inserted(database, handle="a")
    await inserted(database, handle="b")
    mine = await claim(database, owner=database.boot_id)
    theirs = await claim(database, owner="gone")
    assert mine is not None
    assert theirs is not None
    assert [job.id for job in await JobStore(database).orphans(database.boot_id)] == [theirs.id]


async def test_counting_is_by_server_and_member(database: Database) -> None:
    for handle, user in (("a", 1), ("b", 1), ("c", 2)):
        await inserted(database, handle=handle, user_id=user)
    await inserted(database, guild_id=70, handle="d", user_id=1)
    store = JobStore(database)
    assert await store.count_open(guild_id=7) == 3
    assert await store.count_open(guild_id=7, user_id=1) == 2
    assert [job.handle for job in await store.list(7)] == ["c", "b", "a"]
    assert [job.handle for job in await store.list(None, limit=2)] == ["d", "c"]


async def ran(database: Database, seconds: float, *, state: str = "succeeded", **changes: Any) -> None:
    """A job that took so long."""
    await inserted(database, handle=f"took{seconds}", **changes)
    job = await claim(database)
    assert job is not None
    assert await finish(database, job, state, NOON + timedelta(seconds=seconds))


async def test_typical_seconds_is_the_median_of_what_succeeded(database: Database) -> None:
    store = JobStore(database)
    assert await store.typical_seconds("nano", "default", None) is None
    await ran(database, 10)
    await ran(database, 500, state="failed")
    await ran(database, 30)
    await ran(database, 2000)
    assert await store.typical_seconds("nano", "default", None) == 30
    assert await store.typical_seconds("gpt2", "default", None) is None
    assert await store.typical_seconds("nano", "fast", None) is None, "another preset takes another time"


async def test_typical_seconds_are_those_of_files_of_like_size(database: Database) -> None:
    store = JobStore(database)
    for number in range(5):
        await ran(database, 100 + number, source_bytes=10_000 + number)
        await ran(database, 900 + number, source_bytes=1_000_000 + number)
    assert await store.typical_seconds("nano", "default", 20_000) == 102
    assert await store.typical_seconds("nano", "default", 5_000_000) == 902


async def test_a_second_attempt_teaches_nothing_about_the_time(database: Database) -> None:
    await inserted(database)
    job = await claim(database)
    assert job is not None
    async with database.transaction() as tx:
        await JobStore(database).requeue(tx, job.id, charge=False, reason=None, now=NOON)
    again = await claim(database)
    assert again is not None
    assert await finish(database, again, "succeeded", NOON + timedelta(seconds=3))
    assert await JobStore(database).typical_seconds("nano", "default", None) is None


async def test_the_job_put_first_is_next_in_its_server_and_servers_take_turns_all_the_same(database: Database) -> None:
    for guild, handle in ((7, "a"), (7, "b"), (7, "c"), (70, "x")):
        await inserted(database, guild_id=guild, handle=handle)
    store = JobStore(database)
    by_handle = {job.handle: job.id for job in await store.list(None)}
    for handle in "bc":
        async with database.transaction() as tx:
            assert await store.put_first(tx, by_handle[handle])
    assert [job.handle for job in await store.in_line()] == ["c", "x", "b", "a"]
    running = await claim(database)
    assert running is not None
    assert running.handle == "c"
    async with database.transaction() as tx:
        assert not await store.put_first(tx, running.id)


async def test_progress_message_and_history_are_kept(database: Database) -> None:
    await inserted(database)
    job = await claim(database)
    assert job is not None
    store = JobStore(database)
    async with database.transaction() as tx:
        await store.save_progress(tx, job.id, {"stage": "training", "fraction": 0.5})
        await store.set_message(tx, job.id, 99)
        await store.record(tx, job.id, "claimed", "attempt 1", NOON)
    kept = await store.get(job.id)
    assert kept is not None
    assert (kept.progress, kept.message_id) == ({"stage": "training", "fraction": 0.5}, 99)
    assert [(event.at, event.event, event.detail) for event in await store.events(job.id)] == [(NOON, "claimed", "attempt 1")]
