"""The town of the commands' tests, in which every exchange with Discord is held to its description, and nobody is pinged."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.cogs.town import Town, town_at
from tests.discord.openapi import check_exchanges


@pytest.fixture
def town_settings() -> dict[str, Any]:
    """What the operator has set; a file may have its own."""
    return {}


@pytest.fixture
async def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, town_settings: dict[str, Any]) -> AsyncIterator[Town]:
    async with town_at(tmp_path / "home", monkeypatch, **town_settings) as town:
        yield town
        assert check_exchanges(town.world.exchanges) == []
        assert town.pings() == []
