"""/privacy: what people may decide about their accounts and their data, and how they tell the managers that something is wrong."""

import asyncio

import discord
from discord import app_commands
from discord.app_commands import Range, Transform
from discord.ext import commands

from bot import receipts
from bot.client import Interaction, MynahBot
from bot.errors import NotAllowed, NotFound
from bot.reports import Reporter, Reports
from bot.tree import acknowledge, answer, guarded
from cogs.ui import autocomplete
from cogs.ui.checks import guild_of, manager, manages
from cogs.ui.transformers import Handle
from cogs.ui.views import Press
from storage.privacy import Statement

REASON = 1000
"""Characters of a report's reason."""


class Privacy(commands.GroupCog, name="privacy", description="Your accounts, your data, and how to report what is wrong"):
    """Privacy. Everything here is answered to the one person alone."""

    def __init__(self, bot: MynahBot) -> None:
        self.bot = bot

    @app_commands.command(name="opt-out")
    @app_commands.describe(handle="Whose tweets, such as @nasa")
    async def opt_out(self, interaction: Interaction, handle: Transform[str, Handle]) -> None:
        """Let nobody learn from an account, in any server of this bot; its characters fall silent."""
        await acknowledge(interaction, ephemeral=True)
        done = await self.bot.app.privacy.opt_out(handle, guild_id=guild_of(interaction), user_id=interaction.user.id)
        await answer(interaction, receipts.opted_out(done))

    @app_commands.command(name="opt-in")
    @app_commands.describe(handle="Whose tweets, such as @nasa")
    async def opt_in(self, interaction: Interaction, handle: Transform[str, Handle]) -> None:
        """Take back that you opted an account out."""
        await acknowledge(interaction, ephemeral=True)
        await self.bot.app.privacy.opt_in(handle, interaction.user.id)
        await answer(interaction, receipts.opted_in(handle))

    @app_commands.command()
    @app_commands.describe(handle="Whose tweets, such as @nasa; leave it out for everything about you")
    async def forget(self, interaction: Interaction, handle: Transform[str, Handle] | None = None) -> None:
        """Delete what was learned from an account, or everything that is kept about you."""
        await ask_to_forget(interaction, handle)

    @app_commands.command(name="my-data")
    async def my_data(self, interaction: Interaction) -> None:
        """Everything that is kept about you, as a file."""
        await acknowledge(interaction, ephemeral=True)
        held = await self.bot.app.privacy.my_data(interaction.user.id)
        file = await asyncio.to_thread(receipts.enclosed, held, limit=interaction.filesize_limit)
        await answer(interaction, receipts.my_data(held), file=file)

    @app_commands.command()
    @app_commands.describe(
        reason="What is wrong, in your words",
        character="The character, if it is about one",
        post="The link to the post, if it is about one",
    )
    @app_commands.autocomplete(character=autocomplete.characters)
    async def report(
        self,
        interaction: Interaction,
        reason: Range[str, 1, REASON],
        character: Transform[str, Handle] | None = None,
        post: str | None = None,
    ) -> None:
        """Tell the managers of this server what is wrong with a post or a character."""
        await acknowledge(interaction, ephemeral=True)
        told = await reports(interaction).about(reason, reporter(interaction), handle=character, link=post)
        await answer(interaction, receipts.reported(told.report, told=told.told))


class ReportPost(Press, template=r"post:report:(?P<key>\d+)"):
    """Report, under a post."""

    async def press(self, interaction: Interaction) -> None:
        """Ask for the reason."""
        await interaction.response.send_modal(Reason(int(self.key)))


class Reason(discord.ui.Modal, title="Report this post"):
    """Asks what is wrong with a post."""

    reason: discord.ui.TextInput["Reason"] = discord.ui.TextInput(
        label="What is wrong with it?", style=discord.TextStyle.paragraph, max_length=REASON
    )

    def __init__(self, post_id: int) -> None:
        super().__init__()
        self._post_id = post_id

    async def on_submit(self, interaction: Interaction) -> None:  # type: ignore[override] # our client's
        """Take it down; errors end where those of commands do."""
        await guarded(interaction, self._take(interaction))

    async def _take(self, interaction: Interaction) -> None:
        await acknowledge(interaction, ephemeral=True, thinking=True)
        told = await reports(interaction).about_post(self._post_id, self.reason.value, reporter(interaction))
        await answer(interaction, receipts.reported(told.report, told=told.told))


class AskToForget(Press, template=r"privacy:forget:(?P<key>[a-z0-9_.@+-]+)"):
    """Forget it as well, after an opt-out."""

    async def press(self, interaction: Interaction) -> None:
        """Ask."""
        await ask_to_forget(interaction, self.key)


class Forget(Press, template=r"forget:(?P<statement>own|manager):(?P<key>[a-z0-9_.@+-]+)"):
    """Why they may have an account forgotten."""

    async def press(self, interaction: Interaction) -> None:
        """Do it, and let the question become the receipt."""
        await acknowledge(interaction)
        statement: Statement = "own" if self.match["statement"] == "own" else "manager"
        if statement == "manager":
            manager(interaction)
        receipt = await interaction.client.app.forgetting.forget(
            self.key, guild_id=guild_of(interaction), user_id=interaction.user.id, statement=statement
        )
        await answer(interaction, receipts.forgotten(receipt))


class ForgetMe(Press, template=r"forget:me:(?P<key>\d+)"):
    """Yes, forget me."""

    async def press(self, interaction: Interaction) -> None:
        """Do it, and let the question become the receipt."""
        await acknowledge(interaction)
        if interaction.user.id != int(self.key):
            raise NotAllowed(f"Only <@{self.key}> can have themselves forgotten: use /privacy forget for yourself.")
        receipt = await interaction.client.app.forgetting.forget_user(interaction.user.id, guild_id=guild_of(interaction))
        await answer(interaction, receipts.forgotten(receipt))


class HowFar(Press, template=r"forget:receipt:(?P<key>\d+)"):
    """How far is it now?, on a receipt."""

    async def press(self, interaction: Interaction) -> None:
        """Show the receipt as it is now."""
        await acknowledge(interaction)
        receipt = await interaction.client.app.forgetting.receipt(int(self.key))
        if receipt is None:
            raise NotFound("This receipt is not known any more.")
        await answer(interaction, receipts.forgotten(receipt))


async def ask_to_forget(interaction: Interaction, handle: str | None) -> None:
    """Say what would go, and ask why they may have it forgotten."""
    await acknowledge(interaction, ephemeral=True, thinking=True)
    if handle is None:
        await answer(interaction, receipts.ask_to_forget_user(interaction.user.id))
    else:
        await answer(interaction, receipts.ask_to_forget(handle, manages=manages(interaction)))


def reports(interaction: Interaction) -> Reports:
    """Where reports go."""
    app = interaction.client.app
    return Reports(database=app.database, privacy=app.privacy, moderation=app.requests.moderation)


def reporter(interaction: Interaction) -> Reporter:
    """Who reports."""
    owner_id = interaction.guild.owner_id if interaction.guild else None
    return Reporter(guild_of(interaction), interaction.channel_id or 0, interaction.user.id, owner_id)


async def setup(bot: MynahBot) -> None:
    """Called by discord.py."""
    bot.add_dynamic_items(ReportPost, AskToForget, Forget, ForgetMe, HowFar)
    await bot.add_cog(Privacy(bot))
