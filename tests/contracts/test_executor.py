"""What every executor promises, tried with real processes and real signals."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from bot.executor.contract import Executor, Outcome, Progress
from bot.executor.local import LocalExecutor
from tests.executor.cluster import Cluster
from tests.executor.scene import WORKER, Job, MakeJob, alive, until

MakeExecutor = Callable[[], Executor]


@pytest.fixture(params=["local", "ray"])
def make(request: pytest.FixtureRequest) -> MakeExecutor:
    """Makes one, as a bot that has just started has it."""
    if request.param == "local":
        return lambda: LocalExecutor(grace_s=10, worker=WORKER, poll_s=0.02)
    cluster: Cluster = request.getfixturevalue("cluster")
    return cluster.executor


@pytest.fixture
async def executor(make: MakeExecutor) -> AsyncIterator[Executor]:
    made = make()
    yield made
    await made.close()


async def run(executor: Executor, job: Job) -> Outcome:
    attempt = job.attempt()
    await executor.start(attempt)
    return await executor.wait(attempt)


async def test_success_gives_the_result(executor: Executor, job: MakeJob) -> None:
    outcome = await run(executor, job("succeed"))
    assert outcome.state == "succeeded"
    assert outcome.result is not None
    assert outcome.result.steps == 40


async def test_a_failure_says_what_happened(executor: Executor, job: MakeJob) -> None:
    outcome = await run(executor, job("fail"))
    assert outcome.state == "failed"
    assert outcome.result is None
    assert "the sky fell" in (outcome.reason or "")


async def test_a_refusal_carries_its_sentence(executor: Executor, job: MakeJob) -> None:
    outcome = await run(executor, job("refuse"))
    assert (outcome.state, outcome.reason) == ("refused", "Only 12 characters.")


async def test_a_full_disk_is_no_failure(executor: Executor, job: MakeJob) -> None:
    assert (await run(executor, job("fill_the_disk"))).state == "no_space"


@pytest.mark.fault(7)
async def test_exit_code_0_without_a_result_is_a_failure(executor: Executor, job: MakeJob) -> None:
    """A worker that says it went well and leaves no result has failed."""
    assert (await run(executor, job("be_silent"))).state == "failed"


@pytest.mark.fault(2)
async def test_the_next_attempt_resumes_after_kill_9(executor: Executor, job: MakeJob) -> None:
    """A training whose worker was killed goes on from its newest checkpoint, as a new attempt."""
    counting = job("count", step_s=0.05)
    first = counting.attempt()
    await executor.start(first)
    await until(lambda: counting.step() >= 3)
    os.kill(counting.pids()[0], signal.SIGKILL)
    outcome = await executor.wait(first)
    assert (outcome.state, outcome.result) == ("killed", None)
    reached = counting.step()
    assert reached < 40, "the worker was to be killed half-way"
    counting.recipe["step_s"] = 0
    second = counting.attempt()
    await executor.start(second)
    assert (await executor.wait(second)).state == "succeeded"
    assert int((second.folder / "started_at").read_text()) == reached


async def test_cancel_ends_the_worker_and_its_grandchild(executor: Executor, job: MakeJob) -> None:
    family = job("raise_a_family")
    attempt = family.attempt()
    await executor.start(attempt)
    await until(lambda: family.grandchild() > 0)
    await executor.cancel(attempt)
    assert (await executor.wait(attempt)).state == "cancelled"
    await until(lambda: not alive(family.grandchild()) and not alive(family.pids()[0]))


async def test_cancel_may_come_twice_and_late(executor: Executor, job: MakeJob) -> None:
    family = job("raise_a_family")
    attempt = family.attempt()
    await executor.start(attempt)
    await asyncio.gather(executor.cancel(attempt), executor.cancel(attempt))
    await executor.cancel(attempt)
    assert (await executor.wait(attempt)).state == "cancelled"


async def test_cancel_after_the_end_changes_nothing(executor: Executor, job: MakeJob) -> None:
    attempt = job("succeed").attempt()
    await executor.start(attempt)
    await executor.wait(attempt)
    await executor.cancel(attempt)
    assert (await executor.wait(attempt)).state == "succeeded"


async def test_cancel_with_save_lets_the_worker_write_a_checkpoint(executor: Executor, job: MakeJob) -> None:
    counting = job("count", step_s=0.05)
    attempt = counting.attempt()
    await executor.start(attempt)
    await until(lambda: counting.step() >= 2)
    await executor.cancel(attempt, save=True)
    assert (await executor.wait(attempt)).state == "preempted"
    assert (attempt.folder / "saved").exists()


async def test_cancel_with_save_does_not_wait_for_ever(executor: Executor, job: MakeJob) -> None:
    stubborn = job("be_stubborn")
    attempt = stubborn.attempt()
    await executor.start(attempt)
    await until(lambda: bool(stubborn.pids()))
    await executor.cancel(attempt, grace_s=0.1, save=True)
    assert (await executor.wait(attempt)).state == "preempted"
    await until(lambda: not alive(stubborn.pids()[0]))  # Ray says that a worker is stopped a moment before it has killed it


async def test_starting_twice_is_one_worker(executor: Executor, job: MakeJob) -> None:
    counting = job("count")
    attempt = counting.attempt()
    await asyncio.gather(executor.start(attempt), executor.start(attempt))
    outcomes = await asyncio.gather(*(executor.wait(attempt) for _ in range(3)))
    await executor.start(attempt)
    assert {o.state for o in outcomes} == {"succeeded"}
    assert len(counting.pids()) == 1


@pytest.mark.fault(30)
async def test_a_superseded_attempt_stops_itself(executor: Executor, job: MakeJob) -> None:
    """Of two attempts at one job only the newer may write: the older one stops itself."""
    counting = job("count", step_s=0.05)
    first = counting.attempt()
    await executor.start(first)
    await until(lambda: counting.step() >= 2)
    counting.recipe["step_s"] = 0
    second = counting.attempt()
    assert (await executor.wait(first)).state == "fenced"
    await executor.start(second)
    assert (await executor.wait(second)).state == "succeeded"


@pytest.mark.fault(7)
async def test_garbage_in_the_progress_is_passed_over(executor: Executor, job: MakeJob) -> None:
    """A worker that prints megabytes, writes garbage into its progress and closes its output is judged by its result alone."""
    attempt = job("make_noise").attempt()
    await executor.start(attempt)
    seen = [p async for p in executor.events(attempt) if p.stage == "training"]
    assert (await executor.wait(attempt)).state == "succeeded"
    assert seen[-1] == Progress("training", 0.75)
    assert {p.fraction for p in seen} <= {0.25, 0.75}


async def test_progress_never_falls_and_ends_with_the_newest(executor: Executor, job: MakeJob) -> None:
    attempt = job("count").attempt()
    await executor.start(attempt)

    async def watch() -> list[float]:
        return [p.fraction async for p in executor.events(attempt)]

    for seen in await asyncio.gather(watch(), watch()):
        assert len(seen) > 1
        assert seen == sorted(seen)
        assert seen[-1] == 1.0


async def test_attach_after_a_restart_of_the_bot(executor: Executor, job: MakeJob, make: MakeExecutor) -> None:
    counting = job("succeed")
    done = counting.attempt()
    await run_attempt(executor, done)
    lost = counting.attempt()
    restarted = make()
    assert await restarted.attach(done)
    assert (await restarted.wait(done)).state == "succeeded"
    assert not await restarted.attach(lost)
    assert (await restarted.wait(lost)).state == "lost"
    await restarted.start(done)
    assert len(counting.pids()) == 1, "what has a result is not run again"
    await restarted.close()


async def run_attempt(executor: Executor, attempt: Any) -> None:
    await executor.start(attempt)
    await executor.wait(attempt)


async def test_close_ends_every_attempt_and_what_outlives_the_bot_goes_on(executor: Executor, job: MakeJob, make: MakeExecutor) -> None:
    counting = job("count", step_s=0.05)
    attempt = counting.attempt()
    await executor.start(attempt)
    await until(lambda: counting.step() >= 2)
    await executor.close()
    assert (await executor.wait(attempt)).state == ("detached" if executor.outlives else "preempted")
    assert (attempt.folder / "saved").exists() == (not executor.outlives)
    assert alive(counting.pids()[0]) == executor.outlives
    restarted = make()
    assert await restarted.attach(attempt) == executor.outlives
    if executor.outlives:
        assert (await restarted.wait(attempt)).state == "succeeded"
        assert len(counting.pids()) == 1
    await restarted.close()
