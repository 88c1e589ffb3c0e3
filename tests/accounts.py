"""A desk that reads accounts: from which source, what each attempt was given, and what was paid."""

import json
from pathlib import Path
from typing import Any

from bot.tweets.files import read_source
from bot.tweets.source import Tweet
from storage.jobs import Job
from storage.spending import SpendingStore
from tests.desk import Desk
from tests.fake_source import FakeSource, posts

PRICE = 0.005


def with_source(one: Desk, count: int = 35, name: str = "x", **more: Any) -> FakeSource:
    one.sources[name] = source = FakeSource(posts(count), **more)
    return source


def learned_from(one: Desk, number: int = -1) -> list[str | None]:
    """Ids of the tweets that an attempt was given; only while its files are there."""
    return [tweet.id for tweet in read_source(Path(one.executor.started[number].sources[0].path))[1]]


def keep_files(one: Desk) -> list[list[str | None]]:
    """Ids that each attempt was given, noted when it starts."""
    given: list[list[str | None]] = []
    start = one.executor.start

    async def noting(attempt: Any) -> None:
        await start(attempt)
        given.append(learned_from(one))

    one.executor.start = noting  # type: ignore[method-assign]
    return given


def pages_in(home: Path) -> list[int]:
    """Lines of each journal, of which the first is the account's."""
    return [path.read_bytes().count(b"\n") for path in home.glob("uploads/*/*.pages")]


async def spent(one: Desk) -> tuple[int, int, float]:
    month = await SpendingStore(one.database).of("2026-03")
    return month.posts, month.users, round(month.usd, 6)


def paid(posts: int, accounts: int = 1) -> tuple[int, int, float]:
    return posts, accounts, round(posts * PRICE + accounts * 0.01, 6)


async def fetched(one: Desk, *handles: str, source: str = "x") -> Job:
    queued = await one.ask_source(source, handles or ("heron",))
    return await one.runner.run_one(queued.job.id)


def corpus_of(one: Desk, tweets: list[Tweet], number: int = 1) -> None:
    """What the worker would have kept; the fake one keeps something else."""
    lines = [{"text": tweet.text, "id": tweet.id, "author_handle": "heron"} for tweet in tweets]
    (one.home / "corpora" / f"{number}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
