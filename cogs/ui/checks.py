"""Who asks, where, and whether they may."""

from typing import TypedDict

import discord

from bot.client import Interaction
from bot.errors import NotAllowed


class Asked(TypedDict):
    """Where a request comes from, by the names that the application's calls use."""

    guild_id: int
    channel_id: int
    user_id: int
    dedupe_key: str
    """The same interaction delivered twice is one request."""


def asked(interaction: Interaction) -> Asked:
    """Who asks, and where.

    Raises:
        NotAllowed: outside a server.
    """
    return Asked(
        guild_id=guild_of(interaction),
        channel_id=interaction.channel_id or 0,
        user_id=interaction.user.id,
        dedupe_key=f"interaction:{interaction.id}",
    )


def guild_of(interaction: Interaction) -> int:
    """The server.

    Raises:
        NotAllowed: there is none.
    """
    if interaction.guild_id is None:
        raise NotAllowed("Mynah works in servers only: use this command in a channel of one.")
    return interaction.guild_id


def writable(channel: discord.TextChannel) -> None:
    """Only a channel in which Mynah may write.

    Raises:
        NotAllowed: it may not.
    """
    if not may_write(channel):
        raise NotAllowed(f"Mynah may not write in <#{channel.id}>: give it View Channel and Send Messages there first.")


def may_write(channel: discord.abc.GuildChannel) -> bool:
    """Whether Mynah may."""
    given = channel.permissions_for(channel.guild.me)
    return given.view_channel and given.send_messages


def owner_or_manager(interaction: Interaction, owner_id: int) -> None:
    """Only the one who asked for a thing, or who may manage the server, goes on.

    Raises:
        NotAllowed: neither.
    """
    if interaction.user.id != owner_id and not manages(interaction):
        raise NotAllowed(f"Only <@{owner_id}>, who asked for it, or somebody with Manage Server may do that.")


def manages(interaction: Interaction) -> bool:
    """Whether they may manage the server."""
    return interaction.permissions.manage_guild


def manager(interaction: Interaction) -> None:
    """Only who may manage the server goes on.

    Raises:
        NotAllowed: they may not.
    """
    if not manages(interaction):
        raise NotAllowed("Only somebody with Manage Server may do that.")
