"""The newest of many things, chosen while they pass by."""

import heapq
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")


class Newest(Generic[T]):
    """Keeps the newest `most`; where the time of one is missing, the first that came, since sources begin with the newest."""

    def __init__(self, most: int | None = None) -> None:
        """None: everything."""
        self._most = most
        self._first: list[T] = []
        self._latest: list[tuple[datetime, int, T]] = []
        """A heap, the oldest on top; of the same moment, the one that came last."""
        self._dated = True
        self._count = 0

    def add(self, item: T, at: datetime | None) -> None:
        """`at`: when it was written, as far as that is known."""
        if self._most is None or self._count < self._most:
            self._first.append(item)
        self._dated = self._dated and at is not None
        if self._most is None or at is None:
            pass
        elif len(self._latest) < self._most:
            heapq.heappush(self._latest, (at, -self._count, item))
        else:
            heapq.heappushpop(self._latest, (at, -self._count, item))
        self._count += 1

    def chosen(self) -> tuple[T, ...]:
        """Those that were kept, in the order in which they came."""
        if not self._dated or self._count == len(self._first):
            return tuple(self._first)
        return tuple(item for _, _, item in sorted(self._latest, key=lambda entry: -entry[1]))
