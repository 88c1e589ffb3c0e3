"""Which language a person writes, as most of their texts tell."""

from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

from babel import Locale

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

ENGLISH = "en"
MOST_TEXTS = 2_000
"""Texts that are looked at: 0.2 seconds."""
FEWEST_SURE = 10
"""Texts whose language must be plain."""
SURE = 0.8
"""Probability from which the language of one text is plain."""
MOST = 0.6
"""Share of the plain texts that must agree."""

_NONE = {"zxx", "und", "mis", "mul"}
"""Codes for no language, or none that is known."""


def language_of(texts: Iterable[str]) -> str | None:
    """The ISO 639 code, of two letters where there is one, of the language that most of the texts are plainly in; None where none is.

    The texts may have links, mentions and hashtags, which do not count.
    """
    plain = [words for text in islice(texts, MOST_TEXTS) if any(map(str.isalpha, words := _own_words(text)))]
    if len(plain) < FEWEST_SURE:
        return None
    found = (_identifier().classify(text) for text in plain)
    sure = Counter(code for code, probability in found if probability >= SURE and code not in _NONE)
    if sure.total() < FEWEST_SURE:
        return None
    code, count = sure.most_common(1)[0]
    return str(code) if count >= MOST * sure.total() else None


def name_of(code: str) -> str:
    """The language's name in English."""
    return str(Locale("en").languages.get(code, code))


def _own_words(text: str) -> str:
    return " ".join(word for word in text.split() if not word.lower().startswith(("http", "@", "#", "t.co/")))


@cache
def _identifier() -> "LanguageIdentifier":
    """Half a second and 60 MB: only where texts are looked at, which is in the worker."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415  # see above

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
