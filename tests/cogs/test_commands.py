"""What Discord is told about the commands: names, descriptions, limits."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any, cast

import discord
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.client import COGS, MynahBot
from bot.config import Settings
from cogs.ui import autocomplete

Json = dict[str, Any]
PARTS = ("database", "queue", "poster", "clock", "uploads", "privacy", "spending", "requests")
"""What the cogs take from the application when they are loaded."""
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
    "privacy opt-out",
    "privacy opt-in",
    "privacy forget",
    "privacy my-data",
    "privacy report",
    "settings moderation",
    "settings show",
}
NOT_OFFERED = {(f"privacy {name}", "handle") for name in ("opt-out", "opt-in", "forget")}
OFFERED = {"character", "job", "schedule", "zone", "when", "handle"}
"""Options for which choices are offered while one types."""


@pytest.fixture
async def bot() -> AsyncIterator[MynahBot]:
    app = SimpleNamespace(settings=Settings(_env_file=None), home=None, listeners=[], **dict.fromkeys(PARTS))
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


def test_only_schedules_and_settings_need_a_permission(payload: list[Json]) -> None:
    needed = {command["name"]: command.get("default_member_permissions") for command in payload}
    managers = discord.Permissions(manage_guild=True).value
    assert [needed.pop("schedule"), needed.pop("settings")] == [managers, managers]
    assert set(needed.values()) == {None}


def test_choices_are_offered_for_what_can_be_named(payload: list[Json]) -> None:
    for name, command in leaves(payload):
        for option in command.get("options", []):
            # An account to train on may be a known character; one that is opted out is rather none.
            offered = option["name"] in OFFERED and (name, option["name"]) not in NOT_OFFERED
            assert option.get("autocomplete", False) == offered, f"{name} {option['name']}"


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
    ids = ["post:again:9", "post:why:9", "post:report:9", "post:delete:9", "post:there:9", "post:repeat:9", "job:cancel:9"]
    ids += ["request:own:9", "request:cancel:9", "request:approve:9", "request:deny:9"]
    ids += [f"{action}:{'h' * 70}@x.y+b-c_d" for action in ("character:say", "character:delete", "character:erase", "privacy:forget")]
    ids += [f"forget:own:{'h' * 80}", "forget:me:9", "forget:receipt:9"]
    patterns = list(bot._connection._view_store._dynamic_items)
    answered = [[pattern for pattern in patterns if pattern.fullmatch(custom_id)] for custom_id in ids]
    assert [len(found) for found in answered] == [1] * len(ids)
    assert {found[0] for found in answered} == set(patterns)
    assert all(len(custom_id) <= 100 for custom_id in ids)
    for custom_id in ("request:agreed:9", "request:public:9", "request:go:9", "forget:manager:a+b"):
        assert len([pattern for pattern in patterns if pattern.fullmatch(custom_id)]) == 1


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
