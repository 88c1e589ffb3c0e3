"""Every kind of file that a person may give, right ones and wrong ones."""

import codecs
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.errors import BadInput, MynahError
from bot.tweets import files
from bot.tweets.files import read_source
from bot.tweets.source import Profile, Tweet
from tests.tweets.builders import PLAIN, month_js, tweet, tweets_js, zipped


def read(folder: Path, name: str, content: str | bytes) -> tuple[Profile, list[Tweet]]:
    path = folder / "upload"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    profile, tweets = read_source(path, file_name=name)
    return profile, list(tweets)


def texts(folder: Path, name: str, content: str | bytes) -> list[str]:
    return [one.text for one in read(folder, name, content)[1]]


def refusal(folder: Path, name: str, content: str | bytes) -> str:
    with pytest.raises(MynahError) as caught:
        read(folder, name, content)
    message = str(caught.value)
    assert message.endswith(".")
    assert ". " not in message
    assert "\n" not in message
    assert [path.name for path in folder.iterdir()] == ["upload"]
    return message


ARRAY = json.dumps([{"text": text} for text in PLAIN])
LINES = "".join(json.dumps({"text": text}) + "\n" for text in PLAIN)
TABLE = "id,text\n" + "".join(f'{n},"{text}"\n' for n, text in enumerate(PLAIN))
TEXT = "".join(text + "\n" for text in PLAIN)
ALL_KINDS = {
    "tweets.js": tweets_js(map(tweet, PLAIN)),
    "old.js": tweets_js(map(tweet, PLAIN), kind="tweet", wrapped=False),
    "2015_02.js": month_js("2015_02", PLAIN),
    "array.json": ARRAY,
    "lines.jsonl": LINES,
    "table.csv": TABLE,
    "column.csv": "Tweet\n" + TEXT,
    "bare.csv": TEXT,
    "plain.txt": TEXT,
}


@pytest.mark.parametrize("name", ALL_KINDS)
def test_each_kind(tmp_path: Path, name: str) -> None:
    assert texts(tmp_path, name, ALL_KINDS[name]) == list(PLAIN)


@pytest.mark.parametrize("name", ["tweets.js", "array.json", "lines.jsonl", "table.csv"])
def test_content_goes_before_the_name(tmp_path: Path, name: str) -> None:
    assert texts(tmp_path, "tweets.txt", ALL_KINDS[name]) == list(PLAIN)
    assert texts(tmp_path, "whatever", zipped({"data/tweets.js": ALL_KINDS["tweets.js"]})) == list(PLAIN)


@pytest.mark.parametrize("name", ALL_KINDS)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_encodings_that_say_which_they_are(tmp_path: Path, name: str, encoding: str) -> None:
    assert texts(tmp_path, name, ALL_KINDS[name].encode(encoding)) == list(PLAIN)
    big_endian = codecs.BOM_UTF16_BE + ALL_KINDS[name].encode("utf-16-be")
    assert texts(tmp_path, name, big_endian) == list(PLAIN)


@pytest.mark.parametrize("name", ALL_KINDS)
def test_latin_1_is_refused_with_its_line(tmp_path: Path, name: str) -> None:
    whole = ALL_KINDS[name].replace("kettle", "café")
    line = whole[: whole.index("é")].count("\n") + 1
    message = refusal(tmp_path, name, whole.encode("latin-1"))
    assert f"{name} is not UTF-8 text: line {line} holds the byte 0xE9; save it as UTF-8" in message


def test_wrong_byte_far_into_the_file(tmp_path: Path) -> None:
    message = refusal(tmp_path, "plain.txt", b"a line of words about a pond, a heron and a fern\n" * 30_000 + b"\xff\n")
    assert "line 30,001 holds the byte 0xFF" in message


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_endings(tmp_path: Path, ending: str) -> None:
    for name in ("lines.jsonl", "table.csv", "plain.txt"):
        found = texts(tmp_path, name, ALL_KINDS[name].replace("\n", ending))
        assert found == list(PLAIN)


def test_line_separators_within_a_tweet_do_not_end_it(tmp_path: Path) -> None:
    assert texts(tmp_path, "plain.txt", "one\u2028two\x0bthree\x85four\n\n  \nfive\n") == ["one\u2028two\x0bthree\x85four", "five"]


def test_fields_of_json_lines(tmp_path: Path) -> None:
    row = {
        "id": "7",
        "author_handle": "@wren",
        "author_name": "Wren Oddly",
        "created_at": "2023-05-01T12:00:00Z",
        "text": "a",
        "truncated": True,
    }
    profile, tweets = read(tmp_path, "x.jsonl", json.dumps(row))
    assert profile == Profile("wren", "Wren Oddly")
    assert tweets == [Tweet("a", "7", datetime(2023, 5, 1, 12, tzinfo=UTC), truncated=True)]


@pytest.mark.parametrize("field", ["text", "full_text", "content", "tweet"])
@pytest.mark.parametrize("more", [{}, {"is_retweet": False}, {"is_retweet": None}, {"retweeted_status": None}])
def test_names_of_the_text(tmp_path: Path, field: str, more: dict[str, object]) -> None:
    assert read(tmp_path, "x.jsonl", json.dumps({field: "a", **more}))[1] == [Tweet("a")]


@pytest.mark.parametrize(
    "mark", [{"is_retweet": True}, {"is_retweet": "TRUE"}, {"retweeted_status": {"id": 1}}, {"retweeted_status_id": 5}]
)
def test_marks_of_a_retweet(tmp_path: Path, mark: dict[str, object]) -> None:
    assert read(tmp_path, "x.jsonl", json.dumps({"text": "a", **mark}))[1] == [Tweet("a", is_retweet=True)]


@pytest.mark.parametrize(
    ("time", "hour"),
    [
        ("Mon May 01 12:00:00 +0000 2023", 12),
        ("2023-05-01 12:00:00 +0000", 12),
        ("2023-05-01T12:00:00.000Z", 12),
        ("2023-05-01 12:00:00", 12),
        ("2023-05-01T12:00:00+02:00", 10),
    ],
)
def test_times(tmp_path: Path, time: str, hour: int) -> None:
    _, tweets = read(tmp_path, "x.jsonl", json.dumps({"text": "a", "created_at": time}))
    assert tweets[0].created_at == datetime(2023, 5, 1, hour, tzinfo=UTC)


def test_time_that_nobody_can_read_is_left_out(tmp_path: Path) -> None:
    assert read(tmp_path, "x.jsonl", '{"text": "a", "created_at": "yesterday"}')[1] == [Tweet("a")]


def test_halves_of_an_emoji_in_json_come_together(tmp_path: Path) -> None:
    assert texts(tmp_path, "x.jsonl", '{"text": "\\ud83d\\udc26"}') == ["🐦"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(tmp_path: Path, delimiter: str) -> None:
    rows = [["Date", "Full Text", "retweeted_status_id"], ["2023-05-01", '"Say ""hi""\nto them, all; of | them"', ""], ["", "b", "9"]]
    _, tweets = read(tmp_path, "x.csv", "\n".join(delimiter.join(row) for row in rows))
    assert [(one.text, one.is_retweet) for one in tweets] == [('Say "hi"\nto them, all; of | them', False), ("b", True)]
    assert tweets[0].created_at == datetime(2023, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize("absent", ["", "NaN", "None", "0"])
def test_absent_mark_of_a_retweet(tmp_path: Path, absent: str) -> None:
    assert read(tmp_path, "x.csv", f"text,retweeted_status_id\na,{absent}\n")[1] == [Tweet("a")]


def test_bytes_that_a_script_wrote_as_python(tmp_path: Path) -> None:
    assert texts(tmp_path, "x.csv", "id,text\n1,b'caf\\xc3\\xa9'\n2,b'\\xff'\n3,b'x' y\n") == ["café", "b'\\xff'", "b'x' y"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,words\n1,a\n", "names no column of texts: call one of them full_text, text, tweet, content"),
        ("id,text\n1,a,b\n", "Line 2 of x.csv has 3 columns where the first line names 2"),
        ('id,text\n1,"never closed\n', "is no whole CSV file"),
        ('text\n"a"b\n', "is no whole CSV file"),
        ("id,text\n1," + "a" * 50_000, "has 50,000 characters and is no tweet"),
    ],
)
def test_broken_tables(tmp_path: Path, content: str, said: str) -> None:
    assert said in refusal(tmp_path, "x.csv", content)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.txt", b"", "x.txt is empty"),
        ("x.zip", b"", "x.zip is empty"),
        ("x.txt", b" \n\t\n", "x.txt is empty"),
        ("x.txt", codecs.BOM_UTF8, "x.txt is empty"),
        ("x.js", b"\x89PNG\r\n\x1a\n\0\0", "is a PNG picture"),
        ("x.pdf", b"%PDF-1.7\n", "is a PDF"),
        ("x.bin", b"abc\0def", "is no text, or UTF-16 without its mark"),
        ("x.txt", "words".encode("utf-16-le"), "is no text, or UTF-16 without its mark"),
        ("x.txt", "<!DOCTYPE html><p>", "is a web page"),
        ("Your archive.html", "\n<html>", "is a web page"),
        ("x.zip", "words", "is no zip"),
        ("x.py", "import os\n", "is no file of tweets that Mynah knows"),
        ("x.js", "let a = 1\n", "is no file of tweets that Mynah knows"),
        ("x.jsonl", "words\n", "line 1 is no JSON object"),
        ("x.jsonl", '{"text": "a"}\n{"text": "b"\n', "line 2 is no JSON object"),
        ("x.jsonl", '{"text": "a"}\n["b"]\n', "line 2 is no JSON object"),
        ("x.jsonl", '{"text": "a"}\n{"words": "b"}\n', "Line 2 of x.jsonl has no text: one of the fields full_text, text"),
        ("x.json", '{\n  "text": "a"\n}', "line 1 is no JSON object"),
        ("x.json", '[{"text": "a"}, "b"]', "item 2 is no object"),
        ("x.json", '[{"text": "a"}, {"text"', "breaks off or is damaged at tweet 2"),
        ("x.json", '[{"text": "a"}] [{"text": "b"}]', "goes on after its list of tweets"),
        ("like.js", tweets_js([], kind="like"), "holds the archive's like"),
        ("tweets.js", 'window.YTD.tweets.part0 = {"a": 1}', "holds no list of tweets"),
        ("x.txt", "a" * 40_000, "Line 1 of x.txt has 40,000 characters and is no tweet"),
        ("x.txt", "a" * 9_000_000, "line 1 is longer than 4,000,000 characters"),
    ],
)
def test_wrong_files(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    assert said in refusal(tmp_path, name, content)


def test_nothing_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"There is no file gone\.zip;"):
        read_source(tmp_path / "gone.zip")
    with pytest.raises(BadInput, match="is a folder"):
        read_source(tmp_path)


def test_one_tweet(tmp_path: Path) -> None:
    assert read(tmp_path, "x.txt", "one tweet")[1] == [Tweet("one tweet")]


def test_too_many_tweets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_TWEETS", 3)
    assert "holds more than 3 tweets" in refusal(tmp_path, "x.txt", TEXT)


def test_too_large_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 1 << 20)
    assert "larger than 1 MiB" in refusal(tmp_path, "x.txt", b"a" * (2 << 20))


def test_tweets_of_several_people_are_not_one_accounts(tmp_path: Path) -> None:
    lines = [{"author_handle": who, "text": f"I am {who}"} for who in ("wren", "@Wren", "finch")]
    path = tmp_path / "tweets.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(BadInput, match=r"Line 3 of tweets\.jsonl is by @finch and those before by @wren"):
        list(read_source(path)[1])
