"""Who is forgotten, and what was found of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Target:
    """Who is forgotten: an account, or a Discord user."""

    handle: str | None = None
    user_id: int | None = None
    guild_id: int | None = None
    """An account in this server only; None = wherever it is."""


@dataclass(frozen=True)
class Named:
    """Whom a database names, and what it knows to be forgotten."""

    handles: frozenset[str]
    users: frozenset[int]
    erasures: frozenset[tuple[str, str]]
    """Digest and time of each."""


@dataclass
class Found:
    """What was found and deleted, and what goes with it on the disk and at Discord."""

    characters: int = 0
    retired: int = 0
    """Mash-ups that stay under their other accounts, silent and without a model."""
    schedules: int = 0
    posts: int = 0
    on_their_way: int = 0
    """Of the posts, those whose message nobody knows yet."""
    consents: int = 0
    requests: int = 0
    reports: int = 0
    models: set[tuple[int, int]] = field(default_factory=set)
    """Character and version."""
    corpora: set[int] = field(default_factory=set)
    jobs: set[int] = field(default_factory=set)
    uploads: set[str] = field(default_factory=set)
    """Names of folders."""
    messages: set[tuple[int, int, int | None]] = field(default_factory=set)
    """Channel, message, and the person to whom alone it went."""

    @property
    def numbers(self) -> dict[str, int]:
        """How many of each, without a name."""
        return {name: len(value) if isinstance(value, set) else value for name, value in vars(self).items()}

    def add(self, other: "Found") -> None:
        """Take over what another pass has found."""
        for name, value in vars(other).items():
            mine = getattr(self, name)
            setattr(self, name, mine | value if isinstance(mine, set) else mine + value)


def to_todo(found: Found) -> dict[str, list[Any]]:
    """What lies on the disk, as JSON: numbers, and names that are none of a person."""
    return {name: sorted(getattr(found, name)) for name in ("models", "corpora", "jobs", "uploads")}


def from_todo(todo: Mapping[str, list[Any]]) -> Found:
    """What `to_todo` made."""
    return Found(
        models={(character, version) for character, version in todo.get("models", ())},
        corpora=set(todo.get("corpora", ())),
        jobs=set(todo.get("jobs", ())),
        uploads=set(todo.get("uploads", ())),
    )
