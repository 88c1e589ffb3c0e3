"""The bot under test: `mynah run` in a process that is forked ready-made, so that a start costs a tenth of a second and not a whole one.

    python -m tests.chaos.subject

reads one JSON object per line (a Start), forks a bot for each, and writes `{"number", "pid"}` at its start and
`{"number", "ended"}` at its end. Nothing is replaced but the two child processes (worker.py and speaker.py take the place of the model)
and the source of tweets (source.py), and the waiting times are short.
"""

import asyncio
import ctypes
import json
import os
import random
import selectors
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bot.app
import bot.client
import bot.executor.local
import cogs.characters
import cogs.jobs
import cogs.privacy
import cogs.say
import cogs.schedule
import cogs.settings
import cogs.train  # noqa: F401 -- imported once, before the fork
from bot.config import Settings
from bot.executor.child import die_with
from bot.executor.generator import Generator
from bot.executor.local import LocalExecutor
from bot.logs import configure_logs
from bot.posting import Poster
from bot.service import serve_discord
from tests.chaos.broken import BROKEN
from tests.chaos.source import ChaosSource
from tests.chaos.trap import Trap

SETTLE_S = 0.15
"""How long the local Discord may take to show what it was sent."""
ANSWERED = "answered"
"""File beside the home, into which the source of tweets writes what it was asked for."""
_PR_SET_PTRACER = 0x59616D61


@dataclass(frozen=True)
class Start:
    """What a bot is started with."""

    number: int
    home: str
    url: str
    token: str
    log: str
    note: str
    """File for the moment at which it died."""
    at: int = 0
    """The moment to die at; 0 = none."""
    where: str = "bot"
    """Whose moments count: "bot", "interaction" (the bot's, from the first interaction on), "source" (the bot's, as it asks for tweets),
    "worker", or "worker and bot"."""
    broken: str = ""
    held: bool = False
    """Wait after the fork until a tracer is attached."""


def set_default(part: type[Any], **values: Any) -> None:
    """Change what a keyword-only parameter of a class is when nobody says."""
    defaults = part.__init__.__kwdefaults__
    missing = [name for name in values if name not in defaults]
    if missing:
        raise RuntimeError(f"{part.__name__} has no parameter {missing}: the harness has to follow it")
    defaults.update(values)


def quicken() -> None:
    """A worker and a speaker without a model, which give way to nobody, and no long waits."""
    set_default(LocalExecutor, worker="tests.chaos.worker", poll_s=0.02)
    set_default(Generator, worker="tests.chaos.speaker")
    set_default(Poster, settle_s=SETTLE_S)
    bot.client.LOCAL_READY_S = 0.02
    vars(bot.executor.local)["NICE"] = 0  # towns that are busy dying would starve each other's trainings, which give way
    vars(bot.app)["make_source"] = lambda _, settings, **__: ChaosSource(settings.mynah_home.parent / ANSWERED)


def be_the_bot(start: Start, parent: int) -> None:
    """In the forked process: never returns."""
    die_with(parent)
    os.setsid()
    nothing, log = os.open(os.devnull, os.O_RDONLY), os.open(start.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)
    os.closerange(3, 64)
    if start.held:
        _await_tracer()
    random.seed()
    os.environ["CHAOS_HOME"] = start.home
    os.environ["CHAOS_NOTE"] = start.note
    if start.at:
        _set_trap(start)
    if start.broken:
        BROKEN[start.broken]()
    settings = Settings(
        _env_file=None,
        discord_token=start.token,
        discord_base_url=start.url,
        mynah_home=Path(start.home),
        jobs_per_member=100_000,
        jobs_per_server=100_000,
        base_model="nano",
        stop_grace_seconds=5,
    )
    configure_logs(settings)
    try:
        asyncio.run(serve_discord(settings))
    except BaseException as error:  # noqa: BLE001 -- a forked copy of the server must not go on as one
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        os._exit(1)
    os._exit(0)


def _await_tracer() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)  # where only a parent may trace, anybody may trace this one
    while "TracerPid:\t0\n" in Path("/proc/self/status").read_text():
        time.sleep(0.002)


def _set_trap(start: Start) -> None:
    if start.where.startswith("worker"):
        os.environ["CHAOS_WORKER"] = str(start.at)
        os.environ["CHAOS_VICTIM"] = "bot" if start.where.endswith("bot") else "worker"
        return
    trap = Trap(start.at, Path(start.note), armed=start.where != "interaction")
    trap.watch_source(ChaosSource)
    if start.where == "source":
        return
    trap.watch_files(Path(start.home))
    trap.watch_database()
    trap.watch_requests()
    trap.watch_interactions()


def serve() -> None:
    """Fork a bot for each line, until standard input ends; then kill those that are left."""
    quicken()
    parent = os.getpid()
    living: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        _tell({"ready": True})
        buffer = b""
        while True:
            for key, _ in selector.select():
                if key.fd != 0:
                    selector.unregister(key.fd)
                    _, status = os.waitpid(key.data[1], 0)
                    os.close(key.fd)
                    del living[key.data[1]]
                    _tell({"number": key.data[0], "ended": os.waitstatus_to_exitcode(status)})
                    continue
                chunk = os.read(0, 1 << 16)
                if not chunk:
                    for pid in living:
                        os.kill(pid, signal.SIGKILL)
                    return
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    start = Start(**json.loads(line))
                    pid = os.fork()
                    if pid == 0:
                        be_the_bot(start, parent)
                    living[pid] = start.number
                    selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (start.number, pid))
                    _tell({"number": start.number, "pid": pid})


def _tell(what: dict[str, Any]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    serve()
