"""What every source of tweets yields: a profile and the tweets, raw as they were written."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Profile:
    """Who the tweets are from, as far as the source says."""

    handle: str | None = None
    """Account name without @, or None where the source does not say."""
    name: str | None = None
    """Display name."""
    id: str | None = None
    """What the source itself calls the account, and keeps when the handle changes."""
    avatar_url: str | None = None
    """The account's picture, at the source."""
    posts: int | None = None
    """How many it has written, as the source counts."""
    note: str | None = None
    """A sentence that people should read, where the source is not all that it says it is."""


@dataclass(frozen=True)
class Tweet:
    """One tweet as it stands in the source: HTML entities, t.co links and line breaks kept."""

    text: str
    id: str | None = None
    created_at: datetime | None = None
    """UTC."""
    is_retweet: bool = False
    """Somebody else's words."""
    truncated: bool = False
    """The source says that the API cut it short."""
    whole: bool = False
    """The source cuts nothing: a … at the end is the writer's own."""


@dataclass(frozen=True)
class Page:
    """What one request for tweets gave."""

    tweets: tuple[Tweet, ...]
    """Newest first; the person's own and, flagged, their retweets."""
    cursor: str | None
    """Where the next page begins; None after the last. A short page, or an empty one, is not the last."""
    read: int
    """Posts that the source sent, and may charge for."""


class Source(Protocol):
    """An account's posts, page by page, so that each page is safe on the disk before the next is asked for."""

    depth: int
    """The source gives no more than its newest so many."""

    async def profile(self, handle: str) -> Profile:
        """Look the account up.

        Raises:
            SourceError: it cannot be had, or not now (`NotNow`).
        """

    async def page(self, profile: Profile, *, cursor: str | None = None, since: str | None = None) -> Page:
        """One page of the account's posts, those newer than the post with the id `since` only.

        Raises:
            SourceError: as `profile`.
        """

    async def close(self) -> None:
        """Give connections back."""
