"""A job over which the bot itself dies, again and again, with real kills."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.poisoned import HARMLESS_DEATHS

ROOT = Path(__file__).parents[1]


def deaths(home: Path, when: str) -> int:
    """How often the bot dies before both trainings have ended."""
    for number in range(20):
        command = [sys.executable, "-m", "tests.poisoned", str(home), when]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return number
        assert done.returncode == -signal.SIGKILL, done.stderr
    raise AssertionError("it would die for ever")


def jobs(home: Path) -> list[tuple[str, int, str | None]]:
    with closing(sqlite3.connect(home / "mynah.sqlite3")) as connection:
        return connection.execute("SELECT state, charged, reason FROM jobs ORDER BY id").fetchall()


@pytest.mark.fault(24)
@pytest.mark.parametrize("when", ["preparing", "publishing"])
def test_a_job_over_which_the_bot_dies_is_given_up(tmp_path: Path, when: str) -> None:
    """A training over which the bot itself dies five times, while it prepares it or takes its result, is given up, and others go on."""
    assert deaths(tmp_path, when) == 5
    poison, other = jobs(tmp_path)
    assert poison[0] == "failed"
    assert "Mynah itself ended 5 times" in (poison[2] or "")
    assert other[0] == "succeeded"


@pytest.mark.parametrize("when", ["fetching", "training"])
def test_while_tweets_are_fetched_or_a_worker_is_at_work_no_end_of_the_bot_counts_against_the_job(tmp_path: Path, when: str) -> None:
    assert deaths(tmp_path, when) == HARMLESS_DEATHS
    assert [job[:2] for job in jobs(tmp_path)] == [("succeeded", 0)] * 2
