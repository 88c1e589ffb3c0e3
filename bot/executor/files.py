"""Reading and writing the files of an attempt, the same on every executor."""

import errno
import json
import os
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bot.executor.contract import Progress, Result, TrainSpec

SPEC, PROGRESS, RESULT, LOG, MODEL = "spec.json", "progress.jsonl", "result.json", "worker.log", "model"
CORPUS = "corpus.jsonl"
"""The raw tweets as they were read, in the attempt's folder."""
DATASET = "dataset.jsonl"
"""What was taught, in `model/`."""
CARD = "README.md"
"""The model's card, in `model/`."""

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""Of an OSError: no room."""

_END = 64 * 1024
"""Bytes at the end of `progress.jsonl` that are looked at: a longer line is none of ours."""
_SPEC, _PROGRESS, _RESULT = TypeAdapter(TrainSpec), TypeAdapter(Progress), TypeAdapter(Result)


def write_spec(folder: Path, spec: TrainSpec) -> None:
    """Write `spec.json`."""
    write_whole(folder / SPEC, json.dumps(asdict(spec), ensure_ascii=False, indent=1))


def read_spec(folder: Path) -> TrainSpec:
    """Read `spec.json`.

    Raises:
        OSError: it cannot be read.
        pydantic.ValidationError: it is no spec.
    """
    return _SPEC.validate_json((folder / SPEC).read_bytes())


def write_result(folder: Path, result: Result) -> None:
    """Write `result.json`, whole or not at all, and on the disk when this returns."""
    write_whole(folder / RESULT, json.dumps(asdict(result), ensure_ascii=False, indent=1))


def read_result(folder: Path) -> Result | None:
    """What the worker says at its end, or None when there is nothing that can be understood."""
    try:
        return _RESULT.validate_json((folder / RESULT).read_bytes())
    except (OSError, ValidationError):
        return None


def newest_progress(folder: Path) -> tuple[int, Progress | None]:
    """The size of `progress.jsonl` in bytes, and the newest whole line in it that is a progress. What else stands there is passed over."""
    try:
        with (folder / PROGRESS).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _END))
            lines = file.read(_END).split(b"\n")
    except FileNotFoundError:
        return 0, None
    for line in reversed(lines[:-1]):
        try:
            return size, _PROGRESS.validate_json(line)
        except ValidationError:
            continue
    return size, None


def last_line(folder: Path) -> str:
    """The last line of `worker.log`: of a worker that failed, its error. Empty when there is none."""
    try:
        with (folder / LOG).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
            text = file.read(4096).decode(errors="replace")
    except FileNotFoundError:
        return ""
    return next((line.strip()[:300] for line in reversed(text.splitlines()) if line.strip()), "")


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the whole new one, also after a loss of power."""
    new = path.with_name(f"{path.name}.new")
    with new.open("w", encoding="utf-8", errors="replace") as file:  # half a surrogate pair in a name must not cost the result
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
