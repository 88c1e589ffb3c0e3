"""A training without a model: checkpoints, corpus, files and a result within a tenth of a second, by the real files and fence.

Run as the real one: `python -m tests.chaos.worker <attempt folder>`. CHAOS_WORKER is the moment at which it dies, of its first attempt
only; CHAOS_VICTIM says whether alone or with the bot.
"""

import hashlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from bot.executor import files
from bot.executor.contract import FENCED, OK, PREEMPTED, Result
from bot.executor.fence import Fence, Superseded
from bot.executor.progress import ProgressLog
from bot.tweets.cleaning import Counts

STEPS = 3
COUNTS = Counts(downloaded=9, retweets=0, short=0, kept=9, duplicates=0, cut=0, characters=900)


def checkpoint(folder: Path, step: int) -> None:
    """As bot/lm/checkpoint.py does it, which needs torch and is enumerated by itself."""
    new, target = folder / f".tmp-{os.getpid()}", folder / f"step-{step}"
    new.mkdir()
    with (new / "state").open("w") as file:
        file.write(str(step))
        file.flush()
        os.fsync(file.fileno())
    new.rename(target)
    for old in sorted(folder.glob("step-*"))[:-2]:
        shutil.rmtree(old)


def newest(folder: Path) -> int:
    """The step to go on from."""
    folder.mkdir(exist_ok=True)
    for left in folder.glob(".tmp-*"):
        shutil.rmtree(left)
    whole = (path / "state" for path in sorted(folder.glob("step-*"), reverse=True))  # of the oldest perhaps half is removed
    return next((int(state.read_text()) for state in whole if state.exists()), 0)


def main() -> int:
    folder = Path(sys.argv[1])
    spec = files.read_spec(folder)
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stop.append(number))
    if spec.attempt == 1 and "CHAOS_WORKER" in os.environ:
        from tests.chaos.trap import Trap  # noqa: PLC0415  # only for the attempt that dies

        with_bot = os.environ["CHAOS_VICTIM"] == "bot"
        trap = Trap(int(os.environ["CHAOS_WORKER"]), Path(os.environ["CHAOS_NOTE"]), victim=os.getppid if with_bot else os.getpid)
        trap.watch_files(folder.parent)
    told, fence = ProgressLog(folder / files.PROGRESS), Fence(folder.parent)
    told.tell("reading")
    (folder / files.CORPUS).write_text("".join(Path(source.path).read_text() for source in spec.sources))
    for step in range(newest(folder.parent / "checkpoints") + 1, STEPS + 1):
        fence.check(spec.attempt)
        told.tell("training", step / STEPS)
        checkpoint(folder.parent / "checkpoints", step)
        time.sleep(float(os.environ.get("CHAOS_STEP_S", "0")))
        if stop:
            return PREEMPTED
    model = folder / files.MODEL
    model.mkdir(exist_ok=True)
    hashes = {}
    for name in ("adapter", files.DATASET):
        with (model / name).open("w") as file:
            file.write(f"{name} of {spec.handle}, job {spec.job}\n")
            file.flush()
            os.fsync(file.fileno())
        hashes[name] = hashlib.sha256((model / name).read_bytes()).hexdigest()
    fence.check(spec.attempt)
    files.write_result(
        folder,
        Result(
            counts=COUNTS,
            base_name="nano",
            heldout_base=2.0,
            heldout_model=1.0,
            steps=STEPS,
            seconds=0.1,
            dataset_sha256=hashes[files.DATASET],
            files=hashes,
            samples=(f"of @{spec.handle}",),
        ),
    )
    return OK


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Superseded:
        sys.exit(FENCED)
