"""At the shell: huggingtweets' own recipe on the same tweets and the same split, for a model to compare with."""

import asyncio
import threading
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from bot.backups import DATABASE
from bot.bases import choose_base
from bot.clock import SystemClock
from bot.config import Settings
from bot.errors import BadInput, TrainingError
from bot.exports import note_export
from bot.intake import Account
from bot.privacy import Privacy, one_account
from bot.shell.console import status
from bot.shell.training import counted
from bot.tweets import cleaning, dataset
from storage.database import Database


class Preset(StrEnum):
    """How to train."""

    DEFAULT = "default"
    FAST = "fast"
    HUGGINGTWEETS = "huggingtweets"


def check_preset(preset: Preset, folder: Path | None) -> None:
    """See that what is typed fits together.

    Raises:
        BadInput: it does not.
    """
    if (preset == Preset.HUGGINGTWEETS) != (folder is not None):
        raise BadInput("--preset huggingtweets and --out FOLDER go together: that recipe makes a model for a folder, and no character.")


async def train_huggingtweets(
    settings: Settings, accounts: Sequence[Account], *, base: str | None, seed: int, folder: Path
) -> dict[str, Any]:
    """Train it and write it into the folder; it becomes no character.

    Raises:
        MynahError: the file, the base or the folder cannot be used; nothing is left behind.
    """
    file = accounts[0].file
    if len(accounts) > 1 or not isinstance(file, Path):
        raise BadInput("huggingtweets' recipe is for one account, and for a file: give one handle and --from FILE.")
    handle = one_account(accounts[0].handle)
    from bot.lm import export, huggingtweets  # noqa: PLC0415 -- torch is needed by this and `export` only, and takes seconds
    from bot.tweets.files import read_source  # noqa: PLC0415 -- so are the readers' libraries

    export.check_empty(folder)
    home = settings.mynah_home.resolve()
    base_folder, base_name = choose_base(base or settings.base_model, home)
    if (home / DATABASE).exists():
        await _check(home / DATABASE, handle)
        await asyncio.to_thread(note_export, home, handle, folder)  # so that it can be forgotten
    _, tweets = read_source(file)
    cleaned = cleaning.clean(tweets)
    dataset.check_size(cleaned.counts)
    split = dataset.split(dataset.newest(cleaned.kept), seed=seed)
    stop = threading.Event()
    with Progress(TextColumn("training"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), console=status, transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(done: int, steps: int) -> None:
            if stop.is_set():
                raise TrainingError("The training was stopped.")
            bar.update(task, completed=done, total=steps)

        try:
            tuned = await asyncio.to_thread(huggingtweets.train_huggingtweets, base_folder, split, seed=seed, report=show)
        except asyncio.CancelledError:
            stop.set()
            raise
    export.save_plain(tuned.model, tuned.tokenizer, folder, handle=handle, base_name=base_name)
    return {
        "character": handle,
        "model_version": None,
        "base": base_name,
        **counted(cleaned.counts),
        "heldout_loss": {"base": tuned.heldout_base, "model": tuned.heldout_model},
        "seconds": tuned.seconds,
        "path": str(folder),
    }


async def _check(path: Path, handle: str) -> None:
    database = await Database.open(path, read_only=True)
    try:
        await Privacy(database=database, clock=SystemClock()).check([handle])
    finally:
        await database.close()
