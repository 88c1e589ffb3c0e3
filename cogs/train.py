"""/train: learn how a person tweets, what is asked before, and the message that shows how far that is."""

from typing import cast

import discord
from discord import app_commands
from discord.app_commands import Transform
from discord.ext import commands

from bot import messages, questions
from bot.board import Board
from bot.client import Interaction, MynahBot
from bot.errors import BadInput
from bot.executor.contract import Progress
from bot.intake import Account, Given
from bot.jobs import Queued
from bot.spending import Cost
from bot.tree import acknowledge, answer
from bot.tweets.accounts import Service
from cogs.ui import autocomplete
from cogs.ui.checks import asked, guild_of, manager, manages, owner_or_manager
from cogs.ui.transformers import Consent, Handle, Source
from cogs.ui.views import Press
from storage.jobs import Job
from storage.requests import Claim, Request

_CLAIMS: dict[str, Claim | None] = {"own": "own", "agreed": "agreed", "public": "public", "go": None}
"""What a button of the question says; None: it agrees to the price alone."""


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
        archive="An X archive (zip), tweets.js, outbox.json, JSON lines, CSV or text with that person's tweets",
        source="Where to read them when there is no archive",
        consent="What entitles you to it; you are asked when you leave this out",
        second="A second account, for a mash-up",
        second_archive="Its tweets",
        third="A third account, for a mash-up of three",
        third_archive="Its tweets",
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
        self,
        interaction: Interaction,
        handle: Transform[str, Handle],
        *,
        archive: discord.Attachment | None = None,
        source: Transform[Service, Source] | None = None,
        consent: Transform[Claim, Consent] | None = None,
        second: Transform[str, Handle] | None = None,
        second_archive: discord.Attachment | None = None,
        third: Transform[str, Handle] | None = None,
        third_archive: discord.Attachment | None = None,
        preset: str = "default",
    ) -> None:
        """Learn how a person tweets, from their own tweets; or two or three of them, for a mash-up."""
        await acknowledge(interaction)
        accounts = _accounts((handle, archive), (second, second_archive), (third, third_archive))
        intake = self.bot.app.intake
        async with intake.taken(accounts, service=source, preset=preset) as training:
            cost = await intake.cost(training)
            begun = await self.bot.app.requests.begin(
                training, **asked(interaction), basis=consent, confirm=cost is not None, manages=manages(interaction)
            )
        reply = await self.show(interaction, begun, cost)
        await self.bot.app.requests.shown(asked(interaction)["dedupe_key"], reply.id)

    async def show(self, interaction: Interaction, begun: Request | Queued, cost: Cost | None = None) -> discord.InteractionMessage:
        """Let the reply say what has come of a wish: a job, or what somebody has to answer first."""
        match begun:
            case Queued(joined=True):
                return await answer(interaction, messages.joined(begun.job, begun.place))
            case Queued():
                reply = await answer(interaction, messages.job(begun.job, begun.place))
                await self.board.adopt(begun.job, reply.id)
                return reply
            case Request(state="approval"):
                settings = await self.bot.app.requests.moderation.get(begun.guild_id)
                return await answer(interaction, questions.waits(begun, settings.moderation_channel))
            case _:
                return await answer(interaction, questions.before(begun, cost))

    @commands.Cog.listener()
    async def on_job_progress(self, job: Job, progress: Progress) -> None:
        """A worker has come further."""
        self.board.show(job, progress)

    @commands.Cog.listener()
    async def on_job_changed(self, job: Job) -> None:
        """A job began, ended or waits."""
        self.board.show(job)
        await self.board.show_queue()


class Answer(Press, template=r"request:(?P<claim>own|agreed|public|go):(?P<key>\d+)"):
    """What entitles the member, or that it may cost so much, on the question before a training."""

    async def press(self, interaction: Interaction) -> None:
        """Take it down; the question becomes the job, or says who is asked next."""
        await acknowledge(interaction)
        begun = await interaction.client.app.requests.declare(
            int(self.key),
            _CLAIMS[self.match["claim"]],
            guild_id=guild_of(interaction),
            user_id=interaction.user.id,
            manages=manages(interaction),
        )
        await _cog(interaction).show(interaction, begun)


class Withdraw(Press, template=r"request:cancel:(?P<key>\d+)"):
    """Cancel, on the same question."""

    async def press(self, interaction: Interaction) -> None:
        """Drop it."""
        await acknowledge(interaction)
        requests, guild_id = interaction.client.app.requests, guild_of(interaction)
        request = await requests.get(int(self.key), guild_id=guild_id)
        owner_or_manager(interaction, request.user_id)
        await requests.withdraw(request.id, guild_id=guild_id)
        await answer(interaction, questions.withdrawn(request))


class Approve(Press, template=r"request:approve:(?P<key>\d+)"):
    """Approve, on the question to the managers."""

    async def press(self, interaction: Interaction) -> None:
        """Let it begin; its message comes in the channel where it was asked for."""
        await acknowledge(interaction)
        manager(interaction)
        requests, guild_id = interaction.client.app.requests, guild_of(interaction)
        request = await requests.get(int(self.key), guild_id=guild_id)
        queued = await requests.approve(request.id, guild_id=guild_id, by=interaction.user.id)
        _cog(interaction).board.post(queued.job)
        await answer(interaction, questions.approved(request, interaction.user.id))


class Deny(Press, template=r"request:deny:(?P<key>\d+)"):
    """Deny, on the same question."""

    async def press(self, interaction: Interaction) -> None:
        """Drop it; the one who asked is told."""
        await acknowledge(interaction)
        manager(interaction)
        request = await interaction.client.app.requests.deny(int(self.key), guild_id=guild_of(interaction), by=interaction.user.id)
        await answer(interaction, questions.refused(request, interaction.user.id))


def _accounts(*named: tuple[str | None, discord.Attachment | None]) -> list[Account]:
    """Those that were named, each with its file.

    Raises:
        BadInput: a file comes without the account whose it is.
    """
    if any(handle is None and archive is not None for handle, archive in named):
        raise BadInput("There is an archive without its account: name the account in second or third as well.")
    return [
        Account(handle, Given(archive.filename, archive.size, archive.save) if archive else None)
        for handle, archive in named
        if handle is not None
    ]


def _cog(interaction: Interaction) -> Train:
    return cast("Train", interaction.client.get_cog(Train.__name__))


async def setup(bot: MynahBot) -> None:
    """Called by discord.py."""
    bot.add_dynamic_items(Answer, Withdraw, Approve, Deny)
    await bot.add_cog(Train(bot))
