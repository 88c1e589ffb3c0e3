"""Asking for a training: joined, limited, placed in line, cancelled."""

from pathlib import Path

import pytest

from bot.errors import BadInput, NotAllowed, NotFound
from bot.executor.contract import Progress
from tests.contracts.fake_executor import hang
from tests.desk import at_work, desk


async def test_a_request_is_queued_and_next(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        queued = await one.ask()
        assert (queued.job.state, queued.joined, queued.place.position, queued.place.wait_s) == ("queued", False, 1, None)
        assert one.queue.wake.is_set()
        assert await one.history(queued.job) == ["queued"]


async def test_the_same_interaction_twice_is_one_job(tmp_path: Path) -> None:
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
