"""Following an attempt by its `progress.jsonl`, the same for a worker on this host and for one on another."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

from bot.executor import files
from bot.executor.contract import Progress


class Follower:
    """The newest progress of one attempt, for any number of readers, and for how long there has been none."""

    def __init__(self, folder: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._monotonic = monotonic
        self._size = 0
        self._newest: Progress | None = None
        self._note: str | None = None
        self._told = 0
        """How many progresses there have been."""
        self._changed = asyncio.Event()
        self._ended = False
        self._heard = monotonic()

    @property
    def begun(self) -> bool:
        """Whether the worker has ever said anything."""
        return self._size > 0

    @property
    def silent_s(self) -> float:
        """Seconds since something new was seen."""
        return self._monotonic() - self._heard

    def hear(self) -> None:
        """Begin to count the silence anew."""
        self._heard = self._monotonic()

    def look(self) -> None:
        """Take in what the worker has written since.

        Raises:
            OSError: the folder is out of reach.
        """
        size, progress = files.newest_progress(self._folder)
        if size != self._size and progress is not None:
            self._size, self._newest = size, progress
            self.hear()
            self._tell()

    def say(self, note: str | None) -> bool:
        """Put a sentence of the executor's own into the newest progress, or take it away again; whether that changes anything."""
        if note == self._note:
            return False
        self._note = note
        self._newest = self._newest or Progress("starting", 0.0)
        self._tell()
        return True

    def _tell(self) -> None:
        self._told += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def end(self) -> None:
        """There will be no more."""
        self._ended = True
        self._changed.set()

    async def events(self) -> AsyncIterator[Progress]:
        """The newest progress, and each that is newest later, until the end."""
        seen = 0
        while True:
            changed = self._changed
            if self._newest is not None and self._told != seen:
                seen = self._told
                yield replace(self._newest, note=self._note or self._newest.note)
            elif self._ended:
                return
            else:
                await changed.wait()
