"""Where the wire and Discord's description of it are known to disagree. A row here is a decision: it stands with its reason."""

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """A place where the wire and the description disagree, so that the value is made to fit before it is checked."""

    where: str
    """Path in the body, `*` for every item of a list."""
    fit: Callable[[Any], Any]
    reason: str


def _text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _without_codes(errors: object) -> object:
    """The tree of errors with 0 for every code."""
    if isinstance(errors, list):
        return [{**error, "code": 0} if isinstance(error.get("code"), str) else error for error in errors if isinstance(error, dict)]
    return {key: _without_codes(value) for key, value in errors.items()} if isinstance(errors, dict) else errors


REQUEST_DIFFERENCES = (
    Difference("attachments/*/id", _text, "discord.py names a file by its index, an integer; the description wants a snowflake"),
    Difference("data/attachments/*/id", _text, "the same inside an interaction's callback"),
)
REPLY_DIFFERENCES = (
    Difference(
        "errors",
        _without_codes,
        'the codes inside are words on the wire and in the documents ("BASE_TYPE_REQUIRED"), integers in the description',
    ),
)


def fit(body: object, differences: Iterable[Difference]) -> object:
    """A copy of the body with the known differences taken out."""
    copy = deepcopy(body)
    for difference in differences:
        *path, last = difference.where.split("/")
        for _, holder in values_at(copy, "/".join(path)):
            if isinstance(holder, dict) and last in holder:
                holder[last] = difference.fit(holder[last])
    return copy


def values_at(value: object, path: str, where: str = "") -> Iterator[tuple[str, object]]:
    """Everything at a path in a value; nothing where the path leads nowhere or to null."""
    if value is None:
        return
    if not path:
        yield where or "the whole", value
        return
    head, _, rest = path.partition("/")
    if head == "*":
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in items:
            yield from values_at(item, rest, f"{where}/{key}".lstrip("/"))
    elif isinstance(value, dict):
        yield from values_at(value.get(head), rest, f"{where}/{head}".lstrip("/"))
