"""Choosing the posts of one request among the candidates that a model writes.

A seed stands for exactly one text. The candidates of the post with the seed S have the seeds S, h(S, 1), h(S, 2) …; the first that passes
the screen is taken, and its own seed is reported: asked for by that seed, it is the first candidate and comes again.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence

from bot.errors import GenerationError
from bot.executor.generator import SayReply, SayRequest, Spoken, Tried
from bot.lm.screening import LONGEST, Screen

TRIES = 16
"""Candidates of one post before it is given up."""

_WORDS = {
    "copy": "too close to a real tweet",
    "too_long": f"longer than {LONGEST} characters",
    "repeat": "said before",
    "broken": "with broken characters",
    "empty": "empty",
}


def candidate_seed(seed: int, number: int) -> int:
    """The seed of candidate `number` of the post with this seed; that of candidate 0 is the seed itself."""
    if number == 0:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}:{number}".encode()).digest()[:4], "big")


def choose(request: SayRequest, screen: Screen, say: Callable[[Sequence[int]], list[str]], draw: Callable[[], int]) -> SayReply:
    """The posts of a request.

    Args:
        request: what is wanted.
        screen: knows what must not be copied.
        say: one text per seed.
        draw: a random seed.

    Raises:
        GenerationError: a post had no candidate that could be used.
    """
    wanted = request.seeds or tuple(draw() for _ in range(request.count))
    dropped: list[list[Tried]] = [[] for _ in wanted]
    spoken: dict[int, Spoken] = {}
    for first in range(0, TRIES, request.candidates):
        numbers = range(first, min(first + request.candidates, TRIES))
        seeds = {post: [candidate_seed(wanted[post], n) for n in numbers] for post in range(len(wanted)) if post not in spoken}
        texts = iter(say([seed for of_post in seeds.values() for seed in of_post]))
        for post, of_post in seeds.items():
            candidates = [(seed, next(texts)) for seed in of_post]
            said = [s.text for s in spoken.values()]
            found = _first_usable(candidates, screen, [*request.recent, *said], dropped[post])
            if found is not None:
                spoken[post] = found
        if len(spoken) == len(wanted):
            return SayReply(tuple(spoken[post] for post in range(len(wanted))))
    failed = next(post for post in range(len(wanted)) if post not in spoken)
    raise GenerationError(_explain(dropped[failed]))


def _first_usable(candidates: list[tuple[int, str]], screen: Screen, recent: list[str], dropped: list[Tried]) -> Spoken | None:
    for seed, text in candidates:
        verdict = screen.check(text, recent=recent)
        if verdict.ok:
            return Spoken(text, seed, tuple(dropped), verdict.nearest, verdict.overlap)
        dropped.append(Tried(seed, text, str(verdict.reason)))
    return None


def _explain(dropped: list[Tried]) -> str:
    reasons = Counter(t.reason for t in dropped).most_common()
    counted = ", ".join(f"{count} {_WORDS.get(reason, reason)}" for reason, count in reasons)
    return f"None of {len(dropped)} texts could be used ({counted}): try another beginning, or train on more tweets."
