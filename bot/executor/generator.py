"""The bot's side of speaking: one warm child process, one request at a time, the others wait in line."""

import asyncio
import sys
import tempfile
from dataclasses import dataclass
from typing import IO

import structlog
from pydantic import TypeAdapter, ValidationError

from bot.errors import GenerationError
from bot.executor.process import bury, kill_group, spawn

LONGEST_LINE = 50
"""Requests that may wait."""

log = structlog.get_logger("mynah.generator")


@dataclass(frozen=True)
class SayRequest:
    """Posts wanted from one character."""

    model: str
    """Its model's folder."""
    base: str
    """`nano`, or the folder of the base under it."""
    prompt: str
    """How every post begins; may be empty."""
    seeds: tuple[int, ...] | None
    """One per post, below 2**32; None = drawn at random."""
    count: int
    """Posts."""
    recent: tuple[str, ...] = ()
    """What it said lately and should not say again. Empty when seeds are given: they would not give the same texts again."""
    candidates: int = 4
    """Texts tried at once for each post."""


@dataclass(frozen=True)
class Tried:
    """A candidate that was dropped."""

    seed: int
    text: str
    reason: str
    """As in `bot.lm.screening.Reason`."""


@dataclass(frozen=True)
class Spoken:
    """One post."""

    text: str
    """As the model wrote it, prompt included; not yet made harmless for Discord."""
    seed: int
    """Asked for by this seed, the same text comes again."""
    tried: tuple[Tried, ...]
    """What was dropped before it."""
    nearest: str | None
    """The training tweet that is most like it, if any is."""
    overlap: float
    """Share of the post that also stands in that tweet, 0 to 1."""


@dataclass(frozen=True)
class SayReply:
    """The posts, in order, no two the same."""

    posts: tuple[Spoken, ...]


@dataclass(frozen=True)
class Question:
    """One line to the child."""

    number: int
    request: SayRequest


@dataclass(frozen=True)
class Answer:
    """One line from the child: a reply, or the sentence why there is none."""

    number: int
    reply: SayReply | None = None
    error: str | None = None


_ANSWER, _QUESTION = TypeAdapter(Answer), TypeAdapter(Question)


@dataclass(frozen=True)
class _Child:
    process: asyncio.subprocess.Process
    log: IO[bytes]


class _ChildEndedError(Exception):
    """The child ended before it had answered."""


class Generator:
    """Lets characters speak. The child is started when it is first needed, and again when it has died; it dies with the bot."""

    def __init__(self, *, threads: int | None = None, timeout_s: float = 60.0, worker: str = "bot.executor.generation_worker") -> None:
        """Build it; nothing runs yet.

        Args:
            threads: CPU threads of the child; None = all that it may use.
            timeout_s: a request that takes longer has failed, and its child is replaced.
            worker: the module that the child runs.
        """
        self._threads, self._timeout_s, self._worker = threads, timeout_s, worker
        self._turn = asyncio.Lock()
        self._in_line = 0
        self._numbers = 0
        self._child: _Child | None = None
        self._closed = False

    async def start(self) -> None:
        """Start the child, so that it is warm when the first request comes. It need not be called."""
        async with self._turn:
            await self._living_child()

    async def say(self, request: SayRequest) -> SayReply:
        """The posts asked for.

        Raises:
            GenerationError: none could be made; one sentence for the person.
            ValueError: not one seed per post.
        """
        if request.seeds is not None and len(request.seeds) != request.count:
            raise ValueError(f"{request.count} posts need {request.count} seeds, not {len(request.seeds)}")
        if self._in_line >= LONGEST_LINE:
            raise GenerationError(f"{self._in_line} requests to speak are waiting already; try again in a minute.")
        self._in_line += 1
        try:
            async with self._turn:
                return await self._ask(request)
        finally:
            self._in_line -= 1

    async def close(self) -> None:
        """End the child. Who still waits for it gets a GenerationError."""
        self._closed = True
        if self._child is not None:
            kill_group(self._child.process)
        async with self._turn:
            await self._end_child()

    async def _ask(self, request: SayRequest) -> SayReply:
        for _ in range(2):
            try:
                async with asyncio.timeout(self._timeout_s):
                    answer = await self._exchange(request)
            except TimeoutError:
                await self._end_child()
                await self._living_child()
                raise GenerationError(f"Nothing was said within {self._timeout_s:.0f} s; try again.") from None
            except _ChildEndedError:
                await self._end_child()
                continue
            if answer.reply is None:
                raise GenerationError(answer.error or "Nothing was said.")
            return answer.reply
        raise GenerationError("The process that speaks ended twice on this request; the log tells more.")

    async def _exchange(self, request: SayRequest) -> Answer:
        process = (await self._living_child()).process
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018  # spawned with pipes
        self._numbers += 1
        process.stdin.write(_QUESTION.dump_json(Question(self._numbers, request)) + b"\n")
        try:
            await process.stdin.drain()
            while line := await process.stdout.readline():
                answer = _parse(line)
                if answer is not None and answer.number == self._numbers:
                    return answer
        except (ConnectionError, ValueError) as error:  # ValueError: a line of more than a megabyte
            raise _ChildEndedError from error
        raise _ChildEndedError

    async def _living_child(self) -> _Child:
        if self._closed:
            raise GenerationError("Mynah is stopping; try again when it is back.")
        if self._child is None:
            file = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the child
            process = await spawn(
                self._worker, nice=0, threads=self._threads, python=sys.executable, stdout=asyncio.subprocess.PIPE, stderr=file
            )
            self._child = _Child(process, file)
        return self._child

    async def _end_child(self) -> None:
        """Make sure that it is gone, and log what it had to say."""
        if self._child is None:
            return
        child, self._child = self._child, None
        code = await bury(child.process)
        with child.log as file:
            file.seek(max(0, file.seek(0, 2) - 4000))
            said = file.read().decode(errors="replace").strip()
        if not self._closed:
            log.warning("the process that speaks has ended", code=code, said=said)


def _parse(line: bytes) -> Answer | None:
    try:
        return _ANSWER.validate_json(line)
    except ValidationError:
        return None  # something that a library printed
