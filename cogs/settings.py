"""/settings: what the managers of a server decide."""

import discord
from discord import app_commands
from discord.ext import commands

from bot import questions
from bot.client import Interaction, MynahBot
from bot.tree import acknowledge, answer
from cogs.ui.checks import guild_of, manager, may_write, writable
from storage.guilds import GuildSettings


@app_commands.default_permissions(manage_guild=True)
class Settings(commands.GroupCog, name="settings", description="What the managers of this server decide"):
    """Settings. Discord shows them to those with Manage Server, unless the server decides otherwise."""

    def __init__(self, bot: MynahBot) -> None:
        self.bot = bot

    @app_commands.command()
    @app_commands.describe(
        channel="Where managers are asked to approve and told of reports",
        approval="Whether each training needs a manager's approval",
    )
    async def moderation(self, interaction: Interaction, channel: discord.TextChannel | None = None, approval: bool | None = None) -> None:
        """Where the managers are told of reports, and whether they approve each training."""
        await acknowledge(interaction, ephemeral=True)
        manager(interaction)
        if channel is not None:
            writable(channel)
        requests, guild_id = self.bot.app.requests, guild_of(interaction)
        settings = await requests.set_moderation(
            guild_id, channel_id=channel.id if channel else None, approval=approval, by=interaction.user.id
        )
        await self._answer(interaction, settings)

    @app_commands.command()
    async def show(self, interaction: Interaction) -> None:
        """What is set in this server, and which trainings wait for approval."""
        await acknowledge(interaction, ephemeral=True)
        manager(interaction)
        await self._answer(interaction, await self.bot.app.requests.moderation.get(guild_of(interaction)))

    async def _answer(self, interaction: Interaction, settings: GuildSettings) -> None:
        guild, channel_id = interaction.guild, settings.moderation_channel
        channel = guild.get_channel(channel_id) if guild and channel_id else None
        waiting = await self.bot.app.requests.waiting(settings.guild_id)
        await answer(interaction, questions.settings(settings, waiting, writable=channel is not None and may_write(channel)))


async def setup(bot: MynahBot) -> None:
    """Called by discord.py."""
    await bot.add_cog(Settings(bot))
