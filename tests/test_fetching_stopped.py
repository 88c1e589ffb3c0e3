"""Nothing is paid for twice, and nothing that was paid for is lost, whatever stops the reading of an account when."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.spending import Spending
from bot.tweets.journal import Journal
from bot.tweets.source import Page
from storage.errors import Busy
from storage.jobs import Job, JobStore
from tests.accounts import fetched, keep_files, pages_in, paid, spent, with_source
from tests.contracts.fake_executor import hang, succeed
from tests.desk import Desk, at_work, cut_off, desk


class Killed(BaseException):
    """The process ends here."""


# Kills.

MOMENTS: dict[str, tuple[object, str, bool, int]] = {
    "before the account is kept": (Journal, "begin", False, 1),
    "after the account is kept": (Journal, "begin", True, 1),
    "before a page is kept": (Journal, "add", False, 2),
    "after a page is kept": (Journal, "add", True, 2),
    "after the last page is kept": (Journal, "add", True, 4),
    "before it is counted": (Spending, "charge", False, 3),
    "after it is counted": (Spending, "charge", True, 3),
    "before the file is written": (Journal, "write", False, 1),
    "after the file is written": (Journal, "write", True, 1),
    "before the job is told": (JobStore, "set_materials", False, 1),
    "after the job is told": (Journal, "clear", False, 1),
    "after all is cleared away": (Journal, "clear", True, 1),
}


def kill_at(monkeypatch: pytest.MonkeyPatch, where: object, name: str, *, after: bool, time: int) -> None:
    real, count = getattr(where, name), iter(range(1, 1000))

    def dying(*arguments: Any, **more: Any) -> Any:
        if next(count) != time:
            return real(*arguments, **more)
        if after:
            real(*arguments, **more)
        raise Killed

    async def dying_later(*arguments: Any, **more: Any) -> Any:
        if next(count) != time:
            return await real(*arguments, **more)
        if after:
            await real(*arguments, **more)
        raise Killed

    monkeypatch.setattr(where, name, dying_later if asyncio.iscoroutinefunction(real) else dying)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_kill_at_any_moment_loses_no_page_and_pays_for_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    where, name, after, time = MOMENTS[moment]
    async with desk(tmp_path) as one:
        first = with_source(one)
        job = (await one.ask_source()).job
        with monkeypatch.context() as patch:
            kill_at(patch, where, name, after=after, time=time)
            with pytest.raises(Killed):
                await one.runner.run_one(job.id)
    async with desk(tmp_path) as two:
        second, given = with_source(two), keep_files(two)
        await two.runner.recover()
        async with at_work(two):
            await two.reaches(job.id, "succeeded")
        assert given == [[str(1000 + n) for n in range(35, 0, -1)]]
        # What was answered and not yet on the disk is asked for once more; nobody can know it. X does not charge for that on the same day.
        unknown = {"before the account is kept": (1, 0), "before a page is kept": (0, 1)}.get(moment, (0, 0))
        assert (first.looked_up + second.looked_up - 1, len(first.asked) + len(second.asked) - 4) == unknown
        assert await spent(two) == paid(35)
        assert not any(name.startswith(("uploads/", "jobs/")) for name in two.files())


async def test_what_a_crash_left_uncounted_is_counted_although_the_job_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(tmp_path) as one:
        with_source(one)
        job = (await one.ask_source()).job
        with monkeypatch.context() as patch:
            kill_at(patch, Journal, "add", after=True, time=3)
            with pytest.raises(Killed):
                await one.runner.run_one(job.id)
        assert await spent(one) == paid(20)
    async with desk(tmp_path) as two:
        await two.runner.recover()
        await two.queue.cancel(job.id, guild_id=7, by=9)
        assert await spent(two) == paid(30)
        assert two.files() == set()


async def test_what_could_not_be_counted_is_counted_by_the_next_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    charge, busy = Spending.charge, iter([False] * 4 + [True])

    async def sometimes(*arguments: Any, **more: Any) -> None:
        if next(busy, False):
            raise Busy
        await charge(*arguments, **more)

    monkeypatch.setattr(Spending, "charge", sometimes)
    async with desk(tmp_path) as one:
        source = with_source(one)
        assert (await fetched(one)).attempt == 2
        assert len(source.asked) == 4
        assert await spent(one) == paid(35)


async def test_a_second_attempt_fetches_nothing(tmp_path: Path) -> None:
    def fail_once(attempt: Any) -> Any:
        return succeed(attempt) if attempt.number > 1 else fail_with(attempt)

    def fail_with(attempt: Any) -> Any:
        return type(succeed(attempt))("failed", None, "Once.")

    async with desk(tmp_path, fail_once) as one:
        source = with_source(one)
        assert (await fetched(one)).attempt == 2
        assert (source.looked_up, len(source.asked)) == (1, 4)


# Stopping and cancelling.


def waiting_source(one: Desk) -> asyncio.Event:
    """A source that does not answer after two pages; the event says when it was asked for the third."""
    asked = asyncio.Event()
    source = with_source(one)
    page = source.page

    async def slow(*arguments: Any, **more: Any) -> Any:
        if len(source.asked) == 2:
            asked.set()
            await asyncio.Event().wait()
        return await page(*arguments, **more)

    source.page = slow  # type: ignore[method-assign]
    return asked


@asynccontextmanager
async def halfway(one: Desk) -> AsyncIterator[Job]:
    """The runner at work on a job that has two pages and waits for the third."""
    asked = waiting_source(one)
    job = (await one.ask_source()).job
    async with at_work(one):
        await asked.wait()
        yield job


@pytest.mark.fault(25)
async def test_a_job_that_is_cancelled_while_it_is_fetched_stops_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    """A job may be cancelled while its tweets are fetched: no further page is asked for, and no file is left."""
    async with desk(tmp_path) as one:
        async with halfway(one) as job:
            await one.queue.cancel(job.id, guild_id=7, by=9)
            await one.queue.halt([job.id])
            assert not any(name.startswith(("uploads/", "jobs/")) for name in one.files())
            await one.reaches((await one.ask("next")).job.id, "succeeded")
        assert (await one.job(job.id)).state == "cancelled"
        assert [spec.handle for spec in one.executor.started] == ["next"]
        assert await spent(one) == paid(20), "what was read is paid for"


@pytest.mark.parametrize("yields", range(12))
async def test_cancelling_at_any_moment_of_fetching_leaves_no_file(tmp_path: Path, yields: int) -> None:
    async with desk(tmp_path, hang) as one:
        with_source(one)
        job = (await one.ask_source()).job
        async with at_work(one):
            for _ in range(2**yields):
                await asyncio.sleep(0)
            await one.queue.cancel(job.id, guild_id=7, by=9)
            await one.queue.halt([job.id])
        assert not any(name.startswith(("uploads/", "jobs/")) for name in one.files())


async def test_a_page_that_is_being_kept_when_the_job_is_cancelled_is_counted_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, go_on, add = threading.Event(), threading.Event(), Journal.add

    def slow(self: Journal, page: Page) -> None:
        writing.set()
        go_on.wait(10)
        add(self, page)

    monkeypatch.setattr(Journal, "add", slow)
    async with desk(tmp_path) as one:
        with_source(one)
        job = (await one.ask_source()).job
        async with at_work(one):
            await asyncio.to_thread(writing.wait, 10)
            await one.queue.cancel(job.id, guild_id=7, by=9)
            for _ in range(50):
                await asyncio.sleep(0)
            go_on.set()
            await one.queue.halt([job.id])
        assert one.files() == set()
        assert await spent(one) == paid(10)


async def test_stopping_gives_the_job_back_and_the_next_start_goes_on_where_it_was(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        async with halfway(one) as job:
            pass
        assert ((await one.job(job.id)).state, (await one.job(job.id)).charged) == ("queued", 0)
    async with desk(tmp_path) as two:
        source = with_source(two)
        await two.runner.recover()
        async with at_work(two):
            await two.reaches(job.id, "succeeded")
        assert (source.looked_up, source.asked) == (0, [("20", None), ("30", None)])
        assert await spent(two) == paid(35)


async def test_a_runner_that_is_cut_off_keeps_what_was_read(tmp_path: Path) -> None:
    """Ctrl-C at the shell."""
    async with desk(tmp_path) as one:
        asked = waiting_source(one)
        job = (await one.ask_source()).job
        task = asyncio.create_task(one.runner.run_one(job.id))
        await asked.wait()
        await cut_off(task)
        assert pages_in(tmp_path) == [3]
        await one.queue.cancel(job.id, guild_id=7, by=9)
        assert one.files() == set()
