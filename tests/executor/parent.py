"""A bot in small, to be killed: starts the attempt in the folder given, and waits."""

import asyncio
import sys
from pathlib import Path

from bot.executor.contract import Attempt
from bot.executor.local import LocalExecutor
from tests.executor.scene import WORKER


async def main() -> None:
    executor = LocalExecutor(grace_s=10, worker=WORKER)
    attempt = Attempt(7, 1, Path(sys.argv[1]))
    await executor.start(attempt)
    await executor.wait(attempt)


if __name__ == "__main__":
    asyncio.run(main())
