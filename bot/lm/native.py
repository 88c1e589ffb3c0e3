"""Rows with their characters on the processor's own kernels (`kernels.c`), which take what each character adds as it lies in memory."""

from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from bot.lm.company import Row
from bot.lm.kernels import Matrix, attend
from bot.lm.quantised import Resident
from bot.lm.voices import Voice, pairs_at


class Natives:
    """See `bot.lm.company.Company`."""

    def __init__(self, base: Resident, *, tables: WeakKeyDictionary[Voice, Tensor] | None = None) -> None:
        """`tables`: known already."""
        self._base = base
        self._matrices: dict[str, Matrix] = {name: product for name, product in base.products.items() if isinstance(product, Matrix)}
        self._rows: list[Row] = []
        self._tables: WeakKeyDictionary[Voice, Tensor] = WeakKeyDictionary() if tables is None else tables
        self._pairs = torch.empty(0)
        self._at: dict[str, int] = {}
        """Where the rows' pairs lie, for each layer."""
        self._slots = self._lengths = torch.empty(0)
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
            self._pairs, self._at = self._placed([row.voice for row in self._rows])
            self._slots = torch.tensor([row.slot for row in self._rows])
            self._changed = False
        self._lengths = torch.tensor([row.length for row in self._rows])
        return list(self._rows)

    def embed(self, ids: Tensor, embedded: Tensor) -> None:
        """See `Company`."""
        self._matrices[self._base.network.head].embed(ids, embedded, self._at[self._base.network.head])

    def linear(self, name: str, x: Tensor) -> Tensor:
        """See `Company`."""
        return self._matrices[name](x, self._at[name])

    def attend(self, cache: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `Company`."""
        return attend(q, k, v, cache=cache, slots=self._slots, lengths=self._lengths)

    def finish(self, logits: Tensor) -> None:
        """See `Company`: the bias has been added by the layer."""

    def apart(self, stretches: list[tuple[Voice, int]]) -> "Natives":
        """See `Company`."""
        told = Natives(self._base, tables=self._tables)
        told.join([Row(voice, 0, 0, 0) for voice, tokens in stretches for _ in range(tokens)])
        told.gather()
        return told

    def _placed(self, voices: list[Voice]) -> tuple[Tensor, dict[str, int]]:
        pairs = torch.stack([self._table(voice) for voice in voices], 1)
        return pairs, {name: layer.data_ptr() for name, layer in zip(self._matrices, pairs, strict=True)}

    def _table(self, voice: Voice) -> Tensor:
        """The pair of each layer, as the kernel reads it: `[layers, 4]`."""
        if voice not in self._tables:
            self._tables[voice] = torch.tensor(pairs_at(voice, list(self._matrices)))
        return self._tables[voice]
