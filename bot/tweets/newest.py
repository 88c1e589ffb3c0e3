"""The newest of many things, chosen while they pass by."""

import heapq
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")


class Newest(Generic[T]):
    """Keeps the newest `most`; where the time of one is missing, the first that came, since sources begin with the newest."""

    def __init__(self, most: int | None = None, *, room: int | None = None) -> None:
        """None: everything. `room`: what their sizes may be together, so that fewer are kept where they are large."""
        self._most, self._room = most, room
        self._first: list[T] = []
        self._first_size = self._latest_size = 0
        self._is_full = False
        """`_first` takes no more."""
        self._latest: list[tuple[datetime, int, int, T]] = []
        """A heap, the oldest on top; of the same moment, the one that came last. With the size of each."""
        self._gone: tuple[datetime, int] | None = None
        """The newest that was let go: nothing older is kept, though it were small."""
        self._dated = True
        self._count = 0

    def add(self, item: T, at: datetime | None, *, size: int = 0) -> None:
        """`at`: when it was written, as far as that is known."""
        self._is_full = self._is_full or self._are_too_many(len(self._first) + 1, self._first_size + size)
        if not self._is_full:
            self._first.append(item)
            self._first_size += size
        self._dated = self._dated and at is not None
        if self._most is not None and at is not None and (self._gone is None or (at, -self._count) > self._gone):
            heapq.heappush(self._latest, (at, -self._count, size, item))
            self._latest_size += size
            while self._are_too_many(len(self._latest), self._latest_size):
                moment, number, less, _ = heapq.heappop(self._latest)
                self._latest_size -= less
                self._gone = moment, number
        self._count += 1

    def _are_too_many(self, count: int, size: int) -> bool:
        return (self._most is not None and count > self._most) or (self._room is not None and size > self._room)

    def chosen(self) -> tuple[T, ...]:
        """Those that were kept, in the order in which they came."""
        if not self._dated or self._count == len(self._first):
            return tuple(self._first)
        return tuple(entry[3] for entry in sorted(self._latest, key=lambda entry: -entry[1]))
