"""Write docs/commands.md from the commands, docs/schema.md from the migrations and the table of docs/reliability.md from the tests."""

import asyncio
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import discord
import typer.main

from scripts.faults import reliability

ROOT = Path(__file__).parents[1]
MIGRATIONS = ROOT / "storage" / "migrations"
PERMISSION_NAMES = {"manage_guild": "Manage Server"}
KIND_NAMES = {"string": "text", "integer": "number", "attachment": "file", "boolean": "yes or no"}
"""What people call what Discord calls otherwise."""
MADE = "<!-- Written by scripts/make_docs.py. Change the code, then run it. -->\n"


def commands() -> str:
    """The text of docs/commands.md."""
    return "\n".join(
        [
            "# Commands\n",
            MADE,
            "What needs a permission can be changed by a server's administrators, under Server Settings → Integrations.\n",
            "## On Discord\n",
            *_discord_commands(asyncio.run(_tree())),
            "## At the shell\n",
            "`--help` on each says the same.\n",
            *_shell_commands(),
        ]
    )


async def _tree() -> list[dict[str, Any]]:
    """Every command as Discord is told it, from a bot that never connects."""
    from bot.app import open_app
    from bot.client import COGS, MynahBot
    from bot.config import Settings

    with TemporaryDirectory() as home:
        async with open_app(Settings(_env_file=None, mynah_home=Path(home))) as app, MynahBot(app) as bot:
            for name in COGS:
                await bot.load_extension(name)
            return sorted((command.to_dict(bot.tree) for command in bot.tree.get_commands()), key=lambda command: str(command["name"]))


def _discord_commands(told: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for command in told:
        needed = discord.Permissions(int(command.get("default_member_permissions") or 0))
        who = ", ".join(PERMISSION_NAMES.get(name, name) for name, held in needed if held)
        for path, leaf in _leaves(command, str(command["name"])):
            is_slash = leaf.get("type", 1) == 1
            yield f"### {'/' if is_slash else 'Menu: '}{path}\n"
            if leaf.get("description"):
                yield f"{leaf['description']}\n"
            if who:
                yield f"For members with the permission: {who}.\n"
            yield from _table(("option", "kind", "needed", "what it is"), map(_option, leaf.get("options", [])))


def _leaves(command: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The commands that a person can type: a group has them as options."""
    groups = [o for o in command.get("options", []) if o["type"] in {1, 2}]
    if not groups:
        yield path, {**command, "type": 1} if " " in path else command
    for group in groups:
        yield from _leaves(group, f"{path} {group['name']}")


def _option(option: Mapping[str, Any]) -> Sequence[str]:
    name = discord.AppCommandOptionType(option["type"]).name
    kind = KIND_NAMES.get(name, name)
    if option.get("autocomplete"):
        kind += ", offered while typing"
    if choices := option.get("choices"):
        kind += ": " + ", ".join(str(choice["name"]) for choice in choices)
    limits = [str(option[name]) for name in ("min_value", "max_value") if option.get(name) is not None]
    if option.get("max_length"):
        kind += f", at most {option['max_length']} characters"
    if limits:
        kind += f", {' to '.join(limits)}"
    return f"`{option['name']}`", kind, "yes" if option.get("required") else "no", str(option["description"])


def _shell_commands() -> Iterator[str]:
    from bot.cli import app

    for path, command in _walk(typer.main.get_command(app), "mynah"):
        usage = command.get_usage(command.context_class(command, info_name=path)).removeprefix("Usage: ")
        yield f"### {path}\n\n{command.help}\n\n```\n{usage}\n```\n"
        yield from _table(("option", "default", "what it is"), map(_parameter, command.params))


def _walk(command: Any, path: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 -- typer keeps its copy of click's classes to itself
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, child in command.commands.items():
        yield from _walk(child, f"{path} {name}")


def _parameter(parameter: Any) -> Sequence[str]:  # noqa: ANN401 -- the same
    name = ", ".join(f"`{name if parameter.param_type_name == 'option' else name.upper()}`" for name in parameter.opts)
    default = (
        "needed"
        if parameter.required
        else "none"
        if parameter.default in (None, "") or parameter.default is False
        else str(parameter.default)
    )
    return name, default, str(parameter.help or "")


def schema() -> str:
    """The text of docs/schema.md."""
    parts = ["# The database\n", MADE, "One SQLite file, `mynah.sqlite3`, in `MYNAH_HOME`. Every table is STRICT.\n"]
    database = sqlite3.connect(":memory:")
    scripts = [migration.read_text(encoding="utf-8") for migration in sorted(MIGRATIONS.glob("*.sql"))]
    database.executescript("\n".join(scripts))
    tables = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid")
    for (name,) in tables.fetchall():
        told = re.findall(rf"^(?:CREATE|ALTER) TABLE {name}\b.*?\n\n", "\n\n".join(scripts) + "\n\n", re.DOTALL | re.MULTILINE)
        sql = "\n".join(reversed(told))  # of a table that was made anew the newest words count
        parts.append(f"## {name}\n")
        keys = {row[3]: row[2] for row in database.execute(f"PRAGMA foreign_key_list({name})")}
        columns = [_column(row, sql, keys) for row in database.execute(f"PRAGMA table_info({name})")]
        parts += _table(("column", "type", "may be NULL", "what it is"), columns)
    database.close()
    return "\n".join(parts)


def _column(row: Sequence[Any], sql: str, keys: Mapping[str, str]) -> Sequence[str]:
    _, name, kind, not_null, _, primary = row
    found = re.search(rf"^\s*{name}\s[^\n]*?--\s*(?P<comment>[^\n]*)$", sql, re.MULTILINE)
    comment = found["comment"].strip() if found else ""
    points_at = f" → {keys[name]}" if name in keys else ""
    return f"`{name}`", kind + points_at, "no" if not_null or primary else "yes", comment


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table, or nothing without rows."""
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return ["\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines]) + "\n"] if lines else []


PAGES = {
    ROOT / "docs" / "commands.md": commands,
    ROOT / "docs" / "schema.md": schema,
    ROOT / "docs" / "reliability.md": reliability,
}

if __name__ == "__main__":
    for path, text in PAGES.items():
        path.write_text(text(), encoding="utf-8")
        print(path.relative_to(ROOT))
