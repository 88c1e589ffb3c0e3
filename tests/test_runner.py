"""From the claim to what became of it, with every way an attempt can end."""

import asyncio
import errno
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.errors import RateLimited
from bot.executor import files
from bot.executor.contract import Attempt, Outcome, Progress
from bot.executor.fence import Fence
from bot.lm.recipe import FEWEST_TWEETS
from bot.specs import HALF_BATCH
from storage.errors import Full
from storage.jobs import JobStore
from storage.privacy import PrivacyStore
from storage.trainings import Material
from tests.contracts.fake_executor import FakeExecutor, end, fail, hang, succeed, work
from tests.desk import NOON, at_work, cut_off, desk
from tests.fake_source import FakeSource, posts
from tests.records import training_of

KILLED = Outcome("killed", None, "It was killed.")
LOST = Outcome("lost", None, "It is gone.")


async def test_the_attempt_is_told_all_it_needs(tmp_path: Path) -> None:
    fences: list[int] = []

    def look(attempt: Attempt) -> Outcome:
        fences.append(Fence(attempt.folder.parent).number())
        return Outcome("failed", None, "Once.") if attempt.number == 1 else succeed(attempt)

    async with desk(tmp_path, look, look, train_threads=2) as one:
        path = one.upload()
        job = await one.train(path=path)
        (spec, again) = one.executor.started
        assert (spec.job, spec.attempt, spec.handle, spec.sources[0].path, spec.base, spec.seed) == (
            job.id,
            1,
            "heron",
            str(path),
            "nano",
            1,
        )
        assert (spec.threads, spec.recipe) == (2, {})
        assert again.attempt == 2
        assert fences == [1, 2]


async def test_the_attempt_is_told_of_the_preset_what_is_blocked_and_the_newest_models_of_others(tmp_path: Path) -> None:
    async with desk(tmp_path, blocked_words="darn, bloody fool") as one:
        for handle in ("wren", "wren", "heron"):
            await one.train(handle=handle)
        await one.train(preset="fast")
        *_, spec = one.executor.started
        assert (spec.preset, spec.blocked) == ("fast", ("darn", "bloody fool"))
        assert [Path(path).relative_to(tmp_path).as_posix() for path in spec.others] == ["models/1/v2/dataset.jsonl"]


async def test_the_attempt_is_told_whose_tweets_they_are_and_what_entitles_to_them(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        room = one.upload("wren.zip").parent
        (room / "heron.zip").write_text("tweets")
        materials = (Material("wren", "file", "wren.zip", "wren's.zip"), Material("heron", "file", "heron.zip", "heron's.zip"))
        training = training_of("heron+wren", room / "wren.zip", materials=materials, multilingual="nano")
        gull = await one.opted_out("gull")
        job = await one.train(training=training, basis="own")
        await one.ask("other", basis="public")
        (spec,) = one.executor.started
        assert spec.handle == job.handle == "heron+wren"
        assert [(s.handle, s.path, s.file_name, s.basis) for s in spec.sources] == [
            ("heron", str(room / "heron.zip"), "heron's.zip", "own"),
            ("wren", str(room / "wren.zip"), "wren's.zip", "own"),
        ]
        assert (spec.opted_out, spec.salts, spec.multilingual) == ((gull,), (await PrivacyStore(one.database).salt(),), ("nano", "nano"))


async def test_whoever_asked_first_says_what_entitles(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        first = await one.ask(basis="public")
        await one.ask(basis="own", user_id=10)
        await one.runner.run_one(first.job.id)
        assert [source.basis for source in one.executor.started[0].sources] == ["public"]


async def test_an_opt_out_before_its_turn_ends_a_job_before_it_begins(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        job = (await one.ask()).job
        await one.opted_out("heron")
        ended = await one.runner.run_one(job.id)
        assert (ended.state, one.executor.started) == ("failed", [])
        assert (ended.reason or "").startswith("@heron has opted out")
        assert len(await one.results()) == 1
        assert one.files() == set()


async def test_a_base_for_other_languages_that_is_gone_is_told(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        path = one.upload()
        job = await one.train(training=training_of("heron", path, multilingual="Qwen/Qwen3-0.6B-Base"))
        assert (job.state, one.executor.started) == ("failed", [])
        assert "mynah base pull Qwen/Qwen3-0.6B-Base" in (job.reason or "")


async def test_progress_is_told_kept_and_cleared(tmp_path: Path) -> None:
    steps = [Progress("training", 0.5, eta_s=9.0), Progress("training", 0.501), Progress("training", 0.9)]
    async with desk(tmp_path, hang) as one:
        job = (await one.ask()).job
        async with at_work(one):
            await one.executor.running.wait()
            for step in steps:
                one.executor.tell(one.attempt(job), step)
            one.executor.end(one.attempt(job), Outcome("refused", None, "No."))
            ended = await one.reaches(job.id, "failed")
        assert [progress for _, progress in one.told if progress] == steps
        assert ended.progress is not None
        assert ended.progress["fraction"] == 0.9
        assert [state for state, progress in one.told if progress is None] == ["running", "failed"]


async def test_a_refusal_is_final_and_the_channel_is_told(tmp_path: Path) -> None:
    async with desk(tmp_path, end(Outcome("refused", None, "Only 12 characters."))) as one:
        job = await one.train()
        assert (job.state, job.reason, job.attempt) == ("failed", "Only 12 characters.", 1)
        (post,) = await one.results()
        assert (post.dedupe_key, post.guild_id, post.channel_id, post.job_id) == (f"job:{job.id}:result", 7, 8, job.id)
        assert one.files() == set()


@pytest.mark.fault(24)
async def test_three_failures_are_the_end(tmp_path: Path) -> None:
    """A training that fails each time is given up after three attempts, and its channel is told why."""
    async with desk(tmp_path, fail("One."), fail("Two."), fail("Three.")) as one:
        job = await one.train()
        assert (job.state, job.attempt, job.reason) == ("failed", 3, "It was tried 3 times. The last time: Three.")
        assert await one.history(job) == ["queued", "claimed", "attempt failed", "claimed", "attempt failed", "claimed", "failed"]
        assert len(await one.results()) == 1
        assert one.files() == set()


async def test_a_failure_that_passes_is_no_failure(tmp_path: Path) -> None:
    async with desk(tmp_path, fail(), fail()) as one:
        job = await one.train()
        assert (job.state, job.reason, job.charged) == ("succeeded", None, 2)


@pytest.mark.fault(5)
async def test_killed_twice_it_goes_on_with_half_the_batch(tmp_path: Path) -> None:
    """A training that was killed twice, as it is when memory runs out, is tried a last time with half the batch."""
    async with desk(tmp_path, end(KILLED), end(KILLED)) as one:
        assert (await one.train()).state == "succeeded"
        assert [spec.recipe for spec in one.executor.started] == [{}, {}, HALF_BATCH]
    assert {"batch_tweets": FEWEST_TWEETS // 2} == HALF_BATCH


async def test_lost_twice_it_goes_on_as_it_was(tmp_path: Path) -> None:
    """The fault is the node's, and not the memory's."""
    async with desk(tmp_path, end(LOST), end(LOST)) as one:
        assert ((await one.train()).state, [spec.recipe for spec in one.executor.started]) == ("succeeded", [{}, {}, {}])


async def test_what_outlives_the_bot_is_found_again(tmp_path: Path) -> None:
    async with desk(tmp_path, hang) as one:
        one.executor.outlives = True
        job = (await one.ask()).job
        async with at_work(one):
            await one.executor.running.wait()
        left = await one.job(job.id)
        assert (left.state, left.attempt, left.charged) == ("running", 1, 0)
        assert one.executor.cancelled == []
        work(one.attempt(job))
    async with desk(tmp_path) as again:
        await again.runner.recover()
        async with at_work(again):
            assert (await again.reaches(job.id, "succeeded")).attempt == 1
        assert again.executor.started == []


async def test_a_runner_that_is_cut_off_leaves_alone_what_outlives_it(tmp_path: Path) -> None:
    async with desk(tmp_path, hang) as one:
        one.executor.outlives = True
        job = (await one.ask()).job
        task = asyncio.create_task(one.runner.run())
        await one.executor.running.wait()
        await cut_off(task)
        await one.runner.stop()
        assert one.executor.cancelled == []
        assert (await one.job(job.id)).state == "running"


@pytest.mark.fault(31)
async def test_a_cluster_that_cannot_be_reached_makes_the_job_wait(tmp_path: Path) -> None:
    """A job that cannot begin because the cluster does not answer waits, says why, costs no attempt and is tried again."""
    away = end(Outcome("unavailable", None, "The cluster does not answer."))
    async with desk(tmp_path, away) as one:
        job = (await one.ask()).job
        async with at_work(one):
            waiting = await one.reaches(job.id, "waiting")
            assert (waiting.reason, waiting.charged) == ("The cluster does not answer.", 0)
            one.clock.advance(300)
            one.queue.wake.set()
            await one.reaches(job.id, "succeeded")


async def test_an_interruption_is_no_attempt(tmp_path: Path) -> None:
    interrupted = end(Outcome("preempted", None))
    async with desk(tmp_path, *[interrupted] * 5) as one:
        job = await one.train()
        assert (job.state, job.attempt, job.charged) == ("succeeded", 6, 0)


@pytest.mark.fault(8)
async def test_a_full_disk_makes_it_wait_and_it_is_tried_again(tmp_path: Path) -> None:
    """A training that waits for room on the disk is tried again every five minutes by itself, and others go on meanwhile."""
    full = end(Outcome("no_space", None, "The disk is full."))
    async with desk(tmp_path, full) as one:
        job = (await one.ask()).job
        async with at_work(one):
            waiting = await one.reaches(job.id, "waiting")
            assert (waiting.reason, waiting.charged) == ("The disk is full.", 0)
            one.clock.advance(299)
            one.queue.wake.set()
            other = await one.ask("wren")
            await one.reaches(other.job.id, "succeeded")
            assert (await one.job(job.id)).state == "waiting"
            one.clock.advance(1)
            one.queue.wake.set()
            await one.reaches(job.id, "succeeded")


@pytest.mark.fault(8, 9)
async def test_an_end_that_could_not_be_written_down_is_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What became of a training while the database could not be written is written down once it can be, and nothing is trained twice."""
    real, full = JobStore.finish, [True]

    async def finish(*arguments: Any, **more: Any) -> bool:
        if full:
            raise Full
        return await real(*arguments, **more)

    monkeypatch.setattr(JobStore, "finish", finish)
    async with desk(tmp_path, end(Outcome("refused", None, "No."))) as one:
        job = (await one.ask()).job
        with pytest.raises(Full):
            await one.runner.run()
        assert (await one.job(job.id)).state == "running"
        full.clear()
        async with at_work(one):
            await one.reaches(job.id, "failed")
        assert len(one.executor.started) == 1
        assert len(await one.results()) == 1


@pytest.mark.fault(8)
async def test_progress_that_cannot_be_written_down_costs_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training goes on while its progress cannot be written down."""

    async def save_progress(*_: Any) -> None:
        raise Full

    monkeypatch.setattr(JobStore, "save_progress", save_progress)
    async with desk(tmp_path, hang) as one:
        job = (await one.ask()).job
        async with at_work(one):
            await one.executor.running.wait()
            attempt = one.attempt(job)
            one.executor.tell(attempt, Progress("training", 0.5))
            one.executor.end(attempt, succeed(attempt))
            await one.reaches(job.id, "succeeded")


async def test_the_shell_is_told_that_the_disk_is_full(tmp_path: Path) -> None:
    async with desk(tmp_path, end(Outcome("no_space", None, "The disk is full."))) as one:
        assert (await one.train(guild_id=0)).state == "waiting"


async def test_asked_for_again_at_the_shell_a_job_that_waited_goes_on_at_once(tmp_path: Path) -> None:
    async with desk(tmp_path, end(Outcome("no_space", None, "The disk is full.")), succeed) as one:
        waiting = await one.train(guild_id=0)
        again = await one.train(guild_id=0)
        assert (again.id, waiting.state, again.state) == (waiting.id, "waiting", "succeeded")


async def test_at_the_shell_what_waits_is_tried_at_once_unless_it_was_told_until_when(tmp_path: Path) -> None:
    async with desk(tmp_path, end(Outcome("no_space", None, "The disk is full."))) as one:
        job = await one.train(guild_id=0)
        assert job.state == "waiting"
        assert (await one.runner.run_one(job.id)).state == "succeeded"
        one.sources["x"] = source = FakeSource(posts(3))
        source.fails = {1: RateLimited("Not before one o'clock.", until=NOON + timedelta(hours=1))}
        limited = await one.ask_source(guild_id=0)
        for _ in range(2):
            assert (await one.runner.run_one(limited.job.id)).reason == "Not before one o'clock."
            assert source.requests == 1
        one.clock.advance(hours=2)
        assert (await one.runner.run_one(limited.job.id)).state == "succeeded"


async def test_a_disk_that_is_full_before_the_start_is_no_failure_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "write_spec", no_room)
    async with desk(tmp_path) as one:
        job = await one.train()
        assert (job.state, job.charged) == ("waiting", 0)
        assert "disk is full" in (job.reason or "")


@pytest.mark.fault(24)
async def test_one_jobs_fault_does_not_end_the_queue(tmp_path: Path) -> None:
    """One job that always fails does not hold up the others."""

    def explode(_: Attempt) -> None:
        raise RuntimeError("out of pids")

    async with desk(tmp_path, explode, explode, explode) as one:
        poison = await one.train(handle="poison")
        assert poison.state == "failed"
        assert "RuntimeError" in (poison.reason or "")
        assert (await one.train()).state == "succeeded"


async def test_a_superseded_outcome_does_not_end_the_job(tmp_path: Path) -> None:
    async with desk(tmp_path, end(Outcome("fenced", None))) as one:
        job = await one.train()
        assert (job.state, job.charged, job.attempt) == ("succeeded", 0, 2)


async def test_servers_take_turns(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        asked = [await one.ask(handle, guild_id=guild) for guild, handle in ((1, "a"), (1, "b"), (2, "x"), (3, "m"))]
        async with at_work(one):
            for queued in asked:
                await one.reaches(queued.job.id, "succeeded")
        assert [spec.handle for spec in one.executor.started] == ["a", "x", "m", "b"]


async def test_stopping_lets_the_worker_save_and_gives_the_job_back(tmp_path: Path) -> None:
    async with desk(tmp_path, hang) as one:
        job, other = (await one.ask()).job, (await one.ask("wren")).job
        async with at_work(one):
            await one.executor.running.wait()
        assert one.executor.closed
        for left in (await one.job(job.id), await one.job(other.id)):
            assert (left.state, left.charged, left.owner) == ("queued", 0, None)
        assert len(one.executor.started) == 1
        await one.runner.stop()


@pytest.mark.parametrize("outcome", ["failed", "lost", "cancelled"])
async def test_a_worker_that_dies_while_stopping_is_no_failure(tmp_path: Path, outcome: str) -> None:
    class Rough(FakeExecutor):
        async def close(self) -> None:
            self.closed = True
            self.end(one.attempt(job), Outcome(outcome, None))  # type: ignore[arg-type]  # one of its states

    async with desk(tmp_path) as one:
        one.executor = one.runner._executor = Rough(hang)
        job = (await one.ask()).job
        async with at_work(one):
            await one.executor.running.wait()
        assert ((await one.job(job.id)).state, (await one.job(job.id)).charged) == ("queued", 0)


async def test_a_runner_that_is_cut_off_ends_its_worker_first(tmp_path: Path) -> None:
    """Ctrl-C at the shell: the worker saves; then the job is cancelled, or goes on at the next start."""
    async with desk(tmp_path, hang) as one:
        job = (await one.ask()).job
        task = asyncio.create_task(one.runner.run())
        await one.executor.running.wait()
        await cut_off(task)
        assert one.executor.cancelled == [one.attempt(job).name]
        await one.queue.cancel(job.id, guild_id=7, by=9)
        assert one.files() == set()


@pytest.mark.fault(14)
@pytest.mark.parametrize("hours", [-24, -1, 1, 24])
async def test_a_clock_that_jumps_steals_no_job(tmp_path: Path, hours: int) -> None:
    """A clock that jumps by an hour or a day takes no job from its worker and starts none a second time."""
    async with desk(tmp_path, hang) as one:
        job = (await one.ask()).job
        async with at_work(one):
            await one.executor.running.wait()
            one.clock.advance(hours=hours)
            one.queue.wake.set()
            assert await one.runner._claim() is None
            one.executor.end(one.attempt(job), Outcome("refused", None, "No."))
            await one.reaches(job.id, "failed")
        assert len(one.executor.started) == 1
        assert await one.history(job) == ["queued", "claimed", "failed"]
