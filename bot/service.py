"""`mynah run`: the bot on Discord, from start to an orderly end."""

import asyncio
import contextlib
import signal

import structlog

from bot.app import App, open_app, run_all
from bot.bases import choose_base
from bot.client import MynahBot
from bot.clock import Clock
from bot.config import Settings
from bot.errors import ConfigError

log = structlog.get_logger("mynah.service")


async def serve_discord(settings: Settings, *, clock: Clock | None = None) -> None:
    """Run until SIGTERM, SIGINT or an error that cannot be mended.

    Raises:
        ConfigError: no token, or Discord refuses it.
        StorageError: the folder is in use or the database cannot be used.
    """
    if settings.discord_token is None or not settings.discord_token.get_secret_value().strip():
        raise ConfigError("DISCORD_TOKEN is not set: put your bot's token into it or into .env, or try everything without one: mynah demo.")
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with open_app(settings, clock=clock) as app:
        await run_app(app, settings.discord_token.get_secret_value().strip(), stopped)


async def run_app(app: App, token: str, stopped: asyncio.Event) -> None:
    """Connect and work until `stopped` is set.

    Raises:
        BadInput: BASE_MODEL names no base that is here.
        ConfigError: as `serve_discord`.
    """
    async with contextlib.AsyncExitStack() as stack:
        bot = await stack.enter_async_context(MynahBot(app))
        await app.runner.recover()
        log.info("starting", home=str(app.home), base=choose_base(app.settings.base_model, app.home)[1])

        async def connect() -> None:
            await bot.start(token)

        warming = asyncio.create_task(app.generator.start())
        stack.callback(warming.cancel)
        await run_all(stopped.wait, connect, app.runner.run, app.scheduler.run, app.poster.run)
        log.info("stopping")
        await app.runner.stop()
