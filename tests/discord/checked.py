"""A local Discord that holds everything said to it and by it to Discord's own description."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.localdiscord import Server, World, serve
from tests.discord.events import check_dispatch
from tests.discord.openapi import check_exchanges, check_reply, check_request


@asynccontextmanager
async def checked_world(world: World | None = None) -> AsyncIterator[Server]:
    """Serve a world (`server.world`, `server.url`) and, when the block ends well, assert that every request, reply and event was valid.

    A request that the local Discord refused (4xx) must fit the description too, so a test of refusals uses `serve` alone.
    """
    world = world or World()
    async with serve(world) as server:
        yield server
    check_world(world)


def check_world(world: World) -> None:
    """Assert that everything which went over the wires of a world fits the description, and that the world itself did not fail."""
    problems = check_exchanges([exchange for exchange in world.exchanges if not exchange.harmed])
    problems += [problem for exchange in world.exchanges if exchange.harmed for problem in check_request(exchange)]
    assert not problems, "\n".join(problems)
    check_answers(world)


def check_answers(world: World) -> None:
    """Assert the half that the world is to answer for: its replies and its events. What it was asked may have been wrong."""
    problems = [f"{e.method} {e.path}: {problem}" for e in world.exchanges if not e.harmed for problem in check_reply(e)]
    problems += [problem for dispatch in world.dispatches for problem in check_dispatch(dispatch.event, dispatch.data)]
    problems += [f"{e.method} {e.path}: the local Discord failed" for e in world.exchanges if e.status == 500 and not e.harmed]
    assert not problems, "\n".join(dict.fromkeys(problems))
