"""At the shell: what writes needs the database alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.app import App, open_app
from bot.config import Settings
from bot.errors import StorageError
from storage.errors import InUse


@asynccontextmanager
async def open_alone(settings: Settings, *, instead: str) -> AsyncIterator[App]:
    """Every part, as the bot has them. `instead`: the command that does the same on Discord, while the bot runs.

    Raises:
        StorageError: the bot is running, or the database cannot be used.
    """
    try:
        async with open_app(settings) as app:
            yield app
    except StorageError as error:
        if not isinstance(error.__cause__, InUse):
            raise
        raise StorageError(f"{str(error).removesuffix('.')}, or use {instead} on Discord while it runs.") from error
