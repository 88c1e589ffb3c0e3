"""How good a trained model is, as numbers and as one sentence."""

from dataclasses import dataclass

MEMORISED = 0.2
"""Copies among its texts, above those among the author's own new tweets: from here on, every fifth candidate is lost to the screen."""
SUSPECT = 0.05
"""The same, where the loss says so too."""
MEMORISED_GAP = 1.5
"""Nats per token from the loss on tweets that it was taught to that on others: healthy ones end at 1.3, one that recites at 2."""
LEAST_GAIN = 0.02
"""Nats per token below its base that a model must reach: the loss on 500 tweets is not known more exactly."""


@dataclass(frozen=True)
class Evaluation:
    """The figures of one model. Shares lie between 0 and 1."""

    texts: int
    """Generated."""
    heldout_base: float
    """Loss on tweets held out, nats per token."""
    heldout_model: float
    taught_model: float
    """Loss on tweets that it was taught, nats per token."""
    bits_base: float
    """Loss on tweets held out, bits per byte."""
    bits_model: float
    copied: float
    """Share of the generated texts that the screen calls copies."""
    copied_shown: float
    """Of those that pass the screen, share that a plainer check finds in a tweet. Must be 0."""
    copied_real: float
    """Share of the tweets held out that the screen calls copies of those taught."""
    distinct: float
    """Distinct-2: different pairs of words among all pairs in the generated texts."""
    distinct_real: float
    """The same in real tweets, over as many pairs."""
    repeated: float
    """Share of the generated texts that nearly say what another of them says."""
    repeated_real: float
    """The same among as many real tweets."""
    accounts: int
    """That the author was told apart from, and the author; 0 where there was no contest, and then both shares are 0."""
    author: float
    """Share of the generated texts that a classifier takes for the author's."""
    author_real: float
    """The same of real tweets held out."""

    @property
    def likeness(self) -> float:
        """What generated texts score in the contest, as a share of what real ones do."""
        return self.author / self.author_real if self.author_real else 0.0

    @property
    def memorises(self) -> bool:
        """Whether it recites more than it speaks."""
        excess = self.copied - self.copied_real
        return excess >= MEMORISED or (excess >= SUSPECT and self.heldout_model - self.taught_model >= MEMORISED_GAP)

    @property
    def no_better(self) -> bool:
        """Whether its base would do as well."""
        return self.heldout_base - self.heldout_model < LEAST_GAIN


def verdict(e: Evaluation) -> str | None:
    """The sentence for a model that should not be trusted, or None for one that is fine."""
    sentences = []
    if e.memorises:
        sentences.append(
            f"This model memorises: {e.copied:.0%} of its texts copy a tweet (of the author's own new tweets {e.copied_real:.0%} do), "
            f"and its loss is {e.taught_model:.2f} on tweets it was taught, {e.heldout_model:.2f} on others; "
            "fewer epochs or more tweets would help."
        )
    if e.no_better:
        sentences.append(
            f"This model is no better than its base: its loss on tweets held out is {e.heldout_model:.3f} nats per token, the base's "
            f"{e.heldout_base:.3f}; more tweets or another base would help."
        )
    return " ".join(sentences) or None
