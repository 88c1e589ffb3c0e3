"""Whose tweet is it? A plain classifier that knows nothing of language models, asked about real and about generated texts."""

from collections.abc import Sequence
from dataclasses import dataclass

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships none

MOST_TWEETS = 400
"""Of one account: more make the contest slower and hardly another."""
SAME_SHARE = 0.1
"""Two accounts that share so much of their tweets are one, taught twice."""
_OWN = "own"


@dataclass(frozen=True)
class Contest:
    """What came of it."""

    accounts: int
    """That took part, the model's own among them."""
    real: float
    """Share of the author's real tweets that were taken for the author's, 0 to 1."""
    generated: float
    """The same of generated texts."""


def contest(own: Sequence[str], rivals: Sequence[Sequence[str]], *, real: Sequence[str], generated: Sequence[str]) -> Contest | None:
    """Learn to tell `own` tweets from those of each rival, and judge `real` ones, which are not among them, and `generated` ones.

    None where there is nobody to tell them from, or nothing to judge.
    """
    others = [texts for texts in rivals if texts and not _same(own, texts)]
    if not others or not real or not generated:
        return None
    texts: list[str] = []
    names: list[str] = []
    for name, account in [(_OWN, own), *((str(number), other) for number, other in enumerate(others))]:
        chosen = spread(account, MOST_TWEETS)
        texts += chosen
        names += [name] * len(chosen)
    # Letters tell authors apart in every script; words do so where they are spaced. Each account weighs the same, however much it wrote.
    features = make_union(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), min_df=2, sublinear_tf=True),
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
    )
    classifier = make_pipeline(features, LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000))
    with threadpool_limits(1):  # the products are so small that several threads only wait for each other
        classifier.fit(texts, names)

    def share(judged: Sequence[str]) -> float:
        return float((classifier.predict(list(judged)) == _OWN).mean())

    return Contest(1 + len(others), share(real), share(generated))


def spread(texts: Sequence[str], most: int) -> list[str]:
    """All of the texts, or so many of them, evenly from first to last."""
    count = min(most, len(texts))
    return [texts[at * len(texts) // count] for at in range(count)]


def _same(own: Sequence[str], other: Sequence[str]) -> bool:
    known = {text.casefold() for text in own}
    return sum(text.casefold() in known for text in other) >= SAME_SHARE * len(other)
