"""What the Ray executor promises beyond the contract: workers outlive the bot, and no two attempts write at once, whatever is cut off."""

import asyncio
import contextlib
import errno
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from bot.executor import files, ray
from bot.executor.contract import FENCED, Outcome, Result
from bot.executor.fence import Fence
from bot.executor.ray import RayExecutor
from tests.executor.cluster import NODE, Cluster, free_port
from tests.executor.fake_head import UNKNOWN, FakeHead, fake_head
from tests.executor.scene import ROOT, WORKER, Job, alive, until

MakeJob = Callable[..., Job]


@pytest.fixture
def job(tmp_path: Path) -> MakeJob:
    return lambda do, **recipe: Job(tmp_path / "jobs" / "7", do, **recipe)


@contextlib.asynccontextmanager
async def bot(cluster: Cluster, **changes: object) -> AsyncIterator[RayExecutor]:
    """An executor, as a bot that has just started has it."""
    executor = cluster.executor(**changes)
    try:
        yield executor
    finally:
        await executor.close()


@contextlib.asynccontextmanager
async def bot_at(head: FakeHead, **changes: object) -> AsyncIterator[RayExecutor]:
    given: dict[str, Any] = {"address": head.address, "token": None, "gpus": 1, "grace_s": 0, "worker": WORKER}
    executor = RayExecutor(**{**given, "poll_s": 0.02, "settle_s": 0.1, **changes})
    try:
        yield executor
    finally:
        await executor.close()


async def until_noted(executor: RayExecutor, attempt: Any, words: str) -> None:
    async with asyncio.timeout(30):
        async for progress in executor.events(attempt):
            if words in (progress.note or ""):
                return
    raise AssertionError(f"it ended without {words!r}")


def oom_score(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


# On a real cluster


async def test_the_worker_runs_on_the_node_with_the_gpus_gives_way_and_knows_no_token(cluster: Cluster, job: MakeJob) -> None:
    family = job("raise_a_family")
    async with bot(cluster) as executor:
        attempt = family.attempt()
        await executor.start(attempt)
        await until(lambda: family.grandchild() > 0)
        worker = psutil.Process(family.pids()[0])
        assert cluster.raylet(NODE) in worker.parents()
        assert worker.nice() == 19
        assert oom_score(worker.pid) == 1000
        environment = worker.environ()
        assert cluster.token not in " ".join([*environment.values(), *worker.cmdline()])
        assert environment["CUDA_VISIBLE_DEVICES"].isdigit()
        assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
        assert "OMP_NUM_THREADS" not in environment, "Ray's 1 is for the CPUs that were asked for"
        await executor.cancel(attempt)


async def test_the_error_of_a_worker_is_found_in_the_shared_folder(cluster: Cluster, job: MakeJob) -> None:
    async with bot(cluster) as executor:
        attempt = job("fail").attempt()
        await executor.start(attempt)
        await executor.wait(attempt)
        assert "the sky fell" in (attempt.folder / files.LOG).read_text()


async def test_two_starts_of_one_attempt_by_two_bots_are_one_worker(cluster: Cluster, job: MakeJob) -> None:
    counting = job("count")
    attempt = counting.attempt()
    async with bot(cluster) as first, bot(cluster) as second:
        await first.start(attempt)
        await until(lambda: bool(counting.pids()))
        await second.start(attempt)
        assert {(await executor.wait(attempt)).state for executor in (first, second)} == {"succeeded"}
    assert len(counting.pids()) == 1


async def test_two_bots_with_the_same_numbers_share_a_cluster(cluster: Cluster, tmp_path: Path) -> None:
    theirs, ours = (Job(tmp_path / name / "jobs" / "7", "count") for name in ("theirs", "ours"))
    async with bot(cluster) as one, bot(cluster) as other:
        attempts = theirs.attempt(), ours.attempt()
        await asyncio.gather(one.start(attempts[0]), other.start(attempts[1]))
        ended = await asyncio.gather(one.wait(attempts[0]), other.wait(attempts[1]))
    assert [outcome.state for outcome in ended] == ["succeeded", "succeeded"]
    assert (len(theirs.pids()), len(ours.pids())) == (1, 1)


async def test_whoever_races_with_the_end_the_result_decides(cluster: Cluster, job: MakeJob) -> None:
    counting = job("count", step_s=0.01)
    attempt = counting.attempt()
    async with bot(cluster, poll_s=0.01) as executor:
        await executor.start(attempt)
        await until(lambda: counting.step() >= 38)
        await executor.cancel(attempt)
        outcome = await executor.wait(attempt)
    done = files.read_result(attempt.folder) is not None
    assert outcome.state == ("succeeded" if done else "cancelled")


async def test_without_the_token_nothing_is_submitted(cluster: Cluster, job: MakeJob) -> None:
    counting = job("count")
    attempt = counting.attempt()
    async with bot(cluster, token="not-the-clusters-token-at-all-0000") as executor:
        await executor.start(attempt)
        outcome = await executor.wait(attempt)
    assert outcome.state == "unavailable"
    assert "refuses RAY_TOKEN" in (outcome.reason or "")
    assert not await attached(cluster, attempt)


async def attached(cluster: Cluster, attempt: Any) -> bool:
    async with bot(cluster) as executor:
        return await executor.attach(attempt)


async def test_a_training_waits_for_room_and_may_be_cancelled_meanwhile(
    cluster: Cluster, job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "_GIVE_UP_S", 0.0)
    monkeypatch.setattr(ray, "_PATIENCE_S", 0.0)
    huge = job("count")
    attempt = huge.attempt()
    async with bot(cluster, gpus=64, grace_s=0.5) as executor:
        await executor.start(attempt)
        await until_noted(executor, attempt, "waits for room")
        await executor.cancel(attempt, grace_s=0.5)
        assert (await executor.wait(attempt)).state == "cancelled"
    assert Fence(huge.folder).number() == 2, "should it ever begin, it is shut out"


@pytest.mark.fault(6)
async def test_a_worker_that_no_longer_moves_is_stopped(cluster: Cluster, job: MakeJob) -> None:
    """A training on the cluster that makes no progress for ten minutes is stopped there, and counts as a failed attempt."""
    counting = job("count", step_s=0.05)
    attempt = counting.attempt()
    async with bot(cluster, silence_s=3.0, grace_s=1) as executor:
        await executor.start(attempt)
        await until(lambda: counting.step() >= 2)
        os.kill(counting.pids()[0], signal.SIGSTOP)
        outcome = await executor.wait(attempt)
    assert outcome.state == "failed"
    assert "no progress" in (outcome.reason or "")
    await until(lambda: not alive(counting.pids()[0]))


@pytest.mark.fault(3)
async def test_the_worker_outlives_a_killed_bot_and_is_found_again(cluster: Cluster, job: MakeJob) -> None:
    """A training on the cluster goes on while the bot is dead, and the next start of the bot takes its result; it is not trained twice."""
    counting = job("count", step_s=0.05)
    attempt = counting.attempt()
    command = [sys.executable, "-m", "tests.executor.parent", "cluster", str(attempt.folder), cluster.address, cluster.token]
    small = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    try:
        await until(lambda: counting.step() >= 2)
    finally:
        small.kill()
        await small.wait()
    assert alive(counting.pids()[0])
    async with bot(cluster) as executor:
        assert await executor.attach(attempt)
        assert (await executor.wait(attempt)).state == "succeeded"
    assert len(counting.pids()) == 1


@pytest.mark.fault(30)
async def test_a_node_that_is_cut_off_trains_on_and_is_shut_out(cluster: Cluster, job: MakeJob) -> None:
    """A worker on a node that the cluster has lost stops itself as soon as the next attempt begins, and its result is not taken."""
    counting = job("count", step_s=0.2)
    first = counting.attempt()
    async with bot(cluster) as executor:
        await executor.start(first)
        await until(lambda: counting.step() >= 2)
        zombie = psutil.Process(counting.pids()[0])
        silenced = cluster.cut_off([zombie.pid])
        try:
            outcome = await executor.wait(first)
            assert outcome.state == "lost"
            assert "lost the node" in (outcome.reason or "")
            reached = counting.step()
            await until(lambda: counting.step() > reached)
            assert alive(zombie.pid), "nobody has told it"
            counting.recipe["step_s"] = 0
            second = counting.attempt()
            await executor.start(second)
            await until(lambda: not alive(zombie.pid))
            assert files.read_result(first.folder) is None
            assert counting.pids() == [zombie.pid], "the next attempt waits for room"
        finally:
            for process in silenced:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGCONT)
            await until(lambda: not alive(silenced[0].pid))  # it learns that it is taken for dead, and ends
            await cluster.mend()
        assert (await executor.wait(second)).state == "succeeded"
        assert int((second.folder / "started_at").read_text()) >= reached


@pytest.mark.fault(2)
async def test_a_node_that_dies_costs_one_attempt(cluster: Cluster, job: MakeJob) -> None:
    """When a node of the cluster dies, the training goes on from its newest checkpoint on another node, or when there is one."""
    counting = job("count", step_s=0.2)
    first = counting.attempt()
    async with bot(cluster) as executor:
        await executor.start(first)
        await until(lambda: counting.step() >= 2)
        cluster.raylet(NODE).kill()
        outcome = await executor.wait(first)
        assert (outcome.state, outcome.result) == ("lost", None)
        await until(lambda: not alive(counting.pids()[0]))  # Ray's own doing
        reached = counting.step()
        counting.recipe["step_s"] = 0
        second = counting.attempt()
        await executor.start(second)
        await cluster.mend()
        assert (await executor.wait(second)).state == "succeeded"
        assert int((second.folder / "started_at").read_text()) == reached


@pytest.mark.fault(31)
async def test_a_head_that_is_restarted_loses_the_training_but_not_the_job(cluster: Cluster, job: MakeJob) -> None:
    """While the cluster's head is dead a training counts as running; only a living head that does not know it makes it begin anew."""
    counting = job("count", step_s=5)
    first, other = counting.attempt(), replace(Job(counting.folder.parent / "8", "count").attempt(), job=8)
    async with bot(cluster) as executor, bot(cluster) as restarted:
        await executor.start(first)
        await until(lambda: counting.step() >= 1)
        await cluster.kill_head()
        try:
            await until_noted(executor, first, "does not answer")
            assert await restarted.attach(first), "nobody knows, so it is taken to be there"
            await executor.start(other)
            assert (await executor.wait(other)).state == "unavailable"
        finally:
            await cluster.mend()
        for one in (executor, restarted):
            outcome = await one.wait(first)
            assert outcome.state == "lost"
            assert "restarted" in (outcome.reason or "")
        assert not await attached(cluster, first)
        counting.recipe["step_s"] = 0
        second = counting.attempt()
        await executor.start(second)
        assert (await executor.wait(second)).state == "succeeded"
        assert len(counting.pids()) == 2


# Where something else answers, or nothing


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
