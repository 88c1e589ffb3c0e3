"""Logging in, and telling Discord the commands."""

import asyncio
from pathlib import Path

import discord
import pytest

from bot.app import open_app
from bot.client import MynahBot
from bot.config import Settings
from bot.errors import ConfigError
from bot.localdiscord import World, serve
from bot.localdiscord.objects import Application


@pytest.fixture(autouse=True)
def _discord_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, name in ((discord.http.Route, "BASE"), (discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY"), (discord.asset.Asset, "BASE")):
        monkeypatch.setattr(owner, name, getattr(owner, name))


def settings(home: Path, url: str) -> Settings:
    return Settings(_env_file=None, discord_base_url=url, mynah_home=home)


async def told_commands(world: World, application: Application, home: Path, port: int) -> int:
    """Start the bot, end it when it is connected, and count how often it told its commands."""
    world.exchanges.clear()
    async with serve(world, port=port) as server, open_app(settings(home, server.url)) as app, MynahBot(app) as bot:
        task = asyncio.create_task(bot.start(application.token))
        await server.bot_ready(application)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return len([exchange for exchange in world.exchanges if exchange.method == "PUT"])


async def test_commands_are_told_when_they_have_changed_only(tmp_path: Path, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    guild = world.add_guild("Aviary")
    application, other = world.add_application("Mynah"), world.add_application("Another")
    world.install(application, guild)
    world.install(other, guild)
    assert await told_commands(world, application, tmp_path, unused_tcp_port) == 1
    assert await told_commands(world, application, tmp_path, unused_tcp_port) == 0
    monkeypatch.setattr("bot.client.COGS", ("cogs.train", "cogs.jobs"))
    assert await told_commands(world, application, tmp_path, unused_tcp_port) == 1
    assert await told_commands(world, other, tmp_path, unused_tcp_port) == 1


async def test_a_refused_token_is_a_sentence(tmp_path: Path) -> None:
    async with serve(World()) as server, open_app(settings(tmp_path, server.url)) as app, MynahBot(app) as bot:
        with pytest.raises(ConfigError, match="DISCORD_TOKEN"):
            await bot.start("MTEx.wrong.token")


async def test_no_discord_is_a_sentence(tmp_path: Path) -> None:
    async with open_app(settings(tmp_path, "http://127.0.0.1:9")) as app, MynahBot(app) as bot:
        with pytest.raises(ConfigError, match=r"cannot be reached at http://127\.0\.0\.1:9"):
            await bot.start("MTEx.any.token")
