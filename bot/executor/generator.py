"""The bot's side of speaking: one warm child process, which works on all requests at once and answers each as it is done."""

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import IO

import structlog
from pydantic import TypeAdapter, ValidationError

from bot.cores import usable_cores
from bot.errors import GenerationError
from bot.executor.process import bury, kill_group, spawn
from bot.executor.saying import Answer, Question, SayReply, SayRequest

LONGEST_LINE = 50
"""Requests that may be unanswered."""

log = structlog.get_logger("mynah.generator")


_ANSWER, _QUESTION = TypeAdapter(Answer), TypeAdapter(Question)


class _ChildEndedError(Exception):
    """The child ended before it had answered."""


class _Child:
    """A process that speaks, and what it has not answered yet."""

    def __init__(self, process: asyncio.subprocess.Process, file: IO[bytes]) -> None:
        self.process, self.log = process, file
        self.answered = 0
        """How many answers have come from it."""
        self._open: dict[int, asyncio.Future[Answer]] = {}
        self.reading = asyncio.create_task(self._read())

    async def ask(self, question: Question) -> Answer:
        """Send a question and wait for its answer."""
        assert self.process.stdin is not None  # noqa: S101  # spawned with pipes
        if self.reading.done():
            raise _ChildEndedError
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._open[question.number] = answer
        try:
            self.process.stdin.write(_QUESTION.dump_json(question) + b"\n")
            await self.process.stdin.drain()
            return await answer
        except ConnectionError as error:
            raise _ChildEndedError from error
        finally:
            del self._open[question.number]

    async def _read(self) -> None:
        assert self.process.stdout is not None  # noqa: S101  # spawned with pipes
        with contextlib.suppress(ConnectionError, ValueError):  # ValueError: a line of more than a megabyte
            while line := await self.process.stdout.readline():
                answer = _parse(line)
                if answer is None:
                    continue
                if answer.notice is not None:
                    log.warning("from the process that speaks", said=answer.notice)
                    continue
                self.answered += 1
                waiting = self._open.get(answer.number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        for waiting in self._open.values():
            if not waiting.done():
                waiting.set_exception(_ChildEndedError())


class Generator:
    """Lets characters speak. The child is started when it is first needed, and again when it has died; it dies with the bot."""

    def __init__(
        self,
        copies: Path,
        *,
        threads: int | None = None,
        timeout_s: float = 60.0,
        idle_s: float = 900.0,
        worker: str = "bot.executor.generation_worker",
    ) -> None:
        """Build it; nothing runs yet.

        Args:
            copies: folder for packed copies of bases, with which it starts sooner.
            threads: CPU threads of the child; None = all that it may use.
            timeout_s: a request that takes longer has failed; a child that has answered nobody meanwhile is replaced.
            idle_s: seconds after which the child unloads a base that nobody spoke on.
            worker: the module that the child runs.
        """
        self._threads, self._timeout_s, self._worker = threads or usable_cores(), timeout_s, worker
        self._arguments = (str(idle_s), str(copies), str(self._threads))
        self._starting = asyncio.Lock()
        self._again = asyncio.Lock()
        self._unanswered = 0
        self._numbers = 0
        self._child: _Child | None = None
        self._closed = False

    async def start(self) -> None:
        """Start the child, so that it is warm when the first request comes. It need not be called."""
        await self._living_child()

    async def say(self, request: SayRequest) -> SayReply:
        """The posts asked for.

        Raises:
            GenerationError: none could be made; one sentence for the person.
            ValueError: not one seed per post.
        """
        if request.seeds is not None and len(request.seeds) != request.count:
            raise ValueError(f"{request.count} posts need {request.count} seeds, not {len(request.seeds)}")
        if self._unanswered >= LONGEST_LINE:
            raise GenerationError(f"{self._unanswered} requests to speak are waiting already; try again in a minute.")
        self._unanswered += 1
        try:
            return await self._ask(request)
        finally:
            self._unanswered -= 1

    async def renew(self) -> None:
        """Let a new child take over, which knows nothing of what this one keeps in memory. Who waits is answered by the new one."""
        if self._child is not None:
            await self._end(self._child, why="it is made anew, to keep nothing of what was forgotten")
            await self._living_child()

    async def close(self) -> None:
        """End the child. Who still waits for it gets a GenerationError."""
        self._closed = True
        if self._child is not None:
            await self._end(self._child)

    async def _ask(self, request: SayRequest) -> SayReply:
        try:
            answer = await self._exchange(request)
        except _ChildEndedError:
            try:
                # One after the other, so that a request that kills takes no other's second try with it.
                async with self._again:
                    answer = await self._exchange(request)
            except _ChildEndedError:
                raise GenerationError("The process that speaks ended twice on this request; the log tells more.") from None
        if answer.reply is None:
            raise GenerationError(answer.error or "Nothing was said.")
        return answer.reply

    async def _exchange(self, request: SayRequest) -> Answer:
        child = await self._living_child()
        self._numbers += 1
        question, answered = Question(self._numbers, request), child.answered
        try:
            async with asyncio.timeout(self._timeout_s):
                return await child.ask(question)
        except TimeoutError:
            if child.answered == answered:
                await self._end(child)
                await self._living_child()
            raise GenerationError(f"Nothing was said within {self._timeout_s:.0f} s; try again.") from None
        except _ChildEndedError:
            await self._end(child)
            raise

    async def _living_child(self) -> _Child:
        async with self._starting:
            if self._closed:
                raise GenerationError("Mynah is stopping; try again when it is back.")
            if self._child is None:
                file = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the child
                process = await spawn(
                    self._worker,
                    *self._arguments,
                    nice=0,
                    threads=self._threads,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=file,
                )
                self._child = _Child(process, file)
            return self._child

    async def _end(self, child: _Child, *, why: str | None = None) -> None:
        """Make sure that it is gone, and log what it had to say; once, however many ask for it."""
        async with self._starting:
            if self._child is not child:
                return
            self._child = None
            kill_group(child.process)
            await child.reading
            code = await bury(child.process)
            with child.log as file:
                file.seek(max(0, file.seek(0, 2) - 4000))
                said = file.read().decode(errors="replace").strip()
        if why is not None:
            log.info("the process that speaks was ended", why=why)
        elif not self._closed:
            log.warning("the process that speaks has ended", code=code, said=said)


def _parse(line: bytes) -> Answer | None:
    try:
        return _ANSWER.validate_json(line)
    except ValidationError:
        return None  # something that a library printed
