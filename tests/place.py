"""A channel of a server on a local Discord, and a poster that posts there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import discord
import pytest

from bot import messages
from bot.client import point_at
from bot.clock import SystemClock
from bot.localdiscord import World, serve
from bot.localdiscord.objects import Application, Channel, Guild
from bot.localdiscord.permissions import Permissions
from bot.localdiscord.person import Person
from bot.messages import Button, Message
from bot.posting import Poster
from storage.database import Database
from storage.posts import Post, PostStore
from tests.discord.addresses import put_back
from tests.discord.openapi import check_request

EVERYTHING = (
    Permissions.VIEW_CHANNEL
    | Permissions.SEND_MESSAGES
    | Permissions.READ_MESSAGE_HISTORY
    | Permissions.MANAGE_WEBHOOKS
    | Permissions.MANAGE_MESSAGES
)


@dataclass
class Place:
    """A channel of a server on a local Discord, and what is needed to post there."""

    world: World
    guild: Guild
    channel: Channel
    application: Application
    alice: Person
    database: Database
    client: discord.Client

    @property
    def store(self) -> PostStore:
        return PostStore(self.database)

    def poster(self) -> Poster:
        """A bot's poster, as after a start."""

        async def nothing_due(_: Post) -> Post | None:
            return None

        poster = Poster(database=self.database, clock=SystemClock(), fill_due=nothing_due, settle_s=0)
        poster.attach(self.client)
        return poster

    def permit(self, permissions: int) -> None:
        """Change what the bot may do."""
        role = next(role for role in self.guild.roles.values() if role.application_id == self.application.id)
        self.guild.roles[role.id] = replace(role, permissions=int(permissions))
        self.guild.roles[self.guild.id] = replace(self.guild.roles[self.guild.id], permissions=0)

    async def promise(self, text: str, *, character: bool = True, sending: bool = False) -> int:
        """Put a post into the outbox."""
        async with self.database.transaction() as tx:
            post = await self.store.insert(
                tx,
                dedupe_key=text,
                kind="say" if character else "result",
                guild_id=self.guild.id,
                channel_id=self.channel.id,
                created_by=self.alice.id,
                now=self.world.clock.now(),
                state="due",
                text=text,
            )
            assert post is not None
            spoken = messages.spoken(name="Heron", handle="heron", text=text, post_id=post.id)
            message = spoken if character else Message(text, (Button("Say", "character:say:heron"),))
            await self.store.fill(
                tx, post.id, message=message.to_dict(), character_id=None, model_id=None, prompt=None, seed=1, text=text, why=None
            )
            if sending:
                await self.store.mark_sending(tx, post.id, self.world.clock.now())
        return post.id

    async def deliver(self, *post_ids: int) -> list[Post]:
        """Run a poster until these are delivered."""
        poster = self.poster()
        async with running(poster):
            return await poster.delivered(post_ids, 60)

    @asynccontextmanager
    async def asked(self, count: int = 1) -> AsyncIterator[list[Post]]:
        """Run a poster until there are so many questions, delivered or given up."""
        poster = self.poster()
        async with running(poster), asyncio.timeout(20):
            while len(found := await self.database.fetch_all("SELECT id FROM posts WHERE kind = 'question' ORDER BY id")) < count:
                await asyncio.sleep(0)
            yield await poster.delivered([row["id"] for row in found], 20)

    def texts(self) -> list[str]:
        """What stands in the channel, without the labels."""
        return [message.content.split("\n")[0] for message in self.channel.messages.values()]


@asynccontextmanager
async def running(poster: Poster) -> AsyncIterator[None]:
    task = asyncio.create_task(poster.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def place_at(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    put_back(monkeypatch)
    quick = asyncio.sleep

    async def sleep(seconds: float, result: Any = None) -> Any:
        return await quick(0 if seconds < 60 else seconds, result)  # discord.py and the outbox wait between tries

    monkeypatch.setattr(asyncio, "sleep", sleep)
    world = World()
    guild = world.add_guild("Aviary")
    channel = world.add_channel(guild, "pond")
    application = world.add_application("Mynah")
    world.install(application, guild, permissions=int(EVERYTHING))
    alice = world.user("alice")
    database = await Database.open(home / "mynah.sqlite3")
    async with serve(world) as server, discord.Client(intents=discord.Intents(guilds=True)) as client:
        point_at(server.url)
        await client.login(application.token)
        yield Place(world, guild, channel, application, alice, database, client)
        assert [problem for exchange in world.exchanges for problem in check_request(exchange)] == []
    await database.close()
