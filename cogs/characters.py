"""/character: who can speak here, what there is to know about them, and how they go."""

from discord import app_commands
from discord.app_commands import Transform
from discord.ext import commands

from bot import cards
from bot.client import Interaction, MynahBot
from bot.tree import acknowledge, answer
from cogs.ui import autocomplete
from cogs.ui.checks import guild_of, owner_or_manager
from cogs.ui.transformers import Handle
from cogs.ui.views import Press


class Characters(commands.GroupCog, name="character", description="Who can speak in this server"):
    """Characters."""

    def __init__(self, bot: MynahBot) -> None:
        self.bot = bot

    @app_commands.command(name="list")
    async def list_characters(self, interaction: Interaction) -> None:
        """Who can speak in this server."""
        await acknowledge(interaction, ephemeral=True)
        found = await self.bot.app.characters.list(guild_of(interaction))
        await answer(interaction, cards.character_list(found))

    @app_commands.command()
    @app_commands.describe(character="Whom")
    @app_commands.autocomplete(character=autocomplete.characters)
    async def info(self, interaction: Interaction, character: Transform[str, Handle]) -> None:
        """What a character learned from, and how well."""
        await acknowledge(interaction, ephemeral=True)
        found = await self.bot.app.characters.info(guild_of(interaction), character)
        await answer(interaction, cards.character_info(found))

    @app_commands.command()
    @app_commands.describe(character="Whom")
    @app_commands.autocomplete(character=autocomplete.characters)
    async def delete(self, interaction: Interaction, character: Transform[str, Handle]) -> None:
        """Delete a character with all its versions and schedules."""
        await ask_to_delete(interaction, character)


class DeleteCharacter(Press, template=r"character:delete:(?P<key>[a-z0-9_.@+-]+)"):
    """Delete, on a character's card: asks first."""

    async def press(self, interaction: Interaction) -> None:
        """Ask."""
        await ask_to_delete(interaction, self.key)


class EraseCharacter(Press, template=r"character:erase:(?P<key>[a-z0-9_.@+-]+)"):
    """Yes, delete it."""

    async def press(self, interaction: Interaction) -> None:
        """Do it, and let the question become the answer."""
        await acknowledge(interaction)
        app, guild_id = interaction.client.app, guild_of(interaction)
        info = await app.characters.info(guild_id, self.key)
        owner_or_manager(interaction, info.character.created_by)
        gone = await app.characters.delete(guild_id, self.key)
        await answer(interaction, cards.deleted(gone))


async def ask_to_delete(interaction: Interaction, handle: str) -> None:
    """Ask the one who trained the character, or who manages the server, whether it shall go."""
    await acknowledge(interaction, ephemeral=True, thinking=True)
    info = await interaction.client.app.characters.info(guild_of(interaction), handle)
    owner_or_manager(interaction, info.character.created_by)
    await answer(interaction, cards.confirm_delete(info))


async def setup(bot: MynahBot) -> None:
    """Called by discord.py."""
    bot.add_dynamic_items(DeleteCharacter, EraseCharacter)
    await bot.add_cog(Characters(bot))
