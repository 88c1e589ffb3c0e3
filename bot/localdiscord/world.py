"""The World: everything the local Discord knows. REST, gateway, people and later the page all act on it."""

import hashlib
from collections.abc import Iterable
from typing import Any

from bot.localdiscord import wire
from bot.localdiscord.clock import WorldClock
from bot.localdiscord.commands import CommandBook
from bot.localdiscord.drafts import Upload, safe_filename
from bot.localdiscord.events import Event, Events
from bot.localdiscord.faults import Fault
from bot.localdiscord.interactions import Interaction
from bot.localdiscord.messages import Attachment, Message
from bot.localdiscord.objects import DM, Application, Channel, Guild, Member, Role, User, Webhook
from bot.localdiscord.permissions import BOT, EVERYONE
from bot.localdiscord.person import Person
from bot.localdiscord.record import Dispatch, Exchange, Transcript
from bot.localdiscord.snowflakes import Snowflakes, bot_token, webhook_token

Json = dict[str, Any]


class World:
    """A Discord of one's own: made empty, filled by the add_ methods, served by `serve`."""

    def __init__(self, clock: WorldClock | None = None, *, limits: bool = False) -> None:
        """`limits`: keep true rate-limit buckets and say so in headers."""
        self.clock = clock or WorldClock()
        self.limits = limits
        self.snowflakes = Snowflakes(self.clock)
        self.events = Events()
        self.base_url = "http://127.0.0.1"
        """Where it is served; `serve` sets it."""
        self.users: dict[int, User] = {}
        self.people: dict[str, Person] = {}
        self.applications: dict[int, Application] = {}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.webhooks: dict[int, Webhook] = {}
        self.interactions: dict[str, Interaction] = {}
        """By token."""
        self.commands = CommandBook(self.clock, self.snowflakes)
        self.nonces: dict[tuple[int, str], Message] = {}
        self.files: dict[str, tuple[bytes, str]] = {}
        """The CDN: path → content and its type."""
        self.faults: list[Fault] = []
        self.exchanges: list[Exchange] = []
        self.dispatches: list[Dispatch] = []
        self.transcript = Transcript(self.clock)
        self.events.listen(self.transcript.hear)
        self._keeper = self._add_user("keeper")

    def add_guild(self, name: str) -> Guild:
        """Found a server. Everyone there is so far becomes a member; its owner is nobody a test speaks for."""
        guild = Guild(self.snowflakes.make(), name, self._keeper, self)
        guild.roles[guild.id] = Role(guild.id, "@everyone", int(EVERYONE), 0)
        self.guilds[guild.id] = guild
        for user in [self._keeper, *(person.user for person in self.people.values())]:
            self.join(guild, user)
        return guild

    def add_channel(self, guild: Guild, name: str, *, topic: str | None = None, nsfw: bool = False) -> Channel:
        channel = Channel(self.snowflakes.make(), name, guild, topic=topic, position=len(guild.channels), nsfw=nsfw)
        guild.channels[channel.id] = self.channels[channel.id] = channel
        self.events.emit(Event("CHANNEL_CREATE", wire.channel_json(channel), guild, channel))
        return channel

    def tell_channel(self, channel: Channel) -> None:
        """Say that a channel, or who may do what there, has changed."""
        self.events.emit(Event("CHANNEL_UPDATE", wire.channel_json(channel), channel.guild, channel))

    def remove_channel(self, channel: Channel) -> None:
        """Delete a channel with its messages and webhooks."""
        guild = channel.guild
        if guild is None:
            raise ValueError("a direct message cannot be deleted")
        del guild.channels[channel.id], self.channels[channel.id]
        self.webhooks = {key: webhook for key, webhook in self.webhooks.items() if webhook.channel is not channel}
        self.events.emit(Event("CHANNEL_DELETE", wire.channel_json(channel), guild, channel))

    def add_role(self, guild: Guild, name: str, *, permissions: int = 0, mentionable: bool = False) -> Role:
        role = Role(self.snowflakes.make(), name, int(permissions), len(guild.roles), mentionable=mentionable)
        guild.roles[role.id] = role
        self._tell_role("GUILD_ROLE_CREATE", guild, role)
        return role

    def give_role(self, guild: Guild, member: Member, role: Role) -> None:
        if role.id not in member.roles:
            member.roles.append(role.id)
        self._tell_member("GUILD_MEMBER_UPDATE", guild, member)

    def take_role(self, guild: Guild, member: Member, role: Role) -> None:
        if role.id in member.roles:
            member.roles.remove(role.id)
        self._tell_member("GUILD_MEMBER_UPDATE", guild, member)

    def add_application(self, name: str, *, message_content: bool = False, members_intent: bool = False) -> Application:
        """Register a bot. The privileged intents are off unless said otherwise."""
        user = self._add_user(name, bot=True)
        key = hashlib.sha256(str(user.id).encode()).hexdigest()
        application = Application(user.id, name, bot_token(user.id), user, self._keeper, key, message_content, members_intent)
        self.applications[application.id] = application
        return application

    def install(self, application: Application, guild: Guild, *, permissions: int = int(BOT)) -> Member:
        """Invite a bot, with a role of its own that carries these permissions."""
        role = Role(
            self.snowflakes.make(), application.name, int(permissions), len(guild.roles), managed=True, application_id=application.id
        )
        guild.roles[role.id] = role
        self._tell_role("GUILD_ROLE_CREATE", guild, role)
        member = self.join(guild, application.user)
        member.roles.append(role.id)
        self.events.emit(Event("GUILD_CREATE", {}, guild, application_id=application.id))
        return member

    def install_for(self, application: Application, person: Person) -> None:
        """Install an application for one user: its commands follow them, without the bot."""
        application.installed_by.add(person.id)

    def expel(self, application: Application, guild: Guild) -> None:
        """Take a bot out of a server."""
        del guild.members[application.id]
        guild.roles = {key: role for key, role in guild.roles.items() if role.application_id != application.id}
        self.events.emit(Event("GUILD_DELETE", {"id": str(guild.id)}, guild, application_id=application.id))

    def user(self, name: str, *, guilds: Iterable[Guild] | None = None, locale: str = "en-US") -> Person:
        """The person of this name, made when there is none: a member of every server, or of those given."""
        known = self.people.get(name)
        if known is not None:
            return known
        user = self._add_user(name, locale=locale)
        for guild in self.guilds.values() if guilds is None else guilds:
            self.join(guild, user)
        self.people[name] = person = Person(self, user)
        return person

    def join(self, guild: Guild, user: User) -> Member:
        member = guild.members[user.id] = Member(user, self.clock.now())
        self._tell_member("GUILD_MEMBER_ADD", guild, member)
        return member

    def direct(self, application: Application, user: User) -> Channel:
        """The direct messages between a bot and a user."""
        for channel in self.channels.values():
            if channel.kind == DM and {item.id for item in channel.recipients} == {application.id, user.id}:
                return channel
        channel = Channel(self.snowflakes.make(), f"@{user.name}", kind=DM, recipients=(application.user, user))
        self.channels[channel.id] = channel
        return channel

    def add_webhook(self, channel: Channel, name: str, user: User, application_id: int | None = None) -> Webhook:
        """Make an incoming webhook in a server's channel."""
        if channel.guild is None:
            raise ValueError("direct messages have no webhooks")
        hook = Webhook(self.snowflakes.make(), webhook_token(), name, channel, channel.guild, user, application_id)
        self.webhooks[hook.id] = hook
        self.tell_webhooks(channel)
        return hook

    def remove_webhook(self, webhook: Webhook) -> None:
        del self.webhooks[webhook.id]
        self.tell_webhooks(webhook.channel)

    def tell_webhooks(self, channel: Channel) -> None:
        """Say that a channel's webhooks have changed."""
        guild = channel.guild
        if guild is not None:
            self.events.emit(Event("WEBHOOKS_UPDATE", {"guild_id": str(guild.id), "channel_id": str(channel.id)}, guild, channel))

    def store_file(self, channel: Channel, upload: Upload, *, ephemeral: bool = False) -> Attachment:
        """Put a file on the CDN."""
        file_id = self.snowflakes.make()
        name = safe_filename(upload.filename)
        path = f"{'ephemeral-' if ephemeral else ''}attachments/{channel.id}/{file_id}/{name}"
        self.files[path] = (upload.data, upload.kind)
        return Attachment(file_id, name, len(upload.data), upload.kind, path, upload.description, ephemeral)

    def store_avatar(self, owner_id: int, picture: bytes, kind: str) -> str:
        """Put a picture on the CDN. Returns the hash by which clients ask for it."""
        mark = hashlib.md5(picture, usedforsecurity=False).hexdigest()
        self.files[f"avatars/{owner_id}/{mark}"] = (picture, kind)
        return mark

    def application_by_token(self, token: str) -> Application | None:
        return next((item for item in self.applications.values() if item.token == token), None)

    def guilds_of(self, user_id: int) -> list[Guild]:
        return [guild for guild in self.guilds.values() if user_id in guild.members]

    @property
    def gateway_url(self) -> str:
        """Where websockets are opened."""
        return self.base_url.replace("http", "ws", 1) + "/gateway"

    def close(self) -> None:
        """Stop its alarms. The World stays readable."""
        self.clock.close()

    def _add_user(self, name: str, *, bot: bool = False, locale: str = "en-US") -> User:
        user = User(self.snowflakes.make(), name, bot=bot, locale=locale)
        self.users[user.id] = user
        return user

    def _tell_member(self, name: str, guild: Guild, member: Member) -> None:
        self.events.emit(Event(name, wire.member_json(member) | {"guild_id": str(guild.id)}, guild))

    def _tell_role(self, name: str, guild: Guild, role: Role) -> None:
        self.events.emit(Event(name, {"guild_id": str(guild.id), "role": wire.role_json(role)}, guild))
