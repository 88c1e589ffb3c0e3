"""The work of the bot without Discord: train, say and list at the shell. What a person sees goes through rich, to standard error or out."""

import asyncio
import secrets
import threading
from enum import StrEnum
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from bot import backups, restores
from bot.app import App, open_app, open_database, open_reader
from bot.bases import choose_base
from bot.characters import Info
from bot.clock import SystemClock
from bot.config import Settings
from bot.errors import BadInput, NotFound, StorageError, TrainingError
from bot.executor import contract
from bot.handles import normalise
from bot.tweets import cleaning, dataset
from bot.tweets.files import read_source
from storage.characters import SHELL
from storage.corpora import Corpus
from storage.errors import InUse
from storage.jobs import Job

TAKE_OVER_S = 60.0
"""How long a running bot may take for a restore, beyond what a training needs to save itself, in seconds."""

out = Console(highlight=False)
status = Console(stderr=True, highlight=False)


class Preset(StrEnum):
    """How to train."""

    DEFAULT = "default"
    FAST = "fast"
    HUGGINGTWEETS = "huggingtweets"


def existing(source: Path) -> Path:
    """The file's absolute path.

    Raises:
        BadInput: there is no such file.
    """
    if not source.is_file():
        raise BadInput(f"There is no file {source}: --from takes an X archive (zip), tweets.js, JSON lines, CSV or text file.")
    return source.resolve()


async def train(
    settings: Settings, *, handle: str, source: Path, base: str | None, seed: int, preset: Preset, out_folder: Path | None
) -> dict[str, Any]:
    """Train a character from a file and put it into the registry; or huggingtweets' model, and put it into the folder.

    Raises:
        MynahError: the file, the base or the folder cannot be used; nothing is left behind.
    """
    if (preset == Preset.HUGGINGTWEETS) != (out_folder is not None):
        raise BadInput("--preset huggingtweets and --out FOLDER go together: that recipe makes a model for a folder, and no character.")
    if out_folder is not None:
        return await _train_huggingtweets(settings, handle=normalise(handle), source=source, base=base, seed=seed, folder=out_folder)
    async with open_app(settings) as app:
        base_folder, base_name = choose_base(base or settings.base_model, app.home)
        await app.runner.recover()
        queued = await app.queue.enqueue(
            guild_id=SHELL,
            channel_id=0,
            user_id=0,
            handle=normalise(handle),
            source_path=str(source),
            file_name=source.name,
            base=base_folder,
            base_name=base_name,
            seed=seed,
            dedupe_key=f"shell:{secrets.token_hex(8)}",
            preset=preset.value,
        )
        job = await _run_with_bar(app, queued.job)
        if job.state != "succeeded":
            raise TrainingError(job.reason or f"The training ended as {job.state}.")
        info = await app.characters.info(SHELL, job.handle)
        if info.model is None or info.corpus is None:
            raise TrainingError(f"Job {job.id} left no model: see the log.")
        return {
            "character": info.character.handle,
            "model_version": info.model.version,
            "base": info.model.base_name,
            **_counted(info.corpus),
            "heldout_loss": {"base": info.model.heldout_base, "model": info.model.heldout_model},
            "seconds": round(info.model.seconds, 1),
            "path": str(app.characters.folder(info.model)),
        }


def _counted(counts: Corpus | cleaning.Counts) -> dict[str, dict[str, int]]:
    return {
        "counts": {name: getattr(counts, name) for name in ("downloaded", "retweets", "short", "kept")},
        "within_kept": {name: getattr(counts, name) for name in ("duplicates", "cut")},
    }


async def _train_huggingtweets(
    settings: Settings, *, handle: str, source: Path, base: str | None, seed: int, folder: Path
) -> dict[str, Any]:
    """Their recipe on the same tweets and the same split as ours."""
    from bot.lm import export, huggingtweets  # noqa: PLC0415 -- torch is needed by this and `export` only, and takes seconds

    export.check_empty(folder)
    base_folder, base_name = choose_base(base or settings.base_model, settings.mynah_home.resolve())
    _, tweets = read_source(source)
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
        **_counted(cleaned.counts),
        "heldout_loss": {"base": tuned.heldout_base, "model": tuned.heldout_model},
        "seconds": tuned.seconds,
        "path": str(folder),
    }


async def _run_with_bar(app: App, job: Job) -> Job:
    columns = (TextColumn("{task.description:<10}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    bar = Progress(*columns, TextColumn("{task.fields[loss]}"), console=status, transient=True, disable=not status.is_terminal)
    task = bar.add_task("queued", total=1.0, loss="")
    told: set[str] = set()

    def show(changed: Job, progress: contract.Progress | None) -> None:
        if changed.id != job.id or progress is None:
            return
        values = (("loss", progress.loss), ("held-out", progress.heldout_loss))
        losses = [f"{name} {value:.2f}" for name, value in values if value is not None]
        bar.update(task, completed=progress.fraction, description=progress.stage, loss=" · ".join(losses))
        if progress.note and progress.note not in told:
            told.add(progress.note)
            bar.console.print(progress.note, style="yellow", soft_wrap=True)

    app.listeners.append(show)
    with bar:
        try:
            return await app.runner.run_one(job.id)
        except asyncio.CancelledError:
            await app.queue.cancel(job.id, guild_id=SHELL, by=0)
            raise


def show_trained(result: dict[str, Any]) -> None:
    """The count table, the losses and where the model lies."""
    version = f"version {result['model_version']}" if result["model_version"] else "huggingtweets' recipe"
    table = Table("Data", f"@{result['character']}", title=f"@{result['character']}, {version}, on {result['base']}")
    counts = result["counts"]
    rows = (("Tweets downloaded", "downloaded"), ("Retweets", "retweets"), ("Short tweets", "short"), ("Tweets kept", "kept"))
    for title, name in rows:
        table.add_row(title, f"{counts[name]:,}")
    out.print(table)
    repeats, cut = result["within_kept"]["duplicates"], result["within_kept"]["cut"]
    if repeats or cut:
        out.print(f"Of the kept, {repeats:,} were repeats (taught once) and {cut:,} were cut with … (taught without an ending).")
    loss = result["heldout_loss"]
    out.print(f"Held-out loss: {loss['base']:.3f} before, {loss['model']:.3f} after (nats per token), in {result['seconds']:.0f} s.")
    out.print(f"The model lies in {result['path']}", soft_wrap=True)
    if result["model_version"]:
        out.print(f'Hear it with: mynah say {result["character"]} --prompt "My dream is" -n 5')


async def say(settings: Settings, *, handle: str, prompt: str, count: int, seed: int | None) -> dict[str, Any]:
    """Let a character speak; works while the bot runs, and keeps nothing."""
    async with open_reader(settings) as characters:
        character = await characters.resolve(SHELL, handle)
        model, posts = await characters.speak(character, prompt=prompt, count=count, seed=seed)
        return {
            "character": character.handle,
            "model_version": model.version,
            "posts": [{"text": post.text, "seed": post.seed} for post in posts],
        }


def show_said(result: dict[str, Any]) -> None:
    """One line per post, with the seed that gives it again."""
    for post in result["posts"]:
        out.print(post["text"], markup=False, soft_wrap=True, end="")
        out.print(f"  [dim]seed {post['seed']}[/dim]")
    out.print(f"[dim]AI, in the style of @{result['character']}; not their words.[/dim]")


async def characters(settings: Settings) -> dict[str, Any]:
    """Every character of the registry, of all servers."""
    async with open_reader(settings) as registry:
        return {"characters": [_listed(info) for info in await registry.list_all()]}


def _listed(info: Info) -> dict[str, Any]:
    model, corpus = info.model, info.corpus
    return {
        "character": info.character.handle,
        "name": info.character.name,
        "server": info.character.guild_id,
        "model_version": model.version if model else None,
        "base": model.base_name if model else None,
        "kept": corpus.kept if corpus else None,
        "heldout_loss": {"base": model.heldout_base, "model": model.heldout_model} if model else None,
    }


def show_characters(result: dict[str, Any]) -> None:
    """One row per character."""
    if not result["characters"]:
        out.print("There is no character yet: train one with mynah train.")
        return
    table = Table("Character", "Name", "Version", "Base", "Tweets kept", "Held-out loss", "Server")
    for row in result["characters"]:
        loss = f"{row['heldout_loss']['base']:.2f} → {row['heldout_loss']['model']:.2f}"
        server = "shell" if row["server"] == SHELL else str(row["server"])
        table.add_row(f"@{row['character']}", Text(row["name"]), str(row["model_version"]), row["base"], f"{row['kept']:,}", loss, server)
    out.print(table)


async def export(settings: Settings, *, handle: str, folder: Path) -> dict[str, Any]:
    """Write a character as a plain transformers model; works while the bot runs.

    Raises:
        MynahError: there is no such character, its base is gone or has no place for it, or the folder is not empty.
    """
    from bot.lm import export as lm  # noqa: PLC0415 -- see above

    async with open_reader(settings) as registry:
        info = await registry.info(SHELL, handle)
        if info.model is None:
            raise NotFound(f"@{info.character.handle} has no model yet: its training has not ended.")
        names = {"handle": info.character.handle, "base_name": info.model.base_name}
        await asyncio.to_thread(lm.export, info.model.base, registry.folder(info.model), folder, **names)
        return {"character": info.character.handle, "model_version": info.model.version, "path": str(folder)}


def show_exported(result: dict[str, Any]) -> None:
    """Where it lies, and how to read it."""
    out.print(f"@{result['character']}, version {result['model_version']}, is in {result['path']}", soft_wrap=True)
    out.print(f'Read it with: transformers.pipeline("text-generation", model="{result["path"]}")', soft_wrap=True)


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


async def pull(settings: Settings, name: str) -> None:
    """Fetch a base model into MYNAH_HOME with a progress bar."""
    from bot.lm import hub  # noqa: PLC0415 -- the hub's client is needed by this command only

    home = settings.mynah_home.resolve()
    with Progress(TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn(), console=status) as bar:
        task = bar.add_task("pull", total=None)
        folder = await asyncio.to_thread(
            hub.pull, name, home, on_progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    out.print(f"{name} is in {folder}. BASE_MODEL=auto takes gpt2 when it is here; any other base is named in BASE_MODEL.", soft_wrap=True)
