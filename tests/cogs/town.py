"""A server on a local Discord with the bot in it: everything is real but the models, which a fake speaks for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bot.app import App, open_app
from bot.client import MynahBot
from bot.config import Settings
from bot.executor.saying import SayReply, SayRequest, Spoken, Tried
from bot.localdiscord import File, Permissions, Person, Reply, World, serve
from bot.localdiscord.objects import Channel, Guild
from storage.characters import CharacterStore
from storage.corpora import CorpusStore
from storage.jobs import JobStore
from storage.models import ModelStore
from tests.discord.addresses import put_back
from tests.records import training_of

TIMEOUT_S = 20.0
TWEETS = File("tweets.txt", b"I stand. I wait.\nThe pond is mine.\n")


class Parrot:
    """Says the prompt and its seed."""

    async def say(self, request: SayRequest) -> SayReply:
        seeds = request.seeds or tuple(range(1000, 1000 + request.count))
        return SayReply(tuple(self._spoken(f"{request.prompt} parrot {seed}".strip(), seed) for seed in seeds))

    def _spoken(self, text: str, seed: int) -> Spoken:
        return Spoken(text, seed, (Tried(1, "dull words", "repeat"),), "a parrot was here", 0.5)

    async def close(self) -> None:
        pass


@dataclass
class Town:
    world: World
    guild: Guild
    channel: Channel
    app: App
    bot: MynahBot
    alice: Person
    """May do what everybody may."""
    mayor: Person
    """Has Manage Server."""

    def uploads(self) -> list[Path]:
        """Everything that somebody handed over and that is still kept."""
        return [path for path in (self.app.home / "uploads").rglob("*") if path.is_file()]

    def pings(self) -> list[str]:
        """Messages that pinged somebody."""
        return [message.content for channel in self.world.channels.values() for message in channel.messages.values() if message.pinged]

    async def add_character(self, handle: str = "heron", name: str = "Heron") -> None:
        """As after alice's training of it."""
        database, now = self.app.database, self.app.clock.now()
        async with database.transaction() as tx:
            job = await JobStore(database).insert(
                tx,
                training_of(handle, self.app.home / "none" / "tweets.txt"),
                guild_id=self.guild.id,
                channel_id=self.channel.id,
                user_id=self.alice.id,
                dedupe_key=f"added:{handle}",
                now=now,
            )
            assert job is not None
            character = await CharacterStore(database).ensure(
                tx, guild_id=self.guild.id, handle=handle, name=name, created_by=self.alice.id, now=now
            )
            corpus_id = await CorpusStore(database).insert(
                tx,
                character_id=character.id,
                file_name="tweets.txt",
                downloaded=10,
                retweets=1,
                short=2,
                kept=7,
                duplicates=0,
                cut=0,
                characters=9000,
                first_tweet_at=None,
                last_tweet_at=None,
                dataset_sha256="0" * 64,
                now=now,
            )
            model_id = await ModelStore(database).insert(
                tx,
                character_id=character.id,
                version=1,
                base="nano",
                base_name="nano",
                recipe={"rank": 8},
                corpus_id=corpus_id,
                job_id=job.id,
                heldout_base=5.0,
                heldout_model=4.0,
                steps=10,
                seconds=3.0,
                files={},
                now=now,
            )
            await CharacterStore(database).activate(tx, character.id, model_id)
            await tx.execute("UPDATE jobs SET state = 'succeeded', started_at = created_at, finished_at = created_at, attempt = 1")


@asynccontextmanager
async def town_at(home: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> AsyncIterator[Town]:
    """The bot, started and ready. No training runs."""
    put_back(monkeypatch)
    world = World()
    guild = world.add_guild("Aviary")
    channel = world.add_channel(guild, "pond")
    application = world.add_application("Mynah")
    world.install(application, guild)
    alice, mayor = world.user("alice"), world.user("mayor")
    world.give_role(guild, guild.members[mayor.id], world.add_role(guild, "mayor", permissions=int(Permissions.MANAGE_GUILD)))
    async with serve(world) as server:
        settings = Settings(
            _env_file=None,
            discord_token=SecretStr(application.token),
            discord_base_url=server.url,
            mynah_home=home,
            base_model="nano",
            **more,
        )
        async with open_app(settings) as app, MynahBot(app) as bot:
            app.characters._generator = Parrot()  # type: ignore[assignment] # it has what is called
            tasks = [asyncio.create_task(part) for part in (bot.start(application.token), app.poster.run(), app.eraser.run())]
            await server.bot_ready(application)
            yield Town(world, guild, channel, app, bot, alice, mayor)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def said(reply: Reply) -> str:
    """The answer, when it is whole."""
    return (await reply.done(TIMEOUT_S)).content


async def told_alone(reply: Reply) -> str:
    """What the one who pressed is told, while the message stays as it is."""
    await reply.done(TIMEOUT_S)
    async with asyncio.timeout(TIMEOUT_S):
        while not reply.followups:
            await asyncio.sleep(0.01)
    assert reply.followups[0].ephemeral
    return reply.followups[0].content
