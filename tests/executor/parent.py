"""A bot in small, to be killed: it trains in the attempt folder given, or speaks, and then waits."""

import asyncio
import sys
from pathlib import Path

from bot.executor.contract import Attempt
from bot.executor.generator import Generator, SayRequest
from bot.executor.local import LocalExecutor
from tests.executor.scene import WORKER


async def train(folder: Path) -> None:
    executor = LocalExecutor(grace_s=10, worker=WORKER)
    attempt = Attempt(7, 1, folder)
    await executor.start(attempt)
    await executor.wait(attempt)


async def speak(model: Path) -> None:
    generator = Generator(worker="tests.executor.fake_speaker")
    await generator.say(SayRequest(str(model), "nano", "tell the pid", None, 1))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run({"train": train, "speak": speak}[sys.argv[1]](Path(sys.argv[2])))
