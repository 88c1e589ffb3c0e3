"""Build the sample character's archive, bot/sample/archive.zip, from its tweets, bot/sample/tweets.tsv.

The tweets were written for this project; the person and everybody she mentions are invented. The archive has today's X layout: its keys,
their order, and numbers as strings. The same tweets always give the same archive.
"""

import csv
import hashlib
import html
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.sample import ARCHIVE, HANDLE, NAME, TWEETS

BIO = "Ninety metres of river, forty times a day. Keeper of the rope ferry at Nettlewick. The goat does not speak for me. (I am invented.)"
CREATED = datetime(2018, 3, 2, 7, 0, tzinfo=UTC)
GENERATED = datetime(2025, 3, 1, 9, 0, tzinfo=UTC)
ZIP_TIME = (2025, 3, 1, 9, 0, 0)
X_EPOCH_MS = 1288834974657
README = "The archive of an invented person, written for Mynah's demo and tests. It does not come from X.\n"
EMPTY_TYPES = (
    "follower",
    "following",
    "like",
    "direct-messages",
    "block",
    "mute",
    "ad-impressions",
    "deleted-tweets",
    "note-tweet",
    "community-tweet",
)


@dataclass(frozen=True)
class Written:
    """One line of the table: when, and the words as the person typed them."""

    at: datetime
    text: str


def read_tweets(path: Path = TWEETS) -> list[Written]:
    """Every tweet of the table, oldest first; a line break stands there as a backslash and an n."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
        return [Written(datetime.fromisoformat(row["timestamp"]), row["text"].replace("\\n", "\n")) for row in rows]


def build() -> bytes:
    """The archive, as bytes."""
    # Newest first, as in an archive of X.
    tweets = [_tweet(written) for written in reversed(read_tweets())]
    members = dict(_members(tweets))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, text in members.items():
            info = zipfile.ZipInfo(name, ZIP_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o600 << 16
            archive.writestr(info, text.encode())
    return target.getvalue()


def _members(tweets: list[dict[str, object]]) -> Iterator[tuple[str, str]]:
    account_id = _number("account " + HANDLE)
    account = {
        "email": None,
        "createdVia": "web",
        "username": HANDLE,
        "accountId": account_id,
        "createdAt": _iso(CREATED),
        "accountDisplayName": NAME,
    }
    profile = {
        "description": {"bio": BIO, "website": "https://nettlewick.example", "location": "Nettlewick, on the Sallow"},
        "avatarMediaUrl": "",
        "headerMediaUrl": "",
    }
    headers = [{"tweet_id": tweet["id_str"], "user_id": account_id, "created_at": tweet["created_at"]} for tweet in tweets]
    yield "data/account.js", _script("YTD.account.part0", [{"account": account}])
    yield "data/profile.js", _script("YTD.profile.part0", [{"profile": profile}])
    for name in EMPTY_TYPES:
        yield f"data/{name}.js", _script(f"YTD.{name.replace('-', '_')}.part0", [])
    yield "data/tweet-headers.js", _script("YTD.tweet_headers.part0", [{"tweet": header} for header in headers])
    yield "data/tweets.js", _script("YTD.tweets.part0", [{"tweet": tweet} for tweet in tweets])
    yield "data/manifest.js", _script("__THAR_CONFIG", _manifest(account_id, len(tweets)))
    yield "data/README.txt", README
    yield "Your archive.html", "<!DOCTYPE html><title>Your archive</title>\n"


def _manifest(account_id: str, count: int) -> dict[str, object]:
    def files(name: str, count: int) -> list[dict[str, str]]:
        return [{"fileName": f"data/{name}.js", "globalName": f"YTD.{name.replace('-', '_')}.part0", "count": str(count)}]

    return {
        "userInfo": {"accountId": account_id, "userName": HANDLE, "displayName": NAME},
        "archiveInfo": {
            "sizeBytes": "1000000",
            "generationDate": _iso(GENERATED),
            "isPartialArchive": False,
            "maxPartSizeBytes": "53687091200",
        },
        "readmeInfo": {"fileName": "data/README.txt", "directory": "data/", "name": "README.txt"},
        "dataTypes": {
            "account": {"files": files("account", 1)},
            "noteTweet": {"files": files("note-tweet", 0)},
            "profile": {"files": files("profile", 1)},
            "tweetHeaders": {"files": files("tweet-headers", count)},
            "tweets": {"mediaDirectory": "data/tweets_media", "files": files("tweets", count)},
        },
    }


def _tweet(written: Written) -> dict[str, object]:
    text, urls = _shorten(html.escape(written.text, quote=False))
    mentions = [_mention(match) for match in re.finditer(r"@(\w+)", text)]
    tweet_id = _tweet_id(written)
    tweet: dict[str, object] = {
        "edit_info": {
            "initial": {
                "editTweetIds": [tweet_id],
                "editableUntil": _iso(written.at + timedelta(hours=1)),
                "editsRemaining": "5",
                "isEditEligible": not text.startswith(("@", "RT @")),
            }
        },
        "retweeted": False,
        "source": '<a href="https://nettlewick.example" rel="nofollow">The hut telephone</a>',
        "entities": {
            "hashtags": [{"text": match[1], "indices": _indices(match)} for match in re.finditer(r"(?<![&\w/])#(\w+)", text)],
            "symbols": [],
            "user_mentions": mentions,
            "urls": urls,
        },
        "display_text_range": ["0", str(len(text))],
        "favorite_count": "0",
        "id_str": tweet_id,
        "truncated": False,
        "retweet_count": "0",
        "id": tweet_id,
        "created_at": written.at.strftime("%a %b %d %H:%M:%S +0000 %Y"),
        "favorited": False,
        "full_text": text,
        "lang": "en",
    }
    if text.startswith("@"):
        tweet["in_reply_to_screen_name"] = mentions[0]["screen_name"]
        tweet["in_reply_to_user_id"] = tweet["in_reply_to_user_id_str"] = mentions[0]["id_str"]
    return tweet


def _shorten(text: str) -> tuple[str, list[dict[str, object]]]:
    """Put short links for the real ones, as X does, and say where they stand."""
    urls: list[dict[str, object]] = []
    short_text = re.sub(r"https://\S+", lambda match: "https://t.co/" + _letters(match[0]), text)
    for long, short in zip(re.finditer(r"https://(\S+)", text), re.finditer(r"https://t\.co/\w+", short_text), strict=True):
        urls.append({"url": short[0], "expanded_url": long[0], "display_url": long[1], "indices": _indices(short)})
    return short_text, urls


def _mention(match: re.Match[str]) -> dict[str, object]:
    user_id = _number("account " + match[1])
    return {"name": match[1], "screen_name": match[1], "indices": _indices(match), "id_str": user_id, "id": user_id}


def _indices(match: re.Match[str]) -> list[str]:
    return [str(match.start()), str(match.end())]


def _tweet_id(written: Written) -> str:
    """An id as X makes them: the time in its high bits."""
    return str((int(written.at.timestamp() * 1000) - X_EPOCH_MS) << 22)


def _number(name: str) -> str:
    return str(10**9 + int(hashlib.sha256(name.encode()).hexdigest(), 16) % (9 * 10**9))


def _letters(name: str) -> str:
    alphabet = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    return "".join(alphabet[byte % len(alphabet)] for byte in hashlib.sha256(name.encode()).digest()[:10])


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _script(name: str, value: object) -> str:
    """A JavaScript assignment in the spacing of X."""
    text = json.dumps(value, ensure_ascii=False, indent=2, separators=(",", " : "))
    return f"window.{name} = " + re.sub(r"(^| : )\[\](,?)$", r"\1[ ]\2", text, flags=re.MULTILINE)


if __name__ == "__main__":
    ARCHIVE.write_bytes(build())
    print(f"{ARCHIVE.name}: {len(read_tweets())} tweets, {ARCHIVE.stat().st_size} bytes")
