"""A source that limits or does not answer: the job waits, is tried again, and ends."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from bot import fetching
from bot.errors import RateLimited, SourceDown
from bot.fetching import TRIES
from storage.corpora import CorpusStore
from storage.jobs import Job
from tests.accounts import keep_files, with_source
from tests.desk import NOON, Desk, at_work, desk


async def test_a_limit_makes_the_job_wait_until_its_end_and_others_go_on(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        source = with_source(one)
        source.fails = {3: RateLimited("X allows no more for an hour.", until=NOON + timedelta(hours=1))}
        job = (await one.ask_source()).job
        async with at_work(one):
            waiting = await one.reaches(job.id, "waiting")
            assert (waiting.reason, waiting.charged) == ("X allows no more for an hour.", 0)
            assert waiting.retry_at == NOON + timedelta(hours=1, seconds=5)
            await one.reaches((await one.ask("wren")).job.id, "succeeded")
            one.clock.advance(3604)
            await one.reaches((await one.ask("wren2")).job.id, "succeeded")
            assert (await one.job(job.id)).state == "waiting"
            one.clock.advance(1)
            one.queue.wake.set()
            done = await one.reaches(job.id, "succeeded")
        assert done.retry_at is None
        assert source.asked == [(None, None), ("10", None), ("20", None), ("30", None)]
        assert source.looked_up == 1


@pytest.mark.fault(14)
@pytest.mark.parametrize("hours", [-24, 24])
async def test_the_time_to_try_again_survives_a_restart_and_a_clock_that_is_set(tmp_path: Path, hours: int) -> None:
    """A job that waits for a source waits on after a restart; when the clock is set, it is tried at once and not a day later."""
    until = NOON + timedelta(hours=1)
    async with desk(tmp_path) as one:
        with_source(one).fails = {2: RateLimited("Not now.", until=until)}
        job = (await one.ask_source()).job
        async with at_work(one):
            await one.reaches(job.id, "waiting")
    async with desk(tmp_path) as two:
        source = with_source(two)
        await two.runner.recover()
        async with at_work(two):
            await two.reaches((await two.ask("wren")).job.id, "succeeded")
            assert (await two.job(job.id)).retry_at == until + fetching.MARGIN
            assert source.requests == 0
            two.clock.advance(hours=hours)
            two.queue.wake.set()
            await two.reaches(job.id, "succeeded")


async def tried_again(one: Desk, job: Job) -> Job:
    """Let a job that waits be tried once."""
    before = (await one.job(job.id)).attempt
    async with at_work(one):
        while (now := await one.reaches(job.id, "waiting", "failed", "succeeded")).attempt == before:
            await asyncio.sleep(0)
    return now


async def tried_until_it_ends(one: Desk, job: Job) -> list[timedelta]:
    """Let it wait and be tried again; how long it waited each time."""
    waits = []
    async with at_work(one):
        while (now := await one.reaches(job.id, "waiting", "failed", "succeeded")).state == "waiting":
            assert now.retry_at is not None
            waits.append(now.retry_at - one.clock.now())
            one.clock.advance(waits[-1].total_seconds())
            one.queue.wake.set()
            while (await one.job(job.id)).attempt == now.attempt:
                await asyncio.sleep(0)
    return waits


async def test_a_source_that_is_down_is_asked_less_and_less_often_and_then_no_more(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        source = with_source(one)
        source.fails = {number: SourceDown("X does not answer.") for number in range(1, 100)}
        job = (await one.ask_source()).job
        waits = await tried_until_it_ends(one, job)
        assert [wait.total_seconds() / 60 for wait in waits] == [1, 2, 4, 8, 16, 32, *[60] * (TRIES - 7)]
        failed = await one.job(job.id)
        assert (failed.state, failed.reason) == ("failed", f"It was tried {TRIES} times. The last time: X does not answer.")
        assert failed.charged == 0
        assert len(await one.results()) == 1
        assert one.files() == set()


async def test_a_page_that_comes_begins_the_count_anew(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        source = with_source(one)
        source.fails = {number: SourceDown("X does not answer.") for number in (2, 4, 6, 8)}
        job = (await one.ask_source()).job
        waits = await tried_until_it_ends(one, job)
        assert (await one.job(job.id)).state == "succeeded"
        assert waits == [timedelta(minutes=1)] * 4


async def test_the_count_of_tries_survives_a_restart(tmp_path: Path) -> None:
    down = {number: SourceDown("X does not answer.") for number in range(1, 100)}
    job: Job | None = None
    for number in range(TRIES):
        async with desk(tmp_path) as one:
            with_source(one).fails = dict(down)
            one.clock.advance(hours=2 * number)
            await one.runner.recover()
            job = job or (await one.ask_source()).job
            ended = await one.runner.run_one(job.id) if number == 0 else await tried_again(one, job)
            assert (ended.state, ended.attempt) == ("waiting" if number < TRIES - 1 else "failed", number + 1)


async def test_what_was_paid_for_is_learned_from_when_the_source_stays_away(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        source, given = with_source(one), keep_files(one)
        source.fails = {number: SourceDown("X does not answer.") for number in range(4, 100)}
        job = (await one.ask_source()).job
        await tried_until_it_ends(one, job)
        assert (await one.job(job.id)).state == "succeeded"
        assert [len(ids) for ids in given] == [20]
        corpus = await CorpusStore(one.database).get(1)
        assert corpus is not None
        assert corpus.warning is not None
        assert "Only the newest 20 posts of @heron on X were read. It was tried 12 times." in corpus.warning
