"""/say: let a character speak, and the buttons under what it said."""

from collections.abc import Sequence

from discord import app_commands
from discord.app_commands import Range, Transform
from discord.ext import commands

from bot import messages
from bot.client import Interaction, MynahBot
from bot.tree import acknowledge, answer
from cogs.ui import autocomplete
from cogs.ui.checks import asked, guild_of, owner_or_manager
from cogs.ui.transformers import Handle
from cogs.ui.views import Press
from storage.posts import Post

DELIVERY_S = 60.0
"""How long to wait for Discord to take the posts before saying that they will come, in seconds."""


class Say(commands.Cog):
    """Speaking."""

    @app_commands.command()
    @app_commands.guild_only()
    @app_commands.describe(
        character="Who speaks",
        prompt="How each tweet begins",
        count="How many tweets: 1 to 5",
        seed="The same seed gives the same tweets again",
    )
    @app_commands.autocomplete(character=autocomplete.characters)
    async def say(
        self,
        interaction: Interaction,
        character: Transform[str, Handle],
        prompt: Range[str, 0, 200] = "",
        count: Range[int, 1, 5] = 1,
        seed: Range[int, 0, 2**32 - 1] | None = None,
    ) -> None:
        """Let a character tweet here, labelled as AI."""
        await say(interaction, character, prompt, count, seed)


class SayAs(Press, template=r"character:say:(?P<key>[a-z0-9_.@+-]+)"):
    """Say, on a character's card."""

    async def press(self, interaction: Interaction) -> None:
        """One tweet."""
        await say(interaction, self.key)


class Again(Press, template=r"post:again:(?P<key>\d+)"):
    """Again, under a post."""

    async def press(self, interaction: Interaction) -> None:
        """Another tweet that begins in the same way."""
        await acknowledge(interaction, ephemeral=True, thinking=True)
        post = await interaction.client.app.characters.again(int(self.key), **asked(interaction))
        await _tell_when_delivered(interaction, [post])


class WhyThis(Press, template=r"post:why:(?P<key>\d+)"):
    """Why this?, under a post."""

    async def press(self, interaction: Interaction) -> None:
        """Where it comes from, for the one who asks."""
        await acknowledge(interaction, ephemeral=True, thinking=True)
        why = await interaction.client.app.characters.why(int(self.key), guild_id=guild_of(interaction))
        await answer(interaction, messages.why(why))


class DeletePost(Press, template=r"post:delete:(?P<key>\d+)"):
    """Delete, under a post."""

    async def press(self, interaction: Interaction) -> None:
        """Take the post back, for the one who asked for it or who manages the server."""
        await acknowledge(interaction, ephemeral=True, thinking=True)
        poster = interaction.client.app.poster
        post = await poster.get(int(self.key), guild_id=guild_of(interaction))
        owner_or_manager(interaction, post.created_by)
        await poster.delete(post, by=interaction.user.id)
        await answer(interaction, "Deleted.")


async def say(interaction: Interaction, handle: str, prompt: str = "", count: int = 1, seed: int | None = None) -> None:
    """Let a character speak in this channel, and tell the one who asked when it has."""
    await acknowledge(interaction, ephemeral=True, thinking=True)
    posts = await interaction.client.app.characters.say(**asked(interaction), handle=handle, prompt=prompt, count=count, seed=seed)
    await _tell_when_delivered(interaction, posts)


async def _tell_when_delivered(interaction: Interaction, posts: Sequence[Post]) -> None:
    poster = interaction.client.app.poster
    poster.wake()
    delivered = await poster.delivered([post.id for post in posts], DELIVERY_S)
    await answer(interaction, messages.said(delivered))


async def setup(bot: MynahBot) -> None:
    """Called by discord.py."""
    bot.add_dynamic_items(SayAs, Again, WhyThis, DeletePost)
    await bot.add_cog(Say())
