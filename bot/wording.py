"""How things are written in Discord messages: numbers, durations, and other people's text without its markdown. Pure."""

import re
import unicodedata
from datetime import datetime
from typing import Literal

NAME_LIMIT = 80
"""Characters in the name of a webhook message (Discord)."""
AI_LABEL = " (AI)"
BAR_CELLS = 20

_MARKS = re.compile(r"[\\*`]|_(?![A-Za-z0-9])|(?<![A-Za-z0-9])_|~(?=~)|\|(?=\|)|<(?=[@#:/a-z])|\[(?=[^\]]*\]\()")
_LINE_MARKS = re.compile(r"^([^\S\n]*)(?=#{1,3}\s|>{1,3}\s|-#|-\s)", re.MULTILINE)
_LIST_NUMBERS = re.compile(r"^(\s*\d+)(?=\.\s)", re.MULTILINE)
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
    """What a webhook message is signed with: always ends with (AI), and Discord does not refuse it."""
    visible = "".join(c for c in name if c == "\u200d" or not unicodedata.category(c).startswith("C"))
    words = " ".join(visible.split()).removesuffix(AI_LABEL) or handle
    # Discord refuses names that contain its own or its old bot's.
    words = re.sub(r"(disc)o(rd)", r"\g<1>0\2", words, flags=re.IGNORECASE)
    words = re.sub(r"(c)l(yde)", r"\g<1>1\2", words, flags=re.IGNORECASE)
    return words[: NAME_LIMIT - len(AI_LABEL)].rstrip() + AI_LABEL


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
