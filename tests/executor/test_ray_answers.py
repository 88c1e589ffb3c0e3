"""What the Ray executor makes of a head that answers oddly, of one that is none, and of nothing."""

import asyncio
import contextlib
import errno
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.executor import files, ray
from bot.executor.contract import FENCED, Outcome, Result
from bot.executor.fence import Fence
from bot.executor.ray import RayExecutor
from tests.executor.cluster import free_port
from tests.executor.fake_head import UNKNOWN, FakeHead, bot_at, fake_head
from tests.executor.scene import Job, MakeJob, until_noted

RUNNING = (200, {"status": "RUNNING"})


async def ended(head: FakeHead, job: Job, **changes: object) -> Outcome:
    async with bot_at(head, **changes) as executor:
        attempt = job.attempt()
        await executor.start(attempt)
        return await executor.wait(attempt)


async def test_a_head_that_is_not_there_makes_the_job_wait(job: MakeJob) -> None:
    head = FakeHead()
    head.address = f"http://127.0.0.1:{free_port()}"
    outcome = await ended(head, job("count"))
    assert outcome.state == "unavailable"
    assert head.address in (outcome.reason or "")
    assert "begins when it does" in (outcome.reason or "")


async def test_a_submission_of_which_nobody_knows_is_not_repeated(job: MakeJob) -> None:
    async with fake_head() as head:
        head.submit = (500, "No available agent to submit job, please try again later.")
        outcome = await ended(head, job("count"))
        assert outcome.state == "unavailable"
        assert "No available agent" in (outcome.reason or "")
        assert len(head.submitted) == 1


async def test_a_submission_that_arrived_in_spite_of_an_error_is_followed(job: MakeJob) -> None:
    async with fake_head() as head:
        head.submit, head.get_after = (502, "Bad Gateway"), (200, {"status": "FAILED", "driver_exit_code": -9})
        assert (await ended(head, job("count"))).state == "killed"


async def test_a_job_that_the_cluster_does_not_take_has_failed(job: MakeJob) -> None:
    async with fake_head() as head:
        head.submit = (400, "TypeError: no such field")
        outcome = await ended(head, job("count"))
        assert outcome.state == "failed"
        assert "does not take the job" in (outcome.reason or "")


@pytest.mark.parametrize("error", ["JOB_SUPERVISOR_ACTOR_START_TIMEOUT", "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE"])
async def test_a_cluster_without_room_makes_the_job_wait(job: MakeJob, error: str) -> None:
    async with fake_head() as head:
        head.get_after = (200, {"status": "FAILED", "error_type": error})
        outcome = await ended(head, job("count"), gpus=2)
    assert outcome.state == "unavailable"
    assert "had no room for the training, which needs RAY_GPUS=2" in (outcome.reason or "")


async def test_a_worker_that_never_reached_the_shared_folder_says_what_ray_says(job: MakeJob) -> None:
    async with fake_head() as head, following(head, job("count")) as (executor, attempt):
        said = "Job entrypoint command failed with exit code 2, last available logs:\nsh: 1: cannot create /data: Directory nonexistent\n"
        head.get = (200, {"status": "FAILED", "driver_exit_code": 2, "message": said})
        outcome = await executor.wait(attempt)
    assert outcome.state == "failed"
    assert "exit code 2" in (outcome.reason or "")
    assert "Directory nonexistent" in (outcome.reason or "")


@contextlib.asynccontextmanager
async def following(head: FakeHead, job: Job, **changes: object) -> AsyncIterator[tuple[RayExecutor, Any]]:
    """An attempt that was submitted by a bot before this one, and runs as far as the head says."""
    attempt = job.attempt()
    files.write_whole(attempt.folder / ray._SUBMITTED, "mynah-7-a1-0123456789ab")
    head.get = RUNNING
    async with bot_at(head, **changes) as executor:
        assert await executor.attach(attempt)
        yield executor, attempt


async def test_a_result_that_comes_late_through_the_shared_folder_is_waited_for(job: MakeJob) -> None:
    async with fake_head() as head, following(head, job("count"), settle_s=20) as (executor, attempt):
        head.get = (200, {"status": "SUCCEEDED", "driver_exit_code": 0})
        waiting = asyncio.create_task(executor.wait(attempt))
        await asyncio.wait({waiting}, timeout=0.2)
        assert not waiting.done()
        files.write_result(attempt.folder, Result(steps=40))
        assert (await waiting).state == "succeeded"


async def test_a_worker_that_cannot_be_stopped_is_shut_out(job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "_GIVE_UP_S", 0.1)
    counting = job("count")
    async with fake_head() as head, following(head, counting) as (executor, attempt):
        head.stop = (500, "the node is gone")
        await asyncio.gather(executor.cancel(attempt, grace_s=0.1), executor.cancel(attempt, grace_s=0.1))
        assert (await executor.wait(attempt)).state == "cancelled"
    assert Fence(counting.folder).number() == 2


async def test_the_sentence_of_the_cluster_stands_beside_the_progress_and_goes_again(job: MakeJob) -> None:
    async with fake_head() as head, following(head, job("count")) as (executor, attempt):
        with (attempt.folder / files.PROGRESS).open("w") as file:
            file.write('{"stage": "training", "fraction": 0.5, "note": "Little text."}\n')
        seen = executor.events(attempt)

        async def next_note() -> str | None:
            async with asyncio.timeout(10):
                return (await anext(seen)).note

        assert await next_note() == "Little text."
        head.get = (503, "busy")
        assert "HTTP 503: busy" in (await next_note() or "")
        head.get = RUNNING
        assert await next_note() == "Little text."


async def test_an_attempt_that_was_never_submitted_is_not_there(job: MakeJob) -> None:
    async with fake_head() as head, bot_at(head) as executor:
        assert not await executor.attach(job("count").attempt())
        assert head.seen == []


async def test_a_result_counts_though_the_head_has_forgotten_the_job(job: MakeJob) -> None:
    async with fake_head() as head, following(head, job("count")) as (executor, attempt):
        head.get = (503, "it is restarted")
        await until_noted(executor, attempt, "HTTP 503")
        files.write_result(attempt.folder, Result(steps=40))
        head.get = UNKNOWN
        assert (await executor.wait(attempt)).state == "succeeded"


async def test_a_folder_that_cannot_be_written_does_not_end_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with fake_head() as head:
        attempts = {state: Job(tmp_path / state, "count").attempt() for state in ("no_space", "failed")}
        for number, (state, attempt) in zip((errno.ENOSPC, errno.EROFS), attempts.items(), strict=True):

            def fail(*_: object, number: int = number) -> None:
                raise OSError(number, "it cannot be written")

            monkeypatch.setattr(files, "write_whole", fail)
            async with bot_at(head) as executor:
                await executor.start(attempt)
                assert (await executor.wait(attempt)).state == state
                await executor.cancel(attempt)
        assert head.submitted == []


async def test_a_stop_by_somebody_else_gives_the_attempt_back(job: MakeJob) -> None:
    async with fake_head() as head, following(head, job("count")) as (executor, attempt):
        head.get = (200, {"status": "STOPPED"})
        assert (await executor.wait(attempt)).state == "preempted"


async def test_a_fenced_worker_is_fenced(job: MakeJob) -> None:
    async with fake_head() as head, following(head, job("count")) as (executor, attempt):
        head.get = (200, {"status": "FAILED", "driver_exit_code": FENCED})
        assert (await executor.wait(attempt)).state == "fenced"


async def test_closing_does_not_wait_for_the_cluster(job: MakeJob) -> None:
    async with fake_head() as head, following(head, job("count"), poll_s=1000) as (executor, attempt):
        begun = time.monotonic()
        await executor.close()
        assert time.monotonic() - begun < 5
        assert (await executor.wait(attempt)).state == "detached"
