"""What every source of tweets yields: a profile and the tweets, raw as they were written."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Profile:
    """Who the tweets are from, as far as the source says."""

    handle: str | None = None
    """Account name without @, or None where the source does not say."""
    name: str | None = None
    """Display name."""


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
