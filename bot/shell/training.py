"""At the shell: training a character, and showing what came of it."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from bot.app import App
from bot.config import Settings
from bot.errors import NotFound, TrainingError
from bot.executor import contract
from bot.intake import Account
from bot.questions import price
from bot.shell.accounts import NO_TWEETS
from bot.shell.console import agreed, called, out, status
from bot.shell.opening import open_alone
from bot.tweets.accounts import Service
from bot.tweets.cleaning import Counts
from bot.tweets.language import name_of
from bot.wording import times
from storage.characters import SHELL
from storage.corpora import Corpus
from storage.jobs import Job
from storage.requests import Claim

_ROWS = (("Tweets downloaded", "downloaded"), ("Retweets", "retweets"), ("Short tweets", "short"), ("Tweets kept", "kept"))
"""Of the count table: what stands there, and the count's name."""


async def train(
    settings: Settings,
    accounts: Sequence[Account],
    *,
    source: Service | None,
    consent: Claim | None,
    base: str | None,
    seed: int,
    preset: str,
    yes: bool,
) -> dict[str, Any]:
    """Train a character and put it into the registry.

    Accounts without a file are read from `source`; `yes`: what that costs is agreed to.

    Raises:
        MynahError: the tweets or the base cannot be used, or may not; nothing is left behind.
    """
    async with open_alone(settings, instead="/train") as app:
        await app.runner.recover()
        async with app.intake.taken(accounts, service=source, preset=preset, base=base, seed=seed, bring=NO_TWEETS) as training:
            cost = await app.intake.cost(training)
            if cost is not None:
                agreed(price(cost), yes=yes)
            queued = await app.queue.enqueue(
                training,
                guild_id=SHELL,
                channel_id=0,
                user_id=0,
                dedupe_key=f"shell:{secrets.token_hex(8)}",
                basis=consent or "operator",
            )
        if queued.joined:
            status.print(
                f"Job {queued.job.id} was asked for before and goes on: from {queued.job.file_name}.", soft_wrap=True, markup=False
            )
        if consent is None:
            status.print(
                f"You answer for it that Mynah may learn from {called(training.handle)}: --consent own, agreed or public records why.",
                soft_wrap=True,
            )
        job = await _run_with_bar(app, queued.job)
        if job.state == "waiting":
            raise TrainingError(f"{job.reason} The training waits: give the same command again to go on with it, or start the bot.")
        if job.state != "succeeded":
            raise TrainingError(job.reason or f"The training ended as {job.state}.")
        return await _made(app, job)


async def _made(app: App, job: Job) -> dict[str, Any]:
    info = await app.characters.info(SHELL, job.handle)
    if info.model is None or info.corpus is None:
        raise NotFound(f"Job {job.id} left no model: see the log.")
    return {
        "character": info.character.handle,
        "handles": info.character.handles,
        "model_version": info.model.version,
        "base": info.model.base_name,
        "language": info.corpus.language,
        **counted(info.corpus),
        "accounts": [asdict(share) for share in info.corpus.shares],
        "heldout_loss": {"base": info.model.heldout_base, "model": info.model.heldout_model},
        "seconds": round(info.model.seconds, 1),
        "path": str(app.characters.folder(info.model)),
    }


def counted(counts: Corpus | Counts) -> dict[str, dict[str, int]]:
    """The rows of the table of counts, by their names."""
    return {
        "counts": {name: getattr(counts, name) for name in ("downloaded", "retweets", "short", "kept")},
        "within_kept": {name: getattr(counts, name) for name in ("duplicates", "cut")},
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
    """The count table with a column for each account, the losses and where the model lies."""
    version = f"version {result['model_version']}" if result["model_version"] else "huggingtweets' recipe"
    whose = called(result["character"])
    accounts = result.get("accounts") or [{"handle": result["character"], **result["counts"]}]
    table = Table("Data", *(called(account["handle"]) for account in accounts), title=f"{whose}, {version}, on {result['base']}")
    for title, name in _ROWS:
        table.add_row(title, *(f"{account[name]:,}" for account in accounts))
    if len(accounts) > 1:
        table.add_row("Language", *(name_of(account["language"]) if account["language"] else "not plain" for account in accounts))
        table.add_row("Taught in an epoch", *(times(account["repeats"]) for account in accounts))
    out.print(table)
    repeats, cut = result["within_kept"]["duplicates"], result["within_kept"]["cut"]
    if repeats or cut:
        out.print(f"Of the kept, {repeats:,} were repeats (taught once) and {cut:,} were cut with … (taught without an ending).")
    loss = result["heldout_loss"]
    out.print(f"Held-out loss: {loss['base']:.3f} before, {loss['model']:.3f} after (nats per token), in {result['seconds']:.0f} s.")
    out.print(f"The model lies in {result['path']}", soft_wrap=True)
    if result["model_version"]:
        out.print(f'Hear it with: mynah say {result["character"]} --prompt "My dream is" -n 5')
