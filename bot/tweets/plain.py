"""Posts of Bluesky and Mastodon as plain text, in the one form that cleaning reads: that in which X writes a tweet."""

import regex

from bot.tweets.cleaning import unescape

# A host with a dot and perhaps a path, whole or cut short for the eye.
_ADDRESS = regex.compile(r"(?i)(?:https?://)?(?:[\w-]+\.)+[a-z][a-z0-9-]+(?::\d+)?(?:[/?#][^\s<>]*)?(?:…|\.\.\.)?")
_SCHEME = regex.compile(r"(?i)\Ahttps?://")
_LEADING_MENTIONS = regex.compile(r"\A(?:@\w[\w.-]*+(?:@[\w.-]++)?[,:]?\s++)++(?=\S)")
_EMPTY_LINES = regex.compile(r"\n{3,}")


def as_x_writes(text: str, *, is_reply: bool = False) -> str:
    """The text with X's conventions: what looks like an HTML entity is escaped once, and a reply begins with its own words.

    Halves of letters, which no file can hold, are dropped.
    """
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    text = _EMPTY_LINES.sub("\n\n", "\n".join(line.strip() for line in text.split("\n"))).strip()
    if is_reply:
        text = _LEADING_MENTIONS.sub("", text)
    return text if unescape(text) == text else text.replace("&", "&amp;")


def link_text(shown: str, target: str) -> str:
    """What stands for a link: its whole address where the reader sees that, so that cleaning knows it; else the words that he sees."""
    shown_is_address = _SCHEME.match(shown.strip()) or is_shown_for(shown.strip(), target)
    return target if _SCHEME.match(target) and shown_is_address else shown


def is_shown_for(shown: str, target: str) -> bool:
    """Whether `shown` is the address `target` as it is shortened for the eye."""
    if not _ADDRESS.fullmatch(shown):
        return False
    begin = _without_scheme(shown).removesuffix("…").removesuffix("...").rstrip("/")
    return _without_scheme(target).startswith(begin)


def _without_scheme(address: str) -> str:
    return _SCHEME.sub("", address).casefold().removeprefix("www.")
