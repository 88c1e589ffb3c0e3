"""Small files of tweets in every layout, with invented tweets: what a test says about a tweet is all that differs."""

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

START = datetime(2023, 5, 1, 12, 0, tzinfo=UTC)

PLAIN = (
    "The kettle has opinions about Tuesday",
    "Nobody told the pigeons about the new bench",
    "My neighbour waters a plastic fern every morning",
    "Soup is a conversation that went well",
)
"""Tweets that every rule leaves as they are."""


def at(number: int) -> datetime:
    """When tweet `number` was written: an hour after the one before."""
    return START + timedelta(hours=number)


def tweet(text: str, number: int = 0, **more: object) -> dict[str, object]:
    """One tweet as tweets.js has it, without its wrapper."""
    return {
        "edit_info": {"initial": {"editTweetIds": [str(1000 + number)], "editsRemaining": "5"}},
        "retweeted": False,
        "id_str": str(1000 + number),
        "truncated": False,
        "created_at": at(number).strftime("%a %b %d %H:%M:%S +0000 %Y"),
        "full_text": text,
        **more,
    }


def tweets_js(tweets: Iterable[Mapping[str, object]], *, part: int = 0, kind: str = "tweets", wrapped: bool = True) -> str:
    """The file, with X's spacing."""
    items = [{"tweet": one} if wrapped else one for one in tweets]
    return f"window.YTD.{kind}.part{part} = {json.dumps(items, indent=2, ensure_ascii=False)}"


def notes_js(*notes: tuple[str, datetime]) -> str:
    """note-tweet.js with whole texts and their times."""
    items = [
        {"noteTweet": {"noteTweetId": str(n), "createdAt": time.isoformat().replace("+00:00", ".000Z"), "core": {"text": text}}}
        for n, (text, time) in enumerate(notes)
    ]
    return f"window.YTD.note_tweet.part0 = {json.dumps(items)}"


def manifest_js(*file_names: str, handle: str = "wren", name: str = "Wren Oddly", kind: str = "tweets") -> str:
    """data/manifest.js that lists these files of tweets."""
    files = [{"fileName": file, "globalName": f"YTD.{kind}.part{n}", "count": "1"} for n, file in enumerate(file_names)]
    config = {"userInfo": {"accountId": "1", "userName": handle, "displayName": name}, "dataTypes": {kind: {"files": files}}}
    return f"window.__THAR_CONFIG = {json.dumps(config)}"


def account_js(handle: str = "wren", name: str = "Wren Oddly") -> str:
    """data/account.js."""
    account = {"account": {"email": "secret@example.test", "username": handle, "accountDisplayName": name}}
    return f"window.YTD.account.part0 = {json.dumps([account])}"


def month_js(month: str, texts: Iterable[str]) -> str:
    """One month of the layout until 2018."""
    items = [
        {"id": n, "id_str": str(n), "text": text, "created_at": at(n).strftime("%Y-%m-%d %H:%M:%S +0000")} for n, text in enumerate(texts)
    ]
    return f"Grailbird.data.tweets_{month} = \n {json.dumps(items)}"


def zipped(files: Mapping[str, str | bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()
