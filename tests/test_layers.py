"""The floors and walls of the house (docs/design.md, section 1), held over the import graph. Every message says the reason."""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = ("bot", "cogs", "storage")
MOST_LINES = 400


@dataclass(frozen=True)
class Source:
    """One file of the product, read once."""

    path: str
    tree: ast.Module
    lines: int

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def sources(root: Path) -> Iterator[Source]:
    for floor in FLOORS:
        for file in sorted((root / floor).rglob("*.py")):
            text = file.read_text("utf-8")
            yield Source(file.relative_to(root).as_posix(), ast.parse(text), len(text.splitlines()))


@cache
def imports(source: Source) -> tuple[tuple[int, str], ...]:
    """Line and full name of everything imported, anywhere in the file: `from a import b` gives `a.b`."""
    return tuple(_imports(source))


def _imports(source: Source) -> Iterator[tuple[int, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = source.module.split(".") if source.path.endswith("__init__.py") else source.module.split(".")[:-1]
                base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in ("importlib.import_module", "import_module", "__import__")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.lineno, str(node.args[0].value)


def within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


@dataclass(frozen=True)
class OnlyIn:
    """These packages are imported in these places and nowhere else. A place is a folder (with a slash at its end) or a file."""

    packages: tuple[str, ...]
    places: tuple[str, ...]
    reason: str
    but: tuple[tuple[str, str], ...] = ()
    """Exceptions: this file may import that package."""

    def broken(self, source: Source) -> Iterator[str]:
        if source.path.startswith(self.places):
            return
        allowed = tuple(package for file, package in self.but if file == source.path)
        for line, name in imports(source):
            if within(name, self.packages) and not within(name, allowed):
                yield f"{source.path}:{line} imports {name}: {self.reason}"


@dataclass(frozen=True)
class Never:
    """What stands in this place imports none of these packages, but for the exceptions."""

    place: str
    packages: tuple[str, ...]
    reason: str
    but: tuple[str, ...] = ()
    but_in: tuple[tuple[str, str], ...] = ()
    """Exceptions: this file may import that package."""

    def broken(self, source: Source) -> Iterator[str]:
        if not source.path.startswith(self.place):
            return
        allowed = self.but + tuple(package for file, package in self.but_in if file == source.path)
        for line, name in imports(source):
            if within(name, self.packages) and not within(name, allowed):
                yield f"{source.path}:{line} imports {name}: {self.reason}"


IMPORT_RULES: tuple[OnlyIn | Never, ...] = (
    Never("storage/", ("bot", "cogs"), "storage is the lowest floor, it imports nothing of ours"),
    Never("bot/", ("cogs",), "imports go downwards only; the client loads cogs by their names"),
    Never("cogs/", ("storage.database", "storage.migrate"), "a cog parses, makes one call and renders; the application holds the database"),
    OnlyIn(
        ("discord",),
        ("cogs/", "bot/client.py", "bot/tree.py", "bot/posting.py"),
        "Discord comes in through the cogs, the client, the tree and the poster; everything else also works at the shell",
    ),
    OnlyIn(
        ("torch", "transformers", "peft", "accelerate", "tokenizers", "safetensors", "huggingface_hub"),
        ("bot/lm/",),
        "the language model is one room; importing torch in the bot stalls its loop for 213 ms",
    ),
    OnlyIn(
        ("bot.lm",),
        ("bot/lm/", "bot/executor/training_worker.py", "bot/executor/generation_worker.py"),
        "model work runs in the two child processes, the only importers of bot/lm",
        but=(
            ("bot/shell/bases.py", "bot.lm.hub"),  # `mynah base pull` downloads and does no model work
            ("bot/shell/exporting.py", "bot.lm.export"),  # these two are the shell's own, and no bot waits for them
            ("bot/shell/comparing.py", "bot.lm.export"),
            ("bot/shell/comparing.py", "bot.lm.huggingtweets"),
            ("bot/executor/choosing.py", "bot.lm.screening"),  # part of the generation worker
        ),
    ),
    Never(
        "bot/lm/",
        ("bot", "storage", "cogs"),
        "the language model knows no Discord, queue or SQL",
        but=("bot.lm", "bot.errors", "bot.tweets", "bot.bases", "bot.cores"),
    ),
    Never(
        "bot/tweets/",
        ("bot", "storage", "cogs"),
        "tweets are text in, and know nothing else of ours but the time",
        but=("bot.tweets", "bot.errors", "bot.clock"),
        but_in=(("bot/tweets/accounts.py", "bot.config"),),  # which sources the operator allows
    ),
    Never("bot/localdiscord/", ("bot", "storage", "cogs"), "the local Discord stands for a stranger's server", but=("bot.localdiscord",)),
    OnlyIn(("bot.localdiscord",), ("bot/localdiscord/", "bot/demo.py"), "only the demo starts a Discord of its own"),
    OnlyIn(("tweepy",), ("bot/tweets/x.py",), "X's API is one source among several, and off by default"),
    OnlyIn(
        ("atproto", "atproto_client", "atproto_core", "atproto_identity", "httpx"),
        ("bot/tweets/xrpc.py",),
        "atproto takes most of a second to import, so one file does it, in a thread, and only when Bluesky is asked",
    ),
    OnlyIn(("bot.tweets.xrpc",), ("bot/tweets/bluesky.py",), "whoever imports it imports atproto"),
    OnlyIn(("bs4",), ("bot/tweets/markup.py",), "one file knows what Mastodon's HTML means, and the bot does not wait for its import"),
    OnlyIn(("aiosqlite", "sqlite3"), ("storage/",), "one writing connection, under one lock, in one place"),
    OnlyIn(("apscheduler",), ("bot/schedules.py",), "APScheduler rings the alarm and nothing else: its own cron fires twice at fall-back"),
    OnlyIn(("pydantic_settings", "dotenv"), ("bot/config.py",), "settings are read once, in one place"),
    OnlyIn(("ray",), (), "Ray's Jobs API is plain HTTP; its package would come into every installation"),
    OnlyIn(
        ("pickle", "cPickle", "_pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib"),
        (),
        "reading a pickle runs whatever its writer wanted",
    ),
)

ENVIRONMENT_READERS = {"bot/config.py": "Settings, the only reader of the environment"}
"""File → why it may touch the environment. Children get their settings through spec files and arguments, and inherit the rest unread."""

SQL = re.compile(r"\b(SELECT\b.+\bFROM|INSERT\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s+TABLE|PRAGMA\s)", re.DOTALL)


def environment(source: Source) -> Iterator[str]:
    """The environment is read in `bot/config.py` only."""
    if source.path in ENVIRONMENT_READERS:
        return
    names = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
    found = [(line, name) for line, name in imports(source) if within(name, tuple(f"os.{n}" for n in names))]
    found += [
        (node.lineno, ast.unparse(node))
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute) and node.attr in names and ast.unparse(node.value) == "os"
    ]
    for line, name in found:
        yield f"{source.path}:{line} uses {name}: every setting stands in bot/config.py, where .env.example documents it"


def sql(source: Source) -> Iterator[str]:
    """SQL stands in storage."""
    if source.path.startswith("storage/"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.search(node.value):
            yield f"{source.path}:{node.lineno} holds SQL: tables are known to storage/ only"


def handled_errors(source: Source) -> Iterator[str]:
    """Cogs do not catch."""
    if not source.path.startswith("cogs/"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Try | ast.TryStar):
            yield f"{source.path}:{node.lineno} has try: errors go to the tree's one on_error, which tells the person and logs the rest"


def stores(source: Source) -> Iterator[str]:
    """Cogs get records, not stores."""
    if not source.path.startswith("cogs/"):
        return
    for line, name in imports(source):
        if within(name, ("storage",)) and name.endswith("Store"):
            yield f"{source.path}:{line} imports {name}: a cog makes one call into the application, which asks the stores"


def long_files(source: Source) -> Iterator[str]:
    """One noun per file."""
    if source.lines > MOST_LINES:
        yield f"{source.path} has {source.lines} lines: a file of more than {MOST_LINES} holds more than one noun, split it"


CODE_RULES: tuple[Callable[[Source], Iterator[str]], ...] = (environment, sql, handled_errors, stores, long_files)


def name_of(rule: OnlyIn | Never) -> str:
    return (
        f"{rule.packages[0]} only in {' '.join(rule.places) or 'nothing'}"
        if isinstance(rule, OnlyIn)
        else f"{rule.place} without {rule.packages[0]}"
    )


@pytest.fixture(scope="module")
def house() -> list[Source]:
    return list(sources(ROOT))


@pytest.mark.parametrize("rule", IMPORT_RULES, ids=name_of)
def test_walls(rule: OnlyIn | Never, house: list[Source]) -> None:
    assert not [problem for source in house for problem in rule.broken(source)]


@pytest.mark.parametrize("rule", CODE_RULES, ids=lambda rule: rule.__name__)
def test_ways(rule: Callable[[Source], Iterator[str]], house: list[Source]) -> None:
    assert not [problem for source in house for problem in rule(source)]


BREACHES = {
    "import bot.jobs": "storage/x.py",
    "import cogs.say": "bot/client.py",
    "from storage.database import Database": "cogs/say.py",
    "import discord": "bot/jobs.py",
    "from discord.ext import commands": "bot/app.py",
    "def late():\n    import torch": "bot/executor/training_worker.py",
    "import importlib\nimportlib.import_module('transformers')": "bot/app.py",
    "from peft import LoraConfig": "cogs/train.py",
    "from bot import lm": "bot/app.py",
    "from .lm.base import load_base": "bot/app.py",
    "from bot.lm import base": "bot/shell/bases.py",
    "from bot.config import Settings": "bot/lm/base.py",
    "from ..config import Settings": "bot/tweets/files.py",
    "import storage.jobs": "bot/tweets/archive.py",
    "from bot.errors import BadInput": "bot/localdiscord/world.py",
    "from bot.localdiscord import World": "bot/app.py",
    "import tweepy": "bot/tweets/files.py",
    "from atproto import AsyncClient": "bot/tweets/bluesky.py",
    "from bot.tweets import xrpc": "bot/tweets/feed.py",
    "from bs4 import BeautifulSoup": "bot/tweets/mastodon.py",
    "from bot.config import load_settings": "bot/tweets/x.py",
    "import sqlite3": "bot/jobs.py",
    "import aiosqlite": "cogs/say.py",
    "from apscheduler.triggers.date import DateTrigger": "bot/jobs.py",
    "import pydantic_settings": "bot/app.py",
    "import ray": "bot/executor/ray.py",
    "import pickle": "bot/lm/checkpoint.py",
    "import os\nHOME = os.environ['HOME']": "bot/app.py",
    "from os import getenv": "storage/database.py",
    "rows = database.fetch_all('SELECT * FROM jobs')": "bot/jobs.py",
    "try:\n    pass\nfinally:\n    pass": "cogs/say.py",
    "from storage.jobs import JobStore": "cogs/jobs.py",
    "\n" * 401: "bot/app.py",
}


@pytest.mark.parametrize(
    ("text", "path"), BREACHES.items(), ids=[text.strip().splitlines()[-1] if text.strip() else "long" for text in BREACHES]
)
def test_every_rule_sees_its_breach(text: str, path: str, tmp_path: Path) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(text, "utf-8")
    (source,) = sources(tmp_path)
    problems = [problem for rule in IMPORT_RULES for problem in rule.broken(source)]
    problems += [problem for check in CODE_RULES for problem in check(source)]
    assert len(problems) == 1
    assert problems[0].startswith(path)


def test_the_bot_starts_without_torch() -> None:
    """Everything that the bot's own process loads, loaded: the command, the application, the client and every cog."""
    service = [module for module in ("bot.app", "bot.cli", "bot.service") if (ROOT / f"{module.replace('.', '/')}.py").exists()]
    if "bot.app" not in service:
        pytest.skip("bot/app.py is not written yet")
    cogs = [Source(file.relative_to(ROOT).as_posix(), ast.Module([], []), 0).module for file in sorted((ROOT / "cogs").rglob("*.py"))]
    program = f"""
import importlib, sys
for name in {[*service, *cogs]!r}:
    importlib.import_module(name)
heavy = ("torch", "transformers", "peft", "tokenizers", "safetensors", "bot.lm", "tweepy", "atproto", "bs4", "bot.tweets.xrpc")
print(*sorted(name for name in sys.modules if name.startswith(heavy)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [], (
        "torch in the bot stalls its loop and costs 400 MB; what the sources need is loaded when they are asked, in a thread"
    )
