"""/jobs: what is being learned, and how to stop it."""

from discord import app_commands
from discord.ext import commands

from bot import messages
from bot.client import Interaction, MynahBot
from bot.posting import edit_of
from cogs.ui import autocomplete
from cogs.ui.checks import guild_of, owner_or_manager
from cogs.ui.views import Press


class Jobs(commands.GroupCog, name="jobs", description="Trainings of this server: list, look at, cancel"):
    """Jobs."""

    def __init__(self, bot: MynahBot) -> None:
        self.bot = bot

    @app_commands.command(name="list")
    async def list_jobs(self, interaction: Interaction) -> None:
        """The newest trainings of this server."""
        await interaction.response.defer(ephemeral=True)
        jobs = await self.bot.app.queue.list(guild_of(interaction))
        await interaction.edit_original_response(**edit_of(messages.job_list(jobs)))

    @app_commands.command()
    @app_commands.describe(job="Which training")
    @app_commands.autocomplete(job=autocomplete.jobs)
    async def show(self, interaction: Interaction, job: int) -> None:
        """How a training goes or went."""
        await interaction.response.defer(ephemeral=True)
        queue = self.bot.app.queue
        found = await queue.get(job, guild_id=guild_of(interaction))
        await interaction.edit_original_response(**edit_of(messages.job(found, await queue.place(found))))

    @app_commands.command()
    @app_commands.describe(job="Which training")
    @app_commands.autocomplete(job=autocomplete.open_jobs)
    async def cancel(self, interaction: Interaction, job: int) -> None:
        """Stop a training that is queued or under way."""
        await cancel(interaction, job)


class CancelJob(Press, template=r"job:cancel:(?P<key>\d+)"):
    """Cancel, on the message that shows a job."""

    async def press(self, interaction: Interaction) -> None:
        """Stop that training."""
        await cancel(interaction, int(self.key))


async def cancel(interaction: Interaction, job_id: int) -> None:
    """Stop a training, for the one who asked for it or who manages the server."""
    await interaction.response.defer(ephemeral=True, thinking=True)
    queue, guild_id = interaction.client.app.queue, guild_of(interaction)
    job = await queue.get(job_id, guild_id=guild_id)
    owner_or_manager(interaction, job.user_id)
    cancelled = await queue.cancel(job_id, guild_id=guild_id, by=interaction.user.id)
    await interaction.edit_original_response(**edit_of(messages.cancelled(cancelled)))


async def setup(bot: MynahBot) -> None:
    """Called by discord.py."""
    bot.add_dynamic_items(CancelJob)
    await bot.add_cog(Jobs(bot))
