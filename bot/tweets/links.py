"""Links taken out of a text so that no hole stays: with the bracket around them, the colon before them, the "and" between them.

A rule only ever looks beside a link; a text without links is left as it is.
"""

from functools import reduce

import regex

_EAST = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
# What ends a link wherever it stands, and what may stand in it but not at its end.
_NEVER = rf"\s()<>“”«»「」『』【】（）。、，！？{_EAST}"
_NOT_LAST = r".,;:!?'\"\]\}|*"
_BRACKETED = rf"\([^{_NEVER}]*\)"

LINK = rf"(?i:https?:|(?<![\w@./-])(?:t\.co|pic\.twitter\.com)/)(?:(?:{_BRACKETED}|[^{_NEVER}])*(?:{_BRACKETED}|[^{_NEVER}{_NOT_LAST}]))?"
"""Pattern (of the regex module) of one link: any http(s), and the two of X without a scheme."""

_BETWEEN = r"(?:\s+(?i:and|or|und|oder|et|ou|y|e|o)\s+|\s*[,;/|&+•·–—-]?\s*)"
_LINKS = regex.compile(rf"{LINK}(?:{_BETWEEN}{LINK})*")
_BRACKETS = {"(": ")", "[": "]", "{": "}", "<": ">", "“": "”", "‘": "’", "«": "»", "（": "）", "「": "」", "『": "』", "【": "】"}
_QUOTES = "\"'*"
_ENDS_SENTENCE = frozenset('.,;:!?")]}…»”’。、，！？）」')
# What only pointed at the link: "Read more:", "Title -", "live at".
_POINTER = regex.compile(r"(?:(?<=[\w\"'”’)\]!?])|\s)[:：|→➡▶»>–—-]+\uFE0F?\Z")
_POINTER_WORD = regex.compile(r"(?<![\w@#.'’-])(?i:at|via|vía|en|em|sur|unter|@)\Z")
# A last sentence of three words at most that led to the link: "Read more", "Details". Not what follows "Dr." or "p.m.".
_SENTENCE_END = r"(?:[!?…]|(?:(?<!\p{L})\p{Ll}{2,}|\p{L}{5,}|[^\p{L}])\.)[\"”’)»]?\s+|\n\s*"
_LEAD = regex.compile(rf"(?<={_SENTENCE_END})(?:[^\s.!?…]+[ \t]+){{0,2}}[^\s.!?…]+\Z")
_LEAST_BEFORE_LEAD = 4
"""Words."""
_SEPARATOR_BEFORE = regex.compile(r"(?:\s[-–—|•·/]|[,|])\Z")
_SEPARATOR_AFTER = regex.compile(r"[-–—|•·/,]\s")
_SEPARATORS_FIRST = regex.compile(r"\A[-–—|•·:,;.)\]]+(?:\s+|\Z)")
_EAST_LETTER = regex.compile(rf"[{_EAST}。、，！？）」]")


def may_have_link(text: str) -> bool:
    """False where the text is sure to have none, which is much sooner told than by the pattern."""
    return ":" in text or "/" in text


def remove_links(text: str) -> str:
    """Without links, and without what makes no sense once they are gone."""
    if not may_have_link(text):
        return text
    # More than once, because what a link leaves may come together to a new one.
    while len(pieces := _LINKS.split(text)) > 1:
        text = reduce(_close, pieces)
    return text


def _close(before: str, after: str) -> str:
    """Join what stood around a link; `after` reaches to the next one."""
    before, after = _without_brackets(before, after)
    left, right = before.rstrip(), after.lstrip()
    space = before[len(left) :] + after[: len(after) - len(right)]
    left = _without_end(_POINTER_WORD, left)
    if len(right) == len(after):
        right = _without_surplus(left, right)
        if left and right[:1] in _ENDS_SENTENCE:
            return _without_pointers(left) + right
    if not right:
        shorter = _without_pointers(left)
        return shorter if shorter == left else _without_lead(shorter)
    if not left:
        return _SEPARATORS_FIRST.sub("", right)
    if _SEPARATOR_AFTER.match(right):
        left = _without_end(_SEPARATOR_BEFORE, left)
    return left + _joint(left, right, space) + right


def _without_pointers(left: str) -> str:
    shorter = _without_end(_POINTER_WORD, _without_end(_POINTER, left))
    return left if shorter == left else _without_pointers(shorter)


def _without_lead(left: str) -> str:
    shorter = _without_pointers(_without_end(_LEAD, left))
    return shorter if len(shorter.split()) >= _LEAST_BEFORE_LEAD else left


def _without_end(pattern: regex.Pattern[str], text: str) -> str:
    """Looks at the last letters only, since a text may hold thousands of links."""
    match = pattern.search(text, max(0, len(text) - 40))
    return text[: match.start()].rstrip() if match else text


def _without_surplus(left: str, right: str) -> str:
    """Without the marks right behind the link that close nothing: a full stop after a full stop, a quotation mark that none opened."""
    if left.endswith((".", "!", "?", "…")):
        right = right.lstrip(".,;:!?…")
    if right.startswith('"') and (left.endswith('"') or left.count('"') % 2 == 0):
        right = right[1:]
    return right.lstrip()


def _without_brackets(before: str, after: str) -> tuple[str, str]:
    """Take away brackets and quotation marks that held nothing but the link."""
    if before and after and before[-1] in _QUOTES and before[-1] == after[0]:
        return before[:-1], after[1:]
    while True:
        left, right = _without_end(_POINTER_WORD, before.rstrip()), after.lstrip()
        if not (left and right and _BRACKETS.get(left[-1]) == right[0]):
            return before, after
        before, after = left[:-1], right[1:]


def _joint(left: str, right: str, space: str) -> str:
    if "\n" in space:
        return "\n"
    return "" if not space and (_EAST_LETTER.match(left[-1]) or _EAST_LETTER.match(right)) else " "
