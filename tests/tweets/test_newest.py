"""What is kept while many things pass by, and what is remembered of them."""

import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.tweets.cleaning import clean
from bot.tweets.newest import Newest
from bot.tweets.seen import Seen
from bot.tweets.source import Tweet

MOMENTS = st.integers(0, 20).map(lambda hours: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hours))


@pytest.fixture
def memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@given(st.lists(MOMENTS, max_size=30), st.integers(1, 10))
def test_the_newest_in_the_order_in_which_they_came(moments: list[datetime], most: int) -> None:
    newest: Newest[int] = Newest(most)
    for number, moment in enumerate(moments):
        newest.add(number, moment)
    latest = sorted(range(len(moments)), key=lambda number: (moments[number], -number), reverse=True)[:most]
    assert list(newest.chosen()) == sorted(latest)


@given(st.lists(st.none() | MOMENTS, max_size=30).filter(lambda moments: None in moments), st.integers(1, 10))
def test_where_a_time_is_missing_the_first(moments: list[datetime | None], most: int) -> None:
    newest: Newest[int] = Newest(most)
    for number, moment in enumerate(moments):
        newest.add(number, moment)
    assert list(newest.chosen()) == list(range(len(moments)))[:most]


@given(st.lists(st.tuples(MOMENTS, st.integers(0, 9)), max_size=30), st.integers(1, 10), st.integers(9, 40))
def test_fewer_are_kept_where_they_are_large(items: list[tuple[datetime, int]], most: int, room: int) -> None:
    newest: Newest[int] = Newest(most, room=room)
    for number, (moment, size) in enumerate(items):
        newest.add(number, moment, size=size)
    latest = sorted(range(len(items)), key=lambda number: (items[number][0], -number), reverse=True)
    kept = list(newest.chosen())
    assert kept == sorted(latest[: len(kept)])
    assert sum(items[number][1] for number in kept) <= room
    assert len(kept) <= most


def test_where_a_time_is_missing_the_first_have_the_room() -> None:
    newest: Newest[int] = Newest(10, room=10)
    for number, size in enumerate((6, 3, 5, 1)):
        newest.add(number, None, size=size)
    assert newest.chosen() == (0, 1)


@given(st.lists(st.text("aAbBß", max_size=3), max_size=60))
def test_what_was_seen_before(texts: list[str]) -> None:
    seen, known = Seen(), set()
    for text in texts:
        assert seen.add(text) == (text.casefold() not in known)
        known.add(text.casefold())
    assert len(seen) == len(known)


def test_many_are_remembered() -> None:
    seen = Seen()
    assert all(seen.add(f"text {n}") for n in range(50_000))
    assert not any(seen.add(f"TEXT {n}") for n in range(50_000))
    assert len(seen) == 50_000


def test_all_are_counted_though_the_newest_alone_are_taught() -> None:
    def tweets() -> list[Tweet]:
        start = datetime(2024, 1, 1, tzinfo=UTC)
        return [Tweet(f"day {n % 90} at the pond", created_at=start + timedelta(days=n)) for n in range(100)]

    every, few = clean(tweets()), clean(tweets(), most=7)
    assert few.counts == every.counts
    assert (few.first_at, few.last_at) == (every.first_at, every.last_at)
    assert [one.text for one in few.kept] == [f"day {n} at the pond" for n in range(83, 90)]


def test_of_very_long_posts_fewer_are_taught_and_all_counted(memory: None) -> None:
    """Ten thousand of the longest would take gigabytes."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    tweets = (Tweet(f"{n} {'the pond is cold ' * 1_700}", created_at=start - timedelta(minutes=n)) for n in range(350))
    cleaned = clean(tweets, most=1_000)
    assert (cleaned.counts.kept, len(cleaned.kept)) == (350, 600_000 // 28_903)
    assert cleaned.kept[0].text.startswith("0 the pond")
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
