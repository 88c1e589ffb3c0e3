"""A pickle can run any program when it is read: none of ours is."""

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import torch

from bot.lm.checkpoint import Checkpoints


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.fault(28)
def test_a_checkpoint_runs_no_program(tmp_path: Path) -> None:
    """A checkpoint that was made as a trap is refused and runs nothing, although its hash is right."""
    kept = Checkpoints(tmp_path / "checkpoints", {"seed": 1})
    kept.save(1, {"step": 1})
    folder = tmp_path / "checkpoints" / "step-000001"
    torch.save({"step": Payload(tmp_path / "it ran")}, folder / "state.pt")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"] = hashlib.sha256((folder / "state.pt").read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(pickle.UnpicklingError):
        kept.newest()
    assert not (tmp_path / "it ran").exists()
    torch.load(folder / "state.pt", weights_only=False)  # the trap works
    assert (tmp_path / "it ran").exists()
