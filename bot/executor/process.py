"""Starting a child process on this host, and ending it with everything that it started."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from bot.cores import usable_cores

NICE = 19
"""Of a worker that trains: it takes what the bot and the generator leave. At 0 a reply takes 2.7 times as long."""
SPEAKING = {
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin while they wait slow everything else down sixfold
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # larger pages: a base is loaded sooner, and trains some 5 % faster
}
"""Of the environment of the process that speaks: what makes it faster."""
TRAINING = {
    **SPEAKING,
    "GOMP_SPINCOUNT": "300000",  # a few ms: threads that wake up for each small step train a small base at 0.6 times the rate
}
"""The same of a worker that trains. Its spinning harms nobody: it runs in the idle class (`child.py`)."""
_ROOT = Path(__file__).parents[2]


def worker_environment(threads: int | None, pace: Mapping[str, str]) -> tuple[str, ...]:
    """Arguments of `env`: a pace, and what every worker needs. So its environment changes without our reading it: config.py does that."""
    settings = {
        **pace,
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    } | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})
    secrets = ("DISCORD_TOKEN", "RAY_TOKEN", "RAY_AUTH_TOKEN", "X_BEARER_TOKEN")
    # On a node Ray sets the number of threads to 1, for the CPUs that were asked for.
    without = [word for name in (*secrets, "OMP_NUM_THREADS") for word in ("-u", name)]
    return (*without, *(f"{name}={value}" for name, value in settings.items()))


class LivedClock:
    """`time.monotonic()` as a child lives it: without the seconds for which it was ready to run and other programs had the processor.

    Source: proc(5), `schedstat`: the second number, in nanoseconds. Where the kernel does not tell, none are left out.
    """

    def __init__(self, pid: int) -> None:
        self._file = Path(f"/proc/{pid}/schedstat")
        self._waited_s = 0.0

    def __call__(self) -> float:
        with contextlib.suppress(OSError):  # it has ended, or the kernel keeps no such account
            self._waited_s = int(self._file.read_text().split()[1]) / 1e9
        return time.monotonic() - self._waited_s


async def spawn(
    module: str, *arguments: str, nice: int, threads: int | None, stdout: int | IO[Any], stderr: int | IO[Any]
) -> asyncio.subprocess.Process:
    """Start a worker module under the guards of `child.py`, in a session and process group of its own.

    Its standard input stays open as long as the bot lives. Call this from the main thread's loop only: the kernel binds the child's
    life to the thread that forked it.
    """
    return await asyncio.create_subprocess_exec(
        "env",
        *worker_environment(threads or usable_cores(), TRAINING if nice else SPEAKING),
        *(sys.executable, "-X", "faulthandler", "-m", "bot.executor.child"),
        *(str(os.getpid()), str(nice), module, *arguments),
        cwd=_ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        limit=1 << 20,
        start_new_session=True,
    )


def kill_group(process: asyncio.subprocess.Process) -> None:
    """Kill the child, its watcher and whatever it started. Also right after its end: grandchildren do not die with it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


async def bury(process: asyncio.subprocess.Process) -> int:
    """Kill the group, close the pipes, and return the child's exit code (negative: the signal that ended it)."""
    kill_group(process)
    await process.communicate(b"")
    return await process.wait()
