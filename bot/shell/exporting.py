"""At the shell: a character as a plain transformers model."""

import asyncio
from pathlib import Path
from typing import Any

from bot.app import open_reader
from bot.config import Settings
from bot.errors import NotFound
from bot.exports import note_export
from bot.shell.console import out
from storage.characters import SHELL


async def export(settings: Settings, *, handle: str, folder: Path) -> dict[str, Any]:
    """Write a character as a plain transformers model; works while the bot runs.

    Raises:
        MynahError: there is no such character, its base is gone or has no place for it, or the folder is not empty.
    """
    async with open_reader(settings) as registry:
        info = await registry.info(SHELL, handle)
        if info.model is None:
            raise NotFound(f"@{info.character.handle} has no model yet: its training has not ended.")
        from bot.lm import export as lm  # noqa: PLC0415 -- torch is needed by this and by huggingtweets' recipe only, and takes seconds

        lm.check_empty(folder)
        await asyncio.to_thread(note_export, settings.mynah_home.resolve(), info.character.handle, folder)  # so that it can be forgotten
        names = {"handle": info.character.handle, "base_name": info.model.base_name}
        await asyncio.to_thread(lm.export, info.model.base, registry.folder(info.model), folder, **names)
        return {"character": info.character.handle, "model_version": info.model.version, "path": str(folder)}


def show_exported(result: dict[str, Any]) -> None:
    """Where it lies, and how to read it."""
    out.print(f"@{result['character']}, version {result['model_version']}, is in {result['path']}", soft_wrap=True)
    out.print(f'Read it with: transformers.pipeline("text-generation", model="{result["path"]}")', soft_wrap=True)
