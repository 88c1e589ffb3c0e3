"""A base as it lies in memory while characters speak. Nothing of the loaded one is kept but what is needed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic

from bot.lm.arithmetic import A, Arithmetic
from bot.lm.company import Company
from bot.lm.network import Layers
from bot.lm.tokenizer import Tokenizer

Product = Callable[[A], A]
"""`[rows, inputs]` → `[rows, outputs]`, the bias included."""


@dataclass(frozen=True)
class Described:
    """What is known of a base besides its weights."""

    name: str
    tokenizer: Tokenizer
    context: int
    """Positions in one sequence."""
    parameters: int
    """How many numbers the model has."""


@dataclass(frozen=True)
class Resident(Described, Generic[A]):
    """A base that is ready to speak."""

    network: Layers[A]
    """Without the matrices that products stand for, where it is described."""
    products: Mapping[str, Product[A]]
    """Of every linear layer, and of the output layer last."""
    embedding: A
    """`[vocabulary, width]`."""
    arithmetic: Arithmetic[A]
    company: Callable[[], Company[A]]
    """Makes room for rows with their characters."""

    @classmethod
    def of(
        cls,
        base: Described,
        *,
        network: Layers[A],
        products: Mapping[str, Product[A]],
        embedding: A,
        arithmetic: Arithmetic[A],
        company: Callable[[], Company[A]],
    ) -> "Resident[A]":
        """This base, with what it takes to speak."""
        return cls(base.name, base.tokenizer, base.context, base.parameters, network, products, embedding, arithmetic, company)

    def embed(self, ids: A) -> A:
        """The embeddings of tokens."""
        return self.arithmetic.rows(self.embedding, ids)
