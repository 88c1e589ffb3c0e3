"""Gateway sessions: what a bot is told, by its intents, and what is kept for it while it is away."""

import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from bot.localdiscord import wire
from bot.localdiscord.events import Event
from bot.localdiscord.objects import Application, permissions_in
from bot.localdiscord.permissions import Permissions
from bot.localdiscord.record import Dispatch, keep
from bot.localdiscord.wire_messages import without_content
from bot.localdiscord.world import World

Json = dict[str, Any]

GUILDS, MEMBERS, MODERATION, WEBHOOKS = 1 << 0, 1 << 1, 1 << 2, 1 << 5
PRESENCES, GUILD_MESSAGES, GUILD_REACTIONS, GUILD_TYPING = 1 << 8, 1 << 9, 1 << 10, 1 << 11
DIRECT_MESSAGES, DIRECT_REACTIONS, DIRECT_TYPING, MESSAGE_CONTENT = 1 << 12, 1 << 13, 1 << 14, 1 << 15
ALL_INTENTS = sum(1 << bit for bit in (*range(17), 20, 21, 24, 25))

_NEEDED: dict[str, tuple[int, int]] = {
    "GUILD_CREATE": (GUILDS, 0),
    "GUILD_DELETE": (GUILDS, 0),
    "GUILD_ROLE_CREATE": (GUILDS, 0),
    "CHANNEL_CREATE": (GUILDS, 0),
    "CHANNEL_UPDATE": (GUILDS, 0),
    "CHANNEL_DELETE": (GUILDS, 0),
    "GUILD_MEMBER_ADD": (MEMBERS, 0),
    "GUILD_MEMBER_UPDATE": (MEMBERS, 0),
    "WEBHOOKS_UPDATE": (WEBHOOKS, 0),
    "MESSAGE_CREATE": (GUILD_MESSAGES, DIRECT_MESSAGES),
    "MESSAGE_UPDATE": (GUILD_MESSAGES, DIRECT_MESSAGES),
    "MESSAGE_DELETE": (GUILD_MESSAGES, DIRECT_MESSAGES),
    "MESSAGE_REACTION_ADD": (GUILD_REACTIONS, DIRECT_REACTIONS),
    "MESSAGE_REACTION_REMOVE": (GUILD_REACTIONS, DIRECT_REACTIONS),
    "TYPING_START": (GUILD_TYPING, DIRECT_TYPING),
}
"""The intent that an event needs in a server and in direct messages."""
_ALWAYS = frozenset({"INTERACTION_CREATE"})
READY = "local.ready"
"""The event that tells tests, never bots, that a bot has identified."""

KEPT_EVENTS = 1000
"""Events kept for a session that is away; more, and it cannot be resumed."""


@dataclass(eq=False)
class Session:
    """One identified client, connected or away."""

    world: World
    application: Application
    intents: int
    shard: tuple[int, int]
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    sequence: int = 0
    left_at: float | None = None
    """When its client went away, by the World's clock; None while it is connected."""
    kept: deque[tuple[int, str, Json]] = field(default_factory=lambda: deque(maxlen=KEPT_EVENTS))

    def add(self, name: str, data: Json) -> tuple[int, str, Json]:
        """Number an event and keep it for a resume."""
        self.sequence += 1
        entry = (self.sequence, name, data)
        self.kept.append(entry)
        keep(self.world.dispatches, Dispatch(name, data, self.application.id))
        return entry

    def since(self, sequence: int) -> list[tuple[int, str, Json]] | None:
        """What came after; None when that is no longer known."""
        if sequence > self.sequence or (self.kept and sequence < self.kept[0][0] - 1):
            return None
        return [entry for entry in self.kept if entry[0] > sequence]

    def view(self, event: Event) -> Json | None:
        """The event as this session gets it, or None when it does not."""
        if event.application_id not in {None, self.application.id} or not self._on_this_shard(event):
            return None
        if event.name in _ALWAYS:
            return event.data
        if event.name not in _NEEDED or not self._may_know(event):
            return None
        if event.name == "GUILD_CREATE" and event.guild is not None:
            return wire.guild_create_json(event.guild, self.application.id, all_members=bool(self.intents & MEMBERS))
        if event.message is not None and event.name != "MESSAGE_DELETE":
            whole = self.intents & MESSAGE_CONTENT
            return event.data if whole else without_content(event.data, event.message, self.application.id)
        return event.data

    def _on_this_shard(self, event: Event) -> bool:
        home = 0 if event.guild is None else (event.guild.id >> 22) % self.shard[1]
        return home == self.shard[0]

    def _may_know(self, event: Event) -> bool:
        in_guild, direct = _NEEDED[event.name]
        if event.guild is None or (event.message is not None and event.message.ephemeral_for is not None):
            if event.guild is None and event.channel is not None and not permissions_in(event.channel, self.application.id):
                return False
            return bool(self.intents & direct)
        if event.name != "GUILD_DELETE" and self.application.id not in event.guild.members:
            return False
        if direct and event.channel is not None and not permissions_in(event.channel, self.application.id) & Permissions.VIEW_CHANNEL:
            return False
        return bool(self.intents & in_guild)

    def ready(self) -> Json:
        guilds = self.world.guilds_of(self.application.id)
        mine = [guild for guild in guilds if (guild.id >> 22) % self.shard[1] == self.shard[0]]
        return {
            "v": 10,
            "user": wire.me_json(self.application.user),
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in mine],
            "session_id": self.id,
            "session_type": "normal",
            "resume_gateway_url": self.world.gateway_url,
            "shard": list(self.shard),
            "application": {"id": str(self.application.id), "flags": wire.application_flags(self.application)},
            "private_channels": [],
            "presences": [],
            "relationships": [],
            "guild_join_requests": [],
            "user_settings": {},
            "geo_ordered_rtc_regions": [],
        }
