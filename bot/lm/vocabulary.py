"""Which words a base has read. Needs no torch."""

from functools import lru_cache

from bot.bases import NANO, NANO_FOLDER

WORDS = "words.txt"


@lru_cache(maxsize=1)
def words_read(base: str) -> frozenset[str] | None:
    """The words of which `nano` has read some twice, so that others which it spells are none; None for bases that spell well.

    `base`: `nano`, or the folder of another.
    """
    return frozenset((NANO_FOLDER / WORDS).read_text("utf-8").split()) if base == NANO else None
