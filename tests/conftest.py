"""Fixtures that every test may ask for."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.executor.cluster import Cluster
from tests.executor.scene import Job, MakeJob

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture
def shared() -> Path:
    """The folder of real data beside the checkout; tests that need it are skipped, and counted, where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared (real tweets and archives), which is not here")
    return SHARED


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A Ray head and a second node on loopback, started once; skipped, and counted, where the extra `ray` is not installed."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs the extra ray (pip install mynah[ray]), which is not here")
    one = Cluster()
    try:
        one.start_head()
        one.start_node()
        yield one
    finally:
        one.stop()


@pytest.fixture
def job(tmp_path: Path) -> MakeJob:
    """Makes a job whose worker does what it is told."""
    return lambda do, **recipe: Job(tmp_path / "jobs" / "7", do, **recipe)
