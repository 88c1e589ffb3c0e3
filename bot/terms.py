"""What those say from whom tweets come, word for word, where the operator has to have read it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Quote:
    """A sentence of somebody's terms, word for word."""

    sentence: str
    source: str


X_TERMS = (
    Quote(
        "You shall not … (k) use the X API or X Content to fine-tune or train a foundation or frontier model",
        "X Developer Agreement, last updated 27 Apr 2026, III.A",
    ),
    Quote(
        "at this time, X prohibits any use of the X APIs and/or X Content to fine-tune or train a foundation or frontier model "
        "with the exception of Grok.",
        "X, Restricted use cases",
    ),
    Quote("App stores X data to train AI/ML models | Prohibited (except Grok)", "X Developer Guidelines, 24 Jul 2026"),
)
"""What the operator has to have read before X may be asked."""
