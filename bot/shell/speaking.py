"""At the shell: letting a character speak, and listing who can. Both work while the bot runs."""

from typing import Any

from rich.table import Table
from rich.text import Text

from bot.answers import Info
from bot.app import open_reader
from bot.config import Settings
from bot.shell.console import called, out
from storage.characters import SHELL


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
    out.print(f"[dim]AI, in the style of {called(result['character'])}; not their words.[/dim]")


async def characters(settings: Settings) -> dict[str, Any]:
    """Every character of the registry, of all servers."""
    async with open_reader(settings) as registry:
        return {"characters": [_listed(info) for info in await registry.list_all()]}


def _listed(info: Info) -> dict[str, Any]:
    model, corpus = info.model, info.corpus
    return {
        "character": info.character.handle,
        "handles": info.character.handles,
        "name": info.character.name,
        "silenced": info.character.silenced,
        "server": info.character.guild_id,
        "model_version": model.version if model else None,
        "base": model.base_name if model else None,
        "language": corpus.language if corpus else None,
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
        name = f"{row['name']} (silent)" if row["silenced"] else row["name"]
        table.add_row(f"@{row['character']}", Text(name), str(row["model_version"]), row["base"], f"{row['kept']:,}", loss, server)
    out.print(table)
