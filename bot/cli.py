"""The command `mynah`: run the bot, try it, or do the same work from the shell. Parses, calls, prints."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from bot.config import Settings, load_settings
from bot.errors import MynahError
from bot.logs import configure_logs
from bot.shell import accounts, backups, bases, comparing, exporting, privacy, speaking, training
from bot.shell import doctor as diagnosis
from bot.tweets.accounts import Service
from storage.errors import StorageProblem
from storage.requests import Claim

T = TypeVar("T")

app = typer.Typer(
    name="mynah",
    help="Run the bot on Discord, try it without, or do the same work at the shell.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
base_app = typer.Typer(help="The pretrained models under the characters.", no_args_is_help=True)
app.add_typer(base_app, name="base")
privacy_app = typer.Typer(help="What people have said about their accounts, and forgetting them.", no_args_is_help=True)
app.add_typer(privacy_app, name="privacy")
errors = Console(stderr=True, highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object to standard output, and nothing else there.")]
OfAccount = Annotated[str, typer.Argument(help="Of one account, such as @nasa.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask whether it may be done, or may cost what it costs.")]


def _finish(work: Callable[[Settings], Awaitable[T]], *, as_json: bool = False, at_shell: bool = True) -> T:
    """Run to the end; an error that a person may read is one sentence and exit status 1."""

    async def started() -> T:
        settings = load_settings()
        configure_logs(settings, at_shell=at_shell)
        return await work(settings)

    try:
        return asyncio.run(started())
    except (MynahError, StorageProblem) as error:
        if as_json:
            typer.echo(json.dumps({"error": str(error)}, ensure_ascii=False))
        errors.print(str(error), style="bold red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        errors.print("Stopped.", style="bold")
        raise typer.Exit(130) from None


def _print(result: T, show: Callable[[T], None], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
    else:
        show(result)


@app.command()
def run() -> None:
    """Run the bot on Discord, with the token in DISCORD_TOKEN (environment or .env)."""
    from bot.service import serve_discord  # noqa: PLC0415 -- discord.py is not needed by the other commands and costs half a second

    _finish(serve_discord, at_shell=False)


@app.command()
def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="Exit after the transcript instead of staying up.")] = False,
) -> None:
    """Try everything on a local Discord: no token, no network, nothing to set up."""
    from bot.demo import run_demo  # noqa: PLC0415 -- the local Discord is not needed by the other commands

    _finish(lambda _: run_demo(once=once))


@app.command()
def doctor(*, as_json: AsJson = False) -> None:
    """Say whether everything is here that Mynah needs, and what to do where it is not. Works while the bot runs."""
    result = _finish(diagnosis.doctor, as_json=as_json)
    _print(result, diagnosis.show_doctor, as_json=as_json)
    if not result["ok"]:
        raise typer.Exit(1)


@app.command()
def train(
    handles: Annotated[
        list[str], typer.Argument(metavar="HANDLE", help="Whose tweets they are, such as @nasa; two or three make a mash-up.")
    ],
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--from", help="X archive (zip), tweets.js, outbox.json, JSON lines, CSV or text; one for each handle, in the same order."
        ),
    ] = None,
    *,
    source: Annotated[Service | None, typer.Option(help="x, bluesky or mastodon: where those are read who have no file.")] = None,
    consent: Annotated[
        Claim | None,
        typer.Option(
            help="own, agreed or public: it is your own account, its owner agreed, or it is an organisation, bot or fictional character."
        ),
    ] = None,
    base: Annotated[str | None, typer.Option(help="Base model instead of BASE_MODEL: auto, nano, a pulled model or a folder.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of everything random in the training.")] = 0,
    preset: Annotated[
        comparing.Preset,
        typer.Option(
            help="fast trains the top layers only, of a language that the base knows; huggingtweets is that project's recipe, to compare."
        ),
    ] = comparing.Preset.DEFAULT,
    out: Annotated[Path | None, typer.Option(help="Folder for the model of huggingtweets' recipe, which becomes no character.")] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Train a character from tweets: from files, or read from X, Bluesky or Mastodon."""

    async def work(settings: Settings) -> dict[str, Any]:
        wanted = accounts.read_accounts(handles, files or [])
        comparing.check_preset(preset, out)
        if out is not None:
            return await comparing.train_huggingtweets(settings, wanted, base=base, seed=seed, folder=out.resolve())
        return await training.train(settings, wanted, source=source, consent=consent, base=base, seed=seed, preset=preset.value, yes=yes)

    _print(_finish(work, as_json=as_json), training.show_trained, as_json=as_json)


@app.command()
def say(
    handle: Annotated[str, typer.Argument(help="Who speaks, such as nasa.")],
    *,
    prompt: Annotated[str, typer.Option(help="How each post begins.")] = "",
    count: Annotated[int, typer.Option("-n", "--count", help="How many posts, 1 to 5.")] = 1,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same text again.")] = None,
    as_json: AsJson = False,
) -> None:
    """Let a character speak."""
    result = _finish(lambda s: speaking.say(s, handle=handle, prompt=prompt, count=count, seed=seed), as_json=as_json)
    _print(result, speaking.show_said, as_json=as_json)


@app.command()
def characters(*, as_json: AsJson = False) -> None:
    """List the characters in the registry."""
    result = _finish(speaking.characters, as_json=as_json)
    _print(result, speaking.show_characters, as_json=as_json)


@app.command()
def export(
    handle: Annotated[str, typer.Argument(help="Which character, such as nasa.")],
    folder: Annotated[Path, typer.Argument(help="A new folder for the model.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Write a character as a plain transformers model, which needs nothing of Mynah."""
    result = _finish(lambda s: exporting.export(s, handle=handle, folder=folder.resolve()), as_json=as_json)
    _print(result, exporting.show_exported, as_json=as_json)


@app.command()
def backup(
    file: Annotated[Path | None, typer.Argument(help="A new file; without it one in MYNAH_HOME/backups.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Write everything that is needed to come back, here or on another machine, into one file. Works while the bot runs."""
    result = _finish(lambda s: backups.back_up(s, target=file and file.resolve()), as_json=as_json)
    _print(result, backups.show_backup, as_json=as_json)


@app.command()
def restore(
    backup: Annotated[Path, typer.Argument(help="A file of mynah backup, a copy of the database from MYNAH_HOME/backups, or a folder.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Go back to a backup. Works while the bot runs, and keeps what it replaces."""
    result = _finish(lambda s: backups.restore(s, backup=backup.resolve()), as_json=as_json)
    _print(result, backups.show_restored, as_json=as_json)


@base_app.command()
def pull(name: Annotated[str, typer.Argument(help="Id of a causal language model, such as gpt2.")]) -> None:
    """Fetch a base model, so that characters can be trained on it. Nothing is ever fetched otherwise."""
    _finish(lambda s: bases.pull(s, name))


@privacy_app.command("opt-out")
def opt_out(handle: OfAccount, *, as_json: AsJson = False) -> None:
    """Let nobody learn from an account, in any server; its characters fall silent. While the bot runs: /privacy opt-out on Discord."""
    result = _finish(lambda s: privacy.opt_out(s, handle=handle), as_json=as_json)
    _print(result, privacy.show_opted_out, as_json=as_json)


@privacy_app.command("opt-in")
def opt_in(handle: OfAccount, *, as_json: AsJson = False) -> None:
    """Take an opt-out back, whoever asked for it."""
    result = _finish(lambda s: privacy.opt_in(s, handle=handle), as_json=as_json)
    _print(result, privacy.show_opted_in, as_json=as_json)


@privacy_app.command()
def forget(handle: OfAccount, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete everything of an account: tweets, models, exports, schedules, and the messages at Discord when the bot runs next."""
    result = _finish(lambda s: privacy.forget(s, handle=handle, yes=yes), as_json=as_json)
    _print(result, privacy.show_forgotten, as_json=as_json)


def main() -> None:
    """Do what the command line says."""
    app()
