"""Texts that were seen before, in 16 to 32 bytes each, however many there are."""

from array import array
from hashlib import blake2b


class Seen:
    """A set of texts without the texts: 64 bits of a hash of each, in a table with room beside each."""

    def __init__(self) -> None:
        """None has been seen."""
        self._table = array("Q", bytes(8 << 12))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, text: str) -> bool:
        """Whether it is new, whatever the case of its letters. Of five million texts two are taken for one once in a million times."""
        key = int.from_bytes(blake2b(text.casefold().encode(), digest_size=8).digest()) or 1  # 0 is an empty place
        place = self._place(key)
        if self._table[place]:
            return False
        self._table[place] = key
        self._count += 1
        if 2 * self._count > len(self._table):
            self._grow()
        return True

    def _place(self, key: int) -> int:
        """Where the key stands, or would."""
        last = len(self._table) - 1
        place = key & last
        while self._table[place] not in {0, key}:
            place = place + 1 & last
        return place

    def _grow(self) -> None:
        old, self._table = self._table, array("Q", bytes(16 * len(self._table)))
        for key in filter(None, old):
            self._table[self._place(key)] = key
