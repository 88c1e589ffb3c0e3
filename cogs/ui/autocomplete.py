"""What is offered while somebody types: at most 25 choices, names of at most 100 characters."""

import re
from collections.abc import Iterable
from typing import TypeVar

from discord.app_commands import Choice

from bot import messages, timetable
from bot.client import Interaction
from bot.wording import persona_name
from cogs.ui import zones
from cogs.ui.checks import guild_of

T = TypeVar("T", str, int)

MOST = 25
NAME_LIMIT = 100
_TIME = re.compile(r"\b([01]?\d|2[0-3]):[0-5]\d\b")
_WHEN = (
    "every day at {time}",
    "weekdays at {time}",
    "weekends at {time}",
    *(f"every {day} at {{time}}" for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")),
    "every hour",
    "every 2 hours",
    "every 6 hours",
    "every 12 hours",
    "every 30 minutes",
)


async def characters(interaction: Interaction, current: str) -> list[Choice[str]]:
    """Who can speak here."""
    found = await interaction.client.app.characters.list(guild_of(interaction))
    return _choices((f"@{c.handle} · {persona_name(c.name, c.handle)}", c.handle) for c in found if _fits(current, c.handle, c.name))


async def jobs(interaction: Interaction, current: str) -> list[Choice[int]]:
    """The server's newest jobs."""
    found = await interaction.client.app.queue.list(guild_of(interaction))
    return _choices((messages.job_line(job), job.id) for job in found if _fits(current, messages.job_line(job)))


async def open_jobs(interaction: Interaction, current: str) -> list[Choice[int]]:
    """Those that can be cancelled."""
    found = await interaction.client.app.queue.list(guild_of(interaction))
    return _choices((messages.job_line(job), job.id) for job in found if job.is_open and _fits(current, messages.job_line(job)))


async def queued_jobs(interaction: Interaction, current: str) -> list[Choice[int]]:
    """Those that can be put first."""
    found = await interaction.client.app.queue.list(guild_of(interaction))
    return _choices((messages.job_line(job), job.id) for job in found if job.state == "queued" and _fits(current, messages.job_line(job)))


async def schedules(interaction: Interaction, current: str) -> list[Choice[int]]:
    """The server's schedules."""
    app, guild_id = interaction.client.app, guild_of(interaction)
    handles = {c.id: c.handle for c in await app.characters.list(guild_id)}
    lines = [(timetable.choice(s, handles.get(s.character_id, "?")), s.id) for s in await app.scheduler.list(guild_id)]
    return _choices((line, number) for line, number in lines if _fits(current, line))


async def when(_: Interaction, current: str) -> list[Choice[str]]:
    """Plain times, with the time of day that is typed already."""
    typed = _TIME.search(current)
    offered = [line.format(time=typed[0] if typed else "9:00") for line in _WHEN]
    words = _TIME.sub("", current).strip()
    fitting = [line for line in offered if _fits(words, line)]
    return _choices((line, line) for line in fitting or offered)


async def zone(_: Interaction, current: str) -> list[Choice[str]]:
    """Time zones by name and city."""
    return _choices((found.label, found.name) for found in zones.search(current, limit=MOST))


def _fits(typed: str, *texts: str) -> bool:
    words = str(typed).strip().removeprefix("@").casefold()
    return any(words in text.casefold() for text in texts)


def _choices(pairs: Iterable[tuple[str, T]]) -> list[Choice[T]]:
    return [Choice(name=name[:NAME_LIMIT], value=value) for name, value in pairs][:MOST]
