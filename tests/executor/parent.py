"""A bot in small, to be killed: it trains in the attempt folder given, here or on a cluster, or speaks, and then waits."""

import asyncio
import sys
from pathlib import Path

from bot.executor.contract import Attempt
from bot.executor.generator import Generator
from bot.executor.local import LocalExecutor
from bot.executor.ray import RayExecutor
from bot.executor.saying import SayRequest
from tests.executor.scene import WORKER


async def train(folder: Path) -> None:
    executor = LocalExecutor(grace_s=10, worker=WORKER)
    attempt = Attempt(7, 1, folder)
    await executor.start(attempt)
    sys.stdout.write((await executor.wait(attempt)).state)


async def train_on_cluster(folder: Path) -> None:
    executor = RayExecutor(address=sys.argv[3], token=sys.argv[4], gpus=1, grace_s=2, worker=WORKER, poll_s=0.1)
    attempt = Attempt(7, 1, folder)
    await executor.start(attempt)
    await executor.wait(attempt)


async def speak(model: Path) -> None:
    generator = Generator(model.parent / "packed", worker="tests.executor.fake_speaker")
    await generator.say(SayRequest(str(model), "nano", "tell the pid", None, 1))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run({"train": train, "cluster": train_on_cluster, "speak": speak}[sys.argv[1]](Path(sys.argv[2])))
