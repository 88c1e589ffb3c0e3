"""Rules for components: rows, buttons, selects, the second version's layout, and modals."""

from collections.abc import Mapping
from typing import Any

from bot.localdiscord.messages import (
    ACTION_ROW,
    BUTTON,
    CHANNEL_SELECT,
    CONTAINER,
    FILE,
    LABEL,
    LINK_STYLE,
    MEDIA_GALLERY,
    MENTIONABLE_SELECT,
    ROLE_SELECT,
    SECTION,
    SELECTS,
    SEPARATOR,
    STRING_SELECT,
    TEXT_DISPLAY,
    TEXT_INPUT,
    THUMBNAIL,
    USER_SELECT,
    walk,
)
from bot.localdiscord.rules.forms import Path, Problems, Shape, boolean, form, integer, many, one_of, snowflake, text, url

Json = dict[str, Any]

PREMIUM_STYLE = 6
MOST_ROWS = 5
MOST_IN_V2 = 40
MOST_TEXT_IN_V2 = 4000

_EMOJI = form({"id": snowflake, "name": text(), "animated": boolean})
_ID = integer(0, 2**31 - 1)
_CUSTOM_ID = text(1, 100)
_MEDIA = form({"url": url(2048, ("http", "https", "attachment"))}, needs=("url",))
_BUTTON = form(
    {
        "id": _ID,
        "style": one_of((1, 2, 3, 4, 5, 6)),
        "label": text(0, 80),
        "custom_id": _CUSTOM_ID,
        "url": url(512, ("http", "https", "discord")),
        "disabled": boolean,
        "emoji": _EMOJI,
        "sku_id": snowflake,
    },
    needs=("style",),
)
_SELECT_FIELDS: dict[str, Shape] = {
    "id": _ID,
    "custom_id": _CUSTOM_ID,
    "placeholder": text(0, 150),
    "min_values": integer(0, 25),
    "max_values": integer(1, 25),
    "disabled": boolean,
}
_OPTION = form(
    {"label": text(1, 100), "value": text(1, 100), "description": text(0, 100), "emoji": _EMOJI, "default": boolean},
    needs=("label", "value"),
)
_DEFAULTS = many(form({"id": snowflake, "type": one_of(("user", "role", "channel"))}, needs=("id", "type")), 0, 25)
_STRING_SELECT = form(_SELECT_FIELDS | {"options": many(_OPTION, 1, 25)}, needs=("custom_id", "options"))
_OTHER_SELECT = form(_SELECT_FIELDS | {"default_values": _DEFAULTS, "channel_types": many(integer(0, 16))}, needs=("custom_id",))
_TEXT_DISPLAY = form({"id": _ID, "content": text(1, MOST_TEXT_IN_V2)}, needs=("content",))
_THUMBNAIL = form({"id": _ID, "media": _MEDIA, "description": text(0, 1024), "spoiler": boolean}, needs=("media",))
_GALLERY_ITEM = form({"media": _MEDIA, "description": text(0, 1024), "spoiler": boolean}, needs=("media",))
_TEXT_INPUT = form(
    {
        "id": _ID,
        "custom_id": _CUSTOM_ID,
        "style": one_of((1, 2)),
        "label": text(1, 45),
        "value": text(0, 4000),
        "placeholder": text(0, 100),
        "required": boolean,
        "min_length": integer(0, 4000),
        "max_length": integer(1, 4000),
    },
    needs=("custom_id", "style"),
)
_SELECT_SHAPES = {kind: _STRING_SELECT if kind == STRING_SELECT else _OTHER_SELECT for kind in SELECTS}


def _by_type(shapes: Mapping[int, Shape]) -> Shape:
    def shape(value: object, path: Path, problems: Problems) -> None:
        if not isinstance(value, dict):
            problems.add(path, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
            return
        kind = value.get("type")
        if kind is None:
            problems.add((*path, "type"), "BASE_TYPE_REQUIRED", "This field is required")
        elif isinstance(kind, int) and kind in shapes:
            shapes[kind](value, path, problems)
        else:
            listed = ", ".join(str(item) for item in sorted(shapes))
            problems.add((*path, "type"), "UNION_TYPE_CHOICES", f'Value of field "type" must be one of ({listed}).')

    return shape


_ROW = form({"id": _ID, "components": many(_by_type({BUTTON: _BUTTON} | _SELECT_SHAPES), 1, 5)}, needs=("components",))
_SECTION = form(
    {
        "id": _ID,
        "components": many(_by_type({TEXT_DISPLAY: _TEXT_DISPLAY}), 1, 3),
        "accessory": _by_type({BUTTON: _BUTTON, THUMBNAIL: _THUMBNAIL}),
    },
    needs=("components", "accessory"),
)
_LAYOUT: dict[int, Shape] = {
    ACTION_ROW: _ROW,
    SECTION: _SECTION,
    TEXT_DISPLAY: _TEXT_DISPLAY,
    MEDIA_GALLERY: form({"id": _ID, "items": many(_GALLERY_ITEM, 1, 10)}, needs=("items",)),
    FILE: form({"id": _ID, "file": _MEDIA, "spoiler": boolean}, needs=("file",)),
    SEPARATOR: form({"id": _ID, "divider": boolean, "spacing": one_of((1, 2))}),
}
_CONTAINER = form(
    {"id": _ID, "accent_color": integer(0, 0xFFFFFF), "spoiler": boolean, "components": many(_by_type(_LAYOUT), 1, MOST_IN_V2)},
    needs=("components",),
)

OLD = many(_by_type({ACTION_ROW: _ROW}), 0, MOST_ROWS)
"""Components of a message without the flag IS_COMPONENTS_V2: action rows."""
NEW = many(_by_type(_LAYOUT | {CONTAINER: _CONTAINER}), 0, MOST_IN_V2)
"""Components of a message with it."""

_IN_LABEL = _by_type({TEXT_INPUT: _TEXT_INPUT} | _SELECT_SHAPES)
_MODAL_ROW = form({"components": many(_by_type({TEXT_INPUT: _TEXT_INPUT} | _SELECT_SHAPES), 1, 1)}, needs=("components",))
_LABEL = form({"label": text(1, 45), "description": text(0, 100), "component": _IN_LABEL}, needs=("label", "component"))
MODAL = form(
    {
        "custom_id": _CUSTOM_ID,
        "title": text(1, 45),
        "components": many(_by_type({ACTION_ROW: _MODAL_ROW, LABEL: _LABEL, TEXT_DISPLAY: _TEXT_DISPLAY}), 1, 5),
    },
    needs=("custom_id", "title", "components"),
)


def check_meaning(components: list[Json], problems: Problems, path: Path = ("components",)) -> None:
    """What one component's fields mean together, and ids that must differ."""
    seen: set[str] = set()
    for where, part in _places(components, path):
        if part["type"] == BUTTON:
            _check_button(part, where, problems)
        if part["type"] in SELECTS:
            _check_select(part, where, problems)
        if part["type"] == ACTION_ROW:
            _check_row(part, where, problems)
        custom_id = part.get("custom_id")
        if custom_id is not None and custom_id in seen:
            problems.add((*where, "custom_id"), "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated")
        elif custom_id is not None:
            seen.add(custom_id)


def check_size_v2(components: list[Json], problems: Problems) -> None:
    """The totals of a version 2 message."""
    parts = list(walk(components))
    if len(parts) > MOST_IN_V2:
        problems.add(("components",), "BASE_TYPE_MAX_LENGTH", f"Must be {MOST_IN_V2} or fewer in length.")
    written = sum(len(part["content"]) for part in parts if part["type"] == TEXT_DISPLAY)
    if written > MOST_TEXT_IN_V2:
        message = f"The total length of all text in components cannot exceed {MOST_TEXT_IN_V2} characters"
        problems.add(("components",), "COMPONENT_MAX_TOTAL_CHARACTERS_EXCEEDED", message)


def _places(components: list[Json], path: Path) -> list[tuple[Path, Json]]:
    found: list[tuple[Path, Json]] = []
    for index, part in enumerate(components):
        found += _place(part, (*path, index))
    return found


def _place(part: Json, path: Path) -> list[tuple[Path, Json]]:
    found = [(path, part), *_places(part.get("components") or [], (*path, "components"))]
    for key in ("accessory", "component"):
        if isinstance(part.get(key), dict):
            found += _place(part[key], (*path, key))
    return found


def _check_button(part: Json, path: Path, problems: Problems) -> None:
    style, custom_id, address = part["style"], part.get("custom_id"), part.get("url")
    if custom_id is not None and address is not None:
        problems.add(path, "BUTTON_COMPONENT_CUSTOM_ID_URL_MUTUALLY_EXCLUSIVE", "A custom id and url cannot both be specified")
    elif style == LINK_STYLE and address is None:
        problems.add((*path, "url"), "BUTTON_COMPONENT_URL_REQUIRED", "A url is required")
    elif style == PREMIUM_STYLE and part.get("sku_id") is None:
        problems.add((*path, "sku_id"), "BUTTON_COMPONENT_SKU_REQUIRED", "A sku id is required")
    elif style < LINK_STYLE and custom_id is None:
        problems.add((*path, "custom_id"), "BUTTON_COMPONENT_CUSTOM_ID_REQUIRED", "A custom id is required")
    if style != PREMIUM_STYLE and not part.get("label") and not part.get("emoji"):
        problems.add((*path, "label"), "BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED", "A label or emoji is required")


def _check_select(part: Json, path: Path, problems: Problems) -> None:
    least, most = part.get("min_values"), part.get("max_values")
    if least is not None and least > (1 if most is None else most):
        problems.add((*path, "min_values"), "SELECT_COMPONENT_MIN_VALUES_TOO_LARGE", "min_values must be equal to or less than max_values")
    if part["type"] != STRING_SELECT:
        return
    if most is not None and most > len(part["options"]):
        problems.add((*path, "max_values"), "NUMBER_TYPE_MAX", f"int value should be less than or equal to {len(part['options'])}.")
    seen: set[str] = set()
    for index, option in enumerate(part["options"]):
        if option["value"] in seen:
            where = (*path, "options", index, "value")
            problems.add(where, "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED", "The specified option value is already used")
        seen.add(option["value"])


def _check_row(part: Json, path: Path, problems: Problems) -> None:
    kinds = [item["type"] for item in part["components"]]
    if len(kinds) > 1 and any(kind != BUTTON for kind in kinds):
        message = "The specified component exceeds the maximum width"
        problems.add((*path, "components"), "COMPONENT_LAYOUT_WIDTH_EXCEEDED", message)


__all__ = ["CHANNEL_SELECT", "MENTIONABLE_SELECT", "MODAL", "NEW", "OLD", "ROLE_SELECT", "USER_SELECT", "check_meaning", "check_size_v2"]
