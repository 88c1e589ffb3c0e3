"""A source that leads in a circle is neither read nor paid for without end, and nothing that it gave on the way is lost."""

from pathlib import Path

import pytest

from bot.executor.contract import Attempt
from bot.tweets.files import read_source
from bot.tweets.source import Page, Profile
from storage.spending import SpendingStore
from tests.desk import desk
from tests.fake_source import FakeSource, posts


class Scripted(FakeSource):
    """Gives these parts of its posts, ten each, one after the other and then the last one for ever; each leads to the cursor beside it."""

    def __init__(self, *pages: tuple[int, str]) -> None:
        super().__init__(posts(100))
        self.pages = pages

    async def page(self, profile: Profile, *, cursor: str | None = None, since: str | None = None) -> Page:  # noqa: ARG002  # a source's form
        self.asked.append((cursor, since))
        begin, following = self.pages[min(len(self.asked), len(self.pages)) - 1]
        return Page(tuple(self.posts[begin : begin + 10]), following.format(len(self.asked)), 10)


@pytest.mark.parametrize(
    ("pages", "requests", "kept"),
    [
        ([(0, "a"), (10, "b"), (0, "a")], 3, 20),
        ([(0, "a"), (10, "b"), (20, "c"), (0, "a")], 4, 30),
        ([(0, "fresh {}")], 3, 10),
        ([(0, "fresh {}"), (10, "fresh {}"), (5, "fresh {}")], 4, 20),
        ([(0, "fresh {}"), (0, "fresh {}"), (10, "fresh {}"), (20, "fresh {}")], 6, 30),
    ],
)
async def test_a_circle_ends_where_it_closes(tmp_path: Path, pages: list[tuple[int, str]], requests: int, kept: int) -> None:
    async with desk(tmp_path) as one:
        one.sources["x"] = source = Scripted(*pages)
        given: list[list[str | None]] = []
        start = one.executor.start

        async def noting(attempt: Attempt) -> None:
            await start(attempt)
            given.append([tweet.id for tweet in read_source(Path(one.executor.started[-1].sources[0].path))[1]])

        one.executor.start = noting  # type: ignore[method-assign]
        queued = await one.ask_source("x", ("heron",))
        assert (await one.runner.run_one(queued.job.id)).state == "succeeded"
        assert len(source.asked) == requests
        assert (await SpendingStore(one.database).of("2026-03")).posts == 10 * requests
    assert given == [[tweet.id for tweet in source.posts[:kept]]]
