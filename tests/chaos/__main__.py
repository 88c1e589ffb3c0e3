"""`make chaos`: every moment once, then a soak. The last line is one JSON object; it fails unless nothing was lost, doubled or left bad."""

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.chaos.bots import ROOT, bots
from tests.chaos.judge import Verdict
from tests.chaos.points import PLANS, SYSCALLS, enumerate_points, has_strace
from tests.chaos.soak import soak


async def checkpoints(folder: Path, last: int | None = None) -> Verdict:
    """The real checkpoints, in a process of their own: they need torch."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.chaos.checkpoints", str(folder), *([] if last is None else [str(last)])),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        return Verdict(bad=[f"the enumeration of checkpoints ended with {process.returncode}"])
    found = json.loads(said)
    return Verdict(**{**found, "where": Counter(found["where"])})


async def everything(folder: Path, *, seed: int, jobs: int, posts: int) -> Verdict:
    """All of it, told as it goes."""
    total = Verdict()

    def tell(name: str, found: Verdict, began: float) -> None:
        total.add(found, name)
        seams = ", ".join(f"{seam} {count}" for seam, count in sorted(found.where.items()))
        print(f"{time.monotonic() - began:6.1f} s  {name}: {found.line()}" + (f" ({seams})" if seams else ""), flush=True)  # noqa: T201

    began = time.monotonic()
    tell("checkpoints of a real training", await checkpoints(folder / "checkpoints"), began)
    async with bots() as ready:
        plans = [*PLANS, *(SYSCALLS if has_strace() else ())]
        for number, plan in enumerate(plans):
            began = time.monotonic()
            tell(plan.name, await enumerate_points(ready, folder / str(number), [plan]), began)
        began = time.monotonic()
        tell(f"soak with seed {seed}", await soak(ready, folder / "soak", jobs=jobs, posts=posts, seed=seed), began)
    if not has_strace():
        print(f"NOTICE: strace is not here, so {len(SYSCALLS)} of {len(PLANS) + len(SYSCALLS) + 1} enumerations were skipped.")  # noqa: T201
    return total


def main() -> int:
    """Run it; 0 when nothing was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the soak")
    parser.add_argument("--jobs", type=int, default=400, help="trainings of the soak")
    parser.add_argument("--posts", type=int, default=400, help="posts of the soak, besides the results of its trainings")
    given = parser.parse_args()
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # it reports every connection that a killed bot leaves half open
    with tempfile.TemporaryDirectory(prefix="mynah-chaos-") as folder:
        total = asyncio.run(everything(Path(folder), seed=given.seed, jobs=given.jobs, posts=given.posts))
    for name, found in (("lost", total.lost), ("twice", total.twice), ("bad", total.bad)):
        for what in found[:20]:
            print(f"{name}: {what}", file=sys.stderr)  # noqa: T201
    print(total.line())  # noqa: T201
    return 0 if total.clean else 1


if __name__ == "__main__":
    sys.exit(main())
