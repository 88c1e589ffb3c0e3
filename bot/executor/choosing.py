"""Choosing the posts of one request among the candidates that a model writes.

A seed stands for exactly one text. The candidates of the post with the seed S have the seeds S, h(S, 1), h(S, 2) …, and the seed of the
one that is taken is reported: asked for by that seed, it is the first candidate and comes again. With a given seed the first candidate
that passes the screen is taken; without one, several are drawn at once and the best of those that pass: the one that is most the
character's own, which the character finds likelier than the base does. Where all are flawed, the one with the mildest flaw of form is
taken; it is the only text that its seed need not give again.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

from bot.errors import GenerationError
from bot.executor.saying import SayReply, SayRequest, Spoken, Tried
from bot.lm.screening import LONGEST, Screen, Verdict

TRIES = 32
"""Candidates of one post before it is given up."""

_WORDS = {
    "copy": "too close to a real tweet",
    "too_long": f"longer than {LONGEST} characters",
    "repeat": "said before",
    "broken": "with broken characters",
    "empty": "empty",
    "blocked": "with a blocked word",
    "stranger": "naming accounts that the person never named",
    "coinage": "with a hashtag that the person never used",
    "unclosed": "with an unclosed bracket or quotation mark",
    "circle": "going round in circles",
    "nonword": "with a word that does not exist",
    "stump": "that break off",
    "displaced": "with a mark or half an emoji out of place",
    "echo": "saying the same words twice",
}

Said = tuple[str, float | None]
"""A text, and its score where texts are ranked."""
Choosing = Generator[list[int], Sequence[Said], SayReply]
"""Asks for the texts of seeds, is sent them, and returns the posts."""


def candidate_seed(seed: int, number: int) -> int:
    """The seed of candidate `number` of the post with this seed; that of candidate 0 is the seed itself."""
    if number == 0:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}:{number}".encode()).digest()[:4], "big")


def choose(request: SayRequest, screen: Screen, draw: Callable[[], int]) -> Choosing:
    """The posts of a request.

    Args:
        request: what is wanted.
        screen: knows what must not be copied.
        draw: a random seed.

    Raises:
        GenerationError: a post had no candidate that could be used.
    """
    wanted = request.seeds or tuple(draw() for _ in range(request.count))
    dropped: list[list[Tried]] = [[] for _ in wanted]
    poor: list[list[_Candidate]] = [[] for _ in wanted]
    spoken: dict[int, Spoken] = {}
    for first in range(0, TRIES, request.candidates):
        numbers = range(first, min(first + request.candidates, TRIES))
        seeds = {post: [candidate_seed(wanted[post], n) for n in numbers] for post in range(len(wanted)) if post not in spoken}
        said = iter((yield [seed for of_post in seeds.values() for seed in of_post]))
        for post, of_post in seeds.items():
            texts = [next(said) for _ in of_post]
            candidates = [
                (seed, screen.mended(text, prompt=request.prompt), score) for seed, (text, score) in zip(of_post, texts, strict=True)
            ]
            recent = [*request.recent, *(s.text for s in spoken.values())]
            verdicts = ((*one, screen.check(one[1], recent=recent, prompt=request.prompt)) for one in candidates)
            found = _best(_usable(verdicts, dropped[post], poor[post]), ranked=request.seeds is None)
            if found is not None:
                spoken[post] = _spoken(found, dropped[post])
        if len(spoken) == len(wanted):
            break
    for post in range(len(wanted)):
        if post not in spoken:
            said_already = [s.text for s in spoken.values()]
            left = _mildest(c for c in poor[post] if screen.check(c[1], recent=said_already).reason != "repeat")
            found = _best(left, ranked=request.seeds is None)
            if found is None:
                raise GenerationError(_explain(dropped[post]))
            spoken[post] = _spoken(found, [tried for tried in dropped[post] if tried.seed != found[0]])
    return SayReply(tuple(spoken[post] for post in range(len(wanted))))


_Candidate = tuple[int, str, float | None, Verdict]


def _spoken(found: _Candidate, dropped: Sequence[Tried]) -> Spoken:
    seed, text, score, verdict = found
    return Spoken(text, seed, tuple(dropped), verdict.nearest, verdict.overlap, score)


def _usable(candidates: Iterator[_Candidate], dropped: list[Tried], poor: list[_Candidate]) -> Iterator[_Candidate]:
    """Those that pass; the others are noted, in order, and those that are no more than poor kept as well."""
    for seed, text, score, verdict in candidates:
        if verdict.ok:
            yield seed, text, score, verdict
        else:
            dropped.append(Tried(seed, text, str(verdict.reason)))
            if verdict.poverty is not None:
                poor.append((seed, text, score, verdict))


def _mildest(poor: Iterable[_Candidate]) -> Iterator[_Candidate]:
    """Those with the mildest flaw."""
    left = sorted(poor, key=lambda candidate: candidate[3].poverty or 0)
    return (candidate for candidate in left if candidate[3].poverty == left[0][3].poverty)


def _best(usable: Iterator[_Candidate], *, ranked: bool) -> _Candidate | None:
    """The first, or, when they are ranked, the first of those with the highest score. Asks for no more than it needs."""
    if not ranked:
        return next(usable, None)
    return max(usable, key=lambda candidate: candidate[2] or 0.0, default=None)


def _explain(dropped: list[Tried]) -> str:
    reasons = Counter(t.reason for t in dropped).most_common()
    counted = ", ".join(f"{count} {_WORDS.get(reason, reason)}" for reason, count in reasons)
    return f"None of {len(dropped)} texts could be used ({counted}): try another beginning, or train on more tweets."
