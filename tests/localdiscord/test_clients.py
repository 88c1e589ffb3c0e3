"""Clients that know nothing of us, unmodified: discord.js and discord.py run the same scenario, checked against Discord's description."""

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.localdiscord import File, Message, Reply
from tests.discord.checked import checked_world
from tests.localdiscord.raw import Rest

FOLDER = Path(__file__).parent
MANAGE_WEBHOOKS = 1 << 29


class Client:
    """A client in its own process, which tells what happened to it line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def tells(self, what: str, fits: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The next thing of this kind that it tells; a failure of the client fails the test."""
        while True:
            told = await read_line(self._process)
            assert told["what"] != "failed", told["error"]
            if told["what"] == what and fits(told):
                return told

    async def answered(self, reply: Reply) -> Message:
        """The answer, once the client is through with it too: it listens to its buttons only after Discord has confirmed the message."""
        message = await reply.done(10)
        await self.tells("answered", lambda told: told["id"] == str(reply.interaction.id))
        return message


async def read_line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 30)
    assert line, "the process ended"
    told: dict[str, Any] = json.loads(line)
    return told


def discord_py() -> list[str]:
    return [sys.executable, "discordpy/client.py"]


def discord_js() -> list[str]:
    """Skips where it is not installed; nothing but this test needs Node.js."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js for the second client, which is not installed")
    if not (FOLDER / "discordjs" / "node_modules" / "discord.js").is_dir():
        pytest.skip("needs discord.js for the second client: npm ci --prefix tests/localdiscord/discordjs")
    return [node, "discordjs/client.js"]


@asynccontextmanager
async def started(command: list[str]) -> AsyncIterator[Client]:
    """Start a client; at the end it must leave in order."""
    process = await asyncio.create_subprocess_exec(*command, cwd=FOLDER, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    try:
        yield Client(process)
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("library", [discord_py, discord_js], ids=lambda library: library.__name__)
async def test_a_client_as_it_is(library: Callable[[], list[str]]) -> None:
    """Ready, command sync, autocomplete, slash with defer and edit, send, button, modal, ephemeral, select, files, webhook."""
    async with checked_world() as server:
        world = server.world
        guild = world.add_guild("Aviary")
        channel = guild.add_channel("general")
        app = world.add_application("Parrot")
        world.install(app, guild, permissions=MANAGE_WEBHOOKS)
        alice, bob = world.user("alice"), world.user("bob")
        async with started([*library(), server.url, app.token]) as client:
            ready = await client.tells("ready")
            assert (ready["user"], ready["guilds"]) == ("Parrot", ["Aviary"])
            assert {"hello", "look", "persona", "quiet"} <= set(ready["commands"])

            offered = await alice.autocomplete("hello", {"name": "be"}, focused="name", channel=channel)
            assert [(choice.name, choice.value) for choice in offered] == [("BETA", "beta")]

            message = await client.answered(await alice.slash("hello", {"name": "beta"}, channel=channel))
            assert message.content == "Hello beta"
            (sent,) = [m for m in bob.read(channel) if m.content.endswith("sent to the channel")]
            assert not sent.pinged

            await alice.click(message, "Again")
            await bob.wait_for(channel, lambda m: m.content == "Hello beta, again" and not m.buttons, 10)

            message = await client.answered(await alice.slash("hello", {"name": "alpha"}, channel=channel))
            asked = await alice.click(message, "Ask")
            await alice.submit(await asked.opened(), {"why": "not"})
            await bob.wait_for(channel, lambda m: m.content == "Because not", 10)

            quiet = await client.answered(await alice.slash("quiet", {}, channel=channel))
            assert quiet.ephemeral
            assert "And more" in [m.content for m in alice.read(channel)]
            assert not any(m.content in ("Only you", "And more") for m in bob.read(channel))
            await alice.select(quiet, "colour", ["b"])
            await alice.wait_for(channel, lambda m: m.content == "Chosen b", 10)

            given = {"file": File("note.txt", b"hear, hear"), "from": bob, "where": channel, "times": 3}
            looked = await (await alice.slash("look", given, channel=channel)).done(10)
            assert looked.content == "note.txt 10 bob general 3"
            assert [(a.filename, a.size) for a in looked.attachments] == [("loud.txt", 10)]

            persona = await (await alice.slash("persona once", {}, channel=channel)).done(10)
            assert persona.content == "once: 1 webhook, Nadia (AI)"
            spoken = await bob.wait_for(channel, lambda m: m.content == "I am another, still", 10)
            assert (spoken.author_name, spoken.is_webhook, spoken.edited) == ("Nadia (AI)", True, True)

            alice.send(channel, f"thanks, <@{app.id}>")
            await client.tells("message", lambda told: told == {"what": "message", "author": "alice", "content": f"thanks, <@{app.id}>"})

            if "Who is this" in ready["commands"]:
                named = await (await alice.use("Who is this", bob, channel=channel)).done(10)
                assert named.content == "This is bob"
    assert {exchange.status for exchange in world.exchanges} <= {200, 201, 204}


async def test_the_local_discord_of_its_own_process() -> None:
    """`python -m bot.localdiscord` says where it is, takes other people's bots, and ends when told to."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.localdiscord", "--port", "0", cwd=FOLDER.parents[1], stdout=asyncio.subprocess.PIPE
    )
    try:
        told = await read_line(process)
        async with aiohttp.ClientSession() as session:
            rest = Rest(session, told["url"], told["token"])
            assert (await rest("GET", "/users/@me")).body["id"] == told["application_id"]
            (channel, *_) = told["channel_ids"].values()
            assert (await rest("POST", f"/channels/{channel}/messages", {"content": "hello"})).status == 200
        async with started([*discord_py(), told["url"], told["token"]]) as client:
            assert (await client.tells("ready"))["guilds"] == ["Aviary"]
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
