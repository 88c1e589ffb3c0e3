"""`mynah doctor`: is everything here that Mynah needs, and what to do where it is not. Changes nothing, and asks nobody but the cluster."""

import asyncio
import contextlib
import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from signal import SIGKILL, Signals
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from bot.app import open_reader
from bot.backups import DATABASE
from bot.bases import NANO, check_folder, choose_base
from bot.clock import Clock
from bot.config import Settings
from bot.errors import BadInput, ConfigError, StorageError
from bot.executor.process import bury, spawn
from bot.executor.rayjobs import RayJobs, Trouble
from bot.spending import Spending
from storage.database import Database
from storage.errors import Older, StorageProblem
from storage.migrate import newest_version
from storage.models import Model

PYTHON = "3.11"
LITTLE_SPACE, NO_SPACE = 1e9, 1e8
"""Free bytes on the disk, below which to say so, and below which a training may not be able to save itself."""
_LATE = ("atproto", "bs4", "py3langid", "tweepy")
"""Packages whose lack would show itself only when somebody asks for what needs them."""
_IMPORT_S = 60.0
"""How long torch may take to be loaded from a slow disk, in seconds."""
_SHOWN = 5
"""Names in one sentence."""

_MADE = datetime(2026, 11, 1, tzinfo=UTC)
"""No clock that is right can say less."""

State = Literal["ok", "note", "broken"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: State
    """`note`: everything works, and there is something to know."""
    found: str
    advice: str | None = None
    """What to do about it, in one sentence."""


@dataclass(frozen=True)
class _Machine:
    """As `bot.lm.machine` prints it."""

    torch: str
    device: str
    kernels_built: bool
    kernels_level: str | None


_MACHINE = TypeAdapter(_Machine)


async def examine(settings: Settings, clock: Clock) -> list[Check]:
    """Look at everything, in the order in which one thing needs another."""
    home = settings.mynah_home.resolve()
    model = asyncio.create_task(_language_model())  # torch takes a second or two: the others are looked at meanwhile
    try:
        folder = _folder(home)
        others = [
            *(_packages(), folder, _disk(home)),
            *([] if folder.state == "broken" else await _stored(settings, home)),
            *await _cluster(settings),
            *(_token(settings), _time(clock)),
            *_sources(settings, None if folder.state == "broken" else await _left(settings, clock)),
        ]
        return [_python(), *await model, *others]
    finally:
        model.cancel()


def _python() -> Check:
    found = platform.python_version()
    if found.startswith(f"{PYTHON}."):
        return Check("python", "ok", found)
    return Check("python", "broken", found, f"Mynah is made for Python {PYTHON}: install it, and run make install with it.")


def _packages() -> Check:
    missing = [name for name in _LATE if find_spec(name) is None]
    if missing:
        return Check("packages", "broken", f"not installed: {', '.join(missing)}", "Run make install: this version of Mynah needs them.")
    return Check("packages", "ok", "all that are loaded only when they are needed are here")


async def _language_model() -> list[Check]:
    """In a child process, as the bot has it: what is broken in torch may end its process."""
    pipe = asyncio.subprocess.PIPE
    process = await spawn("bot.lm.machine", nice=0, threads=None, stdout=pipe, stderr=pipe)
    machine, said = None, ""
    try:
        async with asyncio.timeout(_IMPORT_S):
            machine, said = await _read(process)
    except TimeoutError:
        said = f"it was not loaded within {_IMPORT_S:g} seconds"
    finally:
        code = await bury(process)
    if machine is not None:
        return [Check("torch", "ok", f"{machine.torch}, on {machine.device}"), _kernels(machine)]
    crashed = code < 0 and code != -SIGKILL
    why = f"its process was ended by {Signals(-code).name}" if crashed else said or f"its process ended with {code}"
    return [Check("torch", "broken", why, "Run make install again; if it stays so, install the torch that constraints.txt names.")]


async def _read(process: asyncio.subprocess.Process) -> tuple[_Machine | None, str]:
    """What the child found out, or the last line of its complaint."""
    assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 -- spawned with pipes
    async for line in process.stdout:
        with contextlib.suppress(ValidationError):  # something that a library printed
            return _MACHINE.validate_json(line), ""
    complaint = (await process.stderr.read()).decode(errors="replace").strip()
    return None, complaint.splitlines()[-1] if complaint else ""


def _kernels(machine: _Machine) -> Check:
    if machine.device != "cpu":
        return Check("kernels", "ok", "not needed on a GPU")
    if machine.kernels_level:
        return Check("kernels", "ok", f"the steps of speaking that are written in C can be used, on {machine.kernels_level}")
    if machine.kernels_built:
        return Check("kernels", "note", "this processor has no AVX2, so torch speaks, two to eleven times slower")
    return Check(
        "kernels",
        "note",
        "not built, so torch speaks, two to eleven times slower",
        "Install a C compiler such as gcc, then Mynah once more.",
    )


def _folder(home: Path) -> Check:
    there = _existing(home)
    if not there.is_dir():
        return Check("folder", "broken", f"{there} is a file", f"Name another folder in MYNAH_HOME, or move {there} away.")
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        return Check(
            "folder", "broken", f"{there} may not be written", "Make it belong to whoever runs Mynah, or name another in MYNAH_HOME."
        )
    return Check("folder", "ok", str(home) if there == home else f"{home}, which is made when it is first needed")


def _disk(home: Path) -> Check:
    free = shutil.disk_usage(_existing(home)).free
    found = f"{free / 1e9:,.1f} GB free"
    if free < NO_SPACE:
        return Check("disk", "broken", found, "Free some space: a training that cannot save itself waits, and nothing new can be stored.")
    if free < LITTLE_SPACE:
        return Check("disk", "note", found, "Free some space before it runs out: a character takes some 6 MB, a base up to several GB.")
    return Check("disk", "ok", found)


def _existing(home: Path) -> Path:
    return next(path for path in (home, *home.parents) if path.exists())


async def _stored(settings: Settings, home: Path) -> list[Check]:
    """What lies in the folder."""
    return [*await _database(settings), *await asyncio.to_thread(_bases, settings, home)]


async def _database(settings: Settings) -> list[Check]:
    """The file, and whether what its characters need is there."""
    home = settings.mynah_home.resolve()
    if not (home / DATABASE).exists():
        return [Check("database", "ok", "none yet: the first start of the bot, or the first training, makes it")]
    try:
        async with open_reader(settings) as reader:
            trained = [(info.character.handle, info.model, reader.folder(info.model)) for info in await reader.list_all() if info.model]
    except StorageError as error:
        return [Check("database", "note" if isinstance(error.__cause__, Older) else "broken", str(error))]
    return [Check("database", "ok", f"sound, schema {newest_version()}"), *await asyncio.to_thread(_characters, trained, home)]


def _characters(trained: list[tuple[str, Model, Path]], home: Path) -> list[Check]:
    """`trained`: handle, the model that speaks, and its folder."""
    gone = [handle for handle, _, folder in trained if not folder.is_dir()]
    baseless = [
        (handle, model.base_name)
        for handle, model, _ in trained
        if model.base != NANO
        and not Path(model.base, "config.json").is_file()
        and not (home / "bases" / model.base_name.replace("/", "--") / "config.json").is_file()  # of a folder that was moved
    ]
    checks = []
    if gone:
        found = f"the files of {_names(gone)} are gone"
        checks.append(Check("characters", "broken", found, "Go back to a file of mynah backup, or train them again."))
    if baseless:
        names, bases = zip(*baseless, strict=True)
        found = f"{_names(names)} cannot speak without {' and '.join(sorted(set(bases)))}"
        checks.append(
            Check("characters", "broken", found, "Fetch the base again with mynah base pull, or put its folder back where it was.")
        )
    return checks or [Check("characters", "ok", f"{len(trained)}, each with its files and its base")]


def _names(handles: Sequence[str]) -> str:
    shown = ", ".join(f"@{handle}" for handle in handles[:_SHOWN])
    return shown if len(handles) <= _SHOWN else f"{shown} and {len(handles) - _SHOWN} more"


def _bases(settings: Settings, home: Path) -> list[Check]:
    """What new characters are trained on, and what has been pulled."""
    try:
        chosen = Check("base", "ok", f"new characters are trained on {choose_base(settings.base_model, home)[1]}")
    except BadInput as error:
        chosen = Check("base", "broken", str(error))
    pulled, damaged = [], []
    for folder in sorted((home / "bases").glob("[!.]*")):
        try:
            pulled.append(check_folder(folder).name.replace("--", "/"))
        except BadInput as error:
            damaged.append(Check("bases", "note", str(error), f"Remove {folder}, and pull that base again."))
    checks = [chosen, Check("bases", "ok", f"pulled: {', '.join(pulled)}" if pulled else "none pulled; nano comes with Mynah"), *damaged]
    other = settings.multilingual_base
    if settings.base_model == "auto" and other not in pulled:
        found = f"{other} has not been pulled: tweets that are not English are taught to the same base as English ones"
        checks.append(Check("other languages", "note", found, f"If you want such characters: mynah base pull {other}"))
    return checks


def _token(settings: Settings) -> Check:
    """Whether there is one; nothing of it is shown."""
    if settings.discord_token and settings.discord_token.get_secret_value().strip():
        return Check("discord", "ok", "DISCORD_TOKEN is set")
    return Check(
        "discord",
        "note",
        "DISCORD_TOKEN is not set",
        "To run the bot on Discord put its token there or into .env; the shell and mynah demo need none.",
    )


async def _cluster(settings: Settings) -> list[Check]:
    if settings.executor == "local":
        return []
    token = settings.ray_token.get_secret_value().strip() if settings.ray_token else None
    try:
        jobs = RayJobs(settings.ray_url(), token)
        try:
            await jobs.get("mynah-doctor")  # there is none: a living head says so
        finally:
            await jobs.close()
    except (ConfigError, Trouble) as error:
        return [Check("cluster", "broken", str(error), "See docs/cluster.md; with EXECUTOR=local trainings run on this machine.")]
    return [Check("cluster", "ok", f"the Ray cluster at {settings.ray_url()} answers")]


def _time(clock: Clock) -> Check:
    now = clock.now()
    here = now.astimezone()
    found = f"{now:%Y-%m-%d %H:%M} UTC, {here:%H:%M} on this machine ({here.tzname()})"
    if now < _MADE:
        return Check(
            "time", "broken", found, "Set the clock of this machine: with a wrong one no server can be trusted, and no schedule keeps."
        )
    return Check("time", "ok", found)


async def _left(settings: Settings, clock: Clock) -> float | None:
    """US dollars of this month's budget for X; None where the database cannot say."""
    path = settings.mynah_home.resolve() / DATABASE
    if not path.exists():
        return settings.x_monthly_budget
    try:
        database = await Database.open(path, read_only=True)
    except StorageProblem:
        return None
    try:
        return (await Spending(database=database, settings=settings, clock=clock).estimate(0, accounts=0)).left_usd
    finally:
        await database.close()


def _sources(settings: Settings, left: float | None) -> list[Check]:
    """`left`: US dollars of this month's budget; None = not known."""
    servers = ", ".join(sorted(settings.instances))
    mastodon = f"may be asked: {servers}" if servers else "no server may be asked (MASTODON_INSTANCES); an account's own export needs none"
    return [
        Check("files", "ok", "X archives, tweets.js, Mastodon exports, JSON lines, CSV and text can be read"),
        _x(settings, left),
        Check("bluesky", "ok", "public posts can be asked for"),
        Check("mastodon", "ok", mastodon),
    ]


def _x(settings: Settings, left: float | None) -> Check:
    """Off is as it should be: what X's terms say stands in `bot/terms.py`."""
    has_token = settings.x_bearer_token is not None and bool(settings.x_bearer_token.get_secret_value().strip())
    amount = "how much, cannot be read" if left is None else f"${left:,.2f}"
    budget = f"left of this month's ${settings.x_monthly_budget:,.2f} (UTC): {amount}"
    if settings.x_enabled is None:
        return Check("x", "ok", f"off, since X's terms forbid to train on what its API gives; {budget}")
    if not has_token:
        advice = "Set it to the bearer token of your app at X, or empty X_ENABLED."
        return Check("x", "broken", f"X_ENABLED is set and X_BEARER_TOKEN is not; {budget}", advice)
    if left is not None and left < settings.x_user_price + settings.x_post_price:
        return Check("x", "note", f"on; {budget}", "Nothing more is asked of X this month, unless you raise X_MONTHLY_BUDGET.")
    return Check("x", "ok", f"on; {budget}")
