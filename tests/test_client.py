"""Logging in, and telling Discord the commands."""

import asyncio
from pathlib import Path

import pytest

from bot.app import open_app
from bot.client import MynahBot
from bot.config import Settings
from bot.errors import ConfigError
from bot.localdiscord import Fault, Harm, World, serve
from bot.localdiscord.objects import Application
from tests.discord.addresses import put_back


@pytest.fixture(autouse=True)
def _discord_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    put_back(monkeypatch)


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


@pytest.mark.fault(20)
@pytest.mark.parametrize("code", [4004, 4010, 4011, 4012, 4013, 4014])
async def test_a_closing_code_after_which_nothing_helps_is_a_sentence(tmp_path: Path, code: int) -> None:
    """When Discord closes the connection for good, the bot ends with one sentence that says why."""
    world = World()
    application = world.add_application("Mynah")
    async with serve(world) as server, open_app(settings(tmp_path, server.url)) as app, MynahBot(app) as bot:
        server.gateway.refusals.append(code)
        with pytest.raises(ConfigError, match=r"Discord.*\.$"):
            await bot.start(application.token)


@pytest.mark.fault(20)
@pytest.mark.parametrize("path", ["/users/@me", "/commands"])
@pytest.mark.parametrize("harm", [Harm.UNAVAILABLE, Harm.BANNED, Harm.DROP_BEFORE])
async def test_a_discord_that_is_unwell_at_the_start_is_waited_for(
    tmp_path: Path, harm: Harm, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When Discord is unwell or bans the address for a while at the start, the bot waits and comes up by itself, its commands told once."""
    monkeypatch.setattr("bot.client.LOGIN_WAIT_S", 0.01)
    world = World()
    world.faults.append(Fault(harm, "*", path, times=2, seconds=0.0))
    application = world.add_application("Mynah")
    world.install(application, world.add_guild("Aviary"))
    async with serve(world) as server, open_app(settings(tmp_path, server.url)) as app, MynahBot(app) as bot:
        task = asyncio.create_task(bot.start(application.token))
        await server.bot_ready(application)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert len([exchange for exchange in world.exchanges if exchange.method == "PUT" and exchange.status == 200]) == 1


def test_an_interaction_is_new_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.client.REMEMBERED", 2)
    bot = object.__new__(MynahBot)
    bot._came = {}
    assert [bot.first_time(number) for number in (1, 1, 2, 3, 3, 1)] == [True, False, True, True, False, True]
