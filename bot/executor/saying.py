"""What is asked of the process that speaks, and what it answers: JSON lines. Imports next to nothing, since that process starts with it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SayRequest:
    """Posts wanted from one character."""

    model: str
    """Its model's folder."""
    base: str
    """`nano`, or the folder of the base under it."""
    prompt: str
    """How every post begins; may be empty."""
    seeds: tuple[int, ...] | None
    """One per post, below 2**32; None = drawn at random."""
    count: int
    """Posts."""
    recent: tuple[str, ...] = ()
    """What it said lately and should not say again. Empty when seeds are given: they would not give the same texts again."""
    candidates: int = 4
    """Texts tried at once for each post."""
    blocked: tuple[str, ...] = ()
    """Words that no post may have."""


@dataclass(frozen=True)
class Tried:
    """A candidate that was dropped."""

    seed: int
    text: str
    reason: str
    """As in `bot.lm.screening.Reason`."""


@dataclass(frozen=True)
class Spoken:
    """One post."""

    text: str
    """As the model wrote it, prompt included; not yet made harmless for Discord."""
    seed: int
    """Asked for by this seed, the same text comes again."""
    tried: tuple[Tried, ...]
    """What was dropped before it."""
    nearest: str | None
    """The training tweet that is most like it, if any is."""
    overlap: float
    """Share of the post that also stands in that tweet, 0 to 1."""
    score: float | None = None
    """How much likelier the character finds it than the base does, nats per token; None where it was not chosen by that."""


@dataclass(frozen=True)
class SayReply:
    """The posts, in order, no two the same."""

    posts: tuple[Spoken, ...]


@dataclass(frozen=True)
class Question:
    """One line to the child."""

    number: int
    request: SayRequest


@dataclass(frozen=True)
class Answer:
    """One line from the child: a reply, or the sentence why there is none."""

    number: int
    reply: SayReply | None = None
    error: str | None = None
    notice: str | None = None
    """For the log, and no answer to anybody."""
