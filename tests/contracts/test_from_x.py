"""From X's servers into a job's file: the fetcher, the source, tweepy and the network are the real ones, the servers are not."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest

from bot.fetching import FIRST_WAIT, MARGIN
from bot.tweets.files import read_source
from bot.tweets.source import Source, Tweet
from bot.tweets.web import Patience
from storage.spending import SpendingStore
from tests.clock import ManualClock
from tests.contracts.sources.stub import Asked, Reply, Stub, running
from tests.contracts.sources.world import Account, Post
from tests.contracts.sources.x import XCase, XWorld, post_id
from tests.desk import NOON, Desk, at_work, desk

POSTS = [Post(number, f"Post {number} of the heron.", repost=number % 7 == 0) for number in range(3300, 0, -1)]


class Anew(dict[str, Source]):
    """A new source whenever one is asked for, as `make_source` gives."""

    def __init__(self, one: Desk, case: XCase, stub: Stub) -> None:
        super().__init__()
        self._one, self._case, self._stub = one, case, stub

    def __getitem__(self, name: str) -> Source:
        assert name == "x"
        return self._case.source(self._stub.connector(), clock=self._one.clock, patience=Patience(pause=AsyncMock()))


def keep_tweets(one: Desk) -> list[list[Tweet]]:
    """What each attempt was given to read, noted when it starts."""
    given: list[list[Tweet]] = []
    start = one.executor.start

    async def noting(attempt: Any) -> None:
        await start(attempt)
        given.append(list(read_source(Path(one.executor.started[-1].sources[0].path))[1]))

    one.executor.start = noting  # type: ignore[method-assign]
    return given


class Moody(XWorld):
    """Answers some requests, by their number, as it likes."""

    def __init__(self, moods: dict[int, Reply]) -> None:
        super().__init__()
        self._moods, self._asked = moods, 0

    def answer(self, asked: Asked) -> Reply:
        self._asked += 1
        return self._moods.pop(self._asked, None) or super().answer(asked)


@pytest.mark.fault(22)
async def test_the_newest_3200_posts_arrive_once_and_are_paid_for_once(tmp_path: Path) -> None:
    """Limits, cut connections and a restart on the way cost nothing: each of the newest 3,200 posts arrives once and is paid for once."""
    case = XCase()
    first, second = NOON + timedelta(minutes=2), NOON + timedelta(minutes=11)
    case.world = Moody(
        {
            1: case.limited(first),
            12: Reply({"data": []}, wire="cut"),
            13: Reply("<h1>503</h1>", 503),
            20: Reply(wire="hung up"),
            25: case.limited(second),
            30: Reply("<html>Log in</html>"),
        }
    )
    case.world.accounts["heron"] = Account("heron", posts=list(POSTS))
    case.world.pages = (100, 37, 0, 100, 2, 100)
    async with running(case.world) as stub:
        async with desk(tmp_path) as one:
            one.sources = Anew(one, case, stub)
            job = (await one.ask_source()).job
            async with at_work(one):
                assert (await one.reaches(job.id, "waiting")).retry_at == first + MARGIN
                one.clock.advance(minutes=3)
                one.queue.wake.set()
                while (waiting := await one.reaches(job.id, "waiting")).retry_at == first + MARGIN:
                    await asyncio.sleep(0.01)
                assert waiting.retry_at == second + MARGIN
        async with desk(tmp_path, clock=ManualClock(second + FIRST_WAIT)) as two:
            two.sources, given = Anew(two, case, stub), keep_tweets(two)
            await two.runner.recover()
            async with at_work(two):
                two.queue.wake.set()
                waiting = await two.reaches(job.id, "waiting", "succeeded")
                while waiting.retry_at == second + MARGIN:
                    waiting = await two.reaches(job.id, "waiting", "succeeded")
                    await asyncio.sleep(0.01)
                assert waiting.retry_at == two.clock.now() + FIRST_WAIT, "a web page is no answer, and no time"
                two.clock.advance(minutes=2)
                two.queue.wake.set()
                await two.reaches(job.id, "succeeded")
            month = await SpendingStore(two.database).of("2026-03")
    (tweets,) = given
    assert [tweet.id for tweet in tweets] == [str(post_id(post)) for post in POSTS[:3200]]
    assert sum(tweet.is_retweet for tweet in tweets) == sum(post.repost for post in POSTS[:3200])
    assert (month.posts, month.users) == (3200, 1)
