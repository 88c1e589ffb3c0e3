"""Which words a base has read. Needs no torch."""

from functools import lru_cache
from pathlib import Path

WORDS = "words.txt"
_NANO = Path(__file__).parent / "nano"


@lru_cache(maxsize=1)
def words_read(base: str) -> frozenset[str] | None:
    """The words of which `nano` has read some twice, so that others which it spells are none; None for bases that spell well.

    `base`: `nano`, or the folder of another.
    """
    return frozenset((_NANO / WORDS).read_text("utf-8").split()) if base == "nano" else None
