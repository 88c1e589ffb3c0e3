"""What has been fetched of an account: whole pages, whatever is cut off, and in the end one file with each tweet once."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.tweets.files import read_source
from bot.tweets.journal import Journal
from bot.tweets.source import Page, Profile, Tweet
from tests.fake_source import posts

HERON = Profile("Heron", "Grey Heron", "77", "https://example.org/heron.jpg", 30)


def begun(folder: Path, since: str | None = None) -> Journal:
    journal = Journal(folder / "x-heron.jsonl", "heron")
    journal.begin(HERON, since)
    return journal


def again(folder: Path) -> Journal:
    return Journal(folder / "x-heron.jsonl", "heron")


def state(journal: Journal) -> tuple[Any, ...]:
    return journal.profile, journal.since, journal.pages, journal.cursor, journal.ended, journal.note, journal.tries


def test_what_was_added_is_there_again(tmp_path: Path) -> None:
    assert not again(tmp_path).exists
    journal = begun(tmp_path, since="5")
    for page in (Page(tuple(posts(3)), "next", 3), Page((), "more", 0), Page(tuple(posts(2, first=9)), None, 4)):
        assert not journal.ended
        journal.add(page)
        assert state(again(tmp_path)) == state(journal)
    assert (journal.profile, journal.since, journal.pages, journal.read, journal.ended) == (HERON, "5", [3, 0, 4], 7, True)


def test_the_file_is_what_the_reader_reads(tmp_path: Path) -> None:
    odd = Tweet("Ein Satz\u2028mit \U0001f980 & einem \x00Zeichen", id="4001", truncated=True)
    journal = begun(tmp_path)
    journal.add(Page((odd, *posts(2)), None, 3))
    assert journal.write() == 3
    profile, tweets = read_source(tmp_path / "x-heron.jsonl")
    assert (profile.handle, profile.name) == ("heron", "Grey Heron")
    assert list(tweets) == [odd, *posts(2)]
    journal.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["x-heron.jsonl"]


@given(st.data())
def test_wherever_a_crash_cuts_it_off_what_is_whole_stays_and_it_goes_on(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    journal = begun(folder)
    for number in range(3):
        journal.add(Page(tuple(posts(2, first=10 * number)), str(number), 2))
    written = folder / "x-heron.jsonl.pages"
    whole = written.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    written.write_bytes(whole[:cut])
    left = again(folder)
    lines = whole[:cut].count(b"\n")
    assert (left.profile is not None, len(left.pages)) == (lines > 0, max(0, lines - 1))
    if not lines:
        left.begin(HERON, None)
    left.add(Page(tuple(posts(1, first=99)), None, 1))
    assert state(again(folder)) == state(left)
    assert left.write() == 2 * max(0, lines - 1) + 1


def test_each_tweet_once_with_those_that_were_known(tmp_path: Path) -> None:
    corpus = tmp_path / "7.jsonl"
    known = [*posts(4), Tweet("Of a file without ids.")]
    lines = [vars(replace(tweet, created_at=None)) | {"author_handle": "heron"} for tweet in known]
    corpus.write_text("".join(json.dumps(line) + "\n" for line in [*lines, {"text": "Mine.", "id": "9999", "author_handle": "wren"}]))
    journal = again(tmp_path)
    assert journal.keep_known(corpus, digits=True) == (5, "1004")
    journal.begin(HERON, "1004")
    journal.add(Page(tuple(posts(3, first=4)), "2", 3))
    journal.add(Page(tuple(posts(1, first=4)), None, 1))
    assert journal.write() == 7
    _, tweets = read_source(tmp_path / "x-heron.jsonl")
    assert [tweet.id for tweet in tweets] == ["1006", "1005", "1004", "1003", "1002", "1001", None]


@pytest.mark.parametrize(("digits", "newest"), [(True, "12000"), (False, "3l7zzz")])
def test_the_newest_known_is_one_of_the_sources_own_kind(tmp_path: Path, digits: bool, newest: str) -> None:
    corpus = tmp_path / "7.jsonl"
    corpus.write_text("".join(json.dumps({"text": "x", "id": number}) + "\n" for number in ("999", "12000", "3l7aaa", "3l7zzz", None)))
    assert again(tmp_path).keep_known(corpus, digits=digits) == (5, newest)


def test_being_put_off_is_counted_until_a_page_comes(tmp_path: Path) -> None:
    journal = again(tmp_path)
    journal.put_off()
    journal.put_off()
    assert (again(tmp_path).tries, again(tmp_path).profile) == (2, None)
    journal.begin(HERON, None)
    assert again(tmp_path).tries == 0
    journal.put_off()
    journal.add(Page((), "1", 0))
    assert again(tmp_path).tries == 0
    journal.cut_short("No more.")
    assert (again(tmp_path).ended, again(tmp_path).note) == (True, "No more.")
