"""Who a text mentions, and whose client would ring."""

import re
from dataclasses import dataclass
from typing import Any

from bot.localdiscord.objects import Channel, Guild, User
from bot.localdiscord.permissions import Permissions

Json = dict[str, Any]

_CODE = re.compile(r"```.*?```|``.+?``|`[^`\n]+`", re.DOTALL)
_USER = re.compile(r"<@!?([0-9]{1,20})>")
_ROLE = re.compile(r"<@&([0-9]{1,20})>")
_EVERYONE = re.compile(r"@(everyone|here)")


@dataclass(frozen=True)
class Mentions:
    """What a message mentions under its allowed_mentions."""

    users: tuple[User, ...] = ()
    roles: tuple[int, ...] = ()
    everyone: bool = False
    pinged: tuple[str, ...] = ()
    """Names of people, sorted; never bots, never the author."""


@dataclass(frozen=True)
class Allowed:
    """`allowed_mentions`, read."""

    everyone: bool
    users: bool
    roles: bool
    only_users: frozenset[int] = frozenset()
    only_roles: frozenset[int] = frozenset()
    replied_user: bool = True

    def user(self, user_id: int) -> bool:
        return self.users or user_id in self.only_users

    def role(self, role_id: int) -> bool:
        return self.roles or role_id in self.only_roles


EVERYTHING = Allowed(everyone=True, users=True, roles=True)
"""What a message allows that does not say."""
USERS = Allowed(everyone=False, users=True, roles=False)
"""What an interaction's answer or a webhook's message allows that does not say."""


def read_allowed(body: Json | None, default: Allowed) -> Allowed:
    if body is None:
        return default
    parse = body.get("parse") or []
    return Allowed(
        everyone="everyone" in parse,
        users="users" in parse,
        roles="roles" in parse,
        only_users=frozenset(int(item) for item in body.get("users") or []),
        only_roles=frozenset(int(item) for item in body.get("roles") or []),
        replied_user=bool(body.get("replied_user")),
    )


def find(text: str, channel: Channel, allowed: Allowed, *, author_id: int, bits: int, replied: User | None = None) -> Mentions:
    """Read the mentions of a text. `bits` is what the author may do in the channel."""
    text = _CODE.sub("", text)
    known = _users_by_id(channel)
    named = dict.fromkeys(int(item) for item in _USER.findall(text))
    users = [known[item] for item in named if item in known and allowed.user(item)]
    if replied is not None and allowed.replied_user and replied not in users:
        users.append(replied)
    guild = channel.guild
    if guild is None:
        return Mentions(users=tuple(users), pinged=tuple(sorted(user.name for user in users if not user.bot and user.id != author_id)))
    may_ping_all = bool(bits & Permissions.MENTION_EVERYONE)
    roles = [guild.roles[int(item)] for item in dict.fromkeys(_ROLE.findall(text)) if int(item) in guild.roles]
    roles = [role for role in roles if allowed.role(role.id)]
    everyone = may_ping_all and allowed.everyone and bool(_EVERYONE.search(text))
    loud = {role.id for role in roles if role.mentionable or may_ping_all}
    rung = [user for user in users if user.id in guild.members]
    rung += [member.user for member in guild.members.values() if everyone or loud & set(member.roles)]
    seeing = {user.id for user in rung if guild.permissions_in(channel, user.id) & Permissions.VIEW_CHANNEL}
    people = [person.name for person in guild.world.people.values() if person.id in seeing and person.id != author_id]
    return Mentions(tuple(users), tuple(role.id for role in roles), everyone, tuple(sorted(people)))


def _users_by_id(channel: Channel) -> dict[int, User]:
    guild: Guild | None = channel.guild
    if guild is None:
        return {user.id: user for user in channel.recipients}
    return guild.world.users
