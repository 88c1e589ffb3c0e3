"""Bluesky's rich text: a plain text, and which bytes of it are links."""

from collections.abc import Iterator, Mapping
from os.path import commonprefix

import regex

from bot.tweets.plain import is_shown_for, link_text

_LINK = "app.bsky.richtext.facet#link"
_SCHEME = regex.compile(r"(?i)\Ahttps?://")
_HOST = regex.compile(r"[^/?#]*")
_CUT = regex.compile(r"…|\.\.\.")
_CONTINUING = bytes(range(0x80, 0xC0))
"""What follows the first byte of a character in UTF-8."""


def with_links(text: str, facets: object) -> str:
    """`text` with the whole address where a link is shown cut short.

    A facet that is out of range, or that overlaps one before it, is left out, as Bluesky's own clients do. One whose bytes were counted
    wrongly is moved onto the address in the same word.
    """
    done, result = 0, ""
    for start, end, target in sorted(_links(text, facets)):
        if start >= done:
            result += text[done:start] + link_text(text[start:end], target)
            done = end
    return result + text[done:]


def _links(text: str, facets: object) -> Iterator[tuple[int, int, str]]:
    """Where in `text` each link begins and ends, in characters, and where it leads."""
    data = text.encode("utf-8", "surrogatepass")
    for facet in _objects(facets):
        target = next(
            (f["uri"] for f in _objects(facet.get("features")) if f.get("$type") == _LINK and isinstance(f.get("uri"), str)), None
        )
        start, end = _range(facet.get("index"))
        if isinstance(target, str) and 0 <= start < end <= len(data):
            yield *_moved(text, _characters(data, start), _characters(data, end), target), target


def _objects(value: object) -> list[Mapping[str, object]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _range(index: object) -> tuple[int, int]:
    """In bytes; an impossible one where the facet has none."""
    if isinstance(index, Mapping):
        start, end = index.get("byteStart"), index.get("byteEnd")
        if isinstance(start, int) and isinstance(end, int):
            return start, end
    return -1, -1


def _characters(data: bytes, count: int) -> int:
    """How many characters begin within the first `count` bytes."""
    return len(data[:count].translate(None, _CONTINUING))


def _moved(text: str, start: int, end: int, target: str) -> tuple[int, int]:
    """The range, or that of the address in the same word where the range cuts through it."""
    if is_shown_for(text[start:end], target):
        return start, end
    address = _SCHEME.sub("", target)
    host = _HOST.match(address)[0]  # type: ignore[index]  # matches nothing too
    before = max(text.rfind(" ", 0, start), text.rfind("\n", 0, start)) + 1
    after = min((at for at in (text.find(" ", end), text.find("\n", end)) if at >= 0), default=len(text))
    first = text.find(host, before, after) if host else -1
    if first < 0:
        return start, end
    last = first + len(commonprefix((text[first:after], address)))  # noqa: RUF071  # of any two texts
    cut = _CUT.match(text, last)
    whole = cut or not text[last : last + 1].isalnum()
    return (first, cut.end() if cut else last) if whole else (start, end)
