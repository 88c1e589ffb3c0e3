"""/train: learn how a person tweets, and the message that shows how far that is."""

import secrets

import discord
from discord import app_commands
from discord.app_commands import Transform
from discord.ext import commands

from bot import messages
from bot.bases import choose_base
from bot.board import Board
from bot.client import Interaction, MynahBot
from bot.executor.contract import Progress
from bot.tree import acknowledge, answer
from cogs.ui import autocomplete
from cogs.ui.checks import asked
from cogs.ui.transformers import Handle
from storage.jobs import Job


class Train(commands.Cog):
    """Training."""

    def __init__(self, bot: MynahBot) -> None:
        self.bot = bot
        app = bot.app
        self.board = Board(database=app.database, queue=app.queue, poster=app.poster, clock=app.clock)

    async def cog_unload(self) -> None:
        """Stop editing."""
        self.board.close()

    @app_commands.command()
    @app_commands.guild_only()
    @app_commands.describe(
        handle="Whose tweets they are, such as @nasa",
        archive="An X archive (zip), tweets.js, JSON lines, CSV or text with that person's tweets",
        preset="How thoroughly; careful unless told otherwise",
    )
    @app_commands.choices(
        preset=[
            app_commands.Choice(name="Careful: every layer", value="default"),
            app_commands.Choice(name="Fast: the top layers only, and a little worse", value="fast"),
        ]
    )
    @app_commands.autocomplete(handle=autocomplete.characters)
    async def train(
        self, interaction: Interaction, handle: Transform[str, Handle], archive: discord.Attachment, preset: str = "default"
    ) -> None:
        """Learn how a person tweets, from their own tweets."""
        await acknowledge(interaction)
        app = self.bot.app
        base, base_name = choose_base(app.settings.base_model, app.home)
        async with app.uploads.received(archive.filename, archive.size, archive.save) as path:
            queued = await app.queue.enqueue(
                **asked(interaction),
                handle=handle,
                source_path=str(path),
                file_name=archive.filename,
                base=base,
                base_name=base_name,
                seed=secrets.randbits(32),
                preset=preset,
            )
        if queued.job.source_path != str(path):  # joined another job, or Discord delivered the same interaction twice
            app.uploads.discard(path)
        if queued.joined:
            await answer(interaction, messages.joined(queued.job, queued.place))
        else:
            reply = await answer(interaction, messages.job(queued.job, queued.place))
            await self.board.adopt(queued.job, reply.id)

    @commands.Cog.listener()
    async def on_job_progress(self, job: Job, progress: Progress) -> None:
        """A worker has come further."""
        self.board.show(job, progress)

    @commands.Cog.listener()
    async def on_job_changed(self, job: Job) -> None:
        """A job began, ended or waits."""
        self.board.show(job)
        await self.board.show_queue()


async def setup(bot: MynahBot) -> None:
    """Called by discord.py."""
    await bot.add_cog(Train(bot))
