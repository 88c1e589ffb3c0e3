"""MynahBot: logs in, loads the cogs by name, tells Discord the commands when they have changed."""

import asyncio
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

COGS = ("cogs.train", "cogs.jobs", "cogs.say", "cogs.characters", "cogs.schedule", "cogs.privacy", "cogs.settings")
COMMANDS_HASH = "commands_hash"
FATAL = {
    4004: "Discord refuses DISCORD_TOKEN: copy the bot's token from the Developer Portal anew.",
    4010: "Discord refuses this connection (4010, a wrong shard): update Mynah.",
    4011: "Discord asks for shards (4011), since the bot is in too many servers for one connection: Mynah has one.",
    4012: "Discord no longer speaks this version of its interface (4012): update Mynah.",
    4013: "Discord refuses what Mynah wants to hear of (4013): update Mynah.",
    4014: "Discord does not let this bot hear of servers (4014): look at the page Bot in the Developer Portal.",
}
"""What closing codes of the gateway mean after which nobody may connect again in the same way."""
LOGIN_WAIT_S, LONGEST_LOGIN_WAIT_S = 1.0, 900.0
"""Between two tries to log in while Discord is unwell, in seconds: doubled with each, unless Discord says how long."""
REMEMBERED = 10_000
"""Interactions that are known to have come, of which a second delivery is not answered."""
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
        self._came: dict[int, None] = {}
        self._away = False

    async def setup_hook(self) -> None:
        """Between login and the first event."""
        for name in COGS:
            if name not in self.extensions:  # the login may be tried again
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
            raise ConfigError(FATAL[4004]) from error
        except discord.PrivilegedIntentsRequired as error:
            raise ConfigError(FATAL[4014]) from error
        except discord.ConnectionClosed as error:
            raise ConfigError(FATAL.get(error.code, f"Discord ended the connection for good (code {error.code}).")) from error
        except aiohttp.ClientConnectorError as error:
            raise ConfigError(f"Discord cannot be reached at {discord.http.Route.BASE}: {error}. Is the network up?") from error

    async def login(self, token: str) -> None:
        """Log in; while Discord is unwell or has had too many requests from here, wait and try again."""
        wait_s = LOGIN_WAIT_S
        while True:
            try:
                await super().login(token)
            except aiohttp.ClientConnectorError:  # an address that nobody answers at is rather a mistake
                raise
            except discord.HTTPException as error:
                if error.status != 429 and error.status < 500:
                    raise
                wait_s = max(wait_s, float(error.response.headers.get("Retry-After", 0)))
                reason = f"status {error.status}"
            except aiohttp.ClientError as error:
                reason = str(error) or type(error).__name__
            else:
                return
            log.warning("Discord does not let the bot in at the moment: it tries again by itself", reason=reason, wait_s=wait_s)
            await self.http.close()
            self.http.connector = discord.utils.MISSING  # it was closed with the session
            await asyncio.sleep(wait_s)
            wait_s = min(LONGEST_LOGIN_WAIT_S, wait_s * 2)

    def first_time(self, interaction_id: int) -> bool:
        """Whether this interaction has not come before. Discord may deliver one twice, such as after a broken connection."""
        if interaction_id in self._came:
            return False
        self._came[interaction_id] = None
        if len(self._came) > REMEMBERED:
            del self._came[next(iter(self._came))]
        return True

    def dispatch(self, event_name: str, /, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # of any event
        """Called by discord.py with all that happens: how the connection fares is logged, in one line each time it changes."""
        match event_name:
            case "disconnect" if not self._away and not self.is_closed():
                self._away = True
                log.warning("the connection to Discord is gone: it is made again by itself, and nothing that was promised is lost")
            case "resumed":
                self._away = False
                log.info("connected to Discord again: nothing was missed")
            case "ready":
                news = "connected to Discord again: commands that came meanwhile were not heard" if self._away else "connected to Discord"
                self._away = False
                log.info(news, servers=len(self.guilds))
        super().dispatch(event_name, *args, **kwargs)

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
