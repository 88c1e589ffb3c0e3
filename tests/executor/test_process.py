"""How many cores a container really has, and what a worker is not told."""

import os
from itertools import pairwise
from pathlib import Path

import pytest

from bot.config import Settings
from bot.executor import process


@pytest.mark.parametrize(("limit", "cores"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", None), ("", None), (None, None)])
def test_the_limit_of_the_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str | None, cores: int | None) -> None:
    path = tmp_path / "cpu.max"
    if limit is not None:
        path.write_text(limit)
    monkeypatch.setattr(process, "_CGROUP_LIMIT", path)
    assert process.usable_cores() == (cores or len(os.sched_getaffinity(0)))


def test_no_worker_gets_a_secret() -> None:
    arguments = process.worker_environment(1, process.TRAINING)
    taken_away = {name for flag, name in pairwise(arguments) if flag == "-u"}
    secrets = {name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert secrets
    assert secrets <= taken_away
