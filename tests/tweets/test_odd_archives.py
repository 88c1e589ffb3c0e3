"""Archives that are odd and not hostile: each gives what is the person's own, or a sentence that can be read."""

import json
from pathlib import Path

import pytest

from bot.errors import BadInput, BrokenArchive, SourceError
from bot.executor.contract import SpecSource, TrainSpec
from bot.executor.material import MaterialReader
from bot.tweets import edits
from bot.tweets.files import read_source
from bot.tweets.source import Profile
from tests.tweets.builders import PLAIN, account_js, manifest_js, month_js, tweet, tweets_js, zipped

Files = dict[str, str | bytes]
DETAILS = 'var user_details = {"screen_name": "Wren", "full_name": "Wren Oddly", "id": "1"}'


def read(folder: Path, files: Files) -> tuple[Profile, list[str]]:
    path = folder / "archive.zip"
    path.write_bytes(zipped(files))
    profile, tweets = read_source(path)
    return profile, [tweet.text for tweet in tweets]


@pytest.mark.parametrize("begin", ["9" * 5000, "-1", "\u00b2", None, [], 10**30])
def test_a_range_that_is_none_leaves_the_text_as_it_is(tmp_path: Path, begin: object) -> None:
    text = "@finch and they said nothing of it"
    _, texts = read(tmp_path, {"data/tweets.js": tweets_js([tweet(text, display_text_range=[begin, "34"])])})
    assert texts == [text]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Wren \ud83d", "Wren"),
        ("\ud83d", None),
        ("Wren\n\0\x1b Oddly", "Wren Oddly"),
        ("w" * 1_000_000, "w" * 300),
        ("Wren \U0001f426", "Wren \U0001f426"),
    ],
)
def test_a_name_can_be_written_to_any_file(tmp_path: Path, given: str, kept: str | None) -> None:
    files: Files = {"data/tweets.js": tweets_js([tweet(PLAIN[0])])}
    for index in (manifest_js("data/tweets.js", handle="wren", name=given), account_js(name=given)):
        place = "manifest" if "THAR" in index else "account"
        profile, _ = read(tmp_path, {**files, f"data/{place}.js": escaped(index)})
        assert profile == Profile("wren", kept)


def escaped(text: str) -> bytes:
    """Halves of letters as JSON carries them."""
    return "".join(letter if letter.isascii() else json.dumps(letter).strip('"') for letter in text).encode()


def test_a_broken_handle_is_compared_with_those_that_opted_out(tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    files: Files = {"data/tweets.js": tweets_js([tweet(PLAIN[0])]), "data/manifest.js": escaped(manifest_js(handle="wren\ud83d"))}
    path.write_bytes(zipped(files))
    spec = TrainSpec(
        1, 1, "wren", (SpecSource("wren", str(path), path.name, "own"),), "nano", "nano", seed=1, opted_out=("0" * 64,), salts=("s",)
    )
    with (tmp_path / "corpus").open("w", encoding="utf-8") as corpus, pytest.raises(SourceError, match="6,000"):
        MaterialReader(spec, corpus, lambda _: None).read()


@pytest.mark.parametrize("index", [b"\x80\x81", b"\xff\xfe\x00", 'window.YTD = [{"userInfo": {"userName": "Zo\xeb"}}]'.encode("latin-1")])
@pytest.mark.parametrize("name", ["data/manifest.js", "data/account.js"])
def test_a_small_file_that_is_no_text_is_done_without(tmp_path: Path, name: str, index: bytes) -> None:
    profile, texts = read(tmp_path, {"data/tweets.js": tweets_js([tweet(PLAIN[0])]), name: index})
    assert (profile, texts) == (Profile(), [PLAIN[0]])


def test_a_small_file_that_is_large_is_not_read(tmp_path: Path) -> None:
    """As objects it would take hundreds of megabytes."""
    bomb = manifest_js("data/tweets.js", handle="finch")[:-1] + ', "more": [' + "{}," * 500_000 + "{}]}"
    profile, texts = read(
        tmp_path, {"data/tweets.js": tweets_js([tweet(PLAIN[0])]), "data/manifest.js": bomb, "data/account.js": account_js()}
    )
    assert (profile.handle, texts) == ("wren", [PLAIN[0]])


def test_somebody_elses_tweets_are_left_out(tmp_path: Path) -> None:
    """The layout until 2018 says of each tweet who wrote it."""
    month = json.loads(month_js("2015_02", PLAIN).partition("=")[2])
    authors = [{"screen_name": "wren"}, {"screen_name": "Finch"}, {"screen_name": "WREN"}, {}]
    items = json.dumps([item | {"user": author} for item, author in zip(month, authors, strict=True)])
    files: Files = {"data/js/tweets/2015_02.js": f"Grailbird.data.tweets_2015_02 = {items}", "data/js/user_details.js": DETAILS}
    assert read(tmp_path, files) == (Profile("Wren", "Wren Oddly"), [PLAIN[0], PLAIN[2], PLAIN[3]])


FIRST = tweet(PLAIN[0], 0)
LATER = tweet(PLAIN[1], 1, edit_info={"edit": {"initialTweetId": "1000", "editControlInitial": {"editTweetIds": ["1000", "1001"]}}})


def test_an_older_version_may_stand_before_the_one_that_replaces_it(tmp_path: Path) -> None:
    between = [tweet(PLAIN[2], 10 + number) for number in range(edits.APART - 1)]
    files: Files = {"data/tweets.js": tweets_js([FIRST, *between]), "data/tweets-part1.js": tweets_js([LATER], part=1)}
    assert read(tmp_path, files)[1] == [*[PLAIN[2]] * len(between), PLAIN[1]]


@pytest.mark.parametrize("versions", [[FIRST, LATER], [LATER, FIRST]])
def test_of_edits_the_last_one_counts_in_tweets_js_alone(tmp_path: Path, versions: list[dict[str, object]]) -> None:
    path = tmp_path / "tweets.js"
    path.write_text(tweets_js([*versions, tweet(PLAIN[3], 3)]), encoding="utf-8")
    assert [one.text for one in read_source(path)[1]] == [PLAIN[1], PLAIN[3]]


def test_more_edits_than_anybody_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edits, "MAX_REPLACED", 3)
    info = {"initial": {"editTweetIds": ["1", "2", "3", "4", "1000"]}}
    with pytest.raises(BrokenArchive, match="more edited tweets"):
        read(tmp_path, {"data/tweets.js": tweets_js([tweet(PLAIN[0], edit_info=info)])})


@pytest.mark.parametrize("name", ["f" * 60_000 + "/data/tweets.js", "a\x1b[31mb/data/tweets.js"])
@pytest.mark.parametrize("content", ["window.YTD.tweets.part0 = [ {", f"window.YTD.{'x' * 50_000}.part0 = []", "[{}]"])
def test_a_sentence_stays_one_that_can_be_read(tmp_path: Path, name: str, content: str) -> None:
    with pytest.raises((BadInput, BrokenArchive)) as refused:
        read(tmp_path, {name: content})
    assert len(str(refused.value)) < 400
    assert str(refused.value).isprintable()
