"""The progress that a worker writes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.executor import files
from bot.executor.contract import Progress, Stage
from bot.executor.progress import ProgressLog, whole_eta

STAGES: list[Stage] = ["starting", "reading", "loading", "training", "evaluating", "saving"]


@given(st.lists(st.tuples(st.sampled_from(STAGES), st.floats(0, 1)), min_size=1))
def test_the_fraction_never_falls(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Stage, float]]) -> None:
    folder = tmp_path_factory.mktemp("attempt")
    times = iter(range(1000))
    log = ProgressLog(folder / files.PROGRESS, monotonic=lambda: next(times))
    fractions = []
    for stage, share in steps:
        log.tell(stage, share)
        _, progress = files.newest_progress(folder)
        assert progress is not None
        assert progress.stage == stage
        fractions.append(progress.fraction)
    assert fractions == sorted(fractions)
    assert all(0 <= f <= 1 for f in fractions)


def test_two_lines_in_a_second_and_every_stage(tmp_path: Path) -> None:
    now = 0.0
    log = ProgressLog(tmp_path / files.PROGRESS, monotonic=lambda: now)
    for step in range(101):
        log.tell("training", step / 100)
        now += 0.01
    log.tell("saving")
    lines = (tmp_path / files.PROGRESS).read_text().splitlines()
    assert len(lines) == 4  # at 0, 0.5 and 1.0 s, and the new stage


def test_a_note_stays_and_infinity_is_left_out(tmp_path: Path) -> None:
    log = ProgressLog(tmp_path / files.PROGRESS)
    log.note = "Little text."
    log.tell("training", 0.5, eta_s=3.0, loss=float("nan"), heldout_loss=2.5)
    assert files.newest_progress(tmp_path)[1] == Progress("training", 0.5, 3.0, None, 2.5, "Little text.")


def test_the_eta_counts_what_comes_after_the_training() -> None:
    assert whole_eta(None, 0.0) is None
    assert whole_eta(80.0, 0.0) == 90.0
    assert whole_eta(40.0, 0.5) == 50.0
    assert whole_eta(0.0, 1.0) is None
