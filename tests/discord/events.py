"""Checks the objects inside gateway events against Discord's own description."""

from tests.discord.differences import values_at
from tests.discord.openapi import check_value

SCHEMAS = "/components/schemas/"
ANY_CHANNEL = "/paths/~1channels~1{channel_id}/get/responses/200/content/application~1json/schema"
GATEWAY = {
    "READY": {"user": SCHEMAS + "UserPIIResponse"},
    "GUILD_CREATE": {
        "": SCHEMAS + "GuildResponse",
        "channels/*": SCHEMAS + "GuildChannelResponse",
        "members/*": SCHEMAS + "GuildMemberResponse",
    },
    "GUILD_UPDATE": {"": SCHEMAS + "GuildResponse"},
    "CHANNEL_CREATE": {"": SCHEMAS + "GuildChannelResponse"},
    "CHANNEL_UPDATE": {"": SCHEMAS + "GuildChannelResponse"},
    "MESSAGE_CREATE": {"": SCHEMAS + "MessageResponse"},
    "MESSAGE_UPDATE": {"": SCHEMAS + "MessageResponse"},
    "INTERACTION_CREATE": {
        "member": SCHEMAS + "GuildMemberResponse",
        "user": SCHEMAS + "UserResponse",
        "channel": ANY_CHANNEL,
        "message": SCHEMAS + "MessageResponse",
        "data/resolved/users/*": SCHEMAS + "UserResponse",
        "data/resolved/roles/*": SCHEMAS + "GuildRoleResponse",
        "data/resolved/attachments/*": SCHEMAS + "MessageAttachmentResponse",
    },
}
"""The description has no gateway payloads, but the objects in them are the same as over REST: path in the payload → its schema."""


def check_dispatch(event: str, data: object) -> list[str]:
    """What is wrong with the objects inside a gateway event, as far as the description knows them."""
    problems: list[str] = []
    for path, pointer in GATEWAY.get(event, {}).items():
        for where, value in values_at(data, path):
            problems += [f"{event} {where}: {error}" for error in check_value(pointer, value)]
    return problems
