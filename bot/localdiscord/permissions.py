"""Who may do what: Discord's bits, and how roles and channel overwrites combine."""

from collections.abc import Iterable
from enum import IntFlag


class Permissions(IntFlag):
    """The bits this World looks at, under Discord's names."""

    CREATE_INSTANT_INVITE = 1 << 0
    KICK_MEMBERS = 1 << 1
    BAN_MEMBERS = 1 << 2
    ADMINISTRATOR = 1 << 3
    MANAGE_CHANNELS = 1 << 4
    MANAGE_GUILD = 1 << 5
    ADD_REACTIONS = 1 << 6
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    USE_EXTERNAL_EMOJIS = 1 << 18
    CONNECT = 1 << 20
    SPEAK = 1 << 21
    CHANGE_NICKNAME = 1 << 26
    MANAGE_ROLES = 1 << 28
    MANAGE_WEBHOOKS = 1 << 29
    USE_APPLICATION_COMMANDS = 1 << 31
    SEND_MESSAGES_IN_THREADS = 1 << 38


ALL = (1 << 53) - 1
"""What an administrator and the owner have."""

NEEDS_SEND = Permissions.MENTION_EVERYONE | Permissions.ATTACH_FILES | Permissions.EMBED_LINKS
"""Worth nothing in a channel where one cannot send."""

EVERYONE = (
    Permissions.CREATE_INSTANT_INVITE
    | Permissions.ADD_REACTIONS
    | Permissions.VIEW_CHANNEL
    | Permissions.SEND_MESSAGES
    | Permissions.EMBED_LINKS
    | Permissions.ATTACH_FILES
    | Permissions.READ_MESSAGE_HISTORY
    | Permissions.MENTION_EVERYONE
    | Permissions.USE_EXTERNAL_EMOJIS
    | Permissions.CONNECT
    | Permissions.SPEAK
    | Permissions.CHANGE_NICKNAME
    | Permissions.USE_APPLICATION_COMMANDS
    | Permissions.SEND_MESSAGES_IN_THREADS
)
"""What a new server lets everyone do; as on Discord, pinging everyone is among it."""

BOT = (
    Permissions.VIEW_CHANNEL
    | Permissions.SEND_MESSAGES
    | Permissions.EMBED_LINKS
    | Permissions.ATTACH_FILES
    | Permissions.READ_MESSAGE_HISTORY
    | Permissions.MANAGE_WEBHOOKS
)
"""What a bot is given when nothing else is said."""

PRIVATE = (
    Permissions.VIEW_CHANNEL
    | Permissions.SEND_MESSAGES
    | Permissions.EMBED_LINKS
    | Permissions.ATTACH_FILES
    | Permissions.READ_MESSAGE_HISTORY
    | Permissions.ADD_REACTIONS
    | Permissions.USE_APPLICATION_COMMANDS
)
"""What both sides of a direct message have."""


def effective(base: int, everyone: tuple[int, int], roles: Iterable[tuple[int, int]], member: tuple[int, int]) -> int:
    """Combine a member's bits in the server with a channel's overwrites, each given as (allow, deny)."""
    if base & Permissions.ADMINISTRATOR:
        return ALL
    bits = base & ~everyone[1] | everyone[0]
    allow = deny = 0
    for role_allow, role_deny in roles:
        allow |= role_allow
        deny |= role_deny
    bits = bits & ~deny | allow
    bits = bits & ~member[1] | member[0]
    if not bits & Permissions.VIEW_CHANNEL:
        return 0
    if not bits & Permissions.SEND_MESSAGES:
        bits &= ~NEEDS_SEND
    return bits
