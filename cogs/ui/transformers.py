"""Options that are checked before a command sees them."""

from typing import Any

from discord import app_commands
from discord.app_commands import Choice

from bot.client import Interaction, MynahBot
from bot.handles import normalise
from bot.questions import CLAIMS
from bot.tweets.accounts import SERVICES, Service
from bot.when import parse_quiet, parse_when
from cogs.ui import zones
from storage.requests import Claim


class Handle(app_commands.Transformer[MynahBot]):
    """An account name: no @, lower case."""

    async def transform(self, _: Interaction, value: str, /) -> str:
        """Raises BadInput."""
        return normalise(value)


class Zone(app_commands.Transformer[MynahBot]):
    """An IANA time zone."""

    async def transform(self, _: Interaction, value: str, /) -> str:
        """Raises BadInput."""
        return zones.parse_zone(value)


class When(app_commands.Transformer[MynahBot]):
    """A cron line, from one or from plain words."""

    async def transform(self, _: Interaction, value: str, /) -> str:
        """Raises BadInput."""
        return parse_when(value)


class Quiet(app_commands.Transformer[MynahBot]):
    """Hours without posts."""

    async def transform(self, _: Interaction, value: str, /) -> str:
        """Raises BadInput."""
        return parse_quiet(value)


class Consent(app_commands.Transformer[MynahBot]):
    """What entitles a member to learn from an account."""

    @property
    def choices(self) -> list[Choice[Any]]:
        """As they read on the buttons of the question."""
        return [Choice(name=one, value=claim) for claim, (one, _, _) in CLAIMS.items()]

    async def transform(self, _: Interaction, value: Claim, /) -> Claim:
        """Discord takes only what is offered."""
        return value


class Source(app_commands.Transformer[MynahBot]):
    """Where tweets are read from."""

    @property
    def choices(self) -> list[Choice[Any]]:
        """By the names that people know."""
        return [Choice(name=name, value=service) for service, name in SERVICES.items()]

    async def transform(self, _: Interaction, value: Service, /) -> Service:
        """Discord takes only what is offered."""
        return value
