"""What the Ray executor promises beyond the contract, on a real cluster: workers outlive the bot, and no two attempts write at once."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from bot.executor import files, ray
from bot.executor.fence import Fence
from bot.executor.ray import RayExecutor
from tests.executor.cluster import NODE, Cluster
from tests.executor.scene import ROOT, Job, MakeJob, alive, until, until_noted


@contextlib.asynccontextmanager
async def bot(cluster: Cluster, **changes: object) -> AsyncIterator[RayExecutor]:
    """An executor, as a bot that has just started has it."""
    executor = cluster.executor(**changes)
    try:
        yield executor
    finally:
        await executor.close()


def oom_score(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


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
