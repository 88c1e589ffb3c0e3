"""Clients that know nothing of us: discord.js as it is."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.localdiscord import File
from tests.discord.checked import checked_world

FOLDER = Path(__file__).parent / "discordjs"
MANAGE_WEBHOOKS = 1 << 29


class NodeBot:
    """The bot of `discordjs/client.js`, running."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def tells(self, what: str, fits: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The next thing of this kind that it tells; a failure of the client fails the test."""
        assert self._process.stdout is not None
        while True:
            line = await asyncio.wait_for(self._process.stdout.readline(), 30)
            assert line, "discord.js ended"
            told: dict[str, Any] = json.loads(line)
            assert told["what"] != "failed", told["error"]
            if told["what"] == what and fits(told):
                return told


@asynccontextmanager
async def node_bot(url: str, token: str) -> AsyncIterator[NodeBot]:
    """Start the client; at the end it must leave in order."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js for the second client, which is not installed")
    if not (FOLDER / "node_modules" / "discord.js").is_dir():
        pytest.skip("needs discord.js for the second client: npm ci --prefix tests/localdiscord/discordjs")
    process = await asyncio.create_subprocess_exec(
        node, "client.js", url, token, cwd=FOLDER, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield NodeBot(process)
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_discord_js() -> None:
    """Ready, command sync, autocomplete, slash with defer and edit, send, button, modal, ephemeral, select, files, webhook."""
    async with checked_world() as server:
        world = server.world
        guild = world.add_guild("Aviary")
        channel = guild.add_channel("general")
        app = world.add_application("Parrot")
        world.install(app, guild, permissions=MANAGE_WEBHOOKS)
        alice, bob = world.user("alice"), world.user("bob")
        async with node_bot(server.url, app.token) as bot:
            ready = await bot.tells("ready")
            assert (ready["user"], ready["guilds"]) == ("Parrot", ["Aviary"])
            assert sorted(ready["commands"]) == ["hello", "look", "persona", "quiet"]

            offered = await alice.autocomplete("hello", {"name": "be"}, focused="name", channel=channel)
            assert [(choice.name, choice.value) for choice in offered] == [("BETA", "beta")]

            reply = await alice.slash("hello", {"name": "beta"}, channel=channel)
            message = await reply.done(10)
            assert message.content == "Hello beta"
            sent = await bob.wait_for(channel, lambda m: m.content.endswith("sent to the channel"), 10)
            assert not sent.pinged
            await bot.tells("message", lambda told: told["content"] == sent.content)

            await alice.click(message, "Again")
            await bob.wait_for(channel, lambda m: m.content == "Hello beta, again" and not m.buttons, 10)

            message = await (await alice.slash("hello", {"name": "alpha"}, channel=channel)).done(10)
            asked = await alice.click(message, "Ask")
            await alice.submit(asked.modal, {"why": "not"})
            await bob.wait_for(channel, lambda m: m.content == "Because not", 10)

            quiet = await (await alice.slash("quiet", {}, channel=channel)).done(10)
            assert quiet.ephemeral
            await alice.wait_for(channel, lambda m: m.content == "And more", 10)
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
    assert {exchange.status for exchange in world.exchanges} <= {200, 201, 204}
