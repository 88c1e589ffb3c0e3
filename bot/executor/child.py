"""The first act of every child process on this host: make sure that it ends with the bot. Then the worker runs in this same process.

    python -m bot.executor.child <pid of the bot> <nice> <module> <arguments…>

On a cluster the worker must outlive the bot: there the same module is started without this one. Standard library only, so that the
guards stand before anything heavy is imported.
"""

import contextlib
import ctypes
import gc
import os
import runpy
import select
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_NEVER = 0
"""Poll for no event: the end of the other side is reported anyway."""


def die_with(bot: int) -> None:
    """Ask the kernel to kill this process when the bot ends, and leave when the bot has ended already."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != bot:
        sys.exit("The bot ended before this process had started.")


def watch_stdin() -> None:
    """Fork a tiny process that kills the whole group, grandchildren too, once the bot's end of standard input is closed.

    It is a process and no thread, because the kernel kills this one, with its threads, in the same moment. It reads nothing.
    """
    if os.fork():
        return
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # sent to a whole container, it asks the worker to save
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)  # else the bot would not see the end of the worker's output
    os.dup2(nowhere, 2)
    poll = select.poll()
    poll.register(0, _NEVER)
    poll.poll()
    os.killpg(0, signal.SIGKILL)


def give_way(nice: int) -> None:
    """Run after the bot, and be the first to go when memory is short."""
    os.nice(nice)
    if nice and sys.platform == "linux":
        with contextlib.suppress(OSError):  # a container may forbid it
            # Whoever speaks gets a core in the moment it wakes, and not when this one's slice has ended.
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        with contextlib.suppress(OSError):  # there is no such file without groups, and in a container it says nothing
            # Where the kernel gives each session a share of the processor (sched(7), autogroup), that share must give way as well.
            Path("/proc/self/autogroup").write_text(str(nice))
    with contextlib.suppress(OSError):  # there is no such file but on Linux
        Path("/proc/self/oom_score_adj").write_text("1000")


def collect_rarely() -> None:
    """Look for garbage among objects less often: imports make them by the hundred thousand, and hardly any is garbage."""
    gc.set_threshold(100_000, 50, 100)


def main() -> None:
    """Set the guards, then become the worker."""
    bot, nice, module = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    if os.getpgrp() != os.getpid():
        sys.exit("This process ends its whole group, and so must be started in one of its own.")
    die_with(bot)
    watch_stdin()
    give_way(nice)
    if not nice:  # somebody waits for it to speak
        collect_rarely()
    sys.argv = [module, *sys.argv[4:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
