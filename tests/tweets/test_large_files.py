"""Files of any size pass through little memory, and only as far as somebody asks."""

import json
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.tweets.cleaning import clean
from bot.tweets.files import read_source
from bot.tweets.source import Tweet
from tests.tweets.builders import at, notes_js, tweet, tweets_js, zipped

TWEETS = 5_000
PADDING = "y" * 7_500
"""What X knows about a tweet beside its text: the file is 40 MB."""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "tweets.js"
    with path.open("w") as file:
        file.write("window.YTD.tweets.part0 = [ ")
        for number in range(TWEETS):
            file.write(json.dumps({"tweet": tweet(f"tweet {number} of many", number % 1000, entities=PADDING)}) + ",\n")
        file.write('{"tweet": {"full_text": "the last one"}} ]\n')
    assert path.stat().st_size > 36_000_000
    return path


@pytest.fixture
def memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("packed", [False, True])
def test_little_memory(large: Path, tmp_path: Path, memory: None, packed: bool) -> None:
    path = large
    if packed:
        path = tmp_path / "archive.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(large, "data/tweets.js")
    tracemalloc.reset_peak()
    _, tweets = read_source(path)
    assert sum(1 for _ in tweets) == TWEETS + 1
    _, peak = tracemalloc.get_traced_memory()
    assert peak < 16 << 20


def test_read_as_far_as_asked(large: Path, tmp_path: Path) -> None:
    path = tmp_path / "tweets.js"
    path.write_bytes(large.read_bytes()[:5_000_000])  # cut off: whoever reads on meets the end
    _, tweets = read_source(path)
    assert next(tweets).text == "tweet 0 of many"
    assert next(tweets).text == "tweet 1 of many"


def test_what_is_cleaned_takes_little_memory_however_many_there_are(memory: None) -> None:
    def tweets() -> Iterator[Tweet]:
        for number in range(12_000):
            yield Tweet(
                f"{number} 🚂 the train is late again {'and again ' * 20}", created_at=datetime(2024, 1, 1, number % 24, tzinfo=UTC)
            )

    cleaned = clean(tweets(), most=500)
    assert (cleaned.counts.kept, cleaned.counts.duplicates, len(cleaned.kept)) == (12_000, 0, 500)
    _, peak = tracemalloc.get_traced_memory()
    assert peak < 3 << 20, "all the texts would be 12 MB"


def test_long_posts_wait_packed(tmp_path: Path, memory: None) -> None:
    path = tmp_path / "archive.zip"
    words = [f"{number} 🚂 the train is late again {'and again ' * 200}" for number in range(3_000)]
    tweets = [tweet(f"{text[:240]}…", number) for number, text in enumerate(words)]
    path.write_bytes(
        zipped({"data/tweets.js": tweets_js(tweets), "data/note-tweet.js": notes_js(*((t, at(n)) for n, t in enumerate(words)))})
    )
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    found = read_source(path)[1]
    assert all(one.text == text for one, text in zip(found, words, strict=True))
    _, peak = tracemalloc.get_traced_memory()
    assert peak - before < 18 << 20, "the texts alone are 24 MB"
