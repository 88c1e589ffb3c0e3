"""A clock that stands still until it is told."""

from datetime import datetime, timedelta


class ManualClock:
    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def set(self, moment: datetime) -> None:
        self._now = moment

    def advance(self, seconds: float = 0, **units: float) -> None:
        """Go on by seconds, or by `hours=…`, `days=…`."""
        self._now += timedelta(seconds=seconds, **units)
