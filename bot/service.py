"""`mynah run`: the bot on Discord, from start to an orderly end."""

import asyncio
import contextlib
import faulthandler
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable

import structlog

from bot.app import App, open_app, run_all
from bot.backups import WAITING
from bot.bases import choose_base
from bot.client import MynahBot
from bot.clock import Clock
from bot.config import Settings
from bot.errors import ConfigError
from storage.database import SQLITE
from storage.errors import StorageProblem

CLOSING_S = 15.0
"""How long everything but the saving of a training may take at the end, in seconds."""
FIRST_REST_S, LONGEST_REST_S = 5.0, 60.0
"""How long a part rests that could not use the database, in seconds: doubled with each time."""
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

log = structlog.get_logger("mynah.service")


async def serve_discord(settings: Settings, *, clock: Clock | None = None) -> None:
    """Run until SIGTERM, SIGINT or an error that cannot be mended. A restore that comes in is taken over by closing and opening everything.

    Raises:
        ConfigError: no token, or Discord refuses it.
        StorageError: the folder is in use or the database cannot be used.
    """
    if settings.discord_token is None or not settings.discord_token.get_secret_value().strip():
        raise ConfigError("DISCORD_TOKEN is not set: put your bot's token into it or into .env, or try everything without one: mynah demo.")
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if not stopped.is_set():
            _end_by_force_after(settings.stop_grace_seconds + CLOSING_S)
        stopped.set()

    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        while True:
            async with open_app(settings, clock=clock) as app:
                await run_app(app, settings.discord_token.get_secret_value().strip(), stopped)
            if stopped.is_set() or not (app.home / WAITING).is_dir():
                break
        log.info("stopped")
    finally:
        for number in _STOP_SIGNALS:  # a second signal must not turn an orderly end into another
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)


async def run_app(app: App, token: str, stopped: asyncio.Event) -> None:
    """Connect and work until `stopped` is set, or a restore waits.

    Raises:
        BadInput: BASE_MODEL names no base that is here.
        ConfigError: as `serve_discord`.
    """
    async with contextlib.AsyncExitStack() as stack:
        bot = await stack.enter_async_context(MynahBot(app))
        await app.runner.recover()
        log.info("starting", home=str(app.home), base=choose_base(app.settings.base_model, app.home)[1], sqlite=SQLITE)

        async def connect() -> None:
            await bot.start(token)

        warming = asyncio.create_task(app.generator.start())
        stack.callback(warming.cancel)
        running = (app.runner.run, app.scheduler.run, app.poster.run, app.eraser.run, app.forgetting.run, app.requests.run)
        parts = [persistent(part) for part in running]
        await run_all(stopped.wait, app.copies.run, connect, *parts)
        log.info("stopping")
        await app.runner.stop()


def persistent(part: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """Let a part of the bot begin again when the database was held by somebody else, or the disk was full: both pass."""

    async def run() -> None:
        rest = FIRST_REST_S
        while True:
            began = time.monotonic()
            try:
                return await part()
            except StorageProblem as problem:
                rest = rest if time.monotonic() - began < LONGEST_REST_S else FIRST_REST_S
                log.error("the database could not be used: trying again soon", reason=str(problem), rest_s=rest)  # noqa: TRY400 -- foreseen
            await asyncio.sleep(rest)
            rest = min(2 * rest, LONGEST_REST_S)

    return run


def _end_by_force_after(seconds: float) -> None:
    """End the process if it has not ended by then. Nothing is lost by it: the next start finds what a crash would leave."""

    def end() -> None:
        faulthandler.dump_traceback()
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
