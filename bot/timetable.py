"""Timetable: schedules in words. Pure."""

from collections.abc import Mapping, Sequence

from bot.messages import Message, lines_of
from bot.when import describe
from bot.wording import called, duration, moment
from storage.schedules import Schedule


def scheduled(schedule: Schedule, handle: str) -> Message:
    """After a schedule was added."""
    return Message(f"Schedule {schedule.id}: {line(schedule, handle)} · in <#{schedule.channel_id}>")


def listed(schedules: Sequence[Schedule], known: Mapping[int, str]) -> Message:
    """A server's schedules; `known` has handles by character id."""
    if not schedules:
        return Message("No schedule yet: add one with /schedule add.")
    return Message(lines_of(f"{s.id} · {line(s, known.get(s.character_id, '?'))} · in <#{s.channel_id}>" for s in schedules))


def line(schedule: Schedule, handle: str) -> str:
    """Who posts when, and when next."""
    extras = [f"up to {duration(schedule.jitter_s)} later"] if schedule.jitter_s else []
    extras += [f"quiet {schedule.quiet}"] if schedule.quiet else []
    extras += ["what is missed is left out"] if schedule.policy == "skip" else []
    when = " · ".join([describe(schedule.cron, schedule.zone), *extras])
    return f"{called(handle)} · {when} · next {moment(schedule.next_at, 'f')}"


def choice(schedule: Schedule, handle: str) -> str:
    """A choice offered while typing."""
    return f"{schedule.id} · @{handle} · {describe(schedule.cron, schedule.zone)}"
