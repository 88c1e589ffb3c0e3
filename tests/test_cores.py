import os
from pathlib import Path

import pytest

from bot.cores import usable_cores


@pytest.mark.parametrize(("limit", "cores"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", None), ("", None), (None, None)])
def test_the_limit_of_the_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str | None, cores: int | None) -> None:
    path = tmp_path / "cpu.max"
    if limit is not None:
        path.write_text(limit)
    monkeypatch.setattr("bot.cores._CGROUP_LIMIT", path)
    assert usable_cores() == (cores or len(os.sched_getaffinity(0)))
