"""A home that is full of somebody, and a copy of it for each test that has them forgotten."""

import asyncio
from pathlib import Path

import pytest

from tests.forgotten_home import copied, fill


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with texts of heron and wren everywhere. Not to be changed."""
    home = tmp_path_factory.mktemp("full") / "home"
    asyncio.run(fill(home))
    return home


@pytest.fixture
def home(full: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return copied(full, tmp_path / "home")
