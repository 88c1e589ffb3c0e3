"""From a source into a job's file: what is read of an account, how far, and what is refused."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot import fetching
from bot.errors import NoAccess, Protected, SourceError, Spent
from storage.characters import CharacterStore
from storage.corpora import CorpusStore
from storage.models import ModelStore
from tests.accounts import corpus_of, fetched, keep_files, pages_in, paid, spent, with_source
from tests.desk import Desk, desk
from tests.fake_source import FakeSource, posts


async def test_an_account_is_fetched_newest_first_and_learned_from(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        source, given = with_source(one), keep_files(one)
        job = await fetched(one)
        assert job.state == "succeeded"
        assert given == [[str(1000 + n) for n in range(35, 0, -1)]]
        assert source.asked == [(None, None), ("10", None), ("20", None), ("30", None)]
        assert (source.looked_up, source.closed) == (1, 1)
        assert [progress.stage for _, progress in one.told if progress][:4] == ["fetching"] * 4
        fractions = [progress.fraction for _, progress in one.told if progress]
        assert fractions == sorted(fractions)
        assert fractions[3] <= 0.05
        assert await spent(one) == paid(35)
        (spec,) = one.executor.started
        assert (spec.sources[0].handle, spec.sources[0].file_name) == ("heron", "@heron on X")
        (character,) = await CharacterStore(one.database).list_all()
        assert (character.handles, character.avatar_url) == (("heron",), "https://pbs.twimg.com/heron.jpg")
        corpus = await CorpusStore(one.database).get(1)
        assert corpus is not None
        assert corpus.file_name == "@heron on X"
        assert not any(name.startswith(("uploads/", "jobs/")) for name in one.files())


async def test_each_page_is_safe_on_the_disk_before_the_next_is_asked_for(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        source = with_source(one)
        held: list[int] = []

        def look() -> None:
            held.append(sum(pages_in(tmp_path)))

        source.before = look
        await fetched(one)
        assert held == [0, 1, 2, 3, 4]


async def test_no_more_is_read_than_the_source_gives(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        source = with_source(one, 100, depth=25)
        await fetched(one)
        assert source.asked == [(None, None), ("10", None), ("20", None)]


async def test_a_source_that_turns_in_circles_comes_to_an_end(tmp_path: Path) -> None:
    class Circle(FakeSource):
        async def page(self, *arguments: Any, **more: Any) -> Any:
            page = await super().page(*arguments, **more)
            return type(page)(page.tweets if len(self.asked) == 1 else (), str(len(self.asked)), 10 if len(self.asked) == 1 else 0)

    async with desk(tmp_path) as one:
        one.sources["x"] = source = Circle(posts(10))
        assert (await fetched(one)).state == "succeeded"
        assert len(source.asked) == 1 + fetching.EMPTY


async def test_a_source_that_gives_the_same_page_again_and_again_is_asked_for_it_once_more_at_most(tmp_path: Path) -> None:
    class Stuck(FakeSource):
        async def page(self, *arguments: Any, **more: Any) -> Any:
            return replace(await super().page(*arguments, **more), cursor="10")

    async with desk(tmp_path) as one:
        one.sources["x"] = source = Stuck(posts(100))
        assert (await fetched(one)).state == "succeeded"
        assert source.asked == [(None, None), ("10", None)]


async def test_what_costs_nothing_is_not_counted(tmp_path: Path) -> None:
    async with desk(tmp_path, x_monthly_budget=0) as one:
        with_source(one, name="bluesky")
        assert (await fetched(one, source="bluesky")).state == "succeeded"
        assert await spent(one) == (0, 0, 0.0)


@pytest.mark.parametrize("error", [Protected("@heron is protected."), NoAccess("X refuses the token."), Spent("X has no credit left.")])
async def test_a_refusal_is_final_and_its_sentence_is_told(tmp_path: Path, error: SourceError) -> None:
    async with desk(tmp_path) as one:
        with_source(one).fails = {1: error}
        job = await fetched(one)
        assert (job.state, job.reason, job.attempt) == ("failed", str(error), 1)
        assert one.executor.started == []
        assert one.files() == set()
        assert await spent(one) == (0, 0, 0.0)


async def test_what_nobody_expected_fails_the_attempt_and_goes_on_where_it_was(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        source = with_source(one)
        source.fails = {3: KeyError("data")}
        job = await fetched(one)
        assert (job.state, job.attempt, job.charged) == ("succeeded", 2, 1)
        assert (source.looked_up, len(source.asked)) == (1, 4)


async def test_an_account_without_posts_is_told_in_one_sentence(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        with_source(one, 0)
        job = await fetched(one)
        assert (job.state, job.reason) == ("failed", "@heron on X has no posts that can be read, so there is nothing to learn from.")
        assert one.files() == set()


async def test_a_full_disk_is_noticed_before_anything_is_paid_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with desk(tmp_path) as one:
        source = with_source(one)
        job = (await one.ask_source()).job
        monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": fetching.ROOM - 1}))
        waiting = await one.runner.run_one(job.id)
        assert (waiting.state, waiting.charged, source.requests) == ("waiting", 0, 0)
        assert "disk is full" in (waiting.reason or "")


async def test_an_account_that_has_opted_out_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        source = with_source(one)
        job = (await one.ask_source()).job
        await one.opted_out("heron")
        ended = await one.runner.run_one(job.id)
        assert (ended.state, source.requests) == ("failed", 0)
        assert (ended.reason or "").startswith("@heron has opted out")
        assert one.files() == set()


async def test_an_account_that_has_opted_out_under_another_name_is_refused_before_a_post_is_read(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        source = with_source(one, name="bluesky", real_name="Heron.example.org")
        await one.opted_out("Heron.example.org")
        ended = await fetched(one, "heron.bsky.social", source="bluesky")
        assert (ended.state, source.asked) == ("failed", [])
        assert (ended.reason or "").startswith("@Heron.example.org has opted out")
        assert one.files() == set()


# Once more.


async def retrained(one: Desk, first: Callable[[Desk], Any]) -> tuple[FakeSource, list[list[str | None]]]:
    """A character, then its account read at X, which has 60 posts by then."""
    await first(one)
    (character,) = await CharacterStore(one.database).list_all()
    assert await ModelStore(one.database).list(character.id)
    source, given = with_source(one, 60), keep_files(one)
    assert (await fetched(one)).state == "succeeded"
    return source, given


async def test_only_what_is_newer_is_read_and_the_corpus_grows(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        with_source(one, 40)
        await fetched(one)
        corpus_of(one, posts(40))
        source, given = with_source(one, 60, depth=30), keep_files(one)
        await fetched(one)
        assert source.asked == [(None, "1040"), ("10", "1040")]
        assert given == [[str(1000 + n) for n in range(60, 0, -1)]]
        assert len(given[0]) > source.depth
        assert await spent(one) == paid(40 + 20, 2)


@pytest.mark.parametrize(
    ("has", "profile_posts", "asked"),
    [(40, 60, [(None, "1040"), ("10", "1040")]), (40, None, [(None, "1040"), ("10", "1040")]), (5, 60, [(None, None)])],
    ids=["an archive", "nobody knows how many there are", "a few tweets"],
)
async def test_a_file_counts_as_known_when_it_is_most_of_what_there_is(
    tmp_path: Path, has: int, profile_posts: int | None, asked: list[Any]
) -> None:
    async with desk(tmp_path) as one:
        await one.train()
        corpus_of(one, posts(has))
        source, given = with_source(one, 60, profile_posts=profile_posts), keep_files(one)
        await fetched(one)
        assert source.asked[: len(asked)] == asked
        assert given == [[str(1000 + n) for n in range(60, 0, -1)]], "each once, whichever way it came"


async def test_a_corpus_without_ids_is_read_anew(tmp_path: Path) -> None:
    async def first(one: Desk) -> None:
        await one.train()

    async with desk(tmp_path) as one:
        source, given = await retrained(one, first)
        assert source.asked[0] == (None, None)
        assert [len(ids) for ids in given] == [60]


async def test_another_servers_character_is_no_reason_to_read_less(tmp_path: Path) -> None:
    async def first(one: Desk) -> None:
        await one.train(guild_id=0)
        corpus_of(one, posts(40))

    async with desk(tmp_path) as one:
        source, _ = await retrained(one, first)
        assert source.asked[0] == (None, None)


async def test_nothing_new_is_learned_from_what_is_known(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        with_source(one, 40)
        await fetched(one)
        corpus_of(one, posts(40))
        given = keep_files(one)
        assert (await fetched(one)).state == "succeeded"
        assert [len(ids) for ids in given] == [40]
