"""What a training learns from: the sources of its spec read, held against whose they should be, cleaned, and mixed to one dataset."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

from bot.digests import digest
from bot.errors import BadInput, NotAllowed
from bot.executor.contract import SpecSource, TrainSpec
from bot.handles import normalise
from bot.tweets import cleaning, dataset
from bot.tweets.cleaning import Cleaned, Counts
from bot.tweets.files import read_source
from bot.tweets.language import ENGLISH, MOST_TEXTS, language_of
from bot.tweets.source import Profile, Tweet

_JSON = json.JSONEncoder(default=datetime.isoformat)
_EVERY = 100
"""Tweets from one telling of the progress to the next."""


@dataclass(frozen=True)
class Material:
    """What there is to learn from."""

    profile_handle: str | None
    """As the file names it; None for a mash-up."""
    name: str | None
    """Display name; of a mash-up `A & B`."""
    parts: tuple[dataset.Part, ...]
    counts: Counts
    """Of all parts together."""
    first_at: datetime | None
    last_at: datetime | None
    dataset: dataset.Dataset
    notes: tuple[str, ...]
    """Sentences that people should read."""

    @property
    def language(self) -> str | None:
        """The one language of all accounts."""
        languages = {part.language for part in self.parts}
        return languages.pop() if len(languages) == 1 else None

    @property
    def foreign(self) -> bool:
        """Whether an account is known to write another language than English."""
        return any(part.language not in {None, ENGLISH} for part in self.parts)


@dataclass(frozen=True)
class _Read:
    """One source."""

    source: SpecSource
    profile: Profile
    cleaned: Cleaned
    language: str | None
    notes: tuple[str, ...]


class MaterialReader:
    """Reads the sources of one spec."""

    def __init__(self, spec: TrainSpec, corpus: TextIO, tell: Callable[[float], None]) -> None:
        """Every tweet is written to `corpus` as it passes; `tell` hears the share done, 0 to 1."""
        self._spec, self._corpus, self._tell = spec, corpus, tell
        self._most = dataset.MOST_TAUGHT // len(spec.sources)

    def read(self) -> Material:
        """Read everything.

        Raises:
            SourceError: a file cannot be used, or holds too little.
            BadInput: it is no file of tweets, or names another account than the one that somebody calls their own.
            NotAllowed: it names an account that has opted out.
        """
        read = [self._read(number, source) for number, source in enumerate(self._spec.sources)]
        mixed = dataset.mix([one.cleaned.kept for one in read], seed=self._spec.seed)
        names = [one.profile.name or one.source.handle for one in read]
        return Material(
            profile_handle=read[0].profile.handle if len(read) == 1 else None,
            name=read[0].profile.name if len(read) == 1 else " & ".join(names),
            parts=tuple(
                dataset.Part(one.source.handle, one.profile.name, one.cleaned.counts, one.language, repeats)
                for one, repeats in zip(read, mixed.repeats, strict=True)
            ),
            counts=_sum(one.cleaned.counts for one in read),
            first_at=min((one.cleaned.first_at for one in read if one.cleaned.first_at), default=None),
            last_at=max((one.cleaned.last_at for one in read if one.cleaned.last_at), default=None),
            dataset=mixed.dataset,
            notes=tuple(self._notes(read, min(self._most, mixed.most))),
        )

    def _read(self, number: int, source: SpecSource) -> _Read:
        profile, tweets = read_source(Path(source.path), file_name=source.file_name)
        notes = tuple(filter(None, (self._owner(source, profile), profile.note)))
        first = list(_beginning(tweets))
        language = language_of(cleaning.unescape(tweet.text) for tweet in first if not cleaning.is_retweet(tweet))
        recorded = self._recorded(number, source, profile, chain(first, tweets))
        cleaned = cleaning.clean(recorded, most=self._most, language=language)
        dataset.check_enough(cleaned.counts, source.handle if len(self._spec.sources) > 1 else None)
        return _Read(source, profile, cleaned, language, notes)

    def _owner(self, source: SpecSource, profile: Profile) -> str | None:
        """Hold whom the file names against whom it should be of; a sentence where that is somebody else."""
        if profile.handle is None:
            return None
        named = _plain(profile.handle)
        if any(digest(named, salt) in self._spec.opted_out for salt in self._spec.salts):
            raise NotAllowed(f"{source.file_name} is of @{named}, whose owner has opted out: nobody may train on it.")
        if named == source.handle:
            return None
        if source.basis == "own":
            raise BadInput(
                f"{source.file_name} is of @{named} and not of @{source.handle}, which was said to be its sender's own account: "
                f"train @{named}, or give the archive of @{source.handle}."
            )
        return f"{source.file_name} names @{named} as its account, and was given for @{source.handle}."

    def _recorded(self, source_number: int, source: SpecSource, profile: Profile, tweets: Iterable[Tweet]) -> Iterator[Tweet]:
        """The same tweets, each written down as it passes."""
        whose = {"author_handle": source.handle, "author_name": profile.name}
        for number, tweet in enumerate(tweets):
            self._corpus.write(_JSON.encode(whose | vars(tweet)) + "\n")
            if number % _EVERY == 0:  # how many there are is known at the end only
                self._tell((source_number + number / (number + 3000)) / len(self._spec.sources))
            yield tweet

    def _notes(self, read: list[_Read], most: int) -> Iterator[str]:
        for one in read:
            yield from one.notes
            whose = f"Of @{one.source.handle}: " if len(read) > 1 else ""
            if said := dataset.size_note(one.cleaned.counts.kept - one.cleaned.counts.duplicates, min(most, len(one.cleaned.kept))):
                yield whose + said
        if said := dataset.little_note(_sum(one.cleaned.counts for one in read)):
            yield said


def _beginning(tweets: Iterator[Tweet]) -> Iterator[Tweet]:
    """As many as the language is told by."""
    characters = 0
    for tweet in islice(tweets, MOST_TEXTS):
        yield tweet
        characters += len(tweet.text)
        if characters > MOST_TEXTS * cleaning.MOST_CHARACTERS:
            return


def _plain(handle: str) -> str:
    """As handles are stored; a name that can be none is only made comparable."""
    try:
        return normalise(handle)
    except BadInput:
        return handle.strip().removeprefix("@").lower()


def _sum(counts: Iterable[Counts]) -> Counts:
    columns = zip(*([getattr(one, field.name) for field in fields(Counts)] for one in counts), strict=True)
    return Counts(*map(sum, columns))
