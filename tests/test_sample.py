"""The sample character: the archive is built from the table, and the table reads like a person, not like a template."""

import io
import json
import re
import statistics
import zipfile
from collections import Counter
from datetime import timedelta

import pytest

from bot.sample import ARCHIVE, HANDLE, NAME
from bot.tweets.cleaning import clean
from bot.tweets.dataset import check_size
from bot.tweets.files import read_source
from bot.tweets.source import Profile
from scripts.make_sample import Written, build, read_tweets

HANDLES = {
    "bargeprudence",
    "cello_tobias",
    "fennsbakehouse",
    "maud_at_the_light",
    "nettlewick_parish",
    "overmere_bridge",
    "upper_lock_keeper",
}


@pytest.fixture(scope="module")
def tweets() -> list[Written]:
    return read_tweets()


@pytest.fixture(scope="module")
def archived() -> list[dict[str, object]]:
    with zipfile.ZipFile(ARCHIVE) as archive:
        script = archive.read("data/tweets.js").decode()
    return [item["tweet"] for item in json.loads(script.removeprefix("window.YTD.tweets.part0 = "))]


def words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def own(tweets: list[Written]) -> list[str]:
    return [tweet.text for tweet in tweets if not tweet.text.startswith("RT @")]


def members(data: bytes) -> dict[str, tuple[object, bytes]]:
    """Contents and dates, not compressed bytes: those depend on the machine's zlib."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {info.filename: (info.date_time, archive.read(info)) for info in archive.infolist()}


def test_the_committed_archive_is_the_one_that_the_table_gives() -> None:
    assert members(ARCHIVE.read_bytes()) == members(build()), "run: python scripts/make_sample.py"
    assert build() == build()


def test_every_tweet_is_in_the_archive_newest_first_and_escaped(tweets: list[Written], archived: list[dict[str, object]]) -> None:
    assert len(archived) == len(tweets)
    assert [tweet["created_at"] for tweet in archived] == [tweet.at.strftime("%a %b %d %H:%M:%S +0000 %Y") for tweet in reversed(tweets)]
    assert len({tweet["id_str"] for tweet in archived}) == len(archived)
    texts = [str(tweet["full_text"]) for tweet in archived]
    assert not [text for text in texts if re.search(r"&(?!amp;|lt;|gt;)|[<>]", text)]
    assert any("&amp;" in text for text in texts)
    assert any("\n" in text for text in texts)
    assert not [text for text in texts if "nettlewick.example" in text], "links are shortened"


def test_indices_point_at_what_they_name(archived: list[dict[str, object]]) -> None:
    seen: Counter[str] = Counter()
    for tweet in archived:
        entities = tweet["entities"]
        assert isinstance(entities, dict)
        for kind, key, mark in (("urls", "url", ""), ("user_mentions", "screen_name", "@"), ("hashtags", "text", "#")):
            for entity in entities[kind]:
                start, end = map(int, entity["indices"])
                assert str(tweet["full_text"])[start:end] == mark + entity[key]
                seen[kind] += 1
    assert min(seen["urls"], seen["user_mentions"], seen["hashtags"]) > 3


def test_the_archive_says_whose_it_is_and_holds_nothing_private() -> None:
    with zipfile.ZipFile(ARCHIVE) as archive:
        manifest = json.loads(archive.read("data/manifest.js").decode().removeprefix("window.__THAR_CONFIG = "))
        account = json.loads(archive.read("data/account.js").decode().removeprefix("window.YTD.account.part0 = "))[0]["account"]
        assert archive.read("data/note-tweet.js") == b"window.YTD.note_tweet.part0 = [ ]"
        for part in manifest["dataTypes"].values():
            assert all(file["fileName"] in archive.namelist() for file in part["files"])
    assert manifest["userInfo"]["userName"] == account["username"] == HANDLE
    assert account["email"] is None


def test_there_is_enough_of_her_for_training_without_a_warning(tweets: list[Written]) -> None:
    profile, read = read_source(ARCHIVE)
    cleaned = clean(read)
    assert profile == Profile(HANDLE, NAME)
    assert cleaned.counts.downloaded == len(tweets) >= 400
    assert cleaned.counts.retweets == len(tweets) - len(own(tweets))
    assert cleaned.counts.short >= 10
    assert (cleaned.counts.duplicates, cleaned.counts.cut) == (0, 0)
    assert cleaned.counts.characters > 45_000
    assert check_size(cleaned.counts) is None
    plain = {tweet.text for tweet in tweets if not re.search(r"[\n]|https", tweet.text)}
    assert len([kept for kept in cleaned.kept if kept.text in plain]) > 400, "what is taught is what she wrote"


def test_the_table_is_in_order_and_spans_two_years(tweets: list[Written]) -> None:
    assert [tweet.at for tweet in tweets] == sorted({tweet.at for tweet in tweets})
    assert tweets[-1].at - tweets[0].at > timedelta(days=700)


def test_there_is_something_of_everything_for_the_count_table(tweets: list[Written]) -> None:
    texts = [tweet.text for tweet in tweets]
    assert sum(text.startswith("RT @") for text in texts) >= 10
    assert sum(text.startswith("@") for text in texts) >= 10
    assert sum("https://" in text for text in texts) >= 5
    assert sum(len(text.split()) < 3 for text in texts) >= 5


def test_lengths_vary_as_a_persons_do(tweets: list[Written]) -> None:
    lengths = [len(tweet.text) for tweet in tweets]
    assert max(lengths) <= 280
    assert 100 < statistics.mean(lengths) < 180
    assert statistics.stdev(lengths) > 40


def test_no_sentence_is_said_twice(tweets: list[Written]) -> None:
    runs: Counter[tuple[str, ...]] = Counter()
    for tweet in tweets:
        said = words(tweet.text)
        runs.update({tuple(said[start : start + 8]) for start in range(len(said) - 7)})
    assert [" ".join(run) for run, count in runs.items() if count > 1] == []


def test_tweets_do_not_all_begin_alike(tweets: list[Written]) -> None:
    beginnings = Counter(tuple(words(tweet.text)[:3]) for tweet in tweets)
    assert sum(count for count in beginnings.values() if count > 1) <= 8
    firsts = Counter(words(tweet.text)[0] for tweet in tweets)
    assert firsts.most_common(1)[0][1] < len(tweets) / 8


def test_she_writes_english_and_names_invented_people_only(tweets: list[Written]) -> None:
    text = "\n".join(tweet.text for tweet in tweets)
    assert set(re.findall(r"@(\w+)", text)) == HANDLES
    assert set(text) - set(map(chr, range(32, 127))) == {"\n", "£"}
    assert all(url.endswith(".example") for url in re.findall(r"https://([^/\s]+)", text))
    common = {"the", "a", "and", "i", "it", "to", "in", "of", "on", "is", "you", "my", "that", "was", "for", "at", "no", "has", "he", "be"}
    plain = [text for text in own(tweets) if len(words(text)) > 12]
    assert sum(bool(common & set(words(text))) for text in plain) > 0.98 * len(plain)


@pytest.mark.parametrize("word", ["ferry", "rope", "river", "bell", "goat", "heron", "bridge", "overmere", "twins", "coat"])
def test_her_world_comes_back_again_and_again(tweets: list[Written], word: str) -> None:
    assert sum(word in tweet.text.lower() for tweet in tweets) >= 8
