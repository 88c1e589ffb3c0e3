"""Files of any size pass through little memory, and only as far as somebody asks."""

import json
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.tweets.files import read_source
from tests.tweets.builders import tweet

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
