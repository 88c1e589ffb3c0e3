"""What the local executor promises beyond the contract: nothing outlives the bot, and the bot is disturbed by nothing."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from bot.executor.contract import Attempt
from bot.executor.local import LocalExecutor
from tests.executor.scene import ROOT, WORKER, Job, group, memory_limit, until


@pytest.mark.fault(3)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_nothing_outlives_the_bot(tmp_path: Path, number: signal.Signals) -> None:
    """When the bot is killed, its worker and whatever that has started are gone within a second."""
    family = Job(tmp_path / "7", "raise_a_family")
    command = [sys.executable, "-m", "tests.executor.parent", "train", str(family.attempt().folder)]
    bot = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    try:
        await until(lambda: family.grandchild() > 0)
        worker = family.pids()[0]
        assert {worker, family.grandchild()} < set(group(worker)), "the worker, what it started and its watcher"
        bot.send_signal(number)
        await until(lambda: not group(worker), seconds=1)
    finally:
        if bot.returncode is None:
            bot.kill()
        await bot.wait()


@pytest.mark.fault(3)
async def test_the_next_start_goes_on_where_the_killed_bot_was(tmp_path: Path) -> None:
    """After a kill of the bot its training goes on from the newest checkpoint when the bot is started again."""
    counting = Job(tmp_path / "7", "count", step_s=0.05)
    first = counting.attempt()
    command = [sys.executable, "-m", "tests.executor.parent", "train", str(first.folder)]
    bot = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    await until(lambda: counting.step() >= 3)
    bot.kill()
    await bot.wait()
    await until(lambda: not group(counting.pids()[0]), seconds=1)
    reached = counting.step()
    executor = LocalExecutor(grace_s=10, worker=WORKER, poll_s=0.02)
    assert not await executor.attach(first)
    counting.recipe["step_s"] = 0
    second = counting.attempt()
    await executor.start(second)
    assert (await executor.wait(second)).state == "succeeded"
    assert int((second.folder / "started_at").read_text()) == reached


@pytest.mark.fault(5)
async def test_when_memory_runs_out_the_worker_goes_and_not_the_bot(tmp_path: Path) -> None:
    """When the memory that Mynah was given runs out, the kernel ends the training and not the bot, which knows why."""
    greedy = Job(tmp_path / "7", "eat_memory")
    with memory_limit(400 << 20) as limited:
        into = f'echo $$ > {limited}/cgroup.procs && exec "$@"'
        command = ["sh", "-c", into, "sh", sys.executable, "-m", "tests.executor.parent", "train", str(greedy.attempt().folder)]
        bot = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
        said, _ = await asyncio.wait_for(bot.communicate(), 60)
    assert (bot.returncode, said) == (0, b"killed")


async def test_the_worker_does_not_outlive_the_bot_without_its_watcher_either(tmp_path: Path) -> None:
    family = Job(tmp_path / "7", "raise_a_family")
    command = [sys.executable, "-m", "tests.executor.parent", "train", str(family.attempt().folder)]
    bot = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    await until(lambda: family.grandchild() > 0)
    worker = family.pids()[0]
    for watcher in set(group(worker)) - {worker, family.grandchild()}:
        os.kill(watcher, signal.SIGKILL)
    bot.kill()
    await bot.wait()
    await until(lambda: worker not in group(worker))
    os.kill(family.grandchild(), signal.SIGKILL)


async def test_nothing_outlives_a_worker_that_ended_well(tmp_path: Path) -> None:
    job = Job(tmp_path / "7", "leave_a_child")
    attempt = job.attempt()
    executor = LocalExecutor(grace_s=10, worker=WORKER)
    await executor.start(attempt)
    assert (await executor.wait(attempt)).state == "succeeded"
    await until(lambda: not group(job.pids()[0]))


async def test_a_worker_whose_bot_is_gone_does_not_start(tmp_path: Path) -> None:
    job = Job(tmp_path / "7", "succeed")
    nobody = "1" if os.getpid() != 1 else "2"
    command = [sys.executable, "-m", "bot.executor.child", nobody, "0", WORKER, str(job.attempt().folder)]
    worker = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=asyncio.subprocess.PIPE, start_new_session=True)
    await worker.communicate(b"")
    assert worker.returncode == 1
    assert job.pids() == []


async def started_impatient(job: Job) -> tuple[LocalExecutor, Attempt]:
    """An attempt under an executor that bears a second without progress."""
    attempt = job.attempt()
    executor = LocalExecutor(grace_s=10, worker=WORKER, silence_s=1.0, poll_s=0.02)
    await executor.start(attempt)
    return executor, attempt


@pytest.mark.fault(6)
async def test_a_worker_that_no_longer_moves_is_killed(tmp_path: Path) -> None:
    """A training that makes no progress for ten minutes is ended with everything it started, and counts as a failed attempt."""
    family = Job(tmp_path / "7", "raise_a_family")
    executor, attempt = await started_impatient(family)
    await until(lambda: family.grandchild() > 0)
    os.kill(family.pids()[0], signal.SIGSTOP)
    outcome = await executor.wait(attempt)
    assert outcome.state == "failed"
    assert "no progress" in (outcome.reason or "")
    await until(lambda: not group(family.pids()[0]))


@pytest.mark.fault(6)
async def test_a_hanging_worker_tells_where(tmp_path: Path) -> None:
    """A training that hangs writes the place in the program where it hangs into its log before it is ended."""
    family = Job(tmp_path / "7", "raise_a_family")
    executor, attempt = await started_impatient(family)
    await executor.wait(attempt)
    assert "in raise_a_family" in (attempt.folder / "worker.log").read_text()


@pytest.mark.fault(6)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may take the processor from a training")
async def test_a_worker_that_waits_for_the_processor_does_not_hang(tmp_path: Path) -> None:
    """A training that other programs leave no processor is not taken for one that hangs, however long that lasts."""
    hungry = Job(tmp_path / "7", "starve")
    executor, attempt = await started_impatient(hungry)
    await until(lambda: hungry.grandchild() > 0)
    waiting = Path("/proc") / str(hungry.pids()[0]) / "schedstat"
    await until(lambda: int(waiting.read_text().split()[1]) > 3e9)
    os.kill(hungry.grandchild(), signal.SIGKILL)
    outcome = await executor.wait(attempt)
    assert "no progress" in (outcome.reason or "")


async def test_sigterm_from_elsewhere_gives_the_attempt_back(tmp_path: Path) -> None:
    counting = Job(tmp_path / "7", "count", step_s=0.05)
    attempt = counting.attempt()
    executor = LocalExecutor(grace_s=10, worker=WORKER)
    await executor.start(attempt)
    await until(lambda: counting.step() >= 2)
    os.killpg(counting.pids()[0], signal.SIGTERM)
    assert (await executor.wait(attempt)).state == "preempted"
    assert (attempt.folder / "saved").exists()


async def test_the_worker_gives_way_and_knows_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "a-secret")
    family = Job(tmp_path / "7", "raise_a_family")
    attempt = family.attempt()
    executor = LocalExecutor(grace_s=10, worker=WORKER)
    await executor.start(attempt)
    await until(lambda: family.grandchild() > 0)
    process = Path("/proc") / str(family.pids()[0])
    assert (process / "oom_score_adj").read_text().strip() == "1000"
    assert os.getpriority(os.PRIO_PROCESS, family.pids()[0]) == 19
    assert os.sched_getscheduler(family.pids()[0]) == os.SCHED_IDLE
    assert not (process / "autogroup").exists() or (process / "autogroup").read_text().endswith("nice 19\n")
    environment = dict(entry.split("=", 1) for entry in (process / "environ").read_text().split("\0") if "=" in entry)
    assert "DISCORD_TOKEN" not in environment
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert int(environment["GOMP_SPINCOUNT"]) > 0
    assert environment["HF_HUB_OFFLINE"] == "1"
    await executor.cancel(attempt)
