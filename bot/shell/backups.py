"""At the shell: writing a backup, and going back to one. Both work while the bot runs."""

import asyncio
from pathlib import Path
from typing import Any

from bot import backups, restores
from bot.app import open_database
from bot.clock import SystemClock
from bot.config import Settings
from bot.errors import StorageError
from bot.shell.console import out, status
from storage.errors import InUse

TAKE_OVER_S = 60.0
"""How long a running bot may take for a restore, beyond what a training needs to save itself, in seconds."""


async def back_up(settings: Settings, *, target: Path | None) -> dict[str, Any]:
    """Write a backup; works while the bot runs.

    Raises:
        MynahError: there is nothing to back up, the file is there already, or it cannot be written.
    """
    made = await asyncio.to_thread(backups.back_up, settings.mynah_home.resolve(), target, SystemClock())
    return {"path": str(made.path), "bytes": made.size, "models": made.models, "missing_files": made.missing}


def show_backup(result: dict[str, Any]) -> None:
    """Where it is, and what is in it."""
    out.print(
        f"{result['path']}: {result['bytes'] / 1e6:,.1f} MB, {result['models']} models and everything that goes with them.", soft_wrap=True
    )
    if result["missing_files"]:
        out.print(f"{result['missing_files']} files that the database names were not there, and so are not in it.")
    out.print(f"Go back to it, here or elsewhere, with: mynah restore {result['path']}", soft_wrap=True)


async def restore(settings: Settings, *, backup: Path) -> dict[str, Any]:
    """Go back to a backup. A running bot takes it over: this waits for it.

    Raises:
        MynahError: it is no good backup, or it could not be taken over.
    """
    home, clock = settings.mynah_home.resolve(), SystemClock()
    aside = await asyncio.to_thread(restores.stage, home, backup, clock)
    try:
        await (await open_database(home, clock)).close()
    except StorageError as error:
        if not isinstance(error.__cause__, InUse):
            raise
        status.print("The bot is running: it closes everything for this, and goes on by itself.")
        await _taken_over(home, settings.stop_grace_seconds + TAKE_OVER_S, str(error))
    return restores.report(aside)


async def _taken_over(home: Path, within_s: float, holder: str) -> None:
    waiting = home / backups.WAITING
    try:
        async with asyncio.timeout(within_s):
            while waiting.exists():  # noqa: ASYNC110 -- another process removes it
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise StorageError(
            f"Nobody has taken the restore over for {within_s:.0f} seconds. It waits in {waiting} for the next start of the bot: "
            f"remove that folder to call it off. {holder}"
        ) from None


def show_restored(result: dict[str, Any]) -> None:
    """What became of the things that a backup cannot know."""
    out.print(f"Restored from {result['from']}. What was there before is in {result['replaced']}.", soft_wrap=True)
    lines = (
        ("unknown", "posts were on their way in it: nobody can tell whether they were sent since, so they wait for a word"),
        ("dropped", "posts had no words yet, and are not made any more"),
        ("schedules", "schedules go on with their next slot: what came due since is not posted"),
        ("open_jobs", "trainings go on"),
        ("failed_jobs", "trainings had not ended, and their files are gone: upload them again"),
        ("missing_files", "files of models or tweets are not there: restore a file of mynah backup to have them"),
    )
    for key, what in lines:
        if result[key]:
            out.print(f"{result[key]:6,} {what}", soft_wrap=True)
