"""Exports: where `mynah export` has written characters, so that they can go with what they were made of."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from bot.handles import split

NOTES = "exports.jsonl"
"""In MYNAH_HOME, a line for each."""
_WRITTEN = (
    "config.json",
    "generation_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "README.md",
)
"""What an export consists of; anything else in its folder is somebody's own."""


@dataclass(frozen=True)
class Export:
    """One line."""

    handle: str
    folder: str


def note_export(home: Path, handle: str, folder: Path) -> None:
    """Write down where an export is going to lie, before it is written."""
    with os.fdopen(os.open(home / NOTES, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as notes:
        notes.write(json.dumps(asdict(Export(handle, str(folder.resolve())))) + "\n")
        notes.flush()
        os.fsync(notes.fileno())


def remove_exports(home: Path, is_gone: Callable[[str], bool]) -> tuple[int, list[Path]]:
    """Remove the exports of characters that learned from an account that `is_gone`; how many, and folders that hold something else, too."""
    notes = _read(home / NOTES)
    gone = [note for note in notes if any(is_gone(handle) for handle in split(note.handle))]
    if not gone:
        return 0, []
    folders = {Path(note.folder) for note in gone}
    removed = sum([_remove(folder) for folder in folders])
    new = home / f".{NOTES}.new"
    new.write_text("".join(json.dumps(asdict(note)) + "\n" for note in notes if note not in gone), encoding="utf-8")
    new.replace(home / NOTES)
    return removed, sorted(folder for folder in folders if folder.exists())


def _read(path: Path) -> list[Export]:
    if not path.exists():
        return []
    notes = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError, TypeError):  # half a line, after a crash
            notes.append(Export(**json.loads(line)))
    return notes


def _remove(folder: Path) -> bool:
    """Whether there was an export in it."""
    written = [path for pattern in _WRITTEN for path in folder.glob(pattern) if path.is_file()]
    for path in written:
        path.unlink()
    with suppress(OSError):  # something of somebody's own is in it, or it is gone
        folder.rmdir()
    return bool(written)
