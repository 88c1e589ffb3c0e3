"""Checkpoints of one training: whole, hashed and complete, or not there at all.

    step-000120/state.pt        what training needs to go on
    step-000120/manifest.json   its SHA-256, its identity and where it was written; without a valid one the folder does not count

A checkpoint is written into a temporary folder, flushed to the disk and then renamed. The last two are kept. The best weights travel
inside every checkpoint, so each can be gone on from alone.
"""

import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bot.errors import NoSpace

_STATE, _MANIFEST = "state.pt", "manifest.json"
_KEPT = 2


class Checkpoints:
    """The checkpoints in one folder that belong to one training."""

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        """`identity` tells trainings apart (base, dataset, recipe, seed): a checkpoint of another identity is not used."""
        self._folder = folder
        self._identity = dict(identity)
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".tmp-*"):
            shutil.rmtree(leftover)

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Write a checkpoint.

        Raises:
            NoSpace: the disk is full; the older checkpoints are untouched.
        """
        target = self._folder / f"step-{step:06d}"
        if target.exists():
            return
        content = io.BytesIO()
        torch.save(dict(state), content)
        manifest = {
            "step": step,
            "sha256": hashlib.sha256(content.getbuffer()).hexdigest(),
            "identity": self._identity,
            "environment": {"torch": torch.__version__, "threads": torch.get_num_threads(), "cuda": torch.cuda.is_available()},
        }
        temporary = self._folder / f".tmp-{os.getpid()}"
        try:
            temporary.mkdir()
            _write(temporary / _STATE, content.getbuffer())
            _write(temporary / _MANIFEST, json.dumps(manifest, indent=1).encode())
            _flush(temporary)
            temporary.rename(target)
            _flush(self._folder)
        except OSError as error:
            shutil.rmtree(temporary, ignore_errors=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                size = len(content.getbuffer()) / 1e6
                raise NoSpace(f"The disk is full: a checkpoint needs {size:.0f} MB; training goes on when there is room again.") from error
            raise
        for old in self._steps()[:-_KEPT]:
            shutil.rmtree(old)

    def newest(self) -> dict[str, Any] | None:
        """The newest state that is whole and of this training.

        Damaged ones are renamed to `damaged-…`, those of another training are removed.
        """
        for folder in reversed(self._steps()):
            manifest = _manifest(folder)
            content = (folder / _STATE).read_bytes() if (folder / _STATE).is_file() else b""
            if manifest is None or hashlib.sha256(content).hexdigest() != manifest.get("sha256"):
                aside = folder.with_name(f"damaged-{folder.name}")
                shutil.rmtree(aside, ignore_errors=True)
                folder.rename(aside)
            elif manifest["identity"] != self._identity:
                shutil.rmtree(folder)
            else:
                return dict(torch.load(io.BytesIO(content), weights_only=True))
        return None

    def _steps(self) -> list[Path]:
        return sorted(self._folder.glob("step-*"))


def _manifest(folder: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads((folder / _MANIFEST).read_bytes()))
    except (OSError, ValueError):
        return None


def _write(path: Path, content: bytes | memoryview) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
