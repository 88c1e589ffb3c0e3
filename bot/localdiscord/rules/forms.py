"""Shapes of request bodies, and the error tree of what does not fit them."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from bot.localdiscord.rules.refusal import Refusal

Json = dict[str, Any]
Path = tuple[str | int, ...]

SNOWFLAKE = re.compile(r"(0|[1-9][0-9]{0,19})\Z")


class Problems:
    """Collects what is wrong, field by field."""

    def __init__(self) -> None:
        self._tree: Json = {}

    def add(self, path: Path, code: str, message: str) -> None:
        node = self._tree
        for step in path:
            node = node.setdefault(str(step), {})
        node.setdefault("_errors", []).append({"code": code, "message": message})

    def __bool__(self) -> bool:
        return bool(self._tree)

    def refuse(self) -> None:
        """Raise 50035 when anything was found."""
        if self._tree:
            raise Refusal(400, 50035, "Invalid Form Body", _deepest(self._tree))


def _deepest(node: Json) -> Json:
    """The tree without what is said of a field whose parts have problems too: Discord names only the innermost."""
    children = {name: _deepest(child) for name, child in node.items() if name != "_errors"}
    return children or node


Shape = Callable[[object, Path, Problems], None]


def check(body: object, shape: Shape, *rules: Callable[[Any, Problems], None]) -> None:
    """Refuse a body that does not fit the shape or, fitting it, breaks a rule that spans fields."""
    problems = Problems()
    shape(body, (), problems)
    problems.refuse()
    for rule in rules:
        rule(body, problems)
    problems.refuse()


def invalid(path: Path, code: str, message: str) -> Refusal:
    """50035 for one field."""
    problems = Problems()
    problems.add(path, code, message)
    return Refusal(400, 50035, "Invalid Form Body", problems._tree)  # noqa: SLF001 - the same file


def text(least: int = 0, most: int | None = None) -> Shape:
    def shape(value: object, path: Path, problems: Problems) -> None:
        if not isinstance(value, str):
            problems.add(path, "STRING_TYPE_CONVERT", f'Could not interpret "{value}" as string.')
        else:
            _check_length(len(value), least, most, path, problems)

    return shape


def _check_length(length: int, least: int, most: int | None, path: Path, problems: Problems) -> None:
    if least <= length and (most is None or length <= most):
        return
    if least and most is not None:
        problems.add(path, "BASE_TYPE_BAD_LENGTH", f"Must be between {least} and {most} in length.")
    elif length < least:
        problems.add(path, "BASE_TYPE_MIN_LENGTH", f"Must be {least} or more in length.")
    else:
        problems.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")


def integer(least: int | None = None, most: int | None = None) -> Shape:
    def shape(value: object, path: Path, problems: Problems) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            problems.add(path, "NUMBER_TYPE_COERCE", f'Value "{value}" is not int.')
        elif least is not None and value < least:
            problems.add(path, "NUMBER_TYPE_MIN", f"int value should be greater than or equal to {least}.")
        elif most is not None and value > most:
            problems.add(path, "NUMBER_TYPE_MAX", f"int value should be less than or equal to {most}.")

    return shape


def number(value: object, path: Path, problems: Problems) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        problems.add(path, "NUMBER_TYPE_COERCE", f'Value "{value}" is not float.')


def boolean(value: object, path: Path, problems: Problems) -> None:
    if not isinstance(value, bool):
        problems.add(path, "BOOLEAN_TYPE_CONVERT", "Must be either true or false.")


def snowflake(value: object, path: Path, problems: Problems) -> None:
    """An id, as text or, as some clients send it, as a number."""
    if isinstance(value, bool) or not isinstance(value, int | str) or not SNOWFLAKE.match(str(value)):
        problems.add(path, "NUMBER_TYPE_COERCE", f'Value "{value}" is not snowflake.')


def bits(value: object, path: Path, problems: Problems) -> None:
    """A bit set, as a number or as text."""
    if isinstance(value, bool) or not isinstance(value, int | str) or not re.fullmatch(r"[0-9]{1,19}", str(value)):
        problems.add(path, "BITFIELD_TYPE_INVALID", f'Value "{value}" is not a valid bit set.')


def moment(value: object, path: Path, problems: Problems) -> None:
    try:
        datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        problems.add(path, "DATE_TIME_TYPE_PARSE", f'Could not parse "{value}". Should be ISO8601.')


def url(most: int, schemes: Collection[str] = ("http", "https")) -> Shape:
    def shape(value: object, path: Path, problems: Problems) -> None:
        text(0, most)(value, path, problems)
        if not isinstance(value, str) or not value:
            return
        scheme, mark, rest = value.partition("://")
        if not mark or not rest or re.search(r"\s", value):
            problems.add(path, "URL_TYPE_INVALID_URL", "Not a well formed URL.")
        elif scheme.lower() not in schemes:
            problems.add(path, "URL_TYPE_INVALID_SCHEME", f'Scheme "{scheme}" must be one of {tuple(schemes)}.')

    return shape


def one_of(choices: Collection[int | str]) -> Shape:
    def shape(value: object, path: Path, problems: Problems) -> None:
        if isinstance(value, bool) or not isinstance(value, int | str) or value not in choices:
            listed = ", ".join(str(choice) for choice in choices)
            problems.add(path, "BASE_TYPE_CHOICES", f"Value must be one of ({listed}).")

    return shape


def many(item: Shape, least: int = 0, most: int | None = None) -> Shape:
    def shape(value: object, path: Path, problems: Problems) -> None:
        if not isinstance(value, list):
            problems.add(path, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
            return
        _check_length(len(value), least, most, path, problems)
        for index, part in enumerate(value):
            item(part, (*path, index), problems)

    return shape


def form(fields: Mapping[str, Shape], *, needs: Collection[str] = ()) -> Shape:
    """An object. Fields that are absent or null are left alone unless needed; unknown ones are ignored, as Discord does."""

    def shape(value: object, path: Path, problems: Problems) -> None:
        if not isinstance(value, dict):
            problems.add(path, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
            return
        for name in needs:
            if value.get(name) is None:
                problems.add((*path, name), "BASE_TYPE_REQUIRED", "This field is required")
        for name, field in fields.items():
            if value.get(name) is not None:
                field(value[name], (*path, name), problems)

    return shape


def texts_by(keys: Collection[str], item: Shape) -> Shape:
    """An object whose keys are known and whose values are alike: localisations."""

    def shape(value: object, path: Path, problems: Problems) -> None:
        if not isinstance(value, dict):
            problems.add(path, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
            return
        for key, part in value.items():
            if key not in keys:
                problems.add((*path, key), "ENUM_TYPE_COERCE", f'Value "{key}" is not a valid enum value.')
            elif part is not None:
                item(part, (*path, key), problems)

    return shape
