"""From one record, a JSON object or a row of a table, to a tweet."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from bot.errors import BadInput
from bot.tweets.cleaning import drop_invisible, one_line
from bot.tweets.source import Profile, Tweet

Record = tuple[str, Mapping[str, object]]
"""Where it stands, for a message ("Line 7 of tweets.csv"), and its fields."""

TEXT_FIELDS = ("full_text", "text", "tweet", "content")
"""Where the text stands, the best first."""
_ID_FIELDS = ("id_str", "id", "tweet_id")
_TIME_FIELDS = ("created_at", "timestamp", "date")
_RETWEETED_FIELDS = ("retweeted_status", "retweeted_status_id")
MAX_TWEET_CHARACTERS = 30_000
"""X's longest posts have 25,000."""
MAX_ID_CHARACTERS = 100
"""X's have 19 digits."""
MAX_NAME_CHARACTERS = 300
"""Of a handle or a display name. Mastodon's longest handles, with their servers, come near."""
_API_TIME = re.compile(
    r"[A-Z][a-z]{2} (?P<month>[A-Z][a-z]{2}) (?P<day>\d\d) (?P<clock>\d\d:\d\d:\d\d) (?P<zone>[+-]\d{4}) (?P<year>\d{4})"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PLACE = re.compile(r"\d{1,5}")
_ADDRESSEES = re.compile(r"(?:[@\uff20]\w+(?:\s+|\Z))+")


def unwrap(item: Mapping[str, object]) -> Mapping[str, object]:
    """The record within `{"tweet": {…}}`, or the record itself."""
    inner = item.get("tweet")
    return inner if isinstance(inner, Mapping) else item


def to_tweet(record: Mapping[str, object], where: str) -> Tweet:
    """The tweet in `record`; `where` says which one it is in a message.

    Raises:
        BadInput: no text, or more than a tweet can hold.
    """
    text = next((value for field in TEXT_FIELDS if isinstance(value := record.get(field), str)), None)
    if text is None:
        raise BadInput(f"{where} has no text: one of the fields {', '.join(TEXT_FIELDS)} must hold it.")
    if len(text) > MAX_TWEET_CHARACTERS:
        raise BadInput(f"{where} has {len(text):,} characters and is no tweet: the longest have {MAX_TWEET_CHARACTERS:,}.")
    identity = next((record[field] for field in _ID_FIELDS if record.get(field)), None)
    time = next((value for field in _TIME_FIELDS if isinstance(value := record.get(field), str)), "")
    return Tweet(
        _shown(text, record.get("display_text_range")),
        id=None if identity is None else str(identity)[:MAX_ID_CHARACTERS],
        created_at=parse_time(time),
        is_retweet=_is_true(record.get("is_retweet")) or any(_is_given(record.get(field)) for field in _RETWEETED_FIELDS),
        truncated=_is_true(record.get("truncated")),
        whole=_is_true(record.get("whole")),
    )


def _shown(text: str, display_range: object) -> str:
    """Without the mentions that X puts before a reply's own words and does not show.

    Only they are cut by the range: its end leaves out links alone, which are no words anyway.
    """
    match display_range:
        case [int() | str() as start, _] if _PLACE.fullmatch(str(start)) and _ADDRESSEES.fullmatch(text[: int(start)]):
            return text[int(start) :]
        case _:
            return text


def to_profile(record: Mapping[str, object]) -> Profile:
    """Who wrote `record`, as far as it says."""
    user = record.get("user")
    if isinstance(user, Mapping):
        return Profile(to_name(user.get("screen_name")), to_name(user.get("name")))
    return Profile(to_name(record.get("author_handle")), to_name(record.get("author_name")))


def to_name(value: object) -> str | None:
    """A handle or a display name as it can be kept and shown: one line without an @, and no halves of letters; None where it is none."""
    return one_line(drop_invisible(value)).removeprefix("@")[:MAX_NAME_CHARACTERS] or None if isinstance(value, str) else None


def parse_time(text: str) -> datetime | None:
    """The moment in any of the forms that sources write, or None; without a zone it is UTC."""
    for read in (_read_api_time, datetime.fromisoformat, _read_grailbird_time) if text else ():
        try:
            time = read(text)
            return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        except (ValueError, OverflowError):  # the latter for the first day of all, in a zone
            continue
    return None


def _read_api_time(text: str) -> datetime:
    """`Fri Mar 06 13:02:05 +0000 2026`. By hand: strptime takes ten times as long, and reads the months of the machine's language."""
    match = _API_TIME.fullmatch(text)
    if match is None or match["month"] not in _MONTHS:
        raise ValueError(text)
    month = _MONTHS.index(match["month"]) + 1
    return datetime.fromisoformat(f"{match['year']}-{month:02}-{match['day']}T{match['clock']}{match['zone']}")


def _read_grailbird_time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z")


def _is_true(value: object) -> bool:
    return value is True or str(value).strip().lower() in {"true", "1", "yes"}


def _is_given(value: object) -> bool:
    """Tables write an absent value in many ways."""
    return str(value or "").strip().lower() not in {"", "0", "nan", "none", "null"}
