"""One REST call as a handler sees it, and the table that handlers enter themselves into."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.localdiscord.drafts import Upload
from bot.localdiscord.objects import Application, Channel, Guild, permissions_in
from bot.localdiscord.permissions import Permissions
from bot.localdiscord.rules import refusal
from bot.localdiscord.rules.forms import SNOWFLAKE, invalid
from bot.localdiscord.world import World

Json = dict[str, Any]

NO_CONTENT: tuple[int, None] = (204, None)


@dataclass(frozen=True)
class Call:
    """What was asked."""

    world: World
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    """The JSON body; {} when there was none."""
    uploads: Sequence[Upload] = ()
    caller: Application | None = None
    """Who holds the token in the Authorization header."""

    @property
    def application(self) -> Application:
        """The bot that asks. Raises: Refusal 401."""
        if self.caller is None:
            raise refusal.unauthorized()
        return self.caller

    @property
    def form(self) -> Json:
        """The body, which must be an object."""
        if not isinstance(self.body, dict):
            raise invalid((), "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
        return self.body

    def id(self, name: str) -> int:
        """A snowflake in the path."""
        text = self.params[name]
        if not SNOWFLAKE.match(text):
            raise invalid((name,), "NUMBER_TYPE_COERCE", f'Value "{text}" is not snowflake.')
        return int(text)

    def flag(self, name: str) -> bool:
        """A boolean in the query: true or 1, as different clients write it."""
        return self.query.get(name, "").lower() in {"true", "1"}

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number in the query."""
        text = self.query.get(name)
        if text is None:
            return default
        if not text.lstrip("-").isdecimal():
            raise invalid((name,), "NUMBER_TYPE_COERCE", f'Value "{text}" is not int.')
        if int(text) < least:
            raise invalid((name,), "NUMBER_TYPE_MIN", f"int value should be greater than or equal to {least}.")
        if int(text) > most:
            raise invalid((name,), "NUMBER_TYPE_MAX", f"int value should be less than or equal to {most}.")
        return int(text)

    def snowflake(self, name: str) -> int | None:
        """A snowflake in the query."""
        text = self.query.get(name)
        if text is None:
            return None
        if not SNOWFLAKE.match(text):
            raise invalid((name,), "NUMBER_TYPE_COERCE", f'Value "{text}" is not snowflake.')
        return int(text)

    def channel(self, needed: int = 0) -> Channel:
        """The channel in the path, if the bot may see it and do what is needed there.

        Raises:
            Refusal: 10003 none, 50001 not visible, 50013 not permitted.
        """
        channel = self.world.channels.get(self.id("channel_id"))
        if channel is None:
            raise refusal.unknown("Channel")
        bits = permissions_in(channel, self.application.id)
        if not bits & Permissions.VIEW_CHANNEL:
            raise refusal.missing_access()
        if needed & ~bits:
            raise refusal.missing_permissions()
        return channel

    def guild(self) -> Guild:
        """The server in the path, if the bot is in it. Raises: Refusal 10004, 50001."""
        guild = self.world.guilds.get(self.id("guild_id"))
        if guild is None:
            raise refusal.unknown("Guild")
        if self.application.id not in guild.members:
            raise refusal.missing_access()
        return guild


Answer = tuple[int, Any]
Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Route:
    """One endpoint."""

    method: str
    path: str
    handler: Handler
    bot: bool
    """Whether it needs a bot's token."""


@dataclass
class Routes:
    """The endpoints of one file."""

    all: list[Route] = field(default_factory=list)

    def add(self, method: str, path: str, *, bot: bool = True) -> Callable[[Handler], Handler]:
        def enter(handler: Handler) -> Handler:
            self.all.append(Route(method, path, handler, bot))
            return handler

        return enter
