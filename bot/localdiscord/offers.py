"""Which commands the client offers a user in a channel."""

from typing import TYPE_CHECKING

from bot.localdiscord.commands import Command
from bot.localdiscord.objects import Application, Channel, User, permissions_in
from bot.localdiscord.permissions import Permissions

if TYPE_CHECKING:
    from bot.localdiscord.world import World

IN_GUILD, IN_BOT_DM = 0, 1
FOR_USERS = 1


def commands(world: "World", channel: Channel, user: User) -> list[Command]:
    """Every command on offer: those of the bots that are here, and of the applications that the user has installed."""
    guild = channel.guild
    here = set(guild.members) if guild is not None else {item.id for item in channel.recipients}
    applications = [item for item in world.applications.values() if item.id in here or user.id in item.installed_by]
    guild_id = None if guild is None else guild.id
    return [
        command
        for application in applications
        for command in world.commands.usable_in(application.id, guild_id)
        if _fits(command, channel) and _present(command, application, here) and _permitted(command, channel, user)
    ]


def _fits(command: Command, channel: Channel) -> bool:
    """The command is meant for this kind of place."""
    if command.body["nsfw"] and not channel.nsfw:
        return False
    if channel.guild is None and not command.body["dm_permission"]:
        return False
    return command.contexts is None or (IN_BOT_DM if channel.guild is None else IN_GUILD) in command.contexts


def _present(command: Command, application: Application, here: set[int]) -> bool:
    """The bot is here, or the command needs it not."""
    return application.id in here or FOR_USERS in command.body["integration_types"]


def _permitted(command: Command, channel: Channel, user: User) -> bool:
    """The user has the permissions that the command asks for; 0 means administrators only."""
    needed = command.member_permissions
    bits = permissions_in(channel, user.id)
    if channel.guild is None or needed is None or bits & Permissions.ADMINISTRATOR:
        return True
    return needed != 0 and bits & needed == needed
