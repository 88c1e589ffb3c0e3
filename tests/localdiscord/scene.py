"""A small world with one bot in it, spoken to over the wire alone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bot.localdiscord import Person, Server, World, serve
from bot.localdiscord.objects import Application, Channel, Guild
from tests.discord.checked import check_answers
from tests.localdiscord.raw import GUILD_MESSAGES, GUILDS, Answer, Gateway, Rest, connected

Json = dict[str, Any]
VIEW, SEND, MANAGE_MESSAGES, MENTION_EVERYONE, MANAGE_WEBHOOKS = 1 << 10, 1 << 11, 1 << 13, 1 << 17, 1 << 29
COMMANDS: list[Json] = [
    {
        "name": "hello",
        "description": "Say hello",
        "type": 1,
        "options": [{"type": 3, "name": "text", "description": "Words", "autocomplete": True}],
    }
]


@dataclass
class Interaction:
    """What the bot got, and what the person sees of it."""

    rest: Rest
    application_id: int
    data: Json
    seen: "asyncio.Task[Any]"

    @property
    def path(self) -> str:
        return f"/interactions/{self.data['id']}/{self.data['token']}/callback"

    @property
    def webhook(self) -> str:
        return f"/webhooks/{self.application_id}/{self.data['token']}"

    async def answer(self, kind: int, **data: object) -> Answer:
        return await self.rest("POST", f"{self.path}?with_response=1", {"type": kind, "data": data})


@dataclass
class Scene:
    """One server with two people, one bot, and channels in which it may do less."""

    world: World
    server: Server
    guild: Guild
    channel: Channel
    hidden: Channel
    muted: Channel
    app: Application
    alice: Person
    bob: Person
    rest: Rest
    gateway: Gateway
    started: list["asyncio.Task[Any]"] = field(default_factory=list)

    @property
    def messages(self) -> str:
        return f"/channels/{self.channel.id}/messages"

    async def send(self, content: str = "hello", **more: object) -> Json:
        """A message of the bot; gives it as Discord answered."""
        answer = await self.rest("POST", self.messages, {"content": content, **more})
        assert answer.status == 200, answer.body
        body: Json = answer.body
        return body

    async def slash(self, text: str = "") -> Interaction:
        """Alice types /hello; gives what the bot hears of it."""
        return await self.acted(self.alice.slash("hello", {"text": text} if text else {}, channel=self.channel))

    async def acted(self, action: Awaitable[Any]) -> Interaction:
        """What the bot hears when a person does this."""
        seen = asyncio.ensure_future(action)
        self.started.append(seen)
        heard = asyncio.ensure_future(self.gateway.event("INTERACTION_CREATE"))
        await asyncio.wait((seen, heard), return_when=asyncio.FIRST_COMPLETED)
        if not heard.done() and seen.exception() is not None:
            heard.cancel()
            await seen
        return Interaction(self.rest, self.app.id, await heard, seen)


@asynccontextmanager
async def scene_with_bot(*, permissions: int = MANAGE_WEBHOOKS | MENTION_EVERYONE) -> AsyncIterator[Scene]:
    """A bot that has identified and has one command; its permissions are those of everyone and these.

    At the end everything that the world answered or sent is held to Discord's description.
    """
    world = World()
    guild = world.add_guild("Aviary")
    channel, hidden, muted = guild.add_channel("general"), guild.add_channel("cellar"), guild.add_channel("library")
    app = world.add_application("Parrot")
    world.install(app, guild, permissions=permissions)
    hidden.deny(app, VIEW)
    muted.deny(app, SEND)
    alice, bob = world.user("alice"), world.user("bob")
    async with serve(world) as server, aiohttp.ClientSession() as session:
        rest = Rest(session, server.url, app.token)
        gateway_url = (await rest("GET", "/gateway")).body["url"]
        async with connected(session, gateway_url) as gateway:
            await gateway.identify(app.token, GUILDS | GUILD_MESSAGES)
            await gateway.event("GUILD_CREATE")
            assert (await rest("PUT", f"/applications/{app.id}/commands", COMMANDS)).status == 200
            scene = Scene(world, server, guild, channel, hidden, muted, app, alice, bob, rest, gateway)
            yield scene
            for task in scene.started:
                task.cancel()
            await asyncio.gather(*scene.started, return_exceptions=True)
    check_answers(world)
