"""Options that are checked before a command sees them."""

from discord import app_commands

from bot.client import Interaction, MynahBot
from bot.handles import normalise
from bot.when import parse_quiet, parse_when
from cogs.ui import zones


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
