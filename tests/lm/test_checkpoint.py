import errno
import os
import subprocess
import sys
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


@pytest.mark.fault(13)
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
    """A checkpoint that is cut off, has a flipped bit or lacks its manifest is kept apart, and the one before it is used."""
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


SMALL_DISK = """
import subprocess, sys
from pathlib import Path
folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "none", folder], check=True)
import torch
from bot.errors import NoSpace
from bot.lm.checkpoint import Checkpoints
kept = Checkpoints(folder, {"seed": 1})
kept.save(1, {"step": 1, "weights": torch.full((200_000,), 1.0)})
try:
    kept.save(2, {"step": 2, "weights": torch.full((200_000,), 2.0)})
except NoSpace as error:
    print(error)
print(sorted(path.name for path in folder.iterdir()), kept.newest()["step"])
subprocess.run(["mount", "-o", "remount,size=4000k", folder], check=True)
kept.save(2, {"step": 2, "weights": torch.full((200_000,), 2.0)})
print(kept.newest()["step"], float(kept.newest()["weights"].sum()))
"""


@pytest.mark.fault(8)
def test_a_disk_that_is_really_full_leaves_the_older_one(tmp_path: Path) -> None:
    """A checkpoint for which the disk has no room leaves nothing but the older one, and is written once there is room again."""
    namespace = ("unshare", "--user", "--map-root-user", "--mount")
    if subprocess.run([*namespace, "mount", "-t", "tmpfs", "none", tmp_path], check=False, capture_output=True).returncode:
        pytest.skip("needs a small file system of its own (unshare --mount), which is not permitted here")
    done = subprocess.run(
        [*namespace, sys.executable, "-c", SMALL_DISK, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == [
        "The disk is full: a checkpoint needs 1 MB; training goes on when there is room again.",
        "['step-000001'] 1",
        "2 400000.0",
    ], done.stderr
