"""/jobs: what is being learned, and how to stop it."""

from discord import app_commands
from discord.ext import commands

from bot import messages
from bot.client import Interaction, MynahBot
from bot.tree import acknowledge, answer
from cogs.ui import autocomplete
from cogs.ui.checks import guild_of, manager, owner_or_manager
from cogs.ui.views import Press


class Jobs(commands.GroupCog, name="jobs", description="Trainings of this server: list, look at, put first, cancel"):
    """Jobs."""

    def __init__(self, bot: MynahBot) -> None:
        self.bot = bot

    @app_commands.command(name="list")
    async def list_jobs(self, interaction: Interaction) -> None:
        """The newest trainings of this server, and posts that may not have arrived."""
        await acknowledge(interaction, ephemeral=True)
        app, guild_id = self.bot.app, guild_of(interaction)
        jobs, doubts = await app.queue.list(guild_id), await app.poster.doubts.list(guild_id)
        await answer(interaction, messages.job_list(jobs, doubts))

    @app_commands.command()
    @app_commands.describe(job="Which training")
    @app_commands.autocomplete(job=autocomplete.jobs)
    async def show(self, interaction: Interaction, job: int) -> None:
        """How a training goes or went."""
        await acknowledge(interaction, ephemeral=True)
        queue = self.bot.app.queue
        found = await queue.get(job, guild_id=guild_of(interaction))
        await answer(interaction, messages.job(found, await queue.place(found)))

    @app_commands.command()
    @app_commands.describe(job="Which training")
    @app_commands.autocomplete(job=autocomplete.open_jobs)
    async def cancel(self, interaction: Interaction, job: int) -> None:
        """Stop a training that is queued or under way."""
        await cancel(interaction, job)

    @app_commands.command()
    @app_commands.describe(job="Which training")
    @app_commands.autocomplete(job=autocomplete.queued_jobs)
    async def first(self, interaction: Interaction, job: int) -> None:
        """Put a queued training before the others of this server; for those who manage it."""
        await acknowledge(interaction, ephemeral=True)
        manager(interaction)
        queue = self.bot.app.queue
        found = await queue.put_first(job, guild_id=guild_of(interaction), by=interaction.user.id)
        await answer(interaction, messages.put_first(found, await queue.place(found)))


class CancelJob(Press, template=r"job:cancel:(?P<key>\d+)"):
    """Cancel, on the message that shows a job."""

    async def press(self, interaction: Interaction) -> None:
        """Stop that training."""
        await cancel(interaction, int(self.key))


class ItIsThere(Press, template=r"post:there:(?P<key>\d+)"):
    """It is there, on the question about a post that Discord did not confirm."""

    async def press(self, interaction: Interaction) -> None:
        """Leave it at that."""
        await settle(interaction, int(self.key), there=True)


class PostItAgain(Press, template=r"post:repeat:(?P<key>\d+)"):
    """Post it again, on the same question."""

    async def press(self, interaction: Interaction) -> None:
        """Send it once more."""
        await settle(interaction, int(self.key), there=False)


async def settle(interaction: Interaction, post_id: int, *, there: bool) -> None:
    """Do what the one who called for a post, or who manages the server, says about it; the question becomes the answer."""
    await acknowledge(interaction)
    poster = interaction.client.app.poster
    post = await poster.doubts.get(post_id, guild_id=interaction.guild_id)
    owner_or_manager(interaction, await poster.notices.owner(post))
    settled = await poster.doubts.settle(post, there=there, by=interaction.user.id)
    poster.wake()
    await answer(interaction, messages.settled(settled))


async def cancel(interaction: Interaction, job_id: int) -> None:
    """Stop a training, for the one who asked for it or who manages the server."""
    await acknowledge(interaction, ephemeral=True, thinking=True)
    queue, guild_id = interaction.client.app.queue, guild_of(interaction)
    job = await queue.get(job_id, guild_id=guild_id)
    owner_or_manager(interaction, job.user_id)
    cancelled = await queue.cancel(job_id, guild_id=guild_id, by=interaction.user.id)
    await answer(interaction, messages.cancelled(cancelled))


async def setup(bot: MynahBot) -> None:
    """Called by discord.py."""
    bot.add_dynamic_items(CancelJob, ItIsThere, PostItAgain)
    await bot.add_cog(Jobs(bot))
