"""What Discord is told about the commands: names, descriptions, limits."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import discord
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.client import COGS, MynahBot
from bot.config import Settings
from bot.errors import BadInput
from cogs.ui import autocomplete
from cogs.ui.transformers import Handle

Json = dict[str, Any]
NAME = re.compile(r"^[-_\w]{1,32}$")
EXPECTED = {
    "train",
    "say",
    "jobs list",
    "jobs show",
    "jobs cancel",
    "jobs first",
    "character list",
    "character info",
    "character delete",
    "schedule add",
    "schedule list",
    "schedule remove",
}
OFFERED = {"character", "job", "schedule", "zone", "when", "handle"}
"""Options for which choices are offered while one types."""


@pytest.fixture
async def bot() -> AsyncIterator[MynahBot]:
    app = SimpleNamespace(settings=Settings(_env_file=None), database=None, queue=None, poster=None, clock=None, listeners=[])
    bot = MynahBot(cast("Any", app))
    for name in COGS:
        await bot.load_extension(name)
    yield bot
    await bot.close()


@pytest.fixture
def payload(bot: MynahBot) -> list[Json]:
    told: list[Json] = json.loads(json.dumps([command.to_dict(bot.tree) for command in bot.tree.get_commands()]))
    return told


def leaves(commands: list[Json]) -> Iterator[tuple[str, Json]]:
    for command in commands:
        subcommands = [option for option in command.get("options", []) if option["type"] == 1]
        if not subcommands:
            yield command["name"], command
        for option in subcommands:
            yield f"{command['name']} {option['name']}", option


def test_the_commands_are_these(payload: list[Json]) -> None:
    names = [name for name, _ in leaves(payload)]
    assert set(names) == EXPECTED
    assert len(names) == len(set(names))


def test_every_command_and_option_is_named_and_described(payload: list[Json]) -> None:
    options = [option for _, command in leaves(payload) for option in command.get("options", [])]
    for thing in [*payload, *(command for _, command in leaves(payload)), *options]:
        assert NAME.match(thing["name"]), thing["name"]
        assert thing["name"] == thing["name"].lower()
        assert 3 < len(thing["description"]) <= 100, thing["name"]


def test_options_that_must_be_given_come_first(payload: list[Json]) -> None:
    for name, command in leaves(payload):
        required = [option.get("required", False) for option in command.get("options", [])]
        assert required == sorted(required, reverse=True), name
        assert len(required) <= 25


def test_a_command_is_within_8000_characters(payload: list[Json]) -> None:
    for command in payload:
        assert len(json.dumps(command)) < 8000


def test_commands_are_for_servers_only(payload: list[Json]) -> None:
    for command in payload:
        assert command["contexts"] == [0], command["name"]
        assert command["integration_types"] == [0], command["name"]


def test_only_schedules_need_a_permission(payload: list[Json]) -> None:
    needed = {command["name"]: command.get("default_member_permissions") for command in payload}
    assert needed.pop("schedule") == discord.Permissions(manage_guild=True).value
    assert set(needed.values()) == {None}


def test_choices_are_offered_for_what_can_be_named(payload: list[Json]) -> None:
    for name, command in leaves(payload):
        for option in command.get("options", []):
            assert option.get("autocomplete", False) == (option["name"] in OFFERED), f"{name} {option['name']}"


def test_the_bot_asks_for_servers_only(bot: MynahBot) -> None:
    assert bot.intents.value == discord.Intents(guilds=True).value == 1


def test_the_hash_follows_the_commands_and_the_place(bot: MynahBot, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bot._commands_hash()
    assert bot._commands_hash() == first
    monkeypatch.setattr(discord.http.Route, "BASE", "http://127.0.0.1:1/api/v10")
    elsewhere = bot._commands_hash()
    assert elsewhere != first
    bot.tree.remove_command("say")
    assert bot._commands_hash() not in (first, elsewhere)


def test_each_button_has_one_answer(bot: MynahBot) -> None:
    ids = ["post:again:9", "post:why:9", "post:delete:9", "post:there:9", "post:repeat:9", "job:cancel:9"]
    ids += ["character:say:a.b-c", "character:delete:x", "character:erase:x"]
    patterns = list(bot._connection._view_store._dynamic_items)
    for custom_id in ids:
        assert len([pattern for pattern in patterns if pattern.fullmatch(custom_id)]) == 1
    assert len(patterns) == len(ids)


@given(st.text(max_size=80))
async def test_a_handle_is_plain_or_refused(typed: str) -> None:
    with suppress(BadInput):
        handle = await Handle().transform(cast("Any", None), typed)
        assert re.fullmatch(r"[a-z0-9_][a-z0-9_.-]{0,62}", handle)
        assert ".." not in handle


@given(st.from_regex(r"[A-Za-z0-9_]{1,15}", fullmatch=True))
async def test_an_account_of_x_is_a_handle_with_and_without_the_sign(name: str) -> None:
    for typed in (name, f"@{name}", f"  @{name} "):
        assert await Handle().transform(cast("Any", None), typed) == name.lower()


@pytest.mark.parametrize("typed", ["", "@", "a..b", "../x", "a/b", "a b", "-a", "ä", "x" * 64, "@@a"])
async def test_what_is_no_handle(typed: str) -> None:
    with pytest.raises(BadInput, match=r"^.{20,200}$"):
        await Handle().transform(cast("Any", None), typed)


@given(st.text(max_size=60))
async def test_times_are_always_offered_within_the_limits(typed: str) -> None:
    choices = await autocomplete.when(cast("Any", None), typed)
    assert 1 <= len(choices) <= 25
    assert all(1 <= len(choice.name) <= 100 for choice in choices)


async def test_the_typed_time_of_day_is_kept() -> None:
    choices = await autocomplete.when(cast("Any", None), "18:30")
    assert "every day at 18:30" in [choice.value for choice in choices]


async def test_every_offered_time_can_be_taken() -> None:
    from bot.when import parse_when  # noqa: PLC0415

    for typed in ("", "7:05", "weekdays", "every m"):
        for choice in await autocomplete.when(cast("Any", None), typed):
            assert len(parse_when(choice.value).split()) == 5
