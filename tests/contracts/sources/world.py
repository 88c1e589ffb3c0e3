"""What stands behind every stub server: accounts and their posts, told in no source's own form; and what the suite needs of each source."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

import aiohttp

from bot.clock import Clock
from bot.tweets.source import Source
from bot.tweets.web import Patience
from tests.contracts.sources.stub import Reply, Service

BEGIN = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Post:
    """One post. A source names it by whatever it makes of `number`; a larger number is newer."""

    number: int
    text: str
    """As a person sees it: no markup of a source."""
    repost: bool = False
    """Somebody else's, shown on."""

    @property
    def at(self) -> datetime:
        return BEGIN + timedelta(minutes=self.number)


@dataclass
class Account:
    """One account."""

    handle: str
    name: str = "Grey Heron"
    posts: list[Post] = field(default_factory=list)
    """The newest first."""
    state: Literal["open", "protected", "suspended", "declined"] = "open"
    """Declined: it has said in the source's own way that no AI may learn from it."""
    appears: int | None = None
    """From which page on the state holds, counted in requests for posts; None: at once."""


class World(Service, Protocol):
    """A service with accounts in it."""

    accounts: dict[str, Account]
    """By handle."""
    pages: Sequence[int]
    """How many posts each page holds, in order; the last number holds for all that follow. 0 is an empty page which is not the last."""


class Case(Protocol):
    """One source, for the suite that all pass."""

    name: str
    """What sentences call it."""

    @property
    def world(self) -> World: ...

    handle: str
    """An account that may be added to the world."""
    states: frozenset[str]
    """Those of `Account.state` that it tells apart."""

    def source(self, connector: aiohttp.BaseConnector, *, clock: Clock, patience: Patience) -> Source:
        """A new one, as a bot that has just started has it."""

    def limited(self, until: datetime | None) -> Reply:
        """How its server says that there were too many requests, with or without the moment at which that ends."""
