"""How an end is judged: by the result first, by the exit code only without one."""

from pathlib import Path

import pytest

from bot.executor import files
from bot.executor.contract import Result
from bot.executor.outcome import Stopped, judge


@pytest.mark.parametrize(
    ("code", "stopped", "state"),
    [
        (0, None, "failed"),
        (1, None, "failed"),
        (65, None, "failed"),
        (75, None, "no_space"),
        (76, None, "fenced"),
        (143, None, "preempted"),
        (-15, None, "preempted"),
        (-9, None, "killed"),
        (-11, None, "failed"),
        (None, None, "lost"),
        (-9, "cancelled", "cancelled"),
        (143, "cancelled", "cancelled"),
        (-9, "saving", "preempted"),
        (-9, "silent", "failed"),
    ],
)
def test_without_a_result(tmp_path: Path, code: int | None, stopped: Stopped | None, state: str) -> None:
    outcome = judge(tmp_path, code, stopped)
    assert (outcome.state, outcome.result) == (state, None)
    assert outcome.reason


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (None, "succeeded"),
        ("BadInput", "refused"),
        ("BrokenArchive", "refused"),
        ("TooLittleText", "refused"),
        ("NoSpace", "no_space"),
        ("TrainingError", "failed"),
        ("SomethingUnknown", "failed"),
        ("__doc__", "failed"),
    ],
)
@pytest.mark.parametrize(("code", "stopped"), [(0, None), (1, None), (-9, None), (-9, "cancelled"), (None, None)])
def test_a_result_counts_more_than_the_code(
    tmp_path: Path, kind: str | None, state: str, code: int | None, stopped: Stopped | None
) -> None:
    files.write_result(tmp_path, Result(error="A sentence." if kind else None, kind=kind))
    assert judge(tmp_path, code, stopped).state == state


@pytest.mark.parametrize("text", ["", "{", "[]", '{"counts": 3}', '"done"', "\x00"])
def test_a_broken_result_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    assert judge(tmp_path, 0).state == "failed"
