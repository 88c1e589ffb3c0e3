"""Texts on their way together, and what is done for each of them in its own character."""

from dataclasses import dataclass
from typing import Protocol

from bot.lm.arithmetic import A
from bot.lm.voices import Voice


@dataclass(eq=False)
class Row:
    """A text on its way."""

    voice: Voice
    slot: int
    length: int
    """Tokens in the cache."""
    token: int
    """The next one that goes in."""


class Told(Protocol[A]):
    """Tokens laid end to end, some of one character and then some of another."""

    def embed(self, ids: A, embedded: A) -> None:
        """Add the characters' parts to the base's embeddings `[T, width]` of these tokens."""

    def linear(self, name: str, x: A) -> A:
        """The output `[T, outputs]` of a layer of the base with the characters' parts."""


class Company(Protocol[A]):
    """Rows, each with its own character. No row's numbers depend on the others."""

    def join(self, rows: list[Row]) -> None:
        """So many more, all of one character."""

    def leave(self, row: Row) -> None:
        """One less."""

    def gather(self) -> list[Row]:
        """The rows in the order in which they lie from now on, until one joins or leaves."""

    def embed(self, ids: A, embedded: A) -> None:
        """As `Told.embed`, for one token of each row."""

    def linear(self, name: str, x: A) -> A:
        """As `Told.linear`, for one token of each row; the output layer's is not complete before `finish`."""

    def attend(self, cache: A, q: A, k: A, v: A) -> A:
        """Put each row's key and value into its slot of a layer's cache `[2, slots, key_heads, positions, head_width]`, and look."""

    def finish(self, logits: A) -> None:
        """Make the logits each character's own."""

    def apart(self, stretches: list[tuple[Voice, int]]) -> Told[A]:
        """For so many tokens of each of these characters, whoever is on the way."""
