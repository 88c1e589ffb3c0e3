"""A source without a network: one account with a few pages, and a file that says what was answered."""

import os
from collections import Counter
from pathlib import Path

from bot.tweets.source import Page, Profile, Tweet

PAGES, SIZE = 4, 5
IDS = [str(number) for number in range(PAGES * SIZE, 0, -1)]
"""Of all posts, newest first."""


class ChaosSource:
    """A `Source`."""

    depth = 3200

    def __init__(self, answered: Path) -> None:
        self._answered = answered

    async def profile(self, handle: str) -> Profile:
        self._note("account")
        return Profile(handle, handle.title(), "1", None, PAGES * SIZE)

    async def page(self, profile: Profile, *, cursor: str | None = None, since: str | None = None) -> Page:
        assert profile.id == "1"
        assert since is None
        begin = int(cursor or 0)
        self._note(f"page {begin}")
        tweets = tuple(Tweet(f"Post {number}", number) for number in IDS[begin : begin + SIZE])
        return Page(tweets, str(begin + SIZE) if begin + SIZE < len(IDS) else None, len(tweets))

    async def close(self) -> None:
        return

    def _note(self, what: str) -> None:
        descriptor = os.open(self._answered, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(descriptor, f"{what}\n".encode())
        os.close(descriptor)


def answers(answered: Path) -> Counter[str]:
    """How often each thing was answered."""
    return Counter(answered.read_text().splitlines() if answered.exists() else ())
