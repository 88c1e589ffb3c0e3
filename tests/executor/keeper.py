"""Keeps what the Ray tests start: it runs commands, and when its standard input ends it kills everything that came of them.

    python -m tests.executor.keeper <folder of its own, removed at the end> [a command, as JSON, that is run at the end]...

One line in, a command as JSON; one line out, its exit code and output. It also clears up when pytest itself was killed: whatever it
started stays below it in the tree of processes, also when a parent in between has ended.
"""

import ctypes
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil

_PR_SET_CHILD_SUBREAPER = 36


def run(line: str, log: Path) -> None:
    """Run one command; what it starts must not hold our own output open."""
    with log.open("w+") as output:
        done = subprocess.run(json.loads(line), stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
    sys.stdout.write(json.dumps([done.returncode, log.read_text(errors="replace")[-4000:]]) + "\n")
    sys.stdout.flush()


def kill_all() -> None:
    """Until nothing is left: a process may start another while it is killed."""
    while left := psutil.Process().children(recursive=True):
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=5)


def main() -> None:
    folder = Path(sys.argv[1])
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1) != 0:
        sys.exit("prctl(PR_SET_CHILD_SUBREAPER) failed")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        for line in sys.stdin:
            run(line, folder / "command.log")
    finally:
        kill_all()
        for command in sys.argv[2:]:
            subprocess.run(json.loads(command), stdin=subprocess.DEVNULL, capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
