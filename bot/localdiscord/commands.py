"""Application commands: what each application has registered, for everywhere and for one server."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bot.localdiscord.clock import WorldClock
from bot.localdiscord.rules import commands as rules
from bot.localdiscord.rules import refusal
from bot.localdiscord.snowflakes import Snowflakes

Json = dict[str, Any]

CREATES_A_DAY = 200
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Command:
    """One registered command. `body` is as Discord gives it back."""

    id: int
    application_id: int
    guild_id: int | None
    body: Json

    @property
    def name(self) -> str:
        return str(self.body["name"])

    @property
    def kind(self) -> int:
        return int(self.body["type"])

    @property
    def options(self) -> list[Json]:
        return list(self.body.get("options") or [])

    @property
    def member_permissions(self) -> int | None:
        """The bits that a member needs; 0 means administrators only, None means anybody."""
        bits = self.body["default_member_permissions"]
        return None if bits is None else int(bits)

    @property
    def contexts(self) -> list[int] | None:
        return self.body.get("contexts")

    def json(self, *, localizations: bool = True) -> Json:
        if localizations:
            return self.body
        return {name: value for name, value in self.body.items() if not name.endswith("_localizations")}


class CommandBook:
    """Every application's commands."""

    def __init__(self, clock: WorldClock, snowflakes: Snowflakes) -> None:
        self._clock = clock
        self._snowflakes = snowflakes
        self._scopes: dict[tuple[int, int | None], dict[int, Command]] = {}
        self._creates: dict[tuple[int, int | None], list[float]] = {}

    def registered(self, application_id: int, guild_id: int | None) -> list[Command]:
        return list(self._scopes.get((application_id, guild_id), {}).values())

    def usable_in(self, application_id: int, guild_id: int | None) -> Iterator[Command]:
        """What a person in this server is offered: the global ones and the server's own."""
        yield from self.registered(application_id, None)
        if guild_id is not None:
            yield from self.registered(application_id, guild_id)

    def get(self, application_id: int, guild_id: int | None, command_id: int) -> Command:
        """Raises: Refusal 10063 when there is none."""
        found = self._scopes.get((application_id, guild_id), {}).get(command_id)
        if found is None:
            raise refusal.unknown("application command")
        return found

    def create(self, application_id: int, guild_id: int | None, body: Json) -> tuple[Command, bool]:
        """Register one command; one of the same name and type is replaced. The bool says whether it is new."""
        rules.check_command(body)
        scope = self._scopes.setdefault((application_id, guild_id), {})
        old = _same(scope, body)
        if old is None:
            rules.check_count([*(command.kind for command in scope.values()), body.get("type") or rules.CHAT_INPUT])
            self._count_creates(application_id, guild_id, 1)
        command = self._make(application_id, guild_id, body, old)
        scope[command.id] = command
        return command, old is None

    def change(self, application_id: int, guild_id: int | None, command_id: int, body: Json) -> Command:
        old = self.get(application_id, guild_id, command_id)
        body = {name: value for name, value in old.body.items() if name in _SENT} | body | {"type": old.kind}
        rules.check_command(body)
        command = self._make(application_id, guild_id, body, old)
        self._scopes[application_id, guild_id][command_id] = command
        return command

    def delete(self, application_id: int, guild_id: int | None, command_id: int) -> None:
        self.get(application_id, guild_id, command_id)
        del self._scopes[application_id, guild_id][command_id]

    def overwrite(self, application_id: int, guild_id: int | None, bodies: list[Json]) -> list[Command]:
        """Put exactly these in place of what there was. Only names that are new count as created."""
        rules.check_commands(bodies)
        rules.check_count([body.get("type") or rules.CHAT_INPUT for body in bodies])
        scope = self._scopes.get((application_id, guild_id), {})
        known = [_same(scope, body) for body in bodies]
        self._count_creates(application_id, guild_id, known.count(None))
        made = [self._make(application_id, guild_id, body, old) for body, old in zip(bodies, known, strict=True)]
        self._scopes[application_id, guild_id] = {command.id: command for command in made}
        return made

    def _count_creates(self, application_id: int, guild_id: int | None, count: int) -> None:
        now = self._clock.time()
        times = [moment for moment in self._creates.get((application_id, guild_id), []) if moment > now - DAY_SECONDS]
        if len(times) + count > CREATES_A_DAY:
            raise refusal.too_many_creates()
        self._creates[application_id, guild_id] = times + [now] * count

    def _make(self, application_id: int, guild_id: int | None, body: Json, old: Command | None) -> Command:
        command_id = self._snowflakes.make() if old is None else old.id
        stored = _stored(body)
        same = old is not None and {name: old.body.get(name) for name in stored} == stored
        version = old.body["version"] if old is not None and same else str(self._snowflakes.make())
        stored |= {"id": str(command_id), "application_id": str(application_id), "version": version}
        if guild_id is not None:
            stored["guild_id"] = str(guild_id)
        return Command(command_id, application_id, guild_id, stored)


_SENT = frozenset(
    {
        "name",
        "name_localizations",
        "description",
        "description_localizations",
        "options",
        "default_member_permissions",
        "contexts",
        "integration_types",
        "nsfw",
    }
)


def _same(scope: dict[int, Command], body: Json) -> Command | None:
    kind = body.get("type") or rules.CHAT_INPUT
    return next((command for command in scope.values() if command.name == body["name"] and command.kind == kind), None)


def _stored(body: Json) -> Json:
    """A command as Discord gives it back: permissions as text, lists as lists, no empty fields."""
    bits = body.get("default_member_permissions")
    contexts = body.get("contexts")
    stored: Json = {
        "type": body.get("type") or rules.CHAT_INPUT,
        "name": body["name"],
        "name_localizations": body.get("name_localizations"),
        "description": body.get("description") or "",
        "description_localizations": body.get("description_localizations"),
        "default_member_permissions": None if bits is None else str(bits),
        "dm_permission": body.get("dm_permission") is not False if contexts is None else 1 in contexts,
        "contexts": contexts,
        "integration_types": body.get("integration_types") or [0],
        "nsfw": bool(body.get("nsfw")),
    }
    if body.get("options"):
        stored["options"] = [_stored_option(option) for option in body["options"]]
    return stored


def _stored_option(option: Json) -> Json:
    stored = {name: value for name, value in option.items() if value is not None}
    for name in ("options", "choices"):
        if name in stored:
            stored[name] = [_stored_option(item) for item in stored[name]]
    return stored
