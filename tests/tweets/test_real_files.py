"""Counts on the real files beside the checkout, and that a cut tweet is known in each of their forms."""

import json
import re
import zipfile
from pathlib import Path

import pytest

from bot.tweets.cleaning import Cleaned, clean
from bot.tweets.files import read_source
from bot.tweets.source import Profile

pytestmark = pytest.mark.shared

CUT = {"nasa": 5, "sensanders": 646, "number10gov": 187, "shiikazuo": 0, "sixworderbot": 0, "gobiernodechile": 1112, "everydayhealth": 0}
"""Kept tweets that the files mark as cut."""


def read(path: Path) -> tuple[Profile, Cleaned]:
    profile, tweets = read_source(path)
    return profile, clean(tweets)


@pytest.mark.parametrize("character", CUT)
def test_characters(shared: Path, character: str) -> None:
    folder = shared / "data" / "characters"
    known = json.loads((folder / "STATS.json").read_text())[f"dev/{character}"]
    profile, cleaned = read(folder / f"{character}.jsonl")
    assert profile == Profile(known["handle"], known["name"])
    counts = cleaned.counts
    assert (counts.downloaded, counts.retweets) == (known["downloaded"], known["retweets"])
    assert counts.short == known["short_cjk_aware"]
    assert counts.kept == known["downloaded"] - known["retweets"] - known["short_cjk_aware"]
    assert counts.cut == CUT[character]
    assert counts.duplicates >= known["dups"] - 1
    assert cleaned.first_at is not None
    assert known["first"] <= cleaned.first_at.date().isoformat() <= known["last"]


def test_archive_of_2022_has_the_counts_of_the_same_tweets(shared: Path) -> None:
    _, lines = read(shared / "data" / "characters" / "nasa.jsonl")
    profile, archive = read(shared / "data" / "archives" / "SHAPE_x_archive_2022_nasa.zip")
    assert profile == Profile("NASA", "NASA")
    assert archive == lines


def test_archive_of_2015_has_the_counts_of_the_same_tweets(shared: Path) -> None:
    _, lines = read(shared / "data" / "characters" / "sixworderbot.jsonl")
    profile, archive = read(shared / "data" / "archives" / "REAL_grailbird_2015_sixworderbot.zip")
    assert profile == Profile("sixworderbot", "Six-Worder Bot")
    assert archive.counts == lines.counts
    assert {one.text.casefold() for one in archive.kept} == {one.text.casefold() for one in lines.kept}


def test_archive_of_2019(shared: Path) -> None:
    profile, archive = read(shared / "data" / "archives" / "SHAPE_x_archive_2019_flat_nasa400.zip")
    assert profile.handle == "NASA"
    assert (archive.counts.downloaded, archive.counts.retweets, archive.counts.short) == (400, 100, 0)


def test_tweets_js_alone(shared: Path) -> None:
    _, cleaned = read(shared / "data" / "archives" / "SHAPE_tweets_js_first_20.js")
    assert (cleaned.counts.downloaded, cleaned.counts.retweets, cleaned.counts.short) == (20, 9, 0)


def count_apart(path: Path) -> tuple[int, int]:
    """Posts and retweets in an archive, counted without any of Mynah's code: every array of its files of tweets, parsed whole."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if re.search(r"(^|/)(tweets?|\d{4}_\d\d)\.js$", name)]
            arrays = [archive.read(name).decode() for name in names]
    else:
        arrays = [path.read_text(encoding="utf-8")]
    posts = [item.get("tweet", item) for text in arrays for item in json.loads(text[text.index("=") + 1 :].strip().rstrip(";"))]
    assert len({post["id_str"] for post in posts}) == len(posts)
    retweets = [post for post in posts if post.get("full_text", post.get("text")).startswith("RT @") or "retweeted_status" in post]
    return len(posts), len(retweets)


def test_every_archive_against_a_count_of_its_own(shared: Path) -> None:
    found = sorted((shared / "data" / "archives").iterdir())
    assert len(found) >= 4
    for path in found:
        counts = read(path)[1].counts
        assert (counts.downloaded, counts.retweets) == count_apart(path), path.name
        assert counts.kept == counts.downloaded - counts.retweets - counts.short
