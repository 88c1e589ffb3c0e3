"""How things are written in Discord messages: numbers, durations, and other people's text without its markdown. Pure."""

import re
import unicodedata
from datetime import datetime
from typing import Literal

from bot.handles import JOINT, split

NAME_LIMIT = 80
"""Characters in the name of a webhook message (Discord)."""
URL_LIMIT = 2048
AI_LABEL, CYBORG_LABEL = " (AI)", " (AI cyborg)"
"""After the name of a character that learned from one account, and from several."""
BAR_CELLS = 20

_MARKS = re.compile(r"[\\*`]|_(?![A-Za-z0-9])|(?<![A-Za-z0-9])_|~(?=~)|\|(?=\|)|<(?=[@#:/a-z])|\[(?=[^\]]*\]\()")
_LINE_MARKS = re.compile(r"^([^\S\n]*)(?=#{1,3}\s|>{1,3}\s|-#|-\s)", re.MULTILINE)
_LIST_NUMBERS = re.compile(r"^(\s*\d+)(?=\.\s)", re.MULTILINE)
_PICTURE = re.compile(r"https://[A-Za-z0-9.-]+\.[A-Za-z]+/[!-~]*")
_CALLS = re.compile(r"@(?=everyone|here)")


def plain(text: str) -> str:
    """The text so that Discord shows it letter by letter: no markdown, no mention, nothing that reaches the line after it."""
    marked = _MARKS.sub(r"\\\g<0>", text)
    marked = _LINE_MARKS.sub(r"\1\\", marked)
    return _CALLS.sub("@\u200b", _LIST_NUMBERS.sub(r"\1\\", marked))


def fitted(text: str, limit: int) -> str:
    """`plain`, cut with … so that it has at most `limit` characters."""
    shown = plain(text)
    while len(shown) > limit:
        text = text[: -max(2, (len(shown) - limit) // 2)]
        shown = plain(text).rstrip() + "…"
    return shown


def persona_name(name: str, handle: str) -> str:
    """What a webhook message is signed with: always ends with (AI), a mash-up's with (AI cyborg), and Discord does not refuse it."""
    label = CYBORG_LABEL if JOINT in handle else AI_LABEL
    visible = "".join(c for c in name if c == "\u200d" or not unicodedata.category(c).startswith("C"))
    words = " ".join(visible.split()).removesuffix(label) or " & ".join(split(handle))
    # Discord refuses names that contain its own or its old bot's.
    words = re.sub(r"(disc)o(rd)", r"\g<1>0\2", words, flags=re.IGNORECASE)
    words = re.sub(r"(c)l(yde)", r"\g<1>1\2", words, flags=re.IGNORECASE)
    return words[: NAME_LIMIT - len(label)].rstrip() + label


def picture(url: str | None) -> str | None:
    """The address of an account's picture, if Discord may be given it."""
    return url if url is not None and len(url) <= URL_LIMIT and _PICTURE.fullmatch(url) else None


def called(handle: str, joint: Literal["and", "or"] = "and") -> str:
    """The accounts of a character as they are called: @nasa, or @nasa and @sensanders."""
    names = [f"@{plain(name)}" for name in split(handle)]
    return f" {joint} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def tweeting(handle: str) -> str:
    """What is learned of them: @nasa tweets, or @nasa and @sensanders tweet."""
    return called(handle) + (" tweet" if JOINT in handle else " tweets")


def counted(number: int, noun: str) -> str:
    """1 character, 2 characters, no characters."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s" if number else f"no {noun}s"


def times(number: int) -> str:
    """Once, twice, 3 times."""
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, … 11th."""
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def duration(seconds: float) -> str:
    """As one says it: 40 s, 6 min, 1 h 20 min."""
    if seconds < 59.5:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def bar(fraction: float) -> str:
    """A progress bar of BAR_CELLS cells."""
    done = round(min(1.0, max(0.0, fraction)) * BAR_CELLS)
    return "█" * done + "░" * (BAR_CELLS - done)


def who(user_id: int) -> str:
    """A user's name, shown by Discord; no message of ours pings."""
    return f"<@{user_id}>" if user_id else "the shell"


def moment(at: datetime, style: Literal["f", "R"]) -> str:
    """A time that Discord shows to each reader in their own zone; R = relative to now."""
    return f"<t:{int(at.timestamp())}:{style}>"
