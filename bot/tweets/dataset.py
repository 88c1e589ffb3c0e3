"""The texts as training takes them: enough of them, split into a part that teaches and a part that is held out, kept in one file."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.errors import TooLittleText
from bot.tweets.cleaning import Counts, Kept

MIN_CHARACTERS = 6_000
"""Below this training is refused."""
GOOD_CHARACTERS = 40_000
"""Below this the person is warned."""
TYPICAL_TWEET_CHARACTERS = 100
MOST_TAUGHT = 10_000
"""Texts taught at once: three times what X's API ever gave out, and still minutes, not hours, on two cores."""
MOST_HELDOUT = 500
"""Texts held out at most: their loss is known to 0.02 nats by then, and more only cost time at each look."""


@dataclass(frozen=True)
class Dataset:
    """What one model is made of."""

    train: tuple[Kept, ...]
    heldout: tuple[Kept, ...]
    """Never trained on; the loss on these tells whether training helps."""
    sha256: str
    """Of the file that `write_dataset` writes, so of each text and of the split."""


def check_size(counts: Counts) -> str | None:
    """A sentence of warning where there is little text.

    Raises:
        TooLittleText: fewer than 6,000 characters were kept.
    """
    taught = counts.kept - counts.duplicates
    have = f"{counts.characters:,} characters in {taught:,} of {counts.downloaded:,} tweets"
    if counts.characters >= GOOD_CHARACTERS:
        return None
    if counts.characters >= MIN_CHARACTERS:
        return f"Only {have} can be learnt from: expect a weak likeness, which gets better up to {GOOD_CHARACTERS:,} characters."
    missing = MIN_CHARACTERS - counts.characters
    typical = counts.characters / taught if taught else TYPICAL_TWEET_CHARACTERS
    tweets = math.ceil(missing / typical)
    need = f"training needs {MIN_CHARACTERS:,}: add {missing:,}, which is about {tweets:,} more such tweets"
    raise TooLittleText(f"Only {have} can be learnt from, and {need}.")


def newest(kept: Sequence[Kept], most: int = MOST_TAUGHT) -> tuple[Kept, ...]:
    """The newest `most` texts in the order of the source; where a time is missing, the first of the source, which is newest first."""
    if len(kept) <= most:
        return tuple(kept)
    times = [one.created_at for one in kept if one.created_at is not None]
    if len(times) < len(kept):
        return tuple(kept[:most])
    latest = sorted(range(len(kept)), key=times.__getitem__, reverse=True)[:most]
    return tuple(kept[at] for at in sorted(latest))


def size_note(kept: int, most: int = MOST_TAUGHT) -> str | None:
    """A sentence where not everything is taught."""
    return f"{kept:,} tweets are more than are taught at once: the newest {most:,} are." if kept > most else None


def split(kept: Sequence[Kept], *, seed: int, share: float = 0.1) -> Dataset:
    """Hold out `share` of the texts, one at least where there are two, and MOST_HELDOUT at most.

    Which ones follows from a hash of the seed and the text alone: the order does not matter, and a tweet more moves at most one other
    tweet from one side to the other. Equal texts stand on the same side.
    """
    places = {_key(one): hashlib.sha256(f"{seed}\n{_key(one)}".encode()).digest() for one in kept}
    count = min(MOST_HELDOUT, max(1, round(len(places) * share))) if len(places) > 1 else 0
    chosen = set(sorted(places, key=places.__getitem__)[:count])
    train = tuple(one for one in kept if _key(one) not in chosen)
    heldout = tuple(one for one in kept if _key(one) in chosen)
    return Dataset(train, heldout, hashlib.sha256(_to_lines(train, heldout)).hexdigest())


def write_dataset(path: Path, dataset: Dataset) -> None:
    """One JSON object per line: text, cut, heldout."""
    path.write_bytes(_to_lines(dataset.train, dataset.heldout))


def read_dataset(path: Path) -> Dataset:
    """What `write_dataset` wrote; the times of the tweets are not in it."""
    data = path.read_bytes()
    records = [json.loads(line) for line in data.splitlines()]
    train = tuple(Kept(record["text"], record["cut"]) for record in records if not record["heldout"])
    heldout = tuple(Kept(record["text"], record["cut"]) for record in records if record["heldout"])
    return Dataset(train, heldout, hashlib.sha256(data).hexdigest())


def _key(one: Kept) -> str:
    return one.text.casefold()


def _to_lines(train: Sequence[Kept], heldout: Sequence[Kept]) -> bytes:
    sides = [(one, False) for one in train] + [(one, True) for one in heldout]
    lines = (json.dumps({"text": one.text, "cut": one.cut, "heldout": held}, ensure_ascii=False) for one, held in sides)
    return "".join(f"{line}\n" for line in lines).encode()
