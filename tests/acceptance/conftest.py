"""A character that is trained once, for every test that only needs one to speak."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.house import ONE_THREAD, some_tweets


def mynah(*arguments: str, home: Path, timeout: float = 280, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as at a shell, with no token and no .env of ours."""
    clean = {k: v for k, v in os.environ.items() if k not in {"DISCORD_TOKEN", "DISCORD_BASE_URL"}}
    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        env=clean | ONE_THREAD | {"MYNAH_HOME": str(home), "COLUMNS": "140"} | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> tuple[Path, dict[str, Any]]:
    """A folder in which @ferry was trained at the shell, and what the command printed."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "trained"
    folder.mkdir(exist_ok=True)
    printed, source = folder / "printed.json", folder / "ferry.jsonl"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several processes one trains, for all of them
        if not printed.exists():
            source.write_bytes(some_tweets())
            done = mynah("train", "@Ferry", "--from", str(source), "--seed", "1", "--json", home=folder / "data")
            assert done.returncode == 0, done.stderr
            printed.write_text(done.stdout)
    return folder / "data", json.loads(printed.read_text())


@pytest.fixture
def trained(trained_once: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """A copy of that folder, to be changed at will."""
    home = tmp_path / "data"
    shutil.copytree(trained_once[0], home)
    return home
