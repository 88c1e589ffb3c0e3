"""Asking for a training: joined, limited, placed in line, cancelled."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bot.errors import BadInput, NotAllowed, NotFound
from bot.executor.contract import Attempt, Progress
from storage.jobs import Job
from storage.privacy import PrivacyStore
from tests.contracts.fake_executor import hang, succeed
from tests.desk import Desk, at_work, desk
from tests.records import training_of


async def test_a_request_is_queued_and_next(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        queued = await one.ask()
        assert (queued.job.state, queued.joined, queued.place.position, queued.place.wait_s) == ("queued", False, 1, None)
        assert one.queue.wake.is_set()
        assert await one.history(queued.job) == ["queued"]


@pytest.mark.fault(18)
async def test_the_same_interaction_twice_is_one_job(tmp_path: Path) -> None:
    """The same command delivered twice is one job."""
    async with desk(tmp_path) as one:
        first, second = await one.ask(key="interaction:5"), await one.ask(key="interaction:5")
        assert second == first


async def test_the_same_character_asked_twice_joins(tmp_path: Path) -> None:
    async with desk(tmp_path, jobs_per_member=1) as one:
        first = await one.ask()
        second = await one.ask(user_id=10)
        third = await one.ask(user_id=9)
        assert second.job == third.job == first.job
        assert second.joined
        assert third.joined
        assert await one.history(first.job) == ["queued", "joined", "joined"]


async def test_a_member_and_a_server_have_limits_that_are_told(tmp_path: Path) -> None:
    async with desk(tmp_path, jobs_per_member=2, jobs_per_server=3) as one:
        await one.ask("a")
        second = await one.ask("b")
        with pytest.raises(NotAllowed, match="2 unfinished trainings in this server and 2 is the most"):
            await one.ask("c")
        await one.ask("c", user_id=10)
        with pytest.raises(NotAllowed, match="has 3 unfinished trainings and 3 is the most"):
            await one.ask("d", user_id=10)
        await one.ask("c", guild_id=70)
        await one.queue.cancel(second.job.id, guild_id=7, by=9)
        await one.ask("d", user_id=10)


async def test_what_entitles_to_it_is_recorded_with_the_job(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        job = (await one.ask_source("x", ("heron", "wren"), key="interaction:5")).job
        await one.ask_source("x", ("heron", "wren"), key="interaction:5")
        await one.queue.enqueue(
            training_of("heron+wren", one.upload(), materials=job.materials),
            guild_id=7,
            channel_id=8,
            user_id=10,
            dedupe_key="interaction:6",
            basis="public",
        )
        given = await PrivacyStore(one.database).consents(job.id)
        assert [(c.handle, c.user_id, c.basis, c.guild_id, c.channel_id, c.given_at) for c in given] == [
            *[(handle, 9, "own", 7, 8, one.clock.now()) for handle in ("heron", "wren")],
            *[(handle, 10, "public", 7, 8, one.clock.now()) for handle in ("heron", "wren")],
        ]


async def test_who_has_opted_out_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        await one.opted_out("wren")
        with pytest.raises(NotAllowed, match="@wren has opted out"):
            await one.ask_source("x", ("heron", "wren"))
        assert await one.queue.list(7) == []
        assert await one.database.fetch_all("SELECT 1 FROM consents") == []


async def test_a_request_that_is_refused_for_a_limit_leaves_no_consent(tmp_path: Path) -> None:
    async with desk(tmp_path, jobs_per_member=1) as one:
        first = (await one.ask("a")).job
        with pytest.raises(NotAllowed):
            await one.ask("b")
        assert [row["job_id"] for row in await one.database.fetch_all("SELECT job_id FROM consents")] == [first.id]


async def test_halting_returns_when_nothing_runs_any_more(tmp_path: Path) -> None:
    async with desk(tmp_path, hang) as one:
        job = (await one.ask()).job
        async with at_work(one):
            await one.executor.running.wait()
            async with one.database.transaction() as tx:
                await one.jobs.finish(tx, job.id, state="cancelled", now=one.clock.now(), attempt=1)
            await one.queue.halt([job.id, 99])
            assert one.executor.cancelled == [one.attempt(job).name]
            assert not any(file.startswith(("jobs/", "uploads/")) for file in one.files())
        await one.queue.halt([job.id])


async def test_the_shell_has_no_limits(tmp_path: Path) -> None:
    async with desk(tmp_path, jobs_per_member=1, jobs_per_server=1) as one:
        for handle in "abc":
            await one.ask(handle, guild_id=0, user_id=0)


async def test_the_wait_is_learned_from_past_runs(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        first = (await one.ask("a")).job
        async with one.database.transaction() as tx:
            await one.jobs.claim(tx, owner="boot", now=one.clock.now())
            one.clock.advance(100)
            await one.jobs.finish(tx, first.id, state="succeeded", now=one.clock.now(), attempt=1)
        running, waiting = await one.ask("b"), await one.ask("c", user_id=10)
        assert (running.place.wait_s, waiting.place.position, waiting.place.wait_s) == (100, 2, 200)
        async with one.database.transaction() as tx:
            await one.jobs.claim(tx, owner="boot", now=one.clock.now())
        one.clock.advance(30)
        assert (await one.queue.place(await one.job(running.job.id))).wait_s == 70
        assert (await one.queue.place(waiting.job)).wait_s == 170
        async with one.database.transaction() as tx:
            await one.jobs.save_progress(tx, running.job.id, {"eta_s": 400.0})
        assert (await one.queue.place(waiting.job)).wait_s == 500, "what the worker says counts for more"
        assert (await one.queue.place(await one.job(first.id))).position == 0


async def test_jobs_of_another_server_are_not_found(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        job = (await one.ask()).job
        assert await one.queue.get(job.id, guild_id=7) == job
        for ask in (one.queue.get(job.id, guild_id=70), one.queue.cancel(job.id, guild_id=70, by=9), one.queue.get(99, guild_id=7)):
            with pytest.raises(NotFound, match="There is no job"):
                await ask
        assert await one.queue.list(7) == [job]
        assert await one.queue.list(70) == []


async def test_cancelling_what_is_queued_removes_its_upload(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        job = (await one.ask()).job
        cancelled = await one.queue.cancel(job.id, guild_id=7, by=9)
        assert cancelled.state == "cancelled"
        assert one.files() == set()
        assert one.told == [("cancelled", None)]
        with pytest.raises(BadInput, match="has been cancelled already"):
            await one.queue.cancel(job.id, guild_id=7, by=9)
        assert await one.results() == []


async def test_cancelling_what_runs_stops_the_worker_and_the_next_begins(tmp_path: Path) -> None:
    async with desk(tmp_path, hang) as one:
        first, second = (await one.ask("a")).job, (await one.ask("b")).job
        async with at_work(one):
            await one.executor.running.wait()
            one.executor.tell(one.attempt(first), Progress("training", 0.5))
            assert (await one.queue.cancel(first.id, guild_id=7, by=9)).state == "cancelled"
            await one.reaches(second.id, "succeeded")
        assert one.executor.cancelled == [one.attempt(first).name]
        assert (await one.job(first.id)).state == "cancelled"
        assert not any(file.startswith(("jobs/", "uploads/")) for file in one.files())
        assert [post.job_id for post in await one.results()] == [second.id]
        with pytest.raises(BadInput, match="has succeeded already"):
            await one.queue.cancel(second.id, guild_id=7, by=9)


async def test_a_waiting_job_can_be_cancelled(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        job = (await one.ask()).job
        async with one.database.transaction() as tx:
            await one.jobs.claim(tx, owner="boot", now=one.clock.now())
            await one.jobs.requeue(tx, job.id, charge=False, reason="full", state="waiting", now=one.clock.now())
        place = await one.queue.place(await one.job(job.id))
        assert (place.position, place.wait_s) == (1, None)
        assert (await one.queue.cancel(job.id, guild_id=7, by=9)).state == "cancelled"
        assert one.files() == set()


async def test_the_wait_is_that_of_files_of_like_size(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        small, large = one.upload(), one.upload()
        large.write_text("tweets" * 10_000)
        for handle, path, seconds in (("a", small, 10), ("b", large, 400)):
            job = (await one.ask(handle, path=path)).job
            async with one.database.transaction() as tx:
                await one.jobs.claim(tx, owner="boot", now=one.clock.now())
                one.clock.advance(seconds)
                await one.jobs.finish(tx, job.id, state="succeeded", now=one.clock.now(), attempt=1)
        assert [job.source_bytes for job in reversed(await one.queue.list(7))] == [6, 60_000]


async def test_a_job_put_first_is_next_and_the_others_are_told(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        first, second = (await one.ask("a")).job, (await one.ask("b")).job
        put = await one.queue.put_first(second.id, guild_id=7, by=1)
        assert (await one.queue.place(put)).position == 1
        assert (await one.queue.place(await one.job(first.id))).position == 2
        assert one.told == [("queued", None)]
        assert await one.history(second) == ["queued", "put first"]
        async with at_work(one):
            await one.reaches(first.id, "succeeded")
        assert [spec.handle for spec in one.executor.started] == ["b", "a"]
        with pytest.raises(BadInput, match="has succeeded already"):
            await one.queue.put_first(second.id, guild_id=7, by=1)
        with pytest.raises(NotFound):
            await one.queue.put_first(first.id, guild_id=70, by=1)


# Cancelling, at every moment.


async def cancelled_twice(one: Desk, job: Job) -> None:
    """Cancel; a second time says that it has ended."""
    assert (await one.queue.cancel(job.id, guild_id=7, by=9)).state == "cancelled"
    with pytest.raises(BadInput, match="has been cancelled already"):
        await one.queue.cancel(job.id, guild_id=7, by=9)


async def while_queued(one: Desk) -> Job:
    job = (await one.ask()).job
    await cancelled_twice(one, job)
    return job


async def while_waiting(one: Desk) -> Job:
    job = (await one.ask()).job
    async with one.database.transaction() as tx:
        await one.jobs.claim(tx, owner="boot", now=one.clock.now())
        await one.jobs.requeue(tx, job.id, charge=False, reason="full", state="waiting", now=one.clock.now())
    await cancelled_twice(one, job)
    return job


async def while_given_back(one: Desk) -> Job:
    """It ran, and waits for its next attempt."""
    job = (await one.ask()).job
    async with one.database.transaction() as tx:
        await one.jobs.claim(tx, owner="boot", now=one.clock.now())
        await one.jobs.requeue(tx, job.id, charge=True, reason="It was killed.", now=one.clock.now())
    await cancelled_twice(one, job)
    return job


async def while_starting(one: Desk) -> Job:
    """The worker's process is being started."""
    job = (await one.ask()).job
    start, begun, go_on = one.executor.start, asyncio.Event(), asyncio.Event()

    async def slow(attempt: Attempt) -> None:
        begun.set()
        await go_on.wait()
        await start(attempt)

    one.executor.plans = [hang]
    one.executor.start = slow  # type: ignore[method-assign]
    async with at_work(one):
        await begun.wait()
        await cancelled_twice(one, job)
        go_on.set()
        await one.reaches((await one.ask("next")).job.id, "succeeded")
    return job


async def while_at_a_step(one: Desk) -> Job:
    job = (await one.ask()).job
    one.executor.plans = [hang]
    async with at_work(one):
        await one.executor.running.wait()
        one.executor.tell(one.attempt(job), Progress("training", 0.5))
        await cancelled_twice(one, job)
        await one.reaches((await one.ask("next")).job.id, "succeeded")
    return job


async def while_the_worker_ends(one: Desk) -> Job:
    """The worker has written its result when it is told to stop: the row decides."""
    job = (await one.ask()).job
    one.executor.plans = [hang]
    async with at_work(one):
        await one.executor.running.wait()
        one.executor.end(one.attempt(job), succeed(one.attempt(job)))
        await cancelled_twice(one, job)
        await one.reaches((await one.ask("next")).job.id, "succeeded")
    return job


async def while_publishing(one: Desk) -> Job:
    """The model's files are being copied into the registry."""
    job = (await one.ask()).job
    publish, begun, go_on = one.runner._registry.publish, asyncio.Event(), asyncio.Event()

    async def slow(*arguments: Any, **more: Any) -> None:
        begun.set()
        await go_on.wait()
        await publish(*arguments, **more)

    one.runner._registry.publish = slow  # type: ignore[method-assign]
    async with at_work(one):
        await begun.wait()
        await cancelled_twice(one, job)
        go_on.set()
        await one.reaches((await one.ask("next")).job.id, "succeeded")
    return job


MOMENTS = [while_queued, while_waiting, while_given_back, while_starting, while_at_a_step, while_the_worker_ends, while_publishing]


@pytest.mark.fault(25)
@pytest.mark.parametrize("moment", MOMENTS, ids=[moment.__name__ for moment in MOMENTS])
async def test_a_job_is_cancelled_at_every_moment_and_stays_so(tmp_path: Path, moment: Callable[[Desk], Awaitable[Job]]) -> None:
    """A job may be cancelled at every moment; it then stays cancelled, makes no model, tells no result and leaves no file."""
    async with desk(tmp_path) as one:
        job = await moment(one)
        assert (await one.job(job.id)).state == "cancelled"
        assert (await one.history(job)).count("cancelled") == 1
        assert job.id not in {post.job_id for post in await one.results()}
        models = await one.database.fetch_all("SELECT job_id FROM models")
        assert job.id not in {row["job_id"] for row in models}
        assert not any(file.startswith((f"jobs/{job.id}/", "uploads/", "models/.new")) for file in one.files())


@pytest.mark.fault(25)
@pytest.mark.parametrize("yields", range(12))
async def test_cancelling_races_with_the_end_and_one_of_them_wins(tmp_path: Path, yields: int) -> None:
    """When a job is cancelled in the moment in which it ends, it has either succeeded or been cancelled, with all that goes with it."""
    async with desk(tmp_path, hang) as one:
        job = (await one.ask()).job
        async with at_work(one):
            await one.executor.running.wait()
            one.executor.end(one.attempt(job), succeed(one.attempt(job)))
            for _ in range(2**yields):
                await asyncio.sleep(0)
            with contextlib.suppress(BadInput):
                await one.queue.cancel(job.id, guild_id=7, by=9)
            ended = await one.reaches(job.id, "succeeded", "cancelled")
        models = await one.database.fetch_all("SELECT id FROM models")
        wanted = 1 if ended.state == "succeeded" else 0
        assert (len(models), len(await one.results()), len(await one.history(job))) == (wanted, wanted, 3)
        assert not any(file.startswith(("jobs/", "uploads/")) for file in one.files())
