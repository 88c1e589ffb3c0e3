"""Hundreds of jobs and posts while bots are killed at random moments and a tenth of Discord's answers goes wrong."""

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bot.localdiscord import Fault, File, Harm, NotPossible
from tests.chaos.bots import Bots
from tests.chaos.judge import Verdict, judge, processes_of
from tests.chaos.points import described, left_running, told
from tests.chaos.town import Home, Town, towns

FAULTS = 0.1
"""Share of the requests to Discord that go wrong."""
HARMS = (
    Harm.ERROR_BEFORE,
    Harm.ERROR_AFTER,
    Harm.UNAVAILABLE,
    Harm.DROP_BEFORE,
    Harm.DROP_AFTER,
    Harm.RATE_LIMITED,
    Harm.BANNED,
    Harm.DELAY,
)
LIFE_S = (0.05, 4.0)
"""A bot is killed after a time between these, in seconds, unless it has ended by itself."""
PATIENCE_S = 4.0
"""So long a person waits for an answer before asking again."""
AGAIN_S = 0.5
"""So long they wait before that, in seconds: what was asked for in vain may come all the same, and has to be delivered as well."""
PEOPLE = 6
"""How many ask at once in one town."""


class Weather(list[Fault]):
    """A tenth of all requests meets a fault, each kind as often; drawn by the seed."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng
        self.fine = False

    def __iter__(self) -> Iterator[Fault]:
        if not self.fine and self._rng.random() < FAULTS:
            yield Fault(self._rng.choice(HARMS), seconds=0.2)


@dataclass
class Wanted:
    """What people were promised, and what they only asked for."""

    trained: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    perhaps: list[str] = field(default_factory=list)


class Soak:
    """One home under fire."""

    def __init__(self, home: Home, seed: int) -> None:
        self._home, self._rng = home, random.Random(seed)
        self._weather = Weather(random.Random(seed + 1))
        self._wanted = Wanted()
        self.verdict = Verdict()

    async def run(self, *, jobs: int, posts: int) -> Verdict:
        """Ask for so many of both, kill meanwhile, and judge when nothing is left to do."""
        home = self._home
        await home.let_slots_come(posts // 4)
        home.town.world.faults = self._weather
        asking = asyncio.create_task(self._ask(jobs, posts - posts // 4))
        try:
            while not (asking.done() and home.at_rest()):
                await self._one_life()
            await asking
        finally:
            asking.cancel()
        self._weather.fine = True
        await home.start()
        if not (await home.ready() and await home.rest_or_end()):
            self.verdict.bad.append(f"the last start ended: {home.log[-2000:]}")
        else:
            await home.stop()
        self.verdict.bad += await left_running(home)
        found = judge(home, trained=self._wanted.trained, asked=self._wanted.asked, perhaps=self._wanted.perhaps)
        self.verdict.add(found, "soak")
        return self.verdict

    async def _one_life(self) -> None:
        """From a start to a kill, sometimes with the death of a worker or a cut connection on the way."""
        bot = await self._home.start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._rng.uniform(*LIFE_S)):
                harm = self._rng.random()
                if harm < 0.3:
                    await asyncio.sleep(self._rng.uniform(0.3, 1.0))
                    self._kill_a_worker() if harm < 0.2 else self._home.town.server.gateway.abort()
                await asyncio.shield(bot.ended)
        if not bot.ended.done():
            self.verdict.kills += 1
        await bot.kill()
        self.verdict.bad += await left_running(self._home)

    def _kill_a_worker(self) -> None:
        """One that is at its first attempt: three deaths would rightly fail its job."""
        for pid in processes_of(self._home.data):
            with contextlib.suppress(OSError):
                if b"tests.chaos.worker" in (line := Path(f"/proc/{pid}/cmdline").read_bytes()) and line.rstrip(b"\0").endswith(b"/a1"):
                    os.kill(pid, signal.SIGKILL)
                    self.verdict.kills += 1
                    return

    async def _ask(self, jobs: int, posts: int) -> None:
        errands = [*(("train", number) for number in range(jobs)), *(("say", number) for number in range(posts))]
        self._rng.shuffle(errands)

        async def person() -> None:
            while errands:
                kind, number = errands.pop()
                await (self._train(f"h{number}") if kind == "train" else self._say(f"say{number}"))

        async with asyncio.TaskGroup() as group:
            for _ in range(PEOPLE):
                group.create_task(person())

    async def _train(self, handle: str) -> None:
        """Ask until it is promised."""
        values = {"handle": f"@{handle}", "archive": File("tweets.txt", handle.encode()), "consent": "own"}
        while not await self._asked("train", values, "Learning how", "is being trained"):
            await asyncio.sleep(AGAIN_S)
        self._wanted.trained.append(handle)

    async def _say(self, beginning: str) -> None:
        """Ask until it is promised, each time for something that can be told from the rest."""
        tries = 0
        while not await self._asked("say", {"character": "wren", "prompt": f"{beginning}x{tries}"}, "Said", "Will be posted"):
            self._wanted.perhaps.append(f"{beginning}x{tries}")
            tries += 1
            await asyncio.sleep(AGAIN_S)
        self._wanted.asked.append(f"{beginning}x{tries}")

    async def _asked(self, command: str, values: dict[str, object], *promises: str) -> bool:
        home = self._home
        bot = home.bot
        if bot is None or bot.ended.done() or not home.town.server.gateway.connected(home.town.application.id):
            return False
        with contextlib.suppress(NotPossible):
            reply = await home.town.alice.slash(command, values, channel=home.channel)
            waiting = asyncio.create_task(reply.done(PATIENCE_S))
            bot.ended.add_done_callback(lambda _: waiting.cancel())
            await asyncio.wait({waiting})
            if not waiting.cancelled():
                waiting.exception()  # no answer came: what stands there is looked at
            return told(reply, *promises)
        return False


async def soak(bots: Bots, folder: Path, *, jobs: int, posts: int, seed: int, lanes: int = 4) -> Verdict:
    """Shared between so many bots."""
    total = Verdict()

    async def lane(one: Town, number: int) -> None:
        home = one.home()
        try:
            verdict = await Soak(home, seed + 10 * number).run(jobs=jobs // lanes, posts=posts // lanes)
        except Exception as error:  # noqa: BLE001 -- as there
            verdict = Verdict(bad=[described(error)])
        total.add(verdict, f"town {number}")
        await home.leave()

    async with towns(bots, folder, lanes) as ready:
        await asyncio.gather(*(lane(one, number) for number, one in enumerate(ready)))
    return total
