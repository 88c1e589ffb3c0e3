"""One bot's surroundings: a Discord of its own, homes to start from, and the ends that its processes come to."""

import asyncio
import itertools
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.backups import DATABASE
from bot.clock import SystemClock
from bot.config import Settings
from bot.jobs import JobQueue
from bot.localdiscord import Message, Server, World, serve
from bot.localdiscord.objects import Application, Channel, Guild
from bot.privacy import Privacy
from storage.characters import SHELL, CharacterStore
from storage.database import Database
from storage.schedules import ScheduleStore
from storage.trainings import Material, Training
from tests.chaos.bots import Bot, Bots
from tests.chaos.subject import ANSWERED

SPEAKER = "wren"
"""The character that can speak in every home from the start."""
DRAIN_S = 60.0
"""So long the last run of a bot may take, in seconds."""
_OPEN = (
    "SELECT (SELECT count(*) FROM jobs WHERE state IN ('queued', 'running', 'waiting'))"
    " + (SELECT count(*) FROM posts WHERE state IN ('due', 'pending', 'sending'))"
    " + (SELECT count(*) FROM schedules WHERE next_at <= ?)"
)


class Stuck(Exception):
    """A bot did not come to rest."""


class Home:
    """One bot's folder, its channel, and what it has been asked for."""

    def __init__(self, town: "Town", folder: Path, guild: Guild) -> None:
        self.town, self.folder, self.guild = town, folder, guild
        self.data = folder / "data"
        self.channel: Channel = guild.add_channel("general")
        self.bot: Bot | None = None
        self.kills = 0
        self.slots: list[str] = []
        """Prompts of the slots that are due; each is a beginning that no other post has."""

    @property
    def note(self) -> Path:
        """Says at which moment a bot died."""
        return self.folder / "moment"

    @property
    def answered(self) -> Path:
        """Says what the source of tweets was asked for."""
        return self.folder / ANSWERED

    @property
    def log(self) -> str:
        return (self.folder / "bot.log").read_text(encoding="utf-8", errors="replace")

    def messages(self) -> list[Message]:
        """What stands in the channel for everybody, oldest first."""
        return [message for message in self.channel.messages.values() if message.ephemeral_for is None]

    def rows(self, sql: str, *parameters: object) -> list[sqlite3.Row]:
        """Read the database from outside."""
        with closing(sqlite3.connect(f"file:{self.data / DATABASE}?mode=ro", uri=True, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(sql, parameters).fetchall()

    async def queue(self, *handles: str, guild_id: int | None = None, fetched: bool = False) -> None:
        """Jobs that were asked for before the bot starts: of files, or of accounts whose tweets are still to be fetched."""
        async with self._database() as database:
            settings = Settings(_env_file=None, mynah_home=self.data, jobs_per_member=100_000, jobs_per_server=100_000)
            clock = SystemClock()
            queue = JobQueue(database=database, settings=settings, clock=clock, privacy=Privacy(database=database, clock=clock))
            for handle in handles:
                path = self.data / "uploads" / f"of-{handle}" / ("x.jsonl" if fetched else "tweets.txt")
                if not fetched:
                    path.parent.mkdir(parents=True)
                    path.write_text(handle)
                material = Material(handle, "x" if fetched else "file", path.name, path.name)
                await queue.enqueue(
                    Training(handle, (material,), str(path), "nano", "nano", seed=1),
                    guild_id=self.guild.id if guild_id is None else guild_id,
                    channel_id=self.channel.id,
                    user_id=1,
                    dedupe_key=f"before:{handle}",
                    basis="public",
                )

    async def let_slots_come(self, count: int) -> None:
        """Schedules, each with one slot that is due; the next comes tomorrow."""
        now = datetime.now(UTC)
        async with self._database() as database, database.transaction() as tx:
            character = await CharacterStore(database).find(SHELL, SPEAKER)
            assert character is not None
            for number in range(count):
                self.slots.append(f"slot{number}")
                await ScheduleStore(database).insert(
                    tx,
                    guild_id=self.guild.id,
                    channel_id=self.channel.id,
                    character_id=character.id,
                    cron=f"0 {(now - timedelta(hours=2)).hour} * * *",
                    zone="UTC",
                    prompt=self.slots[-1],
                    policy="once",
                    grace_s=900,
                    next_at=now - timedelta(seconds=30),
                    created_by=1,
                    now=now,
                )

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[Database]:
        database = await Database.open(self.data / DATABASE)
        try:
            yield database
        finally:
            await database.close()

    async def start(self, *, at: int = 0, where: str = "bot", broken: str = "", held: bool = False) -> Bot:
        """Start a bot on this home."""
        self.note.unlink(missing_ok=True)
        self.bot = self.town.bots.start(
            home=str(self.data),
            url=self.town.server.url,
            token=self.town.application.token,
            log=str(self.folder / "bot.log"),
            note=str(self.note),
            at=at,
            where=where,
            broken=broken,
            held=held,
        )
        await self.bot.pid
        return self.bot

    async def ready(self) -> bool:
        """Wait until the bot hears commands; False when it ended before."""
        assert self.bot is not None
        while not self.town.server.gateway.connected(self.town.application.id):
            if self.bot.ended.done():
                return False
            await asyncio.sleep(0.01)
        return True

    def at_rest(self) -> bool:
        """Whether nothing is left to be done."""
        return int(self.rows(_OPEN, datetime.now(UTC).isoformat())[0][0]) == 0

    async def rest_or_end(self) -> bool:
        """Wait until nothing is left to be done, or until the bot has ended: whether it still runs."""
        assert self.bot is not None
        try:
            async with asyncio.timeout(DRAIN_S):
                while not self.bot.ended.done():
                    if self.at_rest():
                        return True
                    await asyncio.sleep(0.03)
        except TimeoutError:
            left = [tuple(row) for row in self.rows("SELECT id, state, attempt, reason FROM jobs")]
            posts = [tuple(row) for row in self.rows("SELECT id, kind, state, error FROM posts")]
            raise Stuck(f"not at rest after {DRAIN_S:.0f} s: jobs {left}, posts {posts}\n{self.log[-3000:]}") from None
        return False

    async def stop(self) -> None:
        """SIGTERM, which must end well."""
        assert self.bot is not None
        status = await self.bot.kill(signal.SIGTERM)
        if status != 0:
            raise Stuck(f"SIGTERM ended in {status}\n{self.log[-3000:]}")

    async def leave(self) -> None:
        """Nobody looks at this home again."""
        if self.bot is not None:
            await self.bot.kill()
        self.town.world.expel(self.town.application, self.guild)
        await asyncio.to_thread(shutil.rmtree, self.folder)


class Town:
    """One Discord with one bot in it, on one home at a time."""

    def __init__(self, bots: Bots, server: Server, folder: Path) -> None:
        self.bots, self.server, self.folder = bots, server, folder
        self.world: World = server.world
        self.application: Application = self.world.add_application("Mynah")
        self.alice = self.world.user("alice")
        self._numbers = itertools.count()
        self._model_home = folder / "trained"

    async def train_speaker(self) -> None:
        """Once, before the first home: its commands become known, and SPEAKER can speak."""
        home = self._new()
        home.data.mkdir(parents=True)
        await home.queue(SPEAKER, guild_id=SHELL)
        await home.start()
        if not (await home.ready() and await home.rest_or_end()):
            raise Stuck(f"the first start failed\n{home.log}")
        await home.stop()
        home.data.rename(self._model_home)

    def home(self) -> Home:
        """A new home in which the commands are known and SPEAKER can speak."""
        home = self._new()
        shutil.copytree(self._model_home, home.data)
        return home

    def _new(self) -> Home:
        number = next(self._numbers)
        folder = self.folder / f"h{number}"
        folder.mkdir(parents=True)
        guild = self.world.add_guild(f"Aviary {number}")
        self.world.install(self.application, guild)
        self.world.join(guild, self.alice.user)
        return Home(self, folder, guild)


@asynccontextmanager
async def towns(bots: Bots, folder: Path, count: int) -> AsyncIterator[list[Town]]:
    """Serve so many, each with a speaker."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serve(World())) for _ in range(count)]
        found = [Town(bots, server, folder / f"t{number}") for number, server in enumerate(servers)]
        await asyncio.gather(*(one.train_speaker() for one in found))
        yield found
