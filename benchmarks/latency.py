"""How soon the bot acknowledges commands, and how late its heartbeats are, idle and while a training uses every core.

`mynah run` over the local Discord, each a process of its own. Commands come at even times, not when the one before was answered.
Acknowledged is from when the local Discord sends the interaction to when it has the bot's answer, so its own work counts, too. A
heartbeat's lateness is how much longer than the interval it came after the one before; `late` counts those of more than a second.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.line import Line, Row, machine, p99, ratio, show, tell
from benchmarks.material import Place, place, tweets
from bot.localdiscord import File, Person, Reply, Server, World, serve
from bot.localdiscord.events import Event
from bot.localdiscord.objects import Application, Channel

COMMANDS = ("jobs list", "character list")
HEARTBEAT_S = 2.0
"""Shorter than Discord's, so that there are enough to measure."""
LATE_S = 1.0
_ROOT = Path(__file__).parents[1]
_LONG = 3200


@dataclass
class Seen:
    """What a phase showed, in milliseconds."""

    waits: list[float] = field(default_factory=list)
    heartbeats: list[float] = field(default_factory=list)
    unanswered: int = 0


class Watch:
    """Notes when each interaction is acknowledged: at once, as the local Discord takes the answer."""

    def __init__(self, world: World) -> None:
        self._open: dict[int, tuple[float, Reply]] = {}
        self.waits: list[float] = []
        self._all = asyncio.Event()
        self._stop = world.events.listen(self._hear)

    def add(self, began: float, reply: Reply) -> None:
        self._open[reply.interaction.id] = began, reply

    @property
    def unanswered(self) -> int:
        return len(self._open)

    async def close(self, timeout: float = 3.0) -> None:  # noqa: ASYNC109 - in the manner of Person
        """Wait for the last answers, as long as Discord does."""
        self._all.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._all.wait(), timeout if self._open else 0)
        self._stop()

    def _hear(self, _: Event) -> None:
        for key, (began, reply) in tuple(self._open.items()):
            if reply.acknowledged:
                self.waits.append((time.monotonic() - began) * 1000)
                del self._open[key]
        if not self._open:
            self._all.set()


@dataclass(frozen=True)
class Stage:
    """The bot, connected, and a person in front of it."""

    server: Server
    channel: Channel
    alice: Person


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it."""
    with place(__doc__, arguments, _add) as here:
        rate, seconds = (20, 1.0) if here.tiny else (here.options.rate, here.options.seconds)
        phases = asyncio.run(_measure(here, rate, seconds))
        quiet, idle, busy = phases
        rows = [_row(who, seen) for who, seen in phases.items()]
        figures = {who: seen.waits for who, seen in phases.items()}
        ratios = {
            f"p50 acknowledged, {busy} / {idle}": ratio(_p50(figures[busy]), _p50(figures[idle])) or 0.0,
            f"p99 acknowledged, {busy} / {idle}": ratio(p99(figures[busy]), p99(figures[idle])) or 0.0,
            f"p99 acknowledged, {busy} / {quiet}": ratio(p99(figures[busy]), p99(figures[quiet])) or 0.0,
        }
        show(Line(benchmark="latency", machine=machine(), rows=rows, ratios=ratios, notes=here.notes))


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rate", type=int, default=50, help="commands a second")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each phase")


def _row(who: str, seen: Seen) -> Row:
    return Row(
        who=who,
        calls=len(seen.waits) + seen.unanswered,
        unanswered=seen.unanswered,
        ack_p50_ms=_p50(seen.waits),
        ack_p99_ms=p99(seen.waits, 1),
        ack_max_ms=round(max(seen.waits), 1),
        heartbeats=len(seen.heartbeats),
        heartbeat_p99_ms=p99(seen.heartbeats, 1) if seen.heartbeats else None,
        heartbeat_max_ms=round(max(seen.heartbeats), 1) if seen.heartbeats else None,
        heartbeats_late=sum(value > LATE_S * 1000 for value in seen.heartbeats),
    )


def _p50(values: Sequence[float]) -> float:
    return round(sorted(values)[len(values) // 2], 2)


async def _measure(here: Place, rate: int, seconds: float) -> dict[str, Seen]:
    async with _stage(here) as stage:
        phases = {"2 commands a second": await _ask(stage, 2, seconds)}
        phases[f"{rate} commands a second"] = await _ask(stage, rate, seconds)
        training = await _train(here, stage)
        phases[f"{rate} commands a second while training"] = await _ask(stage, rate, seconds)
        if not stage.channel.messages[training].buttons and not here.tiny:
            raise SystemExit("The training ended before it had been measured: ask for fewer --seconds.")
    for who, seen in phases.items():
        tell(f"{who}: p50 {_p50(seen.waits):.1f} ms, p99 {p99(seen.waits, 1)} ms, max {max(seen.waits):.1f} ms")
    return phases


async def _ask(stage: Stage, rate: int, seconds: float) -> Seen:
    """Use commands at even times; whoever is slow is asked no less."""
    watch, world, gateway = Watch(stage.server.world), stage.server.world, stage.server.gateway
    before = len(gateway.heartbeats)
    began = time.monotonic()
    for number in range(max(1, round(rate * seconds))):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        sent = time.monotonic()
        watch.add(sent, await stage.alice.slash(COMMANDS[number % len(COMMANDS)], channel=stage.channel))
    await watch.close()
    del world.exchanges[:], world.dispatches[:]
    beats = [max(0.0, beat.waited_s - HEARTBEAT_S) * 1000 for beat in gateway.heartbeats[before:]]
    return Seen(watch.waits, beats, watch.unanswered)


async def _train(here: Place, stage: Stage) -> int:
    """Start a training and wait until its worker is at work; gives the message that shows it."""
    lines = "".join(json.dumps({"text": tweet.text}) + "\n" for tweet in tweets(here, 200 if here.tiny else _LONG))
    file = File("tweets.jsonl", lines.encode())
    shown = await (
        await stage.alice.slash("train", {"handle": "@someone", "archive": file, "consent": "public"}, channel=stage.channel)
    ).done(30)
    await stage.alice.wait_for(stage.channel, lambda message: message.id == shown.id and "training" in message.content, 180)
    return shown.id


@asynccontextmanager
async def _stage(here: Place) -> AsyncIterator[Stage]:
    """The bot as `mynah run` starts it, on a local Discord; killed afterwards, with its worker."""
    world = World()
    guild = world.add_guild("Aviary")
    channel = world.add_channel(guild, "pond")
    application: Application = world.add_application("Mynah")
    world.install(application, guild)
    async with serve(world, heartbeat_s=HEARTBEAT_S) as server:
        settings = {"DISCORD_TOKEN": application.token, "DISCORD_BASE_URL": server.url, "MYNAH_HOME": str(here.work / "home")}
        settings |= {"BASE_MODEL": "nano", "PYTHONPATH": str(_ROOT), "STOP_GRACE_SECONDS": "1"}
        with (here.work / "bot.log").open("wb") as log:
            command = (sys.executable, "-m", "bot", "run")
            bot = await asyncio.create_subprocess_exec(*command, env=os.environ | settings, cwd=here.work, stdout=log, stderr=log)
        try:
            await server.bot_ready(application, 60)
            yield Stage(server, channel, world.user("alice"))
        finally:
            bot.terminate()
            await bot.wait()


if __name__ == "__main__":
    main()
