"""discord.py 2.7.1, unmodified, through the accidents of a connection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import aiohttp
import discord
import pytest
import yarl

from bot.localdiscord import Server, World, serve
from bot.localdiscord.objects import Application, Channel
from tests.localdiscord.raw import DISPATCH, INVALID_SESSION, RESUME, connected
from tests.localdiscord.scene import scene_with_bot


class Bird(discord.Client):
    """Notes what it hears."""

    def __init__(self) -> None:
        super().__init__(intents=discord.Intents(guilds=True, guild_messages=True), guild_ready_timeout=0.0)
        self.heard: asyncio.Queue[str] = asyncio.Queue()
        self.ready_again = asyncio.Event()
        self.resumed = asyncio.Event()

    async def on_ready(self) -> None:
        self.ready_again.set()

    async def on_resumed(self) -> None:
        self.resumed.set()

    async def on_message(self, message: discord.Message) -> None:
        self.heard.put_nowait(message.author.name)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """The library waits five seconds here, for a limit that this World has not."""


class Stage:
    """A served World, and discord.py pointed at it."""

    def __init__(self, server: Server, channel: Channel, application: Application, bird: Bird) -> None:
        self.server, self.channel, self.application, self.bird = server, channel, application, bird


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    world = World()
    guild = world.add_guild("Aviary")
    channel = guild.add_channel("general")
    application = world.add_application("Bird")
    world.install(application, guild)
    async with serve(world) as server:
        monkeypatch.setattr(discord.http.Route, "BASE", f"{server.url}/api/v10")
        monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(world.gateway_url))
        bird = Bird()
        running = asyncio.create_task(bird.start(application.token))
        await asyncio.wait_for(bird.ready_again.wait(), 10)
        bird.ready_again.clear()
        yield Stage(server, channel, application, bird)
        await bird.close()
        with suppress(asyncio.CancelledError):
            await running


async def aborted(server: Server) -> None:
    server.gateway.abort()


async def asked_to_reconnect(server: Server) -> None:
    server.gateway.reconnect()


async def told_it_is_invalid(server: Server) -> None:
    server.gateway.invalidate(resumable=True)


ACCIDENTS: dict[str, Callable[[Server], Awaitable[None]]] = {
    "closed with 4000": lambda server: server.gateway.drop(4000),
    "closed with 1001": lambda server: server.gateway.drop(1001),
    "connection broken": aborted,
    "reconnect (op 7)": asked_to_reconnect,
    "invalid, resumable (op 9)": told_it_is_invalid,
}


@pytest.mark.parametrize("accident", ACCIDENTS.values(), ids=ACCIDENTS)
async def test_after_an_accident_nothing_is_missed(accident: Callable[[Server], Awaitable[None]], stage: Stage) -> None:
    alice = stage.server.world.user("alice")
    await accident(stage.server)
    alice.send(stage.channel, "meanwhile")
    await asyncio.wait_for(stage.bird.resumed.wait(), 10)
    assert await asyncio.wait_for(stage.bird.heard.get(), 10) == "alice"
    alice.send(stage.channel, "afterwards")
    assert await asyncio.wait_for(stage.bird.heard.get(), 10) == "alice"
    assert stage.bird.heard.empty()


async def test_a_session_that_cannot_be_resumed_is_begun_anew(stage: Stage) -> None:
    stage.server.gateway.invalidate()
    await asyncio.wait_for(stage.bird.ready_again.wait(), 10)
    await stage.server.bot_ready(stage.application)
    stage.server.world.user("alice").send(stage.channel, "hello")
    assert await asyncio.wait_for(stage.bird.heard.get(), 10) == "alice"


@pytest.mark.parametrize(("away_s", "answer"), [(299, DISPATCH), (301, INVALID_SESSION)])
async def test_a_session_waits_for_minutes_only(away_s: float, answer: int) -> None:
    async with scene_with_bot() as scene, aiohttp.ClientSession() as session:
        first = scene.gateway
        await first.socket.close(code=4000)
        scene.world.clock.advance(away_s)
        async with connected(session, first.resume_url) as second:
            await second.receive()
            await second.send(RESUME, {"token": scene.app.token, "session_id": first.session_id, "seq": first.seq})
            assert (await second.receive())["op"] == answer
