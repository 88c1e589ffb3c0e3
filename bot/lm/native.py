"""Rows with their characters on the processor's own kernels (`kernels.c`), which take what each character adds as it lies in memory."""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from bot.lm.arithmetic import Array
from bot.lm.arrays import Arrays
from bot.lm.company import Company, Row
from bot.lm.kernels import Matrix, address, attend
from bot.lm.network import Layers
from bot.lm.resident import Described, Resident
from bot.lm.voices import Voice, pairs_at


def native(base: Described, network: Layers[Array], matrices: Mapping[str, Matrix], embedding: NDArray[Any]) -> Resident[Array]:
    """A base whose matrices have been packed, ready to speak. The last matrix is the output layer's."""
    return Resident.of(
        base,
        network=network,
        products=matrices,
        embedding=embedding,
        arithmetic=Arrays(),
        company=lambda: Natives(matrices),
    )


class Natives(Company[Array]):
    """See `bot.lm.company.Company`."""

    def __init__(self, matrices: Mapping[str, Matrix], *, tables: WeakKeyDictionary[Voice, NDArray[np.int64]] | None = None) -> None:
        """`matrices`: the output layer's last. `tables`: known already."""
        self._matrices = matrices
        self._head = list(matrices)[-1]
        self._rows: list[Row] = []
        self._tables: WeakKeyDictionary[Voice, NDArray[np.int64]] = WeakKeyDictionary() if tables is None else tables
        self._pairs = self._slots = self._lengths = np.empty(0, dtype=np.int64)
        self._at: dict[str, int] = {}
        """Where the rows' pairs lie, for each layer."""
        self._changed = True

    def join(self, rows: list[Row]) -> None:
        """See `Company`."""
        self._rows += rows
        self._changed = True

    def leave(self, row: Row) -> None:
        """See `Company`."""
        self._rows.remove(row)
        self._changed = True

    def gather(self) -> list[Row]:
        """See `Company`."""
        if self._changed:
            self._pairs = np.stack([self._table(row.voice) for row in self._rows], 1)
            first, apart = address(self._pairs), self._pairs.strides[0]
            self._at = {name: first + number * apart for number, name in enumerate(self._matrices)}
            self._slots = np.array([row.slot for row in self._rows], dtype=np.int64)
            self._changed = False
        self._lengths = np.array([row.length for row in self._rows], dtype=np.int64)
        return list(self._rows)

    def embed(self, ids: NDArray[Any], embedded: Array) -> None:
        """See `Company`."""
        self._matrices[self._head].embed(ids, embedded, self._at[self._head])

    def linear(self, name: str, x: Array) -> Array:
        """See `Company`."""
        return self._matrices[name](x, self._at[name])

    def attend(self, cache: NDArray[Any], q: Array, k: Array, v: Array) -> Array:
        """See `Company`."""
        return attend(q, k, v, cache=cache, slots=self._slots, lengths=self._lengths)

    def finish(self, logits: Array) -> None:
        """See `Company`: the bias has been added by the layer."""

    def apart(self, stretches: list[tuple[Voice, int]]) -> "Natives":
        """See `Company`."""
        told = Natives(self._matrices, tables=self._tables)
        told.join([Row(voice, 0, 0, 0) for voice, tokens in stretches for _ in range(tokens)])
        told.gather()
        return told

    def _table(self, voice: Voice) -> NDArray[np.int64]:
        """The pair of each layer, as the kernel reads it: `[layers, 4]`."""
        if voice not in self._tables:
            self._tables[voice] = np.array(pairs_at(voice, list(self._matrices)), dtype=np.int64)
        return self._tables[voice]
