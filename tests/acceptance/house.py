"""The real bot process over the local Discord, as a person meets it."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from bot.localdiscord import File, Message, Permissions, Person, Reply, Server, World
from bot.localdiscord.objects import Application, Channel, Guild
from tests.discord.checked import checked_world

START_S, TRAIN_S, SAY_S = 60.0, 240.0, 90.0
ONE_THREAD = {"TRAIN_THREADS": "1"}
"""Of the environment of a bot or a command: beside another test two threads wait for each other ten times as long as they compute."""
TWEETS = Path(__file__).parents[2] / "bot" / "sample" / "tweets.tsv"


def some_tweets(count: int = 110) -> bytes:
    """JSON lines: enough of the invented sample's tweets to train on, few enough to be quick."""
    lines = [line.split("\t", 1) for line in TWEETS.read_text(encoding="utf-8").splitlines()]
    kept = [(at, text) for at, text in lines if len(text) > 60 and not text.startswith("RT @")][:count]
    return "".join(json.dumps({"id": str(n), "created_at": at, "text": text}) + "\n" for n, (at, text) in enumerate(kept)).encode()


def standing(home: Path, sentences: list[str]) -> list[str]:
    """Sentences of which something is found in a file of the folder, as text or as JSON has it."""
    contents = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    forms = [{sentence.encode(), json.dumps(sentence)[1:-1].encode()} for sentence in sentences]
    return [
        sentence
        for sentence, wanted in zip(sentences, forms, strict=True)
        if any(form in content for form in wanted for content in contents)
    ]


class House:
    """A server named Aviary with alice and bob in it, and the bot when it is started."""

    def __init__(self, server: Server, home: Path) -> None:
        self.server, self.home = server, home
        self.world: World = server.world
        self.guild: Guild = self.world.add_guild("Aviary")
        self.channel: Channel = self.guild.add_channel("general")
        self.application: Application = self.world.add_application("Mynah")
        self.world.install(self.application, self.guild)
        self.alice: Person = self.world.user("alice")
        self.bob: Person = self.world.user("bob")
        self.process: asyncio.subprocess.Process | None = None

    @property
    def log(self) -> str:
        return (self.home.parent / "bot.log").read_text(encoding="utf-8", errors="replace")

    async def start(self) -> None:
        """Start the bot as `mynah run` does and wait until it is ready for commands."""
        ready = sum(dispatch.event == "READY" for dispatch in self.world.dispatches)
        settings = {
            "DISCORD_TOKEN": self.application.token,
            "DISCORD_BASE_URL": self.server.url,
            "MYNAH_HOME": str(self.home),
            **ONE_THREAD,
        }
        with (self.home.parent / "bot.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bot", "run", env=os.environ | settings, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        async with asyncio.timeout(START_S):
            while sum(dispatch.event == "READY" for dispatch in self.world.dispatches) == ready:
                assert self.process.returncode is None, self.log
                await asyncio.sleep(0.05)

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """End the bot by a signal and give its exit status."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 60)

    def children(self) -> list[psutil.Process]:
        """Every process that the bot has started."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    async def train(self, handle: str, content: bytes, name: str = "tweets.jsonl", person: Person | None = None) -> Reply:
        """As somebody who says with the command what entitles them."""
        values = {"handle": handle, "archive": File(name, content), "consent": "public"}
        return await (person or self.alice).slash("train", values, channel=self.channel)

    async def training(self, handle: str = "@ferry") -> Message:
        """Start a short training and wait until its worker has made a step; the message that shows the job."""
        values = {"handle": handle, "archive": File("tweets.jsonl", some_tweets(70)), "consent": "public", "preset": "fast"}
        progress = await (await self.alice.slash("train", values, channel=self.channel)).done(20)
        await self.learning(1)
        return progress

    async def learning(self, attempts: int) -> None:
        """Wait until the workers of so many attempts have made a step."""
        async with asyncio.timeout(120):
            while self._learnt() < attempts:
                await asyncio.sleep(0.05)

    def _learnt(self) -> int:
        paths = self.home.glob("jobs/*/*/progress.jsonl")
        return sum(re.search(r'"loss": \d', path.read_text("utf-8")) is not None for path in paths)

    def make_manager(self, person: Person) -> None:
        """Give somebody Manage Server."""
        role = self.world.add_role(self.guild, "Keepers", permissions=int(Permissions.MANAGE_GUILD))
        self.world.give_role(self.guild, self.guild.members[person.id], role)

    async def result(self, *, after: Message, timeout: float = TRAIN_S) -> Message:  # noqa: ASYNC109 -- real time, as Person.wait_for
        """The message that tells how a training ended."""
        return await self.alice.wait_for(self.channel, lambda m: m.id > after.id and not m.is_webhook and not m.ephemeral, timeout)

    def said(self) -> list[Message]:
        """What characters have said in the channel."""
        return [message for message in self.alice.read(self.channel) if message.is_webhook]


@asynccontextmanager
async def open_house(home: Path, *, start: bool = True) -> AsyncIterator[House]:
    """A house whose every exchange with Discord is held to Discord's description when the block ends well."""
    async with checked_world() as server:
        house = House(server, home)
        try:
            if start:
                await house.start()
            yield house
        except BaseException:
            if house.process is not None:
                print(house.log[-4000:])  # noqa: T201 -- shown by pytest for a failed test
            raise
        finally:
            if house.process is not None and house.process.returncode is None:
                await house.stop()
