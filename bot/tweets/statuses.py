"""Mastodon's statuses as tweets: pure, and in a thread, for a page's HTML takes longer than the bot may stand still."""

from collections.abc import Mapping

from bot.tweets.markup import to_text, without_pictures
from bot.tweets.plain import as_x_writes
from bot.tweets.records import MAX_TWEET_CHARACTERS, parse_time
from bot.tweets.source import Tweet
from bot.tweets.wishes import said_in

Item = Mapping[str, object]

_OPEN = {"public", "unlisted"}


def tweets(statuses: list[Item], account: str) -> tuple[Tweet, ...]:
    """Those of the account with this id, and what it passed on, each once.

    Only what everybody may see; not what is longer than a post can be; and nothing behind a content warning, which whoever reads it is to
    see first, and which a character would leave away.
    """
    found: dict[object, Tweet] = {}
    for number, status in enumerate(statuses):
        tweet = _tweet(status, account) if text_of(status, "visibility") in _OPEN else None
        if tweet is not None:
            found.setdefault(tweet.id or number, tweet)
    return tuple(found.values())


def own_tweet(content: str, *, warning: object, key: str | None, time: str, emoji: list[str], is_reply: bool) -> Tweet | None:
    """The post with this HTML, None where it has a content warning or is too long to be one."""
    if isinstance(warning, str) and warning.strip():
        return None
    text = as_x_writes(to_text(content, emoji=emoji), is_reply=is_reply)
    return Tweet(text, key, parse_time(time), whole=True) if len(text) <= MAX_TWEET_CHARACTERS else None


def name_of(account: Item) -> str | None:
    """The display name, without the pictures in it."""
    return without_pictures(text_of(account, "display_name"), shortcodes(account.get("emojis"))).strip() or None


def wish(account: Item) -> str | None:
    """The words of the profile by which the account wants no bots, or no machine that learns from it."""
    fields = [field for field in _list(account.get("fields")) if isinstance(field, Mapping)]
    parts = [account.get("display_name"), account.get("note"), *(field.get(key) for field in fields for key in ("name", "value"))]
    return said_in("\n".join(to_text(part) for part in parts if isinstance(part, str)))


def shortcodes(emojis: object) -> list[str]:
    """The names of a server's own pictures in a text."""
    return [text_of(one, "shortcode") for one in _list(emojis) if isinstance(one, Mapping)]


def text_of(item: Item, name: str) -> str:
    """A field, empty where it is no text."""
    value = item.get(name)
    return value if isinstance(value, str) else ""


def _tweet(status: Item, account: str) -> Tweet | None:
    author, key = status.get("account"), identity(status)
    is_own = not isinstance(author, Mapping) or identity(author) == account
    if isinstance(status.get("reblog"), Mapping) or not is_own:
        return Tweet("", key, parse_time(text_of(status, "created_at")), is_retweet=True)
    return own_tweet(
        text_of(status, "content"),
        warning=status.get("spoiler_text"),
        key=key,
        time=text_of(status, "created_at"),
        emoji=shortcodes(status.get("emojis")),
        is_reply=bool(status.get("in_reply_to_id") or status.get("in_reply_to_account_id")),
    )


def identity(item: Item) -> str | None:
    """The id, which is a text; some servers write a number."""
    value = item.get("id")
    return str(value) if isinstance(value, str | int) and str(value) else None


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
