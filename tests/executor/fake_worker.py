"""A worker that does as `spec.recipe["do"]` says, with real processes and signals, and without a model.

Where a runner wrote the spec, whose recipe has no such word, it does as its first source says, which is such a recipe then.

Run it as the real one: `python -m tests.executor.fake_worker <attempt folder>`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from bot.executor import files
from bot.executor.contract import FAILED, FENCED, NO_SPACE, OK, PREEMPTED, REFUSED, Attempt, Progress, Result, TrainSpec
from bot.executor.fence import Fence, Superseded
from tests.contracts.fake_executor import work

STEPS = 40
GREEDY = """
import os, time
os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
os.setpriority(os.PRIO_PROCESS, 0, 0)
while True:
    until = time.monotonic() + 0.2
    while time.monotonic() < until:
        pass
    time.sleep(0.005)
"""
"""A program that leaves a fortieth of a processor to others, in small pieces."""


class Worker:
    """One attempt."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.job = folder, folder.parent
        self.spec: TrainSpec = files.read_spec(folder)
        self.recipe = self.spec.recipe if "do" in self.spec.recipe else json.loads(Path(self.spec.sources[0].path).read_text())
        self.asked_to_stop = False
        self.step = self.job / "checkpoints" / "step"
        with (self.job / "pids").open("a") as pids:
            pids.write(f"{self.spec.attempt} {os.getpid()}\n")

    def tell(self, fraction: float) -> None:
        with (self.folder / files.PROGRESS).open("a") as file:
            file.write(json.dumps(asdict(Progress("training", fraction))) + "\n")

    def finish(self) -> int:
        work(Attempt(self.spec.job, self.spec.attempt, self.folder))
        return OK

    def succeed(self) -> int:
        for step in range(STEPS + 1):
            self.tell(step / STEPS)
        return self.finish()

    def fail(self) -> int:
        raise RuntimeError("the sky fell")

    def refuse(self) -> int:
        files.write_result(self.folder, Result(error="Only 12 characters.", kind="TooLittleText"))
        return REFUSED

    def fill_the_disk(self) -> int:
        return NO_SPACE

    def be_silent(self) -> int:
        return OK

    def make_noise(self) -> int:
        """Whatever a library may print, and a progress file that nobody should trust."""
        sys.stdout.write("x" * 10_000_000)
        sys.stdout.flush()
        os.closerange(0, 3)
        self.tell(0.25)
        with (self.folder / files.PROGRESS).open("ab") as file:
            file.write(b'{"stage": "training"}\n[]\n\xff\xfe\n{"stage": "flying", "fraction": 1}\n' + b"y" * 10_000_000 + b"\n")
        self.tell(0.75)
        with (self.folder / files.PROGRESS).open("ab") as file:
            file.write(b'{"stage": "training", "fraction": 0.9')
        return self.finish()

    def count(self) -> int:
        """Go on from the last checkpoint, one step at a time; save and leave when asked to."""
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "asked_to_stop", True))
        fence = Fence(self.job)
        self.step.parent.mkdir(exist_ok=True)
        start = int(self.step.read_text()) if self.step.exists() else 0
        (self.folder / "started_at").write_text(str(start))
        for step in range(start + 1, STEPS + 1):
            try:
                fence.check(self.spec.attempt)
            except Superseded:
                return FENCED
            if self.asked_to_stop:
                (self.folder / "saved").touch()
                return PREEMPTED
            self.step.write_text(str(step))
            self.tell(step / STEPS)
            time.sleep(float(self.recipe.get("step_s", 0.01)))
        return self.finish()

    def raise_a_family(self) -> int:
        """Start a grandchild of the bot, and wait for ever."""
        child = subprocess.Popen(["sleep", "1000"])
        (self.job / "grandchild").write_text(str(child.pid))
        self.tell(0.5)
        time.sleep(1000)
        return FAILED

    def starve(self) -> int:
        """Want the processor, and get little of it as long as a grandchild lives that does not give way."""
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        child = subprocess.Popen([sys.executable, "-c", GREEDY])
        (self.job / "grandchild").write_text(str(child.pid))
        self.tell(0.5)
        while True:
            pass

    def leave_a_child(self) -> int:
        """End well, but leave something running."""
        child = subprocess.Popen(["sleep", "1000"])
        (self.job / "grandchild").write_text(str(child.pid))
        return self.finish()

    def eat_memory(self) -> int:
        """Take more and more, until somebody puts an end to it."""
        eaten = []
        while True:
            eaten.append(bytearray(os.urandom(1) * 10_000_000))
            self.tell(0.5)

    def be_stubborn(self) -> int:
        """Hear no SIGTERM."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.tell(0.5)
        time.sleep(1000)
        return FAILED


if __name__ == "__main__":
    worker = Worker(Path(sys.argv[1]))
    sys.exit(getattr(worker, worker.recipe["do"])())
