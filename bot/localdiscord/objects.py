"""The nouns of the World that stay: users, applications, servers, roles, channels, members, webhooks."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from bot.localdiscord import permissions
from bot.localdiscord.messages import Message

if TYPE_CHECKING:
    from bot.localdiscord.person import Person
    from bot.localdiscord.world import World

TEXT = 0
DM = 1


@dataclass(eq=False)
class User:
    """A person or a bot."""

    id: int
    name: str
    bot: bool = False
    display_name: str | None = None
    avatar: str | None = None
    locale: str = "en-US"
    accepts_direct: bool = True
    """Whether bots may write to them directly."""

    @property
    def shown_name(self) -> str:
        return self.display_name or self.name


@dataclass(eq=False)
class Application:
    """A bot's application. Its user has the same id."""

    id: int
    name: str
    token: str
    user: User
    owner: User
    public_key: str
    message_content: bool = False
    """Whether the privileged intent MESSAGE_CONTENT is switched on for it."""
    members_intent: bool = False
    presences_intent: bool = False
    installed_by: set[int] = field(default_factory=set)
    """Ids of users who installed it for themselves."""
    presence: dict[str, object] | None = None


@dataclass(eq=False)
class Role:
    """A role of a server. The one with the server's own id is everyone's."""

    id: int
    name: str
    permissions: int
    position: int
    mentionable: bool = False
    managed: bool = False
    color: int = 0
    application_id: int | None = None


@dataclass
class Overwrite:
    """What a channel changes for one role (kind 0) or one member (kind 1)."""

    id: int
    kind: int
    allow: int = 0
    deny: int = 0


@dataclass(eq=False)
class Member:
    """A user in a server."""

    user: User
    joined_at: datetime
    roles: list[int] = field(default_factory=list)
    nick: str | None = None


@dataclass(eq=False)
class Channel:
    """A text channel of a server, or a direct message (guild None, recipients set)."""

    id: int
    name: str
    guild: "Guild | None" = field(default=None, repr=False)
    kind: int = TEXT
    topic: str | None = None
    position: int = 0
    nsfw: bool = False
    parent_id: int | None = None
    overwrites: dict[int, Overwrite] = field(default_factory=dict)
    recipients: tuple[User, ...] = ()
    messages: dict[int, Message] = field(default_factory=dict, repr=False)
    """By id, oldest first. A message is never changed: an edit puts a new one in its place."""

    @property
    def last_message_id(self) -> int | None:
        newest = reversed(self.messages.values())
        return next((message.id for message in newest if message.ephemeral_for is None), None)

    def allow(self, who: "Person | Role | Application", bits: int) -> None:
        """Let a person, a role or a bot do this here."""
        overwrite = self._overwrite(who)
        overwrite.allow |= bits
        overwrite.deny &= ~bits

    def deny(self, who: "Person | Role | Application", bits: int) -> None:
        """Keep a person, a role or a bot from doing this here."""
        overwrite = self._overwrite(who)
        overwrite.deny |= bits
        overwrite.allow &= ~bits

    def _overwrite(self, who: "Person | Role | Application") -> Overwrite:
        return self.overwrites.setdefault(who.id, Overwrite(who.id, 0 if isinstance(who, Role) else 1))


@dataclass(eq=False)
class Guild:
    """A server."""

    id: int
    name: str
    owner: User
    world: "World" = field(repr=False)
    locale: str = "en-US"
    roles: dict[int, Role] = field(default_factory=dict, repr=False)
    channels: dict[int, Channel] = field(default_factory=dict, repr=False)
    members: dict[int, Member] = field(default_factory=dict, repr=False)

    @property
    def everyone(self) -> Role:
        return self.roles[self.id]

    def add_channel(self, name: str, *, topic: str | None = None, nsfw: bool = False) -> Channel:
        """Open a text channel that everyone sees."""
        return self.world.add_channel(self, name, topic=topic, nsfw=nsfw)

    def add_role(self, name: str, *, permissions: int = 0, mentionable: bool = False) -> Role:
        """Make a role; `permissions` is added to what everyone may do."""
        return self.world.add_role(self, name, permissions=permissions, mentionable=mentionable)

    def give(self, who: "Person | Application", role: Role) -> None:
        """Give a member a role."""
        self.world.give_role(self, self.members[who.id], role)

    def permissions_of(self, user_id: int) -> int:
        """What a member may do in the server, before any channel's overwrites."""
        member = self.members.get(user_id)
        if member is None:
            return 0
        if user_id == self.owner.id:
            return permissions.ALL
        bits = self.everyone.permissions
        for role_id in member.roles:
            bits |= self.roles[role_id].permissions
        return permissions.ALL if bits & permissions.Permissions.ADMINISTRATOR else bits

    def permissions_in(self, channel: Channel, user_id: int) -> int:
        """What a member may do in one channel; 0 for a stranger."""
        member = self.members.get(user_id)
        if member is None:
            return 0
        pairs = {key: (overwrite.allow, overwrite.deny) for key, overwrite in channel.overwrites.items()}
        none = (0, 0)
        return permissions.effective(
            self.permissions_of(user_id),
            pairs.get(self.id, none),
            [pairs[role] for role in member.roles if role in pairs],
            pairs.get(user_id, none),
        )


@dataclass(eq=False)
class Webhook:
    """An incoming webhook of a channel."""

    id: int
    token: str
    name: str
    channel: Channel
    guild: Guild
    user: User
    application_id: int | None
    avatar: str | None = None


def permissions_in(channel: Channel, user_id: int) -> int:
    """What a user may do in a channel, whether of a server or direct."""
    if channel.guild is not None:
        return channel.guild.permissions_in(channel, user_id)
    return int(permissions.PRIVATE) if any(user.id == user_id for user in channel.recipients) else 0
