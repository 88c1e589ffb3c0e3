"""/schedule: characters that post by themselves, in the channel where that was asked for."""

from discord import app_commands
from discord.app_commands import Range, Transform
from discord.ext import commands

from bot import timetable
from bot.client import Interaction, MynahBot
from bot.tree import acknowledge, answer
from cogs.ui import autocomplete
from cogs.ui.checks import asked, guild_of
from cogs.ui.transformers import Handle, Quiet, When, Zone
from storage.schedules import Policy


@app_commands.default_permissions(manage_guild=True)
class Schedule(commands.GroupCog, name="schedule", description="Characters that post by themselves"):
    """Schedules. Discord shows them to those with Manage Server, unless the server decides otherwise."""

    def __init__(self, bot: MynahBot) -> None:
        self.bot = bot

    @app_commands.command()
    @app_commands.describe(
        character="Who posts",
        when="Such as: every day at 9:00 · weekdays at 18:30 · every hour · or a cron line: 30 18 * * 1-5",
        zone="Time zone by name or city; UTC when left out",
        prompt="How each post begins",
        jitter="Each post comes up to so many minutes late, by chance",
        quiet="Hours without posts, such as 22-7 or 22:30 to 7:00, in that time zone",
        missed="A time that was missed while Mynah was not running: once = one late post, skip = none; once when left out",
    )
    @app_commands.autocomplete(character=autocomplete.characters, when=autocomplete.when, zone=autocomplete.zone)
    async def add(
        self,
        interaction: Interaction,
        character: Transform[str, Handle],
        when: Transform[str, When],
        zone: Transform[str, Zone] = "UTC",
        *,
        prompt: Range[str, 0, 200] = "",
        jitter: Range[int, 0, 60] = 0,
        quiet: Transform[str, Quiet] | None = None,
        missed: Policy = "once",
    ) -> None:
        """Let a character post in this channel at set times."""
        await acknowledge(interaction, ephemeral=True)
        app, who = self.bot.app, asked(interaction)
        found = await app.characters.with_voice(who["guild_id"], character)
        schedule = await app.scheduler.add(
            guild_id=who["guild_id"],
            channel_id=who["channel_id"],
            character_id=found.id,
            cron=when,
            zone=zone,
            prompt=prompt,
            created_by=who["user_id"],
            policy=missed,
            jitter_s=jitter * 60,
            quiet=quiet,
        )
        await answer(interaction, timetable.scheduled(schedule, found.handle))

    @app_commands.command(name="list")
    async def list_schedules(self, interaction: Interaction) -> None:
        """Who posts when in this server."""
        await acknowledge(interaction, ephemeral=True)
        app, guild_id = self.bot.app, guild_of(interaction)
        handles = {character.id: character.handle for character in await app.characters.list(guild_id)}
        schedules = await app.scheduler.list(guild_id)
        await answer(interaction, timetable.listed(schedules, handles))

    @app_commands.command()
    @app_commands.describe(schedule="Which schedule")
    @app_commands.autocomplete(schedule=autocomplete.schedules)
    async def remove(self, interaction: Interaction, schedule: int) -> None:
        """End a schedule."""
        await acknowledge(interaction, ephemeral=True)
        await self.bot.app.scheduler.remove(schedule, guild_id=guild_of(interaction))
        await answer(interaction, f"Schedule {schedule} is removed.")


async def setup(bot: MynahBot) -> None:
    """Called by discord.py."""
    await bot.add_cog(Schedule(bot))
