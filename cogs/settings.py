"""/settings: what the managers of a server decide."""

import discord
from discord import app_commands
from discord.ext import commands

from bot import questions
from bot.client import Interaction, MynahBot
from bot.tree import acknowledge, answer
from cogs.ui.checks import guild_of, manager, writable


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
        await answer(interaction, questions.settings(settings, await requests.waiting(guild_id)))

    @app_commands.command()
    async def show(self, interaction: Interaction) -> None:
        """What is set in this server, and which trainings wait for approval."""
        await acknowledge(interaction, ephemeral=True)
        manager(interaction)
        requests, guild_id = self.bot.app.requests, guild_of(interaction)
        await answer(interaction, questions.settings(await requests.moderation.get(guild_id), await requests.waiting(guild_id)))


async def setup(bot: MynahBot) -> None:
    """Called by discord.py."""
    await bot.add_cog(Settings(bot))
