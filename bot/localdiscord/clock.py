"""The World's time: the real one plus an offset that tests move, with alarms that follow it."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime


class WorldClock:
    """Real time plus an offset. Every deadline of the World (3 seconds, 15 minutes, a day) is measured on it."""

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._offset = 0.0
        self._alarms: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._handle: asyncio.TimerHandle | None = None

    def time(self) -> float:
        """Seconds since 1970."""
        return self._source() + self._offset

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)

    def advance(self, seconds: float) -> None:
        """Move the clock on by so many seconds; what falls due happens before this returns."""
        self._offset += seconds
        self._ring()

    def set(self, moment: datetime) -> None:
        """Set the clock; it runs on from there. What falls due happens before this returns."""
        self._offset += moment.timestamp() - self.time()
        self._ring()

    def call_at(self, moment: float, action: Callable[[], None]) -> None:
        """Do `action` when the clock shows `moment` (seconds since 1970), whether by waiting or by being moved."""
        heapq.heappush(self._alarms, (moment, next(self._order), action))
        self._ring()

    def close(self) -> None:
        """Forget every alarm."""
        self._alarms.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _ring(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        while self._alarms and self._alarms[0][0] <= self.time():
            heapq.heappop(self._alarms)[2]()
        if self._alarms:
            wait = self._alarms[0][0] - self.time()
            self._handle = asyncio.get_running_loop().call_later(max(wait, 0.001), self._ring)
