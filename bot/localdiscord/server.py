"""Serving a World on loopback: REST below /api, websockets at /gateway, files below /cdn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from bot.localdiscord.cdn import Cdn
from bot.localdiscord.gateway import Gateway
from bot.localdiscord.objects import Application
from bot.localdiscord.rest.server import REQUEST_LIMIT, Rest
from bot.localdiscord.world import World


@dataclass(frozen=True)
class Server:
    """A World that is being served."""

    world: World
    url: str
    """Such as http://127.0.0.1:8123: what DISCORD_BASE_URL takes."""
    gateway: Gateway

    async def bot_ready(self, application: Application, timeout: float = 30) -> None:  # noqa: ASYNC109 - in the manner of Person
        """Wait until this bot has identified at the gateway; at once when it is connected already.

        Raises:
            TimeoutError: it has not, after `timeout` seconds of real time.
        """
        with self.world.events.subscribe() as events:
            async with asyncio.timeout(timeout):
                while not self.gateway.connected(application.id):
                    await events.get()


@asynccontextmanager
async def serve(world: World, *, host: str = "127.0.0.1", port: int = 0, heartbeat_s: float = 41.25) -> AsyncIterator[Server]:
    """Serve a World while the block lasts. Port 0 takes a free one; `heartbeat_s` is what clients are told."""
    gateway = Gateway(world, heartbeat_s=heartbeat_s)
    app = web.Application(client_max_size=REQUEST_LIMIT)
    app.router.add_get("/gateway", gateway.handle)
    app.router.add_get("/gateway/", gateway.handle)
    Rest(world).add_to(app.router)
    Cdn(world).add_to(app.router)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    bound_host, bound_port = runner.addresses[0][:2]
    world.base_url = f"http://{f'[{bound_host}]' if ':' in bound_host else bound_host}:{bound_port}"
    try:
        yield Server(world, world.base_url, gateway)
    finally:
        await gateway.close()
        await runner.cleanup()
        world.close()
