"""A server under X's name with answers that a test chooses, and an X that asks it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from unittest.mock import AsyncMock

from bot.tweets.source import Profile
from bot.tweets.web import Patience
from bot.tweets.x import X
from tests.clock import ManualClock
from tests.contracts.sources.stub import Asked, Reply, Stub, running
from tests.contracts.sources.x import PROBLEMS, TOKEN

Json = dict[str, Any]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HERON = Profile(handle="heron", id="783214")
USER: Json = {"id": "783214", "name": "Grey Heron", "username": "heron"}


@dataclass
class Replies:
    """A server that has these answers, one for a profile and one for posts."""

    user: Reply = field(default_factory=lambda: Reply({"data": USER}))
    posts: Reply = field(default_factory=lambda: Reply({"meta": {"result_count": 0}}))
    hosts: tuple[str, ...] = ("api.twitter.com",)

    def answer(self, asked: Asked) -> Reply:
        return self.posts if asked.path.endswith("/tweets") else self.user


@asynccontextmanager
async def at_x(replies: Replies, *, token: str = TOKEN, now: datetime = NOW) -> AsyncIterator[tuple[X, Stub]]:
    async with running(replies) as stub:
        x = X(token, clock=ManualClock(now), connector=stub.connector(), patience=Patience(pause=AsyncMock()))
        yield x, stub
        await x.close()


def problem(title: str = "", detail: str = "", kind: str = "about:blank", **more: object) -> Json:
    return {"title": title, "detail": detail, "type": kind if ":" in kind else PROBLEMS + kind, **more}


def post(number: int, text: str = "Fish.", **more: object) -> Json:
    return {"id": str(number), "text": text, "edit_history_tweet_ids": [str(number)], **more}
