"""The servers that the tests of a source ask."""

from collections.abc import AsyncIterator

import pytest

from tests.contracts.sources.stub import Service, Stub, running


@pytest.fixture
async def stub(world: Service) -> AsyncIterator[Stub]:
    """The servers of the file's own `world`."""
    async with running(world) as made:
        yield made
