"""A source of tweets in memory: an account with so many posts, given page by page, and what it was asked."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bot.tweets.source import Page, Profile, Tweet

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def posts(count: int, *, first: int = 1) -> list[Tweet]:
    """Newest first, with ids that grow; every tenth is a retweet."""
    numbers = range(first + count - 1, first - 1, -1)
    return [Tweet(f"Post {n} of many.", str(1000 + n), BEGAN + timedelta(hours=n), is_retweet=n % 10 == 0) for n in numbers]


@dataclass
class FakeSource:
    """A `Source`."""

    posts: list[Tweet]
    depth: int = 3200
    size: int = 10
    """Posts on a page."""
    profile_posts: int | None = None
    real_name: str | None = None
    """What the source calls the account, where that is not what it was asked for."""
    asked: list[tuple[str | None, str | None]] = field(default_factory=list)
    """Cursor and since of each page."""
    looked_up: int = 0
    closed: int = 0
    fails: dict[int, BaseException] = field(default_factory=dict)
    """What happens instead of the answer, by the number of the request; each once."""
    before: Callable[[], None] = lambda: None
    """Called at each request."""
    requests: int = 0

    async def profile(self, handle: str) -> Profile:
        self._request()
        self.looked_up += 1
        return Profile(self.real_name or handle, "Grey Heron", "77", "https://pbs.twimg.com/heron.jpg", self.profile_posts)

    async def page(self, profile: Profile, *, cursor: str | None = None, since: str | None = None) -> Page:
        assert profile.id == "77"
        self._request()
        self.asked.append((cursor, since))
        there = [tweet for tweet in self.posts if since is None or int(tweet.id or 0) > int(since)]
        begin = int(cursor or 0)
        page = there[begin : begin + self.size]
        following = begin + self.size
        return Page(tuple(page), str(following) if following < len(there) else None, len(page))

    async def close(self) -> None:
        self.closed += 1

    def _request(self) -> None:
        self.before()
        self.requests += 1
        if (failure := self.fails.pop(self.requests, None)) is not None:
            raise failure
