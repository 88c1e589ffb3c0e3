"""Fixtures that every test may ask for."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture
def shared() -> Path:
    """The folder of real data beside the checkout; tests that need it are skipped, and counted, where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared (real tweets and archives), which is not here")
    return SHARED
