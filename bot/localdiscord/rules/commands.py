"""Rules for application commands, for the choices of an autocompletion and for answers to interactions."""

from typing import Any

import regex

from bot.localdiscord.rules import refusal
from bot.localdiscord.rules.components import MODAL, check_meaning
from bot.localdiscord.rules.forms import (
    Path,
    Problems,
    Shape,
    bits,
    boolean,
    check,
    form,
    integer,
    many,
    number,
    one_of,
    snowflake,
    text,
    texts_by,
)

Json = dict[str, Any]

CHAT_INPUT, USER, MESSAGE = 1, 2, 3
SUBCOMMAND, GROUP, STRING, INTEGER, BOOLEAN, USER_OPTION, CHANNEL, ROLE, MENTIONABLE, NUMBER, ATTACHMENT = range(1, 12)

MOST_COMMANDS = {CHAT_INPUT: 100, USER: 15, MESSAGE: 15}
MOST_CHARACTERS = 8000
NAME = regex.compile(r"[-_'\p{L}\p{N}\p{sc=Deva}\p{sc=Thai}]{1,32}")
LOCALES = frozenset(
    {"ar", "bg", "cs", "da", "de", "el", "en-GB", "en-US", "es-419", "es-ES", "fi", "fr", "he", "hi", "hr", "hu", "id", "it", "ja", "ko"}
    | {"lt", "nl", "no", "pl", "pt-BR", "ro", "ru", "sv-SE", "th", "tr", "uk", "vi", "zh-CN", "zh-TW"}
)

_NAMES = texts_by(LOCALES, text(1, 32))
_DESCRIPTIONS = texts_by(LOCALES, text(1, 100))
_SHARED: dict[str, Shape] = {
    "type": one_of(tuple(range(1, 12))),
    "name": text(1, 32),
    "name_localizations": _NAMES,
    "description": text(1, 100),
    "description_localizations": _DESCRIPTIONS,
    "required": boolean,
    "autocomplete": boolean,
}
_OF_KIND: dict[int, dict[str, Shape]] = {
    STRING: {"min_length": integer(0, 6000), "max_length": integer(1, 6000)},
    INTEGER: {"min_value": integer(-(2**53), 2**53), "max_value": integer(-(2**53), 2**53)},
    NUMBER: {"min_value": number, "max_value": number},
    CHANNEL: {"channel_types": many(integer(0, 16))},
}
_CHOICE_VALUES: dict[int, Shape] = {STRING: text(1, 100), INTEGER: integer(-(2**53), 2**53), NUMBER: number}


def _choices(kind: int) -> Shape:
    item = form(
        {"name": text(1, 100), "name_localizations": texts_by(LOCALES, text(1, 100)), "value": _CHOICE_VALUES[kind]},
        needs=("name", "value"),
    )
    return many(item, 0, 25)


def _option(value: object, path: Path, problems: Problems) -> None:
    kind = value.get("type") if isinstance(value, dict) else None
    fields = dict(_SHARED)
    if isinstance(kind, int) and not isinstance(kind, bool):
        fields |= _OF_KIND.get(kind, {})
        if kind in _CHOICE_VALUES:
            fields["choices"] = _choices(kind)
        if kind in {SUBCOMMAND, GROUP}:
            fields["options"] = many(_option, 0, 25)
    form(fields, needs=("type", "name", "description"))(value, path, problems)


_COMMAND_FIELDS: dict[str, Shape] = {
    "id": snowflake,
    "type": one_of((CHAT_INPUT, USER, MESSAGE, 4)),
    "name": text(1, 32),
    "name_localizations": _NAMES,
    "description": text(0, 100),
    "description_localizations": _DESCRIPTIONS,
    "options": many(_option, 0, 25),
    "default_member_permissions": bits,
    "dm_permission": boolean,
    "nsfw": boolean,
    "contexts": many(one_of((0, 1, 2)), 1),
    "integration_types": many(one_of((0, 1)), 1),
}
_COMMAND = form(_COMMAND_FIELDS, needs=("name",))
_COMMAND_CHANGE = form(_COMMAND_FIELDS)


def check_command(body: Json, *, change: bool = False) -> None:
    """Refuse one command. `change`: fields may be missing."""
    problems = Problems()
    (_COMMAND_CHANGE if change else _COMMAND)(body, (), problems)
    problems.refuse()
    _check_command(body, (), problems)
    problems.refuse()


def check_commands(bodies: object) -> None:
    """Refuse a whole list, as a bulk overwrite sends it."""

    def rule(items: list[Json], problems: Problems) -> None:
        for index, item in enumerate(items):
            _check_command(item, (index,), problems)
        _check_names_differ(items, problems)

    check(bodies, many(_COMMAND), rule)


def check_count(kinds: list[int]) -> None:
    """Refuse more commands of one type than an application may have in one scope."""
    for kind, most in MOST_COMMANDS.items():
        if kinds.count(kind) > most:
            raise refusal.too_many_commands(most)


def check_choices(data: Json, kind: int) -> None:
    """Refuse the answer to an autocompletion whose option is of this kind."""
    check(data, form({"choices": _choices(kind)}, needs=("choices",)))


def check_modal(data: Json) -> None:
    def rule(body: Json, problems: Problems) -> None:
        check_meaning(body["components"], problems)

    check(data, MODAL, rule)


def command_characters(body: Json) -> int:
    """What counts towards the 8000 of a command: its own texts and those of options and choices, with the longest localisation."""
    total = _longest(body, "name") + _longest(body, "description")
    for option in body.get("options") or []:
        total += command_characters(option)
    for choice in body.get("choices") or []:
        total += _longest(choice, "name") + len(str(choice["value"]))
    return total


def _longest(body: Json, field: str) -> int:
    texts = [body.get(field) or "", *(body.get(f"{field}_localizations") or {}).values()]
    return max(len(item or "") for item in texts)


def _check_names_differ(items: list[Json], problems: Problems) -> None:
    seen: set[tuple[int, str]] = set()
    for index, item in enumerate(items):
        key = (item.get("type") or CHAT_INPUT, item["name"])
        if key in seen:
            problems.add((index,), "APPLICATION_COMMANDS_DUPLICATE_NAME", "Application command names must be unique")
        seen.add(key)


def _check_command(body: Json, path: Path, problems: Problems) -> None:
    kind = body.get("type") or CHAT_INPUT
    name = body.get("name")
    if kind == CHAT_INPUT:
        if name is not None:
            _check_name(name, (*path, "name"), problems)
        for locale, item in (body.get("name_localizations") or {}).items():
            _check_name(item, (*path, "name_localizations", locale), problems)
        if name is not None and not body.get("description"):
            problems.add((*path, "description"), "BASE_TYPE_REQUIRED", "This field is required")
        _check_options(body.get("options") or [], (*path, "options"), problems, depth=0)
    else:
        if body.get("description"):
            problems.add((*path, "description"), "APPLICATION_COMMAND_DESCRIPTION_INVALID", "Context menu commands cannot have description")
        if body.get("options"):
            problems.add((*path, "options"), "APPLICATION_COMMAND_OPTIONS_INVALID", "Context menu commands cannot have options")
    if command_characters(body) > MOST_CHARACTERS:
        problems.add(path, "APPLICATION_COMMAND_TOO_LARGE", f"Command exceeds maximum size ({MOST_CHARACTERS})")
    _check_contexts(body, path, problems)


def _check_contexts(body: Json, path: Path, problems: Problems) -> None:
    private = 2 in (body.get("contexts") or [])
    if private and body.get("integration_types") is not None and 1 not in body["integration_types"]:
        message = "Private channel context needs the user install integration type"
        problems.add((*path, "contexts"), "APPLICATION_COMMAND_CONTEXTS_INVALID", message)


def _check_name(name: str, path: Path, problems: Problems) -> None:
    if not NAME.fullmatch(name) or name != name.lower():
        problems.add(path, "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")


def _check_options(options: list[Json], path: Path, problems: Problems, *, depth: int) -> None:
    seen: set[str] = set()
    optional_before = False
    kinds = {option["type"] in {SUBCOMMAND, GROUP} for option in options}
    if len(kinds) > 1:
        message = "Sub-command and sub-command group option types are mutually exclusive to all other types"
        problems.add(path, "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", message)
    for index, option in enumerate(options):
        where = (*path, index)
        _check_name(option["name"], (*where, "name"), problems)
        for locale, item in (option.get("name_localizations") or {}).items():
            _check_name(item, (*where, "name_localizations", locale), problems)
        if option["name"] in seen:
            problems.add(where, "APPLICATION_COMMAND_OPTIONS_NAME_DUPLICATED", "Option names must be unique")
        seen.add(option["name"])
        if option.get("required") and optional_before:
            message = "Required options must be placed before non-required options"
            problems.add(where, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", message)
        optional_before = optional_before or not option.get("required")
        _check_option(option, where, problems, depth)


def _check_option(option: Json, where: Path, problems: Problems, depth: int) -> None:
    kind = option["type"]
    if (kind == GROUP and depth > 0) or (kind == SUBCOMMAND and depth > 1):
        problems.add((*where, "type"), "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", "Groups cannot be nested this deep")
    elif kind in {SUBCOMMAND, GROUP}:
        _check_options(option.get("options") or [], (*where, "options"), problems, depth=2 if kind == SUBCOMMAND else 1)
        if kind == GROUP and any(item["type"] != SUBCOMMAND for item in option.get("options") or []):
            problems.add((*where, "options"), "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", "A group holds sub-commands only")
    if option.get("autocomplete") and option.get("choices"):
        message = "Autocomplete cannot be set when choices are given"
        problems.add((*where, "autocomplete"), "APPLICATION_COMMAND_OPTIONS_CHOICES_AUTOCOMPLETE", message)
    if option.get("autocomplete") and kind not in _CHOICE_VALUES:
        problems.add((*where, "autocomplete"), "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", "Option type does not support autocomplete")
