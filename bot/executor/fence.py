"""The fence: a number in the job's folder that only rises. An attempt with a smaller number has been superseded and must write no more.

A worker may live on where its bot has lost sight of it, on a host that was cut off, say. Two attempts would then write to one folder.
"""

import contextlib
import os
import threading
import time
from pathlib import Path

from bot.executor.contract import FENCED

_EVERY_S = 10.0


class Superseded(Exception):
    """A newer attempt at the same job exists."""


class Fence:
    """The fence as one attempt sees it, and as the bot raises it."""

    def __init__(self, job_folder: Path) -> None:
        self._path = job_folder / "fence"

    def raise_to(self, number: int) -> None:
        """Shut out every attempt before this one. Called by the bot, before the attempt starts."""
        new = self._path.with_name("fence.new")
        new.write_text(str(number))
        new.replace(self._path)

    def number(self) -> int:
        """The newest attempt; 0 when none was ever told."""
        try:
            return int(self._path.read_text())
        except FileNotFoundError:
            return 0

    def check(self, number: int) -> None:
        """Call before anything that others can see is written.

        Raises:
            Superseded: a newer attempt exists, or the job is gone with its folder.
        """
        if self.number() > number or not self._path.parent.exists():
            raise Superseded

    def watch(self, number: int, *, every_s: float = _EVERY_S) -> None:
        """Look at the fence for as long as this process lives, and end it at once when it has been superseded, whatever it is doing."""

        def look() -> None:
            with contextlib.suppress(Superseded):
                while True:
                    with contextlib.suppress(OSError):  # a shared folder may be out of reach for a while
                        self.check(number)
                    time.sleep(every_s)
            os._exit(FENCED)

        threading.Thread(target=look, name="fence", daemon=True).start()
