"""Attempts on a Ray cluster, through its Jobs REST API. They outlive the bot, which finds them again by their names.

The folder of the attempt is shared between the bot's host and the nodes; progress and result come through it, and Ray is asked only whether
the worker runs and how it ended. An attempt is submitted once and never again: where it is unclear whether it runs, it is given up and
the fence shuts it out.
"""

import asyncio
import contextlib
import math
import secrets
import shlex
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import structlog

from bot.executor import files
from bot.executor.contract import OK, PREEMPTED, REFUSED, Attempt, Outcome, Progress
from bot.executor.fence import Fence
from bot.executor.following import Follower
from bot.executor.outcome import Stopped, judge
from bot.executor.process import NICE, TRAINING, worker_environment
from bot.executor.rayjobs import NotTaken, RayJob, RayJobs, Submission, Trouble, last_line

_SUBMITTED = "submitted"
"""File in the attempt's folder: the name under which it was given to the cluster. Unique, so that two bots may share a cluster, and so
that a number which is used again after a backup was restored is not taken for the old one."""
_NO_ROOM_ERRORS = ("JOB_SUPERVISOR_ACTOR_START_TIMEOUT", "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE")
_NEVER_BEGAN = ("JOB_SUPERVISOR_ACTOR_START_FAILURE", "RUNTIME_ENV_SETUP_FAILURE")
_NO_ROOM = "The Ray cluster had no room for the training, which needs RAY_GPUS={gpus:g}: it is tried again every few minutes."
_NOT_STARTED = "The Ray cluster could not start the training ({said}): it is tried again every few minutes."
_PATIENCE_S = 5.0
"""After so long a worker that has not begun is said to wait for room: starting one takes a second or two by itself."""
_GIVE_UP_S = 10.0
"""After so long beyond the grace period a worker that should stop is shut out by the fence and no longer waited for."""

log = structlog.get_logger("mynah.ray")


class RayExecutor:
    """The executor of a bot with a cluster."""

    outlives = True

    def __init__(
        self,
        *,
        address: str,
        token: str | None,
        gpus: float,
        grace_s: float,
        worker: str = "bot.executor.training_worker",
        silence_s: float = 600.0,
        poll_s: float = 2.0,
        settle_s: float = 10.0,
    ) -> None:
        """Build it; nothing is asked yet.

        Args:
            address: of the head's Jobs API.
            token: the cluster's.
            gpus: how many each worker gets; with 0 it runs on the head's host.
            grace_s: how long a worker that is stopped may take to save.
            worker: the module that the workers run.
            silence_s: a worker without progress for so long is taken for dead.
            poll_s: how often the cluster and the progress are looked at.
            settle_s: how long a result may take to be seen through the shared folder.
        """
        self._jobs = RayJobs(address, token)
        self._gpus, self._grace_s, self._worker = gpus, grace_s, worker
        self._silence_s, self._poll_s, self._settle_s = silence_s, poll_s, settle_s
        self._followed: dict[str, _Followed] = {}

    async def start(self, attempt: Attempt) -> None:
        """See `Executor`. Returns before the cluster was asked: what it says comes through `events` and `wait`."""
        if attempt.name in self._followed or files.read_result(attempt.folder) is not None:
            return
        self._follow(attempt, None if _submitted_as(attempt) else self._submission(attempt))

    async def attach(self, attempt: Attempt) -> bool:
        """See `Executor`. While the cluster does not answer, a worker that was submitted is taken to be there."""
        if attempt.name in self._followed or files.read_result(attempt.folder) is not None:
            return True
        name = _submitted_as(attempt)
        if not name:
            return False
        with contextlib.suppress(Trouble):
            if await self._jobs.get(name) is None:
                return False
        self._follow(attempt, None)
        return True

    async def events(self, attempt: Attempt) -> AsyncIterator[Progress]:
        """See `Executor`."""
        if followed := self._followed.get(attempt.name):
            async for progress in followed.follower.events():
                yield progress

    async def wait(self, attempt: Attempt) -> Outcome:
        """See `Executor`."""
        if followed := self._followed.get(attempt.name):
            return await asyncio.shield(followed.outcome)
        return judge(attempt.folder, None)

    async def cancel(self, attempt: Attempt, *, grace_s: float = 20.0, save: bool = False) -> None:
        """See `Executor`. Ray asks every worker to save first and ends it after the grace period that it was submitted with.

        A worker that cannot be reached is shut out by the fence.
        """
        if followed := self._followed.get(attempt.name):
            await followed.stop(within_s=max(grace_s, self._grace_s) + _GIVE_UP_S, save=save)

    async def close(self) -> None:
        """See `Executor`."""
        await asyncio.sleep(0)  # a task that has not begun could not end in order
        for followed in self._followed.values():
            followed.leave()
        await asyncio.gather(*(followed.outcome for followed in self._followed.values()))
        await self._jobs.close()

    def _follow(self, attempt: Attempt, submission: Submission | None) -> None:
        self._followed[attempt.name] = _Followed(
            attempt,
            self._jobs,
            submission,
            silence_s=self._silence_s,
            poll_s=self._poll_s,
            settle_s=self._settle_s,
            no_room=_NO_ROOM.format(gpus=self._gpus),
        )

    def _submission(self, attempt: Attempt) -> Submission:
        """The worker's command, which becomes the process that Ray watches: its signals and its exit code are the worker's."""
        folder = attempt.folder.resolve()
        environment = worker_environment(files.read_spec(folder).threads, TRAINING)
        command = ("nice", "-n", str(NICE), "env", *environment, "python", "-X", "faulthandler", "-m", self._worker, str(folder))
        return Submission(
            submission_id=f"mynah-{attempt.name}-{secrets.token_hex(6)}",
            entrypoint=f"exec {shlex.join(command)} >> {shlex.quote(str(folder / files.LOG))} 2>&1 < /dev/null",
            entrypoint_num_gpus=self._gpus,
            runtime_env={"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(math.ceil(self._grace_s))}},
            metadata={"mynah": attempt.name},
        )


class _Followed:
    """One attempt on the cluster, and what is known of it."""

    def __init__(
        self,
        attempt: Attempt,
        jobs: RayJobs,
        submission: Submission | None,
        *,
        silence_s: float,
        poll_s: float,
        settle_s: float,
        no_room: str,
    ) -> None:
        self._attempt, self._jobs = attempt, jobs
        self._silence_s, self._poll_s, self._settle_s, self._no_room = silence_s, poll_s, settle_s, no_room
        self.follower = Follower(attempt.folder)
        self._stopped: Stopped | None = None
        self._until = math.inf
        """The time (monotonic) after which a worker that should stop is no longer waited for."""
        self._leaving = False
        self._pending = False
        self._unsure: str | None = None
        """Why it is not known whether the submission arrived."""
        self._wake = asyncio.Event()
        self.outcome = asyncio.create_task(self._run(submission))

    async def stop(self, *, within_s: float, save: bool) -> None:
        """Have it stopped, and return when it has ended or was given up."""
        self._stopped = "saving" if save and self._stopped != "cancelled" else "cancelled"
        self._until = min(self._until, time.monotonic() + within_s)
        self._wake.set()
        await asyncio.wait({self.outcome})

    def leave(self) -> None:
        """Follow it no longer; it goes on."""
        self._leaving = True
        self.outcome.cancel()

    async def _run(self, submission: Submission | None) -> Outcome:
        try:
            if submission is not None and (outcome := await self._submit(submission)) is not None:
                return outcome
            return await self._watch(_submitted_as(self._attempt))
        except asyncio.CancelledError:
            if not self._leaving:
                raise
            return Outcome("detached", None)
        except OSError as error:
            if error.errno in files.DISK_FULL:
                return Outcome("no_space", None, "The disk is full: free some space, and the training goes on by itself.")
            return Outcome("failed", None, f"The folder of the training cannot be used: {error}.")
        finally:
            self.follower.end()

    async def _submit(self, submission: Submission) -> Outcome | None:
        """Give it to the cluster, once; an outcome when it certainly does not run."""
        name = submission.submission_id
        try:
            await self._jobs.get(name)  # is there a head, and does it take the token?
        except Trouble as trouble:
            return Outcome("unavailable", None, f"{trouble} The training begins when it does.")
        if self._stopped:
            return judge(self._attempt.folder, PREEMPTED, self._stopped)
        await asyncio.to_thread(files.write_whole, self._attempt.folder / _SUBMITTED, name)  # from now on it may be there
        try:
            await self._jobs.submit(submission)
        except NotTaken as refused:
            return Outcome("failed", None, str(refused))
        except Trouble as trouble:
            self._unsure = str(trouble)
            log.warning("not known whether it was submitted", attempt=self._attempt.name, error=str(trouble))
        return None

    async def _watch(self, name: str) -> Outcome:
        """Until it has ended, or is shut out."""
        asked = False
        while True:
            try:
                await asyncio.to_thread(self.follower.look)
                job = await self._jobs.get(name)
                if job is None:
                    return self._gone()
                if job.ended:
                    return await self._settled(job)
                if self._stopped and not asked:
                    asked = await self._jobs.stop(name)
                self._check(job)
            except Trouble as trouble:
                self._say(f"{trouble} The training may go on there; Mynah keeps asking.")
            except OSError as error:
                self._say(f"The shared folder is out of reach ({error.strerror}); Mynah keeps looking.")
            if time.monotonic() >= self._until:
                return await self._shut_out()
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._wake.wait()

    def _check(self, job: RayJob) -> None:
        """The cluster answers and it has not ended: does it wait, or move?"""
        if job.status == "PENDING":
            self._pending = True
            self._say("It waits for room on the Ray cluster." if self.follower.silent_s > _PATIENCE_S else None)
            return
        if self._pending:
            self._pending = False
            self.follower.hear()
        self._say(None)
        if self.follower.silent_s > self._silence_s and not self._stopped:
            self._stopped, self._until = "silent", time.monotonic() + _GIVE_UP_S + self._silence_s
            self._wake.set()

    def _say(self, note: str | None) -> None:
        """Put a sentence beside the newest progress, or take it away again."""
        if not self.follower.say(note):
            return
        log.info("attempt on the cluster", attempt=self._attempt.name, note=note)
        if note is None:
            self.follower.hear()  # the time before says nothing about the worker

    def _gone(self) -> Outcome:
        """A living head does not know it: it never did, or it has been restarted and has forgotten it."""
        if self._unsure is not None and self._stopped is None:
            return Outcome("unavailable", None, f"{self._unsure} The training is tried again.")
        outcome = judge(self._attempt.folder, None, self._stopped)
        return replace(outcome, reason="The Ray cluster was restarted and has lost the training.") if outcome.state == "lost" else outcome

    async def _settled(self, job: RayJob) -> Outcome:
        """It has ended; its result may take some seconds to be seen here."""
        code = PREEMPTED if job.status == "STOPPED" else job.driver_exit_code
        if code in (OK, REFUSED):
            await self._wait_for_result()
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self.follower.look)
        if self._stopped is None and not self.follower.begun and job.error_type in (*_NO_ROOM_ERRORS, *_NEVER_BEGAN):
            log.warning("the cluster could not start it", attempt=self._attempt.name, error=job.message)
            why = self._no_room if job.error_type in _NO_ROOM_ERRORS else _NOT_STARTED.format(said=last_line(job.message or ""))
            return Outcome("unavailable", None, why)
        outcome = judge(self._attempt.folder, code, self._stopped)
        if outcome.state == "lost":
            log.warning("the cluster lost it", attempt=self._attempt.name, error=job.message)
            return replace(outcome, reason="The Ray cluster lost the node on which the training ran.")
        if outcome.state == "failed" and outcome.result is None and not files.last_line(self._attempt.folder):
            return replace(outcome, reason=f"{outcome.reason} Ray says: {last_line(job.message or '')}")  # it never reached the folder
        return outcome

    async def _wait_for_result(self) -> None:
        end = time.monotonic() + self._settle_s
        while files.read_result(self._attempt.folder) is None and time.monotonic() < end:  # noqa: ASYNC110  # written on another host
            await asyncio.sleep(min(1.0, self._poll_s))

    async def _shut_out(self) -> Outcome:
        """It should stop and cannot be reached: where it still runs, it will find the fence."""
        log.warning("given up; the fence shuts it out", attempt=self._attempt.name)
        with contextlib.suppress(OSError):
            await asyncio.to_thread(Fence(self._attempt.folder.parent).raise_to, self._attempt.number + 1)
        return judge(self._attempt.folder, None, self._stopped)


def _submitted_as(attempt: Attempt) -> str:
    """The attempt's name on the cluster; empty when it was never submitted."""
    try:
        return (attempt.folder / _SUBMITTED).read_text().strip()
    except FileNotFoundError:
        return ""
