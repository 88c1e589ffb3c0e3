"""Every moment once: for N = 1, 2, 3 … a bot dies at its Nth moment, is started again until nothing is left to do, and is judged."""

import asyncio
import contextlib
import itertools
import shutil
import signal
import subprocess
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.localdiscord import File, Reply
from tests.chaos.bots import Bots
from tests.chaos.judge import Verdict, judge, processes_of
from tests.chaos.town import Home, Stuck, Town, towns

GONE_S = 2.0
"""So soon after a bot's end its processes must be gone, in seconds."""
SURVIVED = 2
"""So many runs in a row without a death mean that there are no more moments."""
ANSWER_S = 20.0


@dataclass(frozen=True)
class Plan:
    """What is enumerated."""

    name: str
    prepare: Callable[[Home], Awaitable[None]]
    where: str = "bot"
    """As in subject.Start."""
    asks: bool = False
    """Whether a person asks for a training and a post once the bot hears."""
    syscall: str = ""
    """Die at this call to the kernel, by strace, and not at a moment of trap.py."""
    every: int = 1
    """Of so many moments one is tried."""
    broken: str = ""


async def _one_slot(home: Home) -> None:
    await home.let_slots_come(1)


async def _a_job_and_a_slot(home: Home) -> None:
    await home.queue("heron")
    await home.let_slots_come(1)


async def _a_job(home: Home) -> None:
    await home.queue("heron")


async def _an_account(home: Home) -> None:
    await home.queue("heron", fetched=True)


async def _nothing(_: Home) -> None:
    return


async def _two_slots(home: Home) -> None:
    await home.let_slots_come(2)


JOB_AND_SLOT = Plan("claim, publish, slot, outbox", _a_job_and_a_slot)
ASKED = Plan("enqueue and /say by a person", _nothing, where="interaction", asks=True)
WORKER = Plan("checkpoint and result, the worker dies", _a_job, where="worker")
WORKER_AND_BOT = Plan("checkpoint and result, both die", _a_job, where="worker and bot")
SLOTS = Plan("slots and outbox", _two_slots)
FETCHED = Plan("an account is fetched page by page", _an_account)
PLANS = (JOB_AND_SLOT, ASKED, WORKER, WORKER_AND_BOT, FETCHED)
SYSCALLS = (
    Plan("calls to the kernel: pwrite64", _a_job_and_a_slot, syscall="pwrite64"),
    Plan("calls to the kernel: fdatasync", _a_job_and_a_slot, syscall="fdatasync"),
    Plan("calls to the kernel: fsync", _an_account, syscall="fsync"),
    Plan("calls to the kernel: sendto", _one_slot, syscall="sendto", every=3),
    Plan("calls to the kernel: recvfrom", _one_slot, syscall="recvfrom", every=3),
)


def has_strace() -> bool:
    """Whether calls to the kernel can be enumerated here."""
    found = shutil.which("strace")
    return (
        found is not None and subprocess.run([found, "-qq", "-e", "trace=none", "true"], check=False, capture_output=True).returncode == 0
    )


class Asking:
    """A person who asks for a training and a post, and what they were told."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._train: Reply | None = None
        self._say: Reply | None = None

    async def ask(self) -> None:
        alice, channel = self._home.town.alice, self._home.channel
        self._train = await alice.slash(
            "train", {"handle": "@heron", "archive": File("tweets.txt", b"heron"), "consent": "own"}, channel=channel
        )
        self._say = await alice.slash("say", {"character": "wren", "prompt": "said"}, channel=channel)

    def answered(self) -> bool:
        return told(self._train, "Learning how", "is being trained") and told(self._say, "Said", "Will be posted")

    def verdict(self) -> Verdict:
        """What was promised must be there; of the rest nothing must be there twice."""
        said = told(self._say, "Said", "Will be posted")
        trained = ["heron"] if told(self._train, "Learning how", "is being trained") else []
        return judge(self._home, trained=trained, asked=["said"] if said else [], perhaps=[] if said else ["said"])


def told(reply: Reply | None, *beginnings: str) -> bool:
    """Whether the reply has come and says one of these."""
    message = None if reply is None else reply.message
    return message is not None and not message.loading and any(words in message.content for words in beginnings)


async def try_point(home: Home, plan: Plan, number: int) -> Verdict | None:
    """One moment: None when the bot outlived it."""
    await plan.prepare(home)
    asking = Asking(home)
    bot = await home.start(at=0 if plan.syscall else number, where=plan.where, broken=plan.broken, held=bool(plan.syscall))
    async with _traced(await bot.pid, plan, number, home.folder / "strace.log"):
        if plan.asks and await home.ready():
            await asking.ask()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_S):
                    while not (bot.ended.done() or asking.answered()):
                        await asyncio.sleep(0.01)
        if await home.rest_or_end():
            await bot.kill(signal.SIGTERM)  # its moments count as well
    status = await bot.ended
    died = status == -signal.SIGKILL or home.note.exists()
    moment = home.note.read_text(encoding="utf-8") if home.note.exists() else ""
    verdict = Verdict(points=1, kills=1)
    if died:
        verdict.where[_seam(home, plan)] += 1
        verdict.bad += await left_running(home)
    if status == -signal.SIGKILL:
        await _finish(home, plan, verdict)
    elif status != 0:
        verdict.bad.append(f"it ended by itself with {status}: {home.log[-800:]}")
    verdict.bad += await left_running(home)  # what watches over a worker sees the bot's end a moment after it
    verdict.add(asking.verdict() if plan.asks else _judged(home, plan, moment), "after it")
    return verdict if died or not verdict.clean else None


def _judged(home: Home, plan: Plan, moment: str) -> Verdict:
    trained = ["heron"] if plan.prepare in (_a_job, _a_job_and_a_slot, _an_account) else []
    return judge(home, trained=trained, fetched=moment if plan.prepare is _an_account else None)


def _seam(home: Home, plan: Plan) -> str:
    if plan.syscall:
        return plan.syscall
    seam = home.note.read_text(encoding="utf-8").partition("\t")[0] if home.note.exists() else "by itself"
    return f"{plan.where.split()[0]} {seam}" if plan.where.startswith("worker") else seam


async def left_running(home: Home) -> list[str]:
    """What still runs of a bot that has ended, after the time that it is given."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GONE_S):
            while processes_of(home.data):
                await asyncio.sleep(0.02)
            return []
    return [f"process {pid} outlived the bot by {GONE_S:g} s" for pid in processes_of(home.data)]


async def _finish(home: Home, plan: Plan, verdict: Verdict) -> None:
    """Start again, without harm, until nothing is left to be done."""
    await home.start(broken=plan.broken)
    if await home.rest_or_end() and await home.ready():
        await home.stop()
    else:
        verdict.bad.append(f"the next start did not live: {home.log[-800:]}")


@asynccontextmanager
async def _traced(pid: int, plan: Plan, number: int, log: Path) -> AsyncIterator[None]:
    """Kill the process, which waits for this, at its Nth call to the kernel of that name."""
    if not plan.syscall:
        yield
        return
    inject = f"inject={plan.syscall}:signal=SIGKILL:when={number}"
    tracer = await asyncio.to_thread(
        subprocess.Popen,
        ["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={plan.syscall}", "-e", inject, "-p", str(pid)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        tracer.terminate()
        await asyncio.to_thread(tracer.wait)


def described(error: Exception) -> str:
    """What went wrong, and in which lines of this harness, newest last."""
    lines = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-6:]]
    return str(error) if isinstance(error, Stuck) else f"{type(error).__name__}: {error} ({' '.join(lines)})"


async def enumerate_points(bots: Bots, folder: Path, plans: Sequence[Plan], *, lanes: int = 4, step: int = 1) -> Verdict:
    """Every moment of every plan, or every `step`-th, several at once; the sum of what was found."""
    total = Verdict()
    async with towns(bots, folder, lanes) as ready:
        for plan in plans:
            numbers = itertools.count(1, step * plan.every)
            survived: list[int] = []
            await asyncio.gather(*(_lane(one, plan, numbers, survived, total) for one in ready))
    return total


async def _lane(one: Town, plan: Plan, numbers: "itertools.count[int]", survived: list[int], total: Verdict) -> None:
    while len(survived) < SURVIVED:
        number = next(numbers)
        home = one.home()
        at = ""
        try:
            try:
                verdict = await try_point(home, plan, number)
            finally:
                at = home.note.read_text(encoding="utf-8").strip().replace("\t", ": ") if home.note.exists() else ""
                await home.leave()
        except Exception as error:  # noqa: BLE001 -- one moment that goes wrong is a finding; the others are tried all the same
            verdict = Verdict(points=1, bad=[described(error)])
        if verdict is None:
            survived.append(number)
        else:
            total.add(verdict, f"{plan.name}, {number} {at}")
