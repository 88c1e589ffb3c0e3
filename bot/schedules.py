"""Scheduler: characters that post by themselves. The table is the truth, cronsim knows the slots, APScheduler rings the alarm.

A slot becomes a post and the next slot in one transaction, and the post's dedupe key names the slot: whatever stops or sets the clock when,
no slot is posted twice.
"""

import asyncio
import builtins
import difflib
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import available_timezones

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger

from bot.clock import Clock
from bot.config import Settings
from bot.errors import BadInput, NotAllowed, NotFound
from bot.when import is_quiet, next_slot, parse_quiet, parse_when, shortest_gap, slots
from storage.database import Database
from storage.posts import PostStore
from storage.schedules import Policy, Schedule, ScheduleStore

GRACE_S = 900
"""A slot missed by no more than this is posted under either policy."""
LONGEST_SLEEP = timedelta(seconds=30)
"""So soon a clock that was set is noticed."""
LOOK_BACK = timedelta(days=8)
"""How far back the newest missed slot is looked for: a clock that starts in 1970 must not make this a long search."""

log = structlog.get_logger("mynah.schedules")


class Scheduler:
    """Schedules of every server."""

    def __init__(self, *, database: Database, clock: Clock, settings: Settings, wake_poster: Callable[[], None]) -> None:
        self._database = database
        self._schedules, self._posts = ScheduleStore(database), PostStore(database)
        self._clock, self._settings, self._wake_poster = clock, settings, wake_poster
        self._last_tick: datetime | None = None
        self._rung = asyncio.Event()

    async def add(
        self,
        *,
        guild_id: int,
        channel_id: int,
        character_id: int,
        cron: str,
        zone: str,
        prompt: str,
        created_by: int,
        policy: Policy = "once",
        grace_s: int = GRACE_S,
        jitter_s: int = 0,
        quiet: str | None = None,
    ) -> Schedule:
        """Let a character post at set times, each up to `jitter_s` seconds later, and never in the quiet hours.

        Raises:
            BadInput: no such zone, no such cron line, one that never comes, or one that comes too often.
            NotAllowed: the server has as many schedules as it may have.
        """
        now = self._clock.now()
        cron = parse_when(cron)
        quiet = parse_quiet(quiet) if quiet is not None else None
        _check_zone(zone)
        next_at = next_slot(cron, zone, now, quiet=quiet, jitter_s=jitter_s)
        gap, least = shortest_gap(cron, now), timedelta(minutes=self._settings.schedule_min_minutes)
        if gap < least:
            raise BadInput(f"“{cron}” comes {_minutes(gap)} apart, and {_minutes(least)} is the least: choose fewer times.")
        if not 0 <= jitter_s < gap.total_seconds():
            later = _minutes(timedelta(seconds=jitter_s))
            raise BadInput(f"“{cron}” comes {_minutes(gap)} apart, so a post cannot come up to {later} later: choose less.")
        async with self._database.transaction() as tx:
            count, most = await self._schedules.count(guild_id), self._settings.schedules_per_server
            if count >= most:
                raise NotAllowed(f"This server has {count} schedules and {most} is the most: remove one with /schedule remove first.")
            schedule = await self._schedules.insert(
                tx,
                guild_id=guild_id,
                channel_id=channel_id,
                character_id=character_id,
                cron=cron,
                zone=zone,
                prompt=prompt,
                policy=policy,
                grace_s=grace_s,
                next_at=next_at,
                created_by=created_by,
                now=now,
                jitter_s=jitter_s,
                quiet=quiet,
            )
        self._rung.set()
        return schedule

    async def remove(self, schedule_id: int, *, guild_id: int) -> None:
        """End a schedule.

        Raises:
            NotFound: the server has none of that number.
        """
        async with self._database.transaction() as tx:
            schedule = await self._schedules.get(schedule_id)
            if schedule is None or schedule.guild_id != guild_id:
                raise NotFound(f"There is no schedule {schedule_id} here: /schedule list shows those there are.")
            await self._schedules.delete(tx, schedule_id)

    async def tick(self) -> int:
        """Make the posts of the slots that have come; how many."""
        now = self._clock.now()
        if self._last_tick is None or now < self._last_tick:
            await self._set_right(now)
        self._last_tick = now
        due = [schedule for schedule in await self._schedules.due(now) if _comes_at(schedule) <= now]
        made = sum([await self._fire(schedule, now) for schedule in due if not is_quiet(schedule.quiet, schedule.zone, now)])
        if made:
            self._wake_poster()
        return made

    async def run(self) -> None:
        """Tick at every slot, for ever."""
        alarm = AsyncIOScheduler(timezone=UTC)
        alarm.start()
        try:
            while True:
                self._rung.clear()
                await self.tick()
                sleep = await self._until_next()
                ring_at = datetime.now(UTC) + sleep  # the alarm goes by the machine's clock, whatever ours says
                alarm.add_job(self._ring, DateTrigger(ring_at), id="alarm", replace_existing=True, misfire_grace_time=None)
                await self._rung.wait()
        finally:
            alarm.shutdown(wait=False)

    async def _ring(self) -> None:
        self._rung.set()

    async def _until_next(self) -> timedelta:
        now = self._clock.now()
        earliest = await self._schedules.earliest(after=now)
        coming = [_comes_at(schedule) for schedule in await self._schedules.due(now) if not is_quiet(schedule.quiet, schedule.zone, now)]
        moments = [*coming, *([earliest] if earliest else [])]
        return min([LONGEST_SLEEP, *(max(moment - now, timedelta(0)) for moment in moments)])

    async def _fire(self, schedule: Schedule, now: datetime) -> bool:
        """Go on to the first slot to come; whether a post was made for the newest that has come."""
        slot = next_at = schedule.next_at
        begin = max(schedule.next_at, now - LOOK_BACK)
        for coming in slots(schedule.cron, schedule.zone, begin, quiet=schedule.quiet, jitter_s=schedule.jitter_s):
            next_at = coming
            if _comes_at(schedule, coming) > now:
                break
            slot = coming
        late = now - _comes_at(schedule, slot)
        wanted = late <= timedelta(seconds=schedule.grace_s) or schedule.policy == "once"
        async with self._database.transaction() as tx:
            if not await self._schedules.advance(tx, schedule.id, expected=schedule.next_at, next_at=next_at):
                return False
            if not wanted:
                log.info("slot skipped: it was missed", schedule=schedule.id, slot=slot.isoformat(), late_s=late.total_seconds())
                return False
            post = await self._posts.insert(
                tx,
                dedupe_key=f"schedule:{schedule.id}:{slot.isoformat()}",
                kind="schedule",
                guild_id=schedule.guild_id,
                channel_id=schedule.channel_id,
                created_by=schedule.created_by,
                now=now,
                state="due",
                character_id=schedule.character_id,
                schedule_id=schedule.id,
                prompt=schedule.prompt,
            )
        return post is not None

    async def _set_right(self, now: datetime) -> None:
        """After a start, or when the clock was set back: slots to come may be nearer than they were thought to be."""
        for schedule in await self._schedules.all():
            next_at = next_slot(schedule.cron, schedule.zone, now, quiet=schedule.quiet, jitter_s=schedule.jitter_s)
            if schedule.next_at > now and schedule.next_at != next_at:
                async with self._database.transaction() as tx:
                    await self._schedules.advance(tx, schedule.id, expected=schedule.next_at, next_at=next_at)

    async def list(self, guild_id: int) -> builtins.list[Schedule]:
        """The server's schedules."""
        return await self._schedules.list(guild_id)


def _comes_at(schedule: Schedule, slot: datetime | None = None) -> datetime:
    """When the post of a slot, or of the next one, is made: by a chance that schedule and slot decide, so that no restart throws again."""
    slot = slot or schedule.next_at
    chance = hashlib.sha256(f"{schedule.id}:{int(slot.timestamp())}".encode()).digest()
    return slot + timedelta(seconds=int.from_bytes(chance[:8]) % (schedule.jitter_s + 1))


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _check_zone(zone: str) -> None:
    if zone in _zones():
        return
    near = difflib.get_close_matches(zone, _zones(), n=1)
    hint = f"did you mean {near[0]}?" if near else "take one such as Europe/Berlin, America/New_York or UTC."
    raise BadInput(f"There is no time zone “{zone[:60]}”: {hint}")


def _minutes(span: timedelta) -> str:
    number = span.total_seconds() / 60
    return "1 minute" if number == 1 else f"{number:g} minutes"
