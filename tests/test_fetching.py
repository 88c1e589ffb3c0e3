"""From a source into a job's file: nothing is paid for twice, nothing that was paid for is lost, whatever stops it when."""

import asyncio
import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot import fetching
from bot.errors import NoAccess, Protected, RateLimited, SourceDown, SourceError, Spent
from bot.fetching import TRIES
from bot.spending import Spending
from bot.tweets.files import read_source
from bot.tweets.journal import Journal
from bot.tweets.source import Page, Tweet
from storage.characters import CharacterStore
from storage.corpora import CorpusStore
from storage.errors import Busy
from storage.jobs import Job, JobStore
from storage.models import ModelStore
from storage.spending import SpendingStore
from tests.contracts.fake_executor import hang, succeed
from tests.desk import NOON, Desk, at_work, cut_off, desk
from tests.fake_source import FakeSource, posts

PRICE = 0.005


class Killed(BaseException):
    """The process ends here."""


def with_source(one: Desk, count: int = 35, name: str = "x", **more: Any) -> FakeSource:
    one.sources[name] = source = FakeSource(posts(count), **more)
    return source


def learned_from(one: Desk, number: int = -1) -> list[str | None]:
    """Ids of the tweets that an attempt was given; only while its files are there."""
    return [tweet.id for tweet in read_source(Path(one.executor.started[number].sources[0].path))[1]]


def keep_files(one: Desk) -> list[list[str | None]]:
    """Ids that each attempt was given, noted when it starts."""
    given: list[list[str | None]] = []
    start = one.executor.start

    async def noting(attempt: Any) -> None:
        await start(attempt)
        given.append(learned_from(one))

    one.executor.start = noting  # type: ignore[method-assign]
    return given


def pages_in(home: Path) -> list[int]:
    """Lines of each journal, of which the first is the account's."""
    return [path.read_bytes().count(b"\n") for path in home.glob("uploads/*/*.pages")]


async def spent(one: Desk) -> tuple[int, int, float]:
    month = await SpendingStore(one.database).of("2026-03")
    return month.posts, month.users, round(month.usd, 6)


def paid(posts: int, accounts: int = 1) -> tuple[int, int, float]:
    return posts, accounts, round(posts * PRICE + accounts * 0.01, 6)


async def fetched(one: Desk, *handles: str, source: str = "x") -> Job:
    queued = await one.ask_source(source, handles or ("heron",))
    return await one.runner.run_one(queued.job.id)


async def test_an_account_is_fetched_newest_first_and_learned_from(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        source, given = with_source(one), keep_files(one)
        job = await fetched(one)
        assert job.state == "succeeded"
        assert given == [[str(1000 + n) for n in range(35, 0, -1)]]
        assert source.asked == [(None, None), ("10", None), ("20", None), ("30", None)]
        assert (source.looked_up, source.closed) == (1, 1)
        assert [progress.stage for _, progress in one.told if progress][:4] == ["fetching"] * 4
        fractions = [progress.fraction for _, progress in one.told if progress]
        assert fractions == sorted(fractions)
        assert fractions[3] <= 0.05
        assert await spent(one) == paid(35)
        (spec,) = one.executor.started
        assert (spec.sources[0].handle, spec.sources[0].file_name) == ("heron", "@heron on X")
        (character,) = await CharacterStore(one.database).list_all()
        assert (character.handles, character.avatar_url) == (("heron",), "https://pbs.twimg.com/heron.jpg")
        corpus = await CorpusStore(one.database).get(1)
        assert corpus is not None
        assert corpus.file_name == "@heron on X"
        assert not any(name.startswith(("uploads/", "jobs/")) for name in one.files())


async def test_each_page_is_safe_on_the_disk_before_the_next_is_asked_for(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        source = with_source(one)
        held: list[int] = []

        def look() -> None:
            held.append(sum(pages_in(tmp_path)))

        source.before = look
        await fetched(one)
        assert held == [0, 1, 2, 3, 4]


async def test_no_more_is_read_than_the_source_gives(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        source = with_source(one, 100, depth=25)
        await fetched(one)
        assert source.asked == [(None, None), ("10", None), ("20", None)]


async def test_a_source_that_turns_in_circles_comes_to_an_end(tmp_path: Path) -> None:
    class Circle(FakeSource):
        async def page(self, *arguments: Any, **more: Any) -> Any:
            page = await super().page(*arguments, **more)
            return type(page)(page.tweets if len(self.asked) == 1 else (), str(len(self.asked)), 10 if len(self.asked) == 1 else 0)

    async with desk(tmp_path) as one:
        one.sources["x"] = source = Circle(posts(10))
        assert (await fetched(one)).state == "succeeded"
        assert len(source.asked) == 1 + fetching.EMPTY


async def test_a_source_that_gives_the_same_page_again_and_again_is_asked_for_it_once_more_at_most(tmp_path: Path) -> None:
    class Stuck(FakeSource):
        async def page(self, *arguments: Any, **more: Any) -> Any:
            return replace(await super().page(*arguments, **more), cursor="10")

    async with desk(tmp_path) as one:
        one.sources["x"] = source = Stuck(posts(100))
        assert (await fetched(one)).state == "succeeded"
        assert source.asked == [(None, None), ("10", None)]


async def test_what_costs_nothing_is_not_counted(tmp_path: Path) -> None:
    async with desk(tmp_path, x_monthly_budget=0) as one:
        with_source(one, name="bluesky")
        assert (await fetched(one, source="bluesky")).state == "succeeded"
        assert await spent(one) == (0, 0, 0.0)


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


async def waiting_source(one: Desk, at: int) -> asyncio.Event:
    """A source that does not answer a page; the event says when it was asked."""
    asked = asyncio.Event()
    source = with_source(one)
    page = source.page

    async def slow(*arguments: Any, **more: Any) -> Any:
        if len(source.asked) == at:
            asked.set()
            await asyncio.Event().wait()
        return await page(*arguments, **more)

    source.page = slow  # type: ignore[method-assign]
    return asked


@pytest.mark.fault(25)
async def test_a_job_that_is_cancelled_while_it_is_fetched_stops_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    """A job may be cancelled while its tweets are fetched: no further page is asked for, and no file is left."""
    async with desk(tmp_path) as one:
        asked = await waiting_source(one, at=2)
        job = (await one.ask_source()).job
        async with at_work(one):
            await asked.wait()
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
        asked = await waiting_source(one, at=2)
        job = (await one.ask_source()).job
        async with at_work(one):
            await asked.wait()
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
        asked = await waiting_source(one, at=2)
        job = (await one.ask_source()).job
        task = asyncio.create_task(one.runner.run_one(job.id))
        await asked.wait()
        await cut_off(task)
        assert pages_in(tmp_path) == [3]
        await one.queue.cancel(job.id, guild_id=7, by=9)
        assert one.files() == set()


# Limits, and a source that is down.


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


@pytest.mark.parametrize("error", [Protected("@heron is protected."), NoAccess("X refuses the token."), Spent("X has no credit left.")])
async def test_a_refusal_is_final_and_its_sentence_is_told(tmp_path: Path, error: SourceError) -> None:
    async with desk(tmp_path) as one:
        with_source(one).fails = {1: error}
        job = await fetched(one)
        assert (job.state, job.reason, job.attempt) == ("failed", str(error), 1)
        assert one.executor.started == []
        assert one.files() == set()
        assert await spent(one) == (0, 0, 0.0)


async def test_what_nobody_expected_fails_the_attempt_and_goes_on_where_it_was(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        source = with_source(one)
        source.fails = {3: KeyError("data")}
        job = await fetched(one)
        assert (job.state, job.attempt, job.charged) == ("succeeded", 2, 1)
        assert (source.looked_up, len(source.asked)) == (1, 4)


async def test_an_account_without_posts_is_told_in_one_sentence(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        with_source(one, 0)
        job = await fetched(one)
        assert (job.state, job.reason) == ("failed", "@heron on X has no posts that can be read, so there is nothing to learn from.")
        assert one.files() == set()


async def test_a_full_disk_is_noticed_before_anything_is_paid_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with desk(tmp_path) as one:
        source = with_source(one)
        job = (await one.ask_source()).job
        monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": fetching.ROOM - 1}))
        waiting = await one.runner.run_one(job.id)
        assert (waiting.state, waiting.charged, source.requests) == ("waiting", 0, 0)
        assert "disk is full" in (waiting.reason or "")


async def test_an_account_that_has_opted_out_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        source = with_source(one)
        job = (await one.ask_source()).job
        await one.opted_out("heron")
        ended = await one.runner.run_one(job.id)
        assert (ended.state, source.requests) == ("failed", 0)
        assert (ended.reason or "").startswith("@heron has opted out")
        assert one.files() == set()


async def test_an_account_that_has_opted_out_under_another_name_is_refused_before_a_post_is_read(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        source = with_source(one, name="bluesky", real_name="Heron.example.org")
        await one.opted_out("Heron.example.org")
        ended = await fetched(one, "heron.bsky.social", source="bluesky")
        assert (ended.state, source.asked) == ("failed", [])
        assert (ended.reason or "").startswith("@Heron.example.org has opted out")
        assert one.files() == set()


# Money.


async def test_what_would_go_beyond_the_budget_is_refused_with_the_numbers(tmp_path: Path) -> None:
    async with desk(tmp_path, x_monthly_budget=1.0) as one:
        source = with_source(one, 400, profile_posts=400)
        job = await fetched(one)
        assert job.state == "failed"
        assert "Reading 400 posts at X would cost up to $2.00, and $0.99 of this month's $1.00 are left" in (job.reason or "")
        assert source.asked == []
        assert await spent(one) == paid(0)
        one.clock.advance(hours=31 * 24)
        with_source(one, 100, profile_posts=100)
        assert (await fetched(one)).state == "succeeded"


async def test_a_small_account_needs_no_large_budget(tmp_path: Path) -> None:
    async with desk(tmp_path, x_monthly_budget=1.0) as one:
        with_source(one, 20, profile_posts=20)
        assert (await fetched(one)).state == "succeeded"


async def test_all_accounts_of_a_mash_up_must_be_within_the_budget_before_the_first_is_read(tmp_path: Path) -> None:
    async with desk(tmp_path, x_monthly_budget=1.0) as one:
        source = with_source(one, 120, profile_posts=120)
        job = await fetched(one, "heron", "wren")
        assert job.state == "failed"
        assert "Reading 240 posts" in (job.reason or "")
        assert source.asked == []


@pytest.mark.parametrize("out_of_money", ["ours", "theirs"])
async def test_money_that_ends_in_the_middle_ends_the_reading_and_not_the_job(tmp_path: Path, out_of_money: str) -> None:
    async with desk(tmp_path, x_monthly_budget=0.56) as one:
        source, given = with_source(one, 200, profile_posts=20, size=20), keep_files(one)
        if out_of_money == "theirs":
            source.fails = {3: Spent("The credit at X is used up.")}
        job = await fetched(one)
        assert job.state == "succeeded"
        assert [len(ids) for ids in given] == [20]
        notes = [progress.note for _, progress in one.told if progress]
        corpus = await CorpusStore(one.database).get(1)
        assert corpus is not None
        assert corpus.warning is not None
        assert "Only the newest 20 posts of @heron on X were read." in corpus.warning
        assert notes is not None


# Once more.


async def retrained(one: Desk, first: Callable[[Desk], Any]) -> tuple[FakeSource, list[list[str | None]]]:
    """A character, then its account read at X, which has 60 posts by then."""
    await first(one)
    (character,) = await CharacterStore(one.database).list_all()
    assert await ModelStore(one.database).list(character.id)
    source, given = with_source(one, 60), keep_files(one)
    assert (await fetched(one)).state == "succeeded"
    return source, given


def corpus_of(one: Desk, tweets: list[Tweet], number: int = 1) -> None:
    """What the worker would have kept; the fake one keeps something else."""
    lines = [{"text": tweet.text, "id": tweet.id, "author_handle": "heron"} for tweet in tweets]
    (one.home / "corpora" / f"{number}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


async def test_only_what_is_newer_is_read_and_the_corpus_grows(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        with_source(one, 40)
        await fetched(one)
        corpus_of(one, posts(40))
        source, given = with_source(one, 60, depth=30), keep_files(one)
        await fetched(one)
        assert source.asked == [(None, "1040"), ("10", "1040")]
        assert given == [[str(1000 + n) for n in range(60, 0, -1)]]
        assert len(given[0]) > source.depth
        assert await spent(one) == paid(40 + 20, 2)


@pytest.mark.parametrize(
    ("has", "profile_posts", "asked"),
    [(40, 60, [(None, "1040"), ("10", "1040")]), (40, None, [(None, "1040"), ("10", "1040")]), (5, 60, [(None, None)])],
    ids=["an archive", "nobody knows how many there are", "a few tweets"],
)
async def test_a_file_counts_as_known_when_it_is_most_of_what_there_is(
    tmp_path: Path, has: int, profile_posts: int | None, asked: list[Any]
) -> None:
    async with desk(tmp_path) as one:
        await one.train()
        corpus_of(one, posts(has))
        source, given = with_source(one, 60, profile_posts=profile_posts), keep_files(one)
        await fetched(one)
        assert source.asked[: len(asked)] == asked
        assert given == [[str(1000 + n) for n in range(60, 0, -1)]], "each once, whichever way it came"


async def test_a_corpus_without_ids_is_read_anew(tmp_path: Path) -> None:
    async def first(one: Desk) -> None:
        await one.train()

    async with desk(tmp_path) as one:
        source, given = await retrained(one, first)
        assert source.asked[0] == (None, None)
        assert [len(ids) for ids in given] == [60]


async def test_another_servers_character_is_no_reason_to_read_less(tmp_path: Path) -> None:
    async def first(one: Desk) -> None:
        await one.train(guild_id=0)
        corpus_of(one, posts(40))

    async with desk(tmp_path) as one:
        source, _ = await retrained(one, first)
        assert source.asked[0] == (None, None)


async def test_nothing_new_is_learned_from_what_is_known(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        with_source(one, 40)
        await fetched(one)
        corpus_of(one, posts(40))
        given = keep_files(one)
        assert (await fetched(one)).state == "succeeded"
        assert [len(ids) for ids in given] == [40]
