"""What a person fills in, checked as the client checks it, and turned into an interaction's data."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bot.localdiscord import wire
from bot.localdiscord.drafts import Upload
from bot.localdiscord.objects import Channel, Role, User
from bot.localdiscord.rules.commands import (
    ATTACHMENT,
    BOOLEAN,
    CHANNEL,
    GROUP,
    INTEGER,
    MENTIONABLE,
    NUMBER,
    ROLE,
    STRING,
    SUBCOMMAND,
    USER_OPTION,
)
from bot.localdiscord.wire_messages import attachment_json

if TYPE_CHECKING:
    from bot.localdiscord.world import World

Json = dict[str, Any]


class NotPossible(Exception):
    """The client would not let a person do that."""


class Filling:
    """Fills in one command's options in one channel."""

    def __init__(self, world: "World", channel: Channel, values: Mapping[str, object], *, focused: str | None = None) -> None:
        """`focused`: the option being typed, for autocompletion: then nothing is required yet."""
        self._world = world
        self._channel = channel
        self._values = dict(values)
        self._focused = focused
        self.resolved: dict[str, Json] = {}

    def fill(self, command: str, options: Sequence[Json], path: Sequence[str]) -> list[Json]:
        """The `options` of the interaction. `path`: the names of group and sub-command.

        Raises:
            NotPossible: an unknown, missing or unfit value.
        """
        if path:
            wanted = next((option for option in options if option["name"] == path[0] and option["type"] in {SUBCOMMAND, GROUP}), None)
            if wanted is None:
                raise NotPossible(f"/{command} has no sub-command {path[0]!r}")
            inner = self.fill(f"{command} {path[0]}", wanted.get("options") or [], path[1:])
            return [{"type": wanted["type"], "name": wanted["name"], "options": inner}]
        if any(option["type"] in {SUBCOMMAND, GROUP} for option in options):
            raise NotPossible(f"/{command} needs a sub-command")
        unknown = set(self._values) - {option["name"] for option in options}
        if unknown:
            raise NotPossible(f"/{command} has no option {sorted(unknown)}")
        return [filled for option in options if (filled := self._one(command, option)) is not None]

    def _one(self, command: str, option: Json) -> Json | None:
        name, kind = option["name"], option["type"]
        if name not in self._values:
            if option.get("required") and self._focused is None:
                raise NotPossible(f"/{command}: the option {name!r} is required")
            return None
        value = self._values[name]
        if self._focused == name:
            return {"type": kind, "name": name, "value": str(value), "focused": True}
        return {"type": kind, "name": name, "value": self._value(command, option, value)}

    def _value(self, command: str, option: Json, value: object) -> object:
        kind = option["type"]
        where = f"/{command}: the option {option['name']!r}"
        if option.get("choices"):
            return _chosen(where, option["choices"], value)
        if kind == STRING:
            return _string(where, option, value)
        if kind in {INTEGER, NUMBER}:
            return _number(where, option, value)
        if kind == BOOLEAN:
            if not isinstance(value, bool):
                raise NotPossible(f"{where} is true or false, not {value!r}")
            return value
        if kind == ATTACHMENT:
            if not isinstance(value, Upload):
                raise NotPossible(f"{where} takes a File, not {value!r}")
            stored = self._world.store_file(self._channel, value, ephemeral=True)
            self._resolve("attachments", stored.id, attachment_json(stored, self._world.base_url))
            return str(stored.id)
        return self.mention(where, kind, value, option.get("channel_types"))

    def mention(self, where: str, kind: int, value: object, channel_types: Sequence[int] | None = None) -> str:
        """The id of a user, role or channel, with its details among `resolved`."""
        guild = self._channel.guild
        if isinstance(value, Channel) and kind == CHANNEL:
            if channel_types and value.kind not in channel_types:
                raise NotPossible(f"{where} takes other kinds of channel than {value.name!r}")
            self._resolve("channels", value.id, wire.channel_json(value) | {"permissions": "0"})
            return str(value.id)
        if isinstance(value, Role) and kind in {ROLE, MENTIONABLE}:
            self._resolve("roles", value.id, wire.role_json(value))
            return str(value.id)
        user = value if isinstance(value, User) else getattr(value, "user", None)
        if isinstance(user, User) and kind in {USER_OPTION, MENTIONABLE}:
            self._resolve("users", user.id, wire.user_json(user))
            if guild is not None and user.id in guild.members:
                bits = guild.permissions_in(self._channel, user.id)
                self._resolve("members", user.id, wire.bare_member_json(guild.members[user.id]) | {"permissions": str(bits)})
            return str(user.id)
        raise NotPossible(f"{where} does not take {value!r}")

    def _resolve(self, kind: str, key: int, body: Json) -> None:
        self.resolved.setdefault(kind, {})[str(key)] = body


def _chosen(where: str, choices: Sequence[Json], value: object) -> object:
    for choice in choices:
        if value in (choice["name"], choice["value"]):
            return choice["value"]
    offered = [choice["name"] for choice in choices]
    raise NotPossible(f"{where} offers {offered}, not {value!r}")


def _string(where: str, option: Json, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise NotPossible(f"{where} takes text, not {value!r}")
    least, most = option.get("min_length") or 0, option.get("max_length") or 6000
    if not least <= len(value) <= most:
        raise NotPossible(f"{where} takes {least} to {most} characters, not {len(value)}")
    return value


def _number(where: str, option: Json, value: object) -> int | float:
    whole = option["type"] == INTEGER
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise NotPossible(f"{where} takes a {'whole ' if whole else ''}number, not {value!r}")
    least, most = option.get("min_value"), option.get("max_value")
    if (least is not None and value < least) or (most is not None and value > most):
        raise NotPossible(f"{where} takes numbers from {least} to {most}, not {value}")
    if abs(value) > 2**53:
        raise NotPossible(f"{where} takes no number beyond 2^53")
    return value
