"""Interactions as Discord's JSON: what the bot is told, what a message says of its origin, what a callback gives back."""

from typing import Any

from bot.localdiscord import wire
from bot.localdiscord.interactions import COMMAND, COMPONENT, MODAL_SUBMIT, REPLY, UPDATE, Interaction
from bot.localdiscord.objects import permissions_in
from bot.localdiscord.wire_messages import message_json

Json = dict[str, Any]


def interaction_json(interaction: Interaction, base_url: str) -> Json:
    """INTERACTION_CREATE."""
    channel, guild, user = interaction.channel, interaction.channel.guild, interaction.user
    body: Json = {
        "id": str(interaction.id),
        "application_id": str(interaction.application.id),
        "type": interaction.kind,
        "token": interaction.token,
        "version": 1,
        "data": interaction.data,
        "channel_id": str(channel.id),
        "channel": wire.interaction_channel_json(channel, user.id),
        "locale": user.locale,
        "entitlements": [],
        "authorizing_integration_owners": interaction.owners,
        "attachment_size_limit": wire.FILE_LIMIT,
        "app_permissions": str(permissions_in(channel, interaction.application.id)),
        "context": 1 if guild is None else 0,
    }
    if guild is None:
        body["user"] = wire.user_json(user)
    else:
        member = guild.members[user.id]
        body["guild_id"] = str(guild.id)
        body["guild"] = {"id": str(guild.id), "locale": guild.locale, "features": []}
        body["guild_locale"] = guild.locale
        body["member"] = wire.member_json(member) | {"permissions": str(guild.permissions_in(channel, user.id))}
    if interaction.source is not None:
        body["message"] = message_json(interaction.source, base_url)
    return body


def metadata_json(interaction: Interaction) -> Json:
    """`interaction_metadata` of what answers it."""
    body: Json = {
        "id": str(interaction.id),
        "type": interaction.kind,
        "user": wire.user_json(interaction.user),
        "authorizing_integration_owners": interaction.owners,
    }
    if interaction.kind == COMMAND and interaction.command is not None:
        body["name"] = interaction.command.name
    if interaction.kind == COMPONENT and interaction.source is not None:
        body["interacted_message_id"] = str(interaction.source.id)
    if interaction.kind == MODAL_SUBMIT and interaction.parent is not None:
        body["triggering_interaction_metadata"] = metadata_json(interaction.parent)
    return body


def callback_json(interaction: Interaction, base_url: str) -> Json:
    """What `with_response` gives back."""
    told: Json = {"id": str(interaction.id), "type": interaction.kind}
    message = interaction.original
    if message is None:
        return {"interaction": told}
    told |= {
        "response_message_id": str(message.id),
        "response_message_loading": message.loading,
        "response_message_ephemeral": message.ephemeral,
        "channel_id": str(interaction.channel.id),
    }
    if interaction.channel.guild is not None:
        told["guild_id"] = str(interaction.channel.guild.id)
    if interaction.answered_with not in {REPLY, UPDATE}:
        return {"interaction": told}
    resource = {"type": interaction.answered_with, "message": message_json(message, base_url)}
    return {"interaction": told, "resource": resource}
