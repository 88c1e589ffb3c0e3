"""Enough text, a split that stays, and a file that says the same when it is read again."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import TooLittleText
from bot.tweets.cleaning import Counts, Kept
from bot.tweets.dataset import (
    MOST_AHEAD,
    MOST_HELDOUT,
    MOST_REPEATS,
    Dataset,
    check_enough,
    check_size,
    mix,
    newest,
    read_dataset,
    size_note,
    split,
    write_dataset,
)


def counts(characters: int, taught: int, *, downloaded: int = 500, duplicates: int = 7) -> Counts:
    kept = taught + duplicates
    return Counts(downloaded, 0, downloaded - kept, kept, duplicates, 0, characters)


def kept(number: int) -> list[Kept]:
    return [Kept(f"tweet number {n} about the pond", cut=n % 7 == 0) for n in range(number)]


@pytest.mark.parametrize(
    ("characters", "taught", "said"),
    [
        (
            5_999,
            60,
            "5,999 characters in 60 of 500 tweets can be learnt from, and training needs 6,000: add 1, which is about 1 more",
        ),
        (3_000, 30, "needs 6,000: add 3,000, which is about 30 more such tweets."),
        (0, 0, "Only 0 characters in 0 of 500 tweets can be learnt from, and training needs 6,000: add 6,000, which is about 60 more"),
    ],
)
def test_too_little_text(characters: int, taught: int, said: str) -> None:
    with pytest.raises(TooLittleText, match=said):
        check_size(counts(characters, taught))


def test_little_text_is_a_warning() -> None:
    assert check_size(counts(40_000, 400)) is None
    for characters in (6_000, 39_999):
        warning = check_size(counts(characters, 400))
        assert warning is not None
        assert f"Only {characters:,} characters in 400 of 500 tweets" in warning


@pytest.mark.parametrize(("number", "heldout"), [(0, 0), (1, 0), (2, 1), (5, 1), (30, 3), (1000, 100)])
def test_size_of_the_heldout_part(number: int, heldout: int) -> None:
    made = split(kept(number), seed=1)
    assert (len(made.train), len(made.heldout)) == (number - heldout, heldout)


def test_split_follows_from_seed_and_text_alone() -> None:
    texts = kept(200)
    made = split(texts, seed=1)
    assert made == split(texts, seed=1)
    assert {one.text for one in split(texts[::-1], seed=1).heldout} == {one.text for one in made.heldout}
    assert {one.text for one in split(texts, seed=2).heldout} != {one.text for one in made.heldout}
    assert len({made.sha256, split(texts, seed=2).sha256, split(texts[1:], seed=1).sha256}) == 3


def test_one_tweet_more_moves_one_at_most() -> None:
    before = {one.text for one in split(kept(200), seed=1).heldout}
    after = {one.text for one in split(kept(201), seed=1).heldout}
    assert len(before - after) <= 1


@given(st.lists(st.builds(Kept, text=st.text("aAbB ", max_size=3), cut=st.booleans()), max_size=40), st.integers())
def test_no_text_on_both_sides(texts: list[Kept], seed: int) -> None:
    made = split(texts, seed=seed)
    assert not {one.text.casefold() for one in made.train} & {one.text.casefold() for one in made.heldout}
    assert sorted(map(repr, made.train + made.heldout)) == sorted(map(repr, texts))
    if texts:
        assert made.train


@given(st.lists(st.builds(Kept, text=st.text(max_size=20), cut=st.booleans()), unique_by=lambda one: one.text.casefold(), max_size=20))
def test_file_says_the_same(tmp_path_factory: pytest.TempPathFactory, texts: list[Kept]) -> None:
    path = tmp_path_factory.mktemp("dataset") / "dataset.jsonl"
    made = split(texts, seed=3)
    write_dataset(path, made)
    assert read_dataset(path) == made


def test_lines_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "dataset.jsonl"
    write_dataset(path, Dataset((Kept("für immer", cut=True),), (Kept("b"),), "unused"))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert "für" in lines[0]
    assert [json.loads(line) for line in lines] == [
        {"text": "für immer", "cut": True, "heldout": False},
        {"text": "b", "cut": False, "heldout": True},
    ]


def test_of_more_than_are_taught_at_once_the_newest_are() -> None:
    day = datetime(2024, 5, 1, tzinfo=UTC)
    dated = [Kept(f"day {n} at the pond", cut=False, created_at=day + timedelta(days=n)) for n in (3, 9, 1, 7, 5)]
    assert [one.text for one in newest(dated, 3)] == ["day 9 at the pond", "day 7 at the pond", "day 5 at the pond"]
    undated = [Kept(one.text, cut=False) for one in dated]
    assert newest(undated, 2) == tuple(undated[:2])
    assert newest(dated, 5) == tuple(dated)
    assert size_note(5, 5) is None
    assert size_note(12_000, 10_000) == "12,000 tweets are more than are taught at once: the newest 10,000 are."


def test_no_more_are_held_out_than_tell_the_loss() -> None:
    assert len(split(kept(MOST_HELDOUT * 10 + 2000), seed=1).heldout) == MOST_HELDOUT


def account(who: str, number: int, length: int) -> list[Kept]:
    return [Kept(f"{who} says {n} ".ljust(length, "x")) for n in range(number)]


@pytest.mark.parametrize(
    ("sizes", "repeats"),
    [
        ([100], (1,)),
        ([100, 100], (1, 1)),
        ([3_000, 3_000], (1, 1)),
        ([100, 60], (1, 2)),
        ([40, 100], (2, 1)),
        ([5_000, 20], (1, 2)),
        ([90, 300, 30], (1, 1, 2)),
    ],
)
def test_a_small_account_is_heard_and_not_learnt_by_heart(sizes: list[int], repeats: tuple[int, ...]) -> None:
    mixed = mix([account(f"who{n}", size, 100) for n, size in enumerate(sizes)], seed=3)
    assert mixed.repeats == repeats
    assert max(mixed.repeats) <= MOST_REPEATS
    assert mixed.most == MOST_AHEAD * MOST_REPEATS * min(sizes)
    for number, times in enumerate(repeats):
        own = [one for one in mixed.dataset.epoch if one.text.startswith(f"who{number} ")]
        assert len(own) == times * len(set(own))
        heldout = [one for one in mixed.dataset.heldout if one.text.startswith(f"who{number} ")]
        assert len(heldout) == min(MOST_HELDOUT // len(sizes), round(min(sizes[number], mixed.most) * 0.1))
    assert not {one.text for one in mixed.dataset.epoch} & {one.text for one in mixed.dataset.heldout}


def test_tweets_are_balanced_and_not_characters() -> None:
    """A text begins as one of theirs as often as its tweets are taught, however long they are."""
    assert mix([account("wren", 100, 40), account("finch", 50, 80)], seed=1).repeats == (1, 2)


def test_of_a_large_account_the_newest_texts_are_heard_beside_a_small_one() -> None:
    day = datetime(2024, 5, 1, tzinfo=UTC)
    large = [Kept(f"day {n} at the pond", created_at=day + timedelta(days=n)) for n in range(500)]
    mixed = mix([large, account("finch", 20, 50)], seed=1)
    assert mixed.most == 80
    texts = {one.text for one in (*mixed.dataset.train, *mixed.dataset.heldout) if one.text.startswith("day")}
    assert texts == {f"day {n} at the pond" for n in range(420, 500)}


def test_what_two_accounts_say_stands_on_one_side_once() -> None:
    same = [Kept(f"we both said {n}") for n in range(50)]
    made = mix([same, [Kept(one.text.upper()) for one in same] + account("finch", 50, 20)], seed=1).dataset
    texts = [one.text.casefold() for one in (*made.train, *made.heldout)]
    assert len(texts) == len(set(texts)) == 100


def test_one_account_alone_is_as_it_was() -> None:
    assert mix([kept(200)], seed=4).dataset == split(kept(200), seed=4)


def test_repeats_are_in_the_file(tmp_path: Path) -> None:
    made = mix([account("wren", 100, 50), account("finch", 40, 50)], seed=1).dataset
    write_dataset(tmp_path / "dataset.jsonl", made)
    assert read_dataset(tmp_path / "dataset.jsonl") == made
    assert len(made.epoch) == 90 + 36 * 2


def test_of_several_accounts_the_small_one_is_named() -> None:
    with pytest.raises(TooLittleText, match="tweets of @finch can be learnt from, and training needs 6,000: add 1"):
        check_enough(counts(5_999, 60), "finch")
