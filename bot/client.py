"""MynahBot: logs in, loads the cogs by name, tells Discord the commands when they have changed."""

import hashlib
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
import structlog
from discord.ext import commands
from yarl import URL

from bot.errors import ConfigError
from bot.executor.contract import Progress
from bot.tree import MynahTree
from storage.facts import FactStore
from storage.jobs import Job

if TYPE_CHECKING:  # it builds the parts that the bot works with
    from bot.app import App

COGS = ("cogs.train", "cogs.jobs", "cogs.say", "cogs.characters", "cogs.schedule")
COMMANDS_HASH = "commands_hash"
AUTHENTICATION_FAILED = 4004
LOCAL_READY_S = 0.1
"""How long to wait for the next server at the start on a local Discord; discord.py waits 2 s."""

discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # what voice would need is not missing here

log = structlog.get_logger("mynah.client")


def point_at(base_url: str) -> None:
    """Make discord.py talk to another Discord. To be called before any request; the settings accept loopback addresses only."""
    base = URL(base_url)
    discord.http.Route.BASE = str(base / "api/v10")
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = (base / "gateway").with_scheme("ws")
    discord.asset.Asset.BASE = str(base / "cdn")


class MynahBot(commands.Bot):
    """The bot. `app` is everything that is not Discord."""

    def __init__(self, app: "App") -> None:
        base_url = app.settings.discord_base_url
        if base_url is not None:
            point_at(base_url)
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            tree_cls=MynahTree,
            intents=discord.Intents(guilds=True),
            allowed_mentions=discord.AllowedMentions.none(),
            allowed_contexts=discord.app_commands.AppCommandContext(guild=True),
            allowed_installs=discord.app_commands.AppInstallationType(guild=True),
            max_messages=None,
            guild_ready_timeout=2.0 if base_url is None else LOCAL_READY_S,
        )
        self.app = app

    async def setup_hook(self) -> None:
        """Between login and the first event."""
        for name in COGS:
            await self.load_extension(name)
        await self._sync_commands()
        self.app.poster.attach(self)
        self.app.listeners.append(self._announce)

    async def start(self, token: str, *, reconnect: bool = True) -> None:
        """Log in and work until closed.

        Raises:
            ConfigError: Discord refuses the token or cannot be reached.
        """
        try:
            await super().start(token, reconnect=reconnect)
        except discord.LoginFailure as error:
            raise ConfigError("Discord refuses DISCORD_TOKEN: copy the bot's token from the Developer Portal anew.") from error
        except discord.ConnectionClosed as error:
            if error.code != AUTHENTICATION_FAILED:
                raise
            raise ConfigError("Discord refuses DISCORD_TOKEN: copy the bot's token from the Developer Portal anew.") from error
        except aiohttp.ClientConnectorError as error:
            raise ConfigError(f"Discord cannot be reached at {discord.http.Route.BASE}: {error}. Is the network up?") from error

    def _announce(self, job: Job, progress: Progress | None) -> None:
        """Hand on to the cogs what happens to jobs."""
        if progress is None:
            self.dispatch("job_changed", job)
        else:
            self.dispatch("job_progress", job, progress)

    async def _sync_commands(self) -> None:
        """Discord counts the commands that are made, 200 a day in a server: only what has changed is sent."""
        facts = FactStore(self.app.database)
        wanted = self._commands_hash()
        if await facts.get(COMMANDS_HASH) == wanted:
            return
        synced = await self.tree.sync()
        async with self.app.database.transaction() as tx:
            await facts.put(tx, COMMANDS_HASH, wanted)
        log.info("commands synced", count=len(synced))

    def _commands_hash(self) -> str:
        """Of the commands, and of whom they are told for: another application or another Discord knows none of them."""
        commands: list[dict[str, Any]] = [command.to_dict(self.tree) for command in self.tree.get_commands()]
        told = {"application": self.application_id, "discord": discord.http.Route.BASE, "commands": commands}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


Interaction = discord.Interaction[MynahBot]
"""What a command or a button is called with."""
