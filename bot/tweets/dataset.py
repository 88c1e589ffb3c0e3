"""The texts as training takes them: enough of them, split into a part that teaches and a part that is held out, kept in one file."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bot.errors import TooLittleText
from bot.tweets.cleaning import Counts, Kept
from bot.tweets.newest import Newest

MIN_CHARACTERS = 6_000
"""Below this training is refused."""
GOOD_CHARACTERS = 40_000
"""Below this the person is warned."""
MOST_REPEATS = 2
"""Times that a text of a small account is taught in an epoch of a mash-up: more would be learnt by heart."""
MOST_AHEAD = 2
"""Of a large account no more texts are taught than so many times those of the smallest, repeats counted: or that would not be heard."""
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

    @property
    def epoch(self) -> tuple[Kept, ...]:
        """The texts of one epoch: each of `train` as often as it is taught."""
        return tuple(one for one in self.train for _ in range(one.repeats))


@dataclass(frozen=True)
class Part:
    """What one account gave to a dataset."""

    handle: str
    """As it was asked for."""
    name: str | None
    """Display name, where the file has one."""
    counts: Counts
    language: str | None = None
    """ISO 639 code of the language that most of its texts are in; None where that is not plain."""
    repeats: int = 1
    """How often its texts stand in an epoch."""


@dataclass(frozen=True)
class Mixed:
    """What two or three accounts make together, or one alone."""

    dataset: Dataset
    most: int
    """Texts of one account that it has room for beside the smallest, held out or not."""
    repeats: tuple[int, ...]
    """How often the texts of each account stand in an epoch."""


def check_size(counts: Counts) -> str | None:
    """A sentence of warning where there is little text.

    Raises:
        TooLittleText: fewer than 6,000 characters were kept.
    """
    check_enough(counts)
    return little_note(counts)


def little_note(counts: Counts) -> str | None:
    """A sentence where there is little text, though enough."""
    if counts.characters >= GOOD_CHARACTERS:
        return None
    return f"Only {_have(counts)} can be learnt from: expect a weak likeness, which gets better up to {GOOD_CHARACTERS:,} characters."


def check_enough(counts: Counts, handle: str | None = None) -> None:
    """Refuse what is too little to learn from. `handle`: of the account, where it is one of several.

    Raises:
        TooLittleText: fewer than 6,000 characters were kept.
    """
    if counts.characters >= MIN_CHARACTERS:
        return
    taught = counts.kept - counts.duplicates
    missing = MIN_CHARACTERS - counts.characters
    typical = counts.characters / taught if taught else TYPICAL_TWEET_CHARACTERS
    tweets = math.ceil(missing / typical)
    need = f"training needs {MIN_CHARACTERS:,}: add {missing:,}, which is about {tweets:,} more such tweets"
    whose = f" of @{handle}" if handle else ""
    raise TooLittleText(f"Only {_have(counts)}{whose} can be learnt from, and {need}.")


def _have(counts: Counts) -> str:
    return f"{counts.characters:,} characters in {counts.kept - counts.duplicates:,} of {counts.downloaded:,} tweets"


def newest(kept: Sequence[Kept], most: int = MOST_TAUGHT) -> tuple[Kept, ...]:
    """The newest `most` texts in the order of the source; where a time is missing, the first of the source, which is newest first."""
    chosen: Newest[Kept] = Newest(most)
    for one in kept:
        chosen.add(one, one.created_at)
    return chosen.chosen()


def size_note(kept: int, most: int = MOST_TAUGHT) -> str | None:
    """A sentence where not everything is taught."""
    return f"{kept:,} tweets are more than are taught at once: the newest {most:,} are." if kept > most else None


def mix(accounts: Sequence[Sequence[Kept]], *, seed: int) -> Mixed:
    """Hold out texts of each account, repeat those of a small one, and take the newest of a large one only, so that all are heard.

    How often a text begins as an account's goes with its number of texts, not with their length. A text that two have in common counts as
    the first one's.
    """
    seen: set[str] = set()
    all_own = []
    for kept in accounts:
        all_own.append([one for one in kept if _key(one) not in seen])
        seen.update(map(_key, all_own[-1]))
    most = min(map(len, all_own)) * MOST_REPEATS * MOST_AHEAD
    taken = [newest(own, most) for own in all_own]
    sides = [split(own, seed=seed, most=MOST_HELDOUT // len(accounts)) for own in taken]
    sizes = [len(side.train) for side in sides]
    repeats = tuple(min(MOST_REPEATS, max(1, round(max(sizes) / max(1, size)))) for size in sizes)
    train = tuple(replace(one, repeats=times) for side, times in zip(sides, repeats, strict=True) for one in side.train)
    heldout = tuple(one for side in sides for one in side.heldout)
    return Mixed(_sealed(train, heldout), most, repeats)


def split(kept: Sequence[Kept], *, seed: int, share: float = 0.1, most: int = MOST_HELDOUT) -> Dataset:
    """Hold out `share` of the texts, one at least where there are two, and `most` at most.

    Which ones follows from a hash of the seed and the text alone: the order does not matter, and a tweet more moves at most one other
    tweet from one side to the other. Equal texts stand on the same side.
    """
    places = {_key(one): hashlib.sha256(f"{seed}\n{_key(one)}".encode()).digest() for one in kept}
    count = min(most, max(1, round(len(places) * share))) if len(places) > 1 else 0
    chosen = set(sorted(places, key=places.__getitem__)[:count])
    train = tuple(one for one in kept if _key(one) not in chosen)
    heldout = tuple(one for one in kept if _key(one) in chosen)
    return _sealed(train, heldout)


def write_dataset(path: Path, dataset: Dataset) -> None:
    """One JSON object per line: text, cut, heldout, and repeats where a text is taught more than once in an epoch."""
    path.write_bytes(_to_lines(dataset.train, dataset.heldout))


def read_dataset(path: Path) -> Dataset:
    """What `write_dataset` wrote; the times of the tweets are not in it."""
    data = path.read_bytes()
    records = [json.loads(line) for line in data.splitlines()]
    train = tuple(Kept(record["text"], record["cut"], repeats=record.get("repeats", 1)) for record in records if not record["heldout"])
    heldout = tuple(Kept(record["text"], record["cut"]) for record in records if record["heldout"])
    return Dataset(train, heldout, hashlib.sha256(data).hexdigest())


def _sealed(train: tuple[Kept, ...], heldout: tuple[Kept, ...]) -> Dataset:
    return Dataset(train, heldout, hashlib.sha256(_to_lines(train, heldout)).hexdigest())


def _key(one: Kept) -> str:
    return one.text.casefold()


def _to_lines(train: Sequence[Kept], heldout: Sequence[Kept]) -> bytes:
    sides = [(one, False) for one in train] + [(one, True) for one in heldout]
    return "".join(json.dumps(_record(one, heldout=held), ensure_ascii=False) + "\n" for one, held in sides).encode()


def _record(one: Kept, *, heldout: bool) -> dict[str, object]:
    record: dict[str, object] = {"text": one.text, "cut": one.cut, "heldout": heldout}
    return record | {"repeats": one.repeats} if one.repeats > 1 else record
