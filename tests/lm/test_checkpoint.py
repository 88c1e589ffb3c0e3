import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bot.errors import NoSpace
from bot.lm.checkpoint import Checkpoints

IDENTITY = {"base": "tiny", "seed": 1}


def state(step: int) -> dict[str, object]:
    return {"step": step, "weights": {"a": torch.full((3,), float(step))}}


def steps(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_the_newest_is_read_back_and_two_are_kept(tmp_path: Path) -> None:
    for step in (5, 10, 115):
        Checkpoints(tmp_path, IDENTITY).save(step, state(step))
    newest = Checkpoints(tmp_path, IDENTITY).newest()
    assert newest is not None
    assert newest["step"] == 115
    assert torch.equal(newest["weights"]["a"], torch.full((3,), 115.0))
    assert steps(tmp_path) == ["step-000010", "step-000115"]


def test_none_where_there_is_none(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "new", IDENTITY).newest() is None


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


@pytest.mark.parametrize(
    ("harm", "file"),
    [
        (flip, "state.pt"),
        (truncate, "state.pt"),
        (Path.unlink, "state.pt"),
        (truncate, "manifest.json"),
        (Path.unlink, "manifest.json"),
    ],
)
def test_a_damaged_one_is_moved_aside_and_the_one_before_is_used(tmp_path: Path, harm: Callable[[Path], None], file: str) -> None:
    checkpoints = Checkpoints(tmp_path, IDENTITY)
    for step in (5, 10):
        checkpoints.save(step, state(step))
    harm(tmp_path / "step-000010" / file)
    newest = checkpoints.newest()
    assert newest is not None
    assert newest["step"] == 5
    assert steps(tmp_path) == ["damaged-step-000010", "step-000005"]
    checkpoints.save(10, state(10))
    assert (checkpoints.newest() or {})["step"] == 10


def test_one_of_another_training_is_not_used(tmp_path: Path) -> None:
    Checkpoints(tmp_path, IDENTITY).save(5, state(5))
    assert Checkpoints(tmp_path, IDENTITY | {"seed": 2}).newest() is None


def test_a_leftover_of_a_killed_writer_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".tmp-1").mkdir()
    (tmp_path / ".tmp-1" / "state.pt").write_bytes(b"half")
    Checkpoints(tmp_path, IDENTITY)
    assert steps(tmp_path) == []


def test_a_full_disk_says_so_and_leaves_the_older_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path, IDENTITY)
    checkpoints.save(5, state(5))

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(NoSpace, match="disk is full"):
            checkpoints.save(10, state(10))
    assert steps(tmp_path) == ["step-000005"]
    assert (checkpoints.newest() or {})["step"] == 5
