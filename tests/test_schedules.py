"""Schedules: which are taken, when their posts come, and when the scheduler wakes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.errors import BadInput, NotAllowed, NotFound
from tests.clock import ManualClock
from tests.station import START, Station, slot_of, station


async def test_a_week_hour_by_hour(tmp_path: Path) -> None:
    async with station(tmp_path, ManualClock(START)) as one:
        daily = await one.add("0 9 * * *", "Europe/Berlin")
        await one.add("30 18 * * 1", "UTC")
        await one.pass_time(timedelta(days=7), timedelta(hours=1))
        days = ["Sun 01", "Mon 02", "Tue 03", "Wed 04", "Thu 05", "Fri 06", "Sat 07"]
        fired = [f"{slot_of(post).astimezone(ZoneInfo('Europe/Berlin')):%a %d %H:%M}" for post in await one.posts()]
        assert fired == [f"{day} 09:00" for day in days[:2]] + ["Mon 02 19:30"] + [f"{day} 09:00" for day in days[2:]]
        post = (await one.posts())[0]
        assert (post.kind, post.guild_id, post.channel_id, post.character_id) == ("schedule", 7, 8, one.character_id)
        assert (post.schedule_id, post.prompt, post.created_by, post.message) == (daily.id, "Today", 9, None)
        assert one.woken == 8


async def test_jitter_is_thrown_once_for_each_slot(tmp_path: Path) -> None:
    """Each post comes up to so many minutes after its slot, at a time that a restart does not throw again."""
    clock = ManualClock(START)
    async with station(tmp_path, clock) as one:
        await one.add("0 * * * *", jitter_s=1800)
    came: list[tuple[str, int]] = []
    for _ in range(10 * 60):
        clock.advance(60)
        async with station(tmp_path, clock) as again:  # a restart in each minute
            if await again.scheduler.tick():
                slot = slot_of((await again.posts())[-1])
                came.append((f"{slot:%H}", int((clock.now() - slot).total_seconds())))
    assert [hour for hour, _ in came] == [f"{hour:02}" for hour in range(1, 1 + len(came))]
    assert len(came) in (9, 10)  # the last may still be to come
    waits = [wait for _, wait in came]
    assert all(0 <= wait <= 1860 for wait in waits)
    assert len(set(waits)) > 6
    async with station(tmp_path / "other", ManualClock(START)) as other:
        await other.add("0 * * * *", jitter_s=1800)
        for hour, wait in came[:3]:
            other.clock.set(START + timedelta(hours=int(hour), seconds=wait - 61))
            assert await other.scheduler.tick() == 0
            other.clock.set(START + timedelta(hours=int(hour), seconds=wait))
            assert await other.scheduler.tick() == 1


async def test_the_alarm_rings_when_the_jitter_says(tmp_path: Path) -> None:
    async with station(tmp_path, ManualClock(START)) as one:
        await one.add("0 * * * *", jitter_s=1800)
        one.clock.advance(hours=1)
        assert await one.scheduler.tick() == 0
        left = timedelta(0)
        while await one.scheduler.tick() == 0:
            step = await one.scheduler._until_next()
            assert timedelta(0) < step <= timedelta(seconds=30)
            one.clock.set(one.clock.now() + step)
            left += step
        assert left <= timedelta(seconds=1800)
        assert await one.fired() == ["Sun 01 01:00"]


async def test_quiet_hours_have_no_slots(tmp_path: Path) -> None:
    """In the quiet hours, as the clocks of the schedule's time zone show them, nothing is posted, not even what is late."""
    async with station(tmp_path, ManualClock(START)) as one:
        await one.add("0 * * * *", "Europe/Berlin", quiet="22-7")
        await one.pass_time(timedelta(days=1), timedelta(minutes=5))
        assert await one.fired("Europe/Berlin") == [f"Sun 01 {hour:02}:00" for hour in range(7, 22)]


async def test_what_was_missed_waits_for_the_end_of_the_quiet_hours(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with station(tmp_path, clock) as one:
        await one.add("0 21 * * *", quiet="22:00-07:00")
    clock.advance(hours=23)
    async with station(tmp_path, clock) as again:
        assert await again.scheduler.tick() == 0
        assert await again.scheduler._until_next() == timedelta(seconds=30)
        clock.set(START + timedelta(hours=31, seconds=-1))
        assert await again.scheduler.tick() == 0
        clock.advance(1)
        assert await again.scheduler.tick() == 1
        assert await again.fired() == ["Sun 01 21:00"]


async def test_jitter_does_not_reach_into_the_quiet_hours(tmp_path: Path) -> None:
    async with station(tmp_path, ManualClock(START)) as one:
        await one.add("45 * * * *", quiet="22-7", jitter_s=1800)
        await one.pass_time(timedelta(days=1))
        assert (await one.fired())[-1] == "Sun 01 20:45"


@pytest.mark.parametrize(
    ("cron", "zone", "said"),
    [
        ("0 9 30 2 *", "UTC", "no cron line that ever comes"),
        ("0 9 * 2 mon#5", "UTC", "never comes within five years"),
        ("nonsense", "UTC", "try every day"),
        ("*/5 * * * *", "UTC", "5 minutes apart, and 15 minutes is the least"),
        ("0,10 9 * * 1", "UTC", "10 minutes apart"),
        ("0 9 * * *", "Europe/Berlni", "did you mean Europe/Berlin"),
        ("0 9 * * *", "../etc/passwd", "There is no time zone"),
        ("0 9 * * *", "", "There is no time zone"),
        ("0 23 * * *", "UTC", "comes in the quiet hours 22:00-07:00 only"),
        ("0 * * * *", "UTC", "comes 60 minutes apart, so a post cannot come up to 60 minutes later"),
    ],
)
async def test_what_cannot_be_is_refused_in_a_sentence(tmp_path: Path, cron: str, zone: str, said: str) -> None:
    async with station(tmp_path, ManualClock(START)) as one:
        with pytest.raises(BadInput, match=said):
            await one.add(cron, zone, quiet="22-7", jitter_s=3600)
        assert await one.scheduler.list(7) == []


async def test_plain_words_will_do(tmp_path: Path) -> None:
    async with station(tmp_path, ManualClock(START)) as one:
        assert (await one.add("every day at 9:00")).cron == "0 9 * * *"


async def test_a_server_has_so_many_schedules_and_no_more(tmp_path: Path) -> None:
    async with station(tmp_path, ManualClock(START), schedules_per_server=2) as one:
        first, _ = await one.add("0 9 * * *"), await one.add("0 10 * * *")
        with pytest.raises(NotAllowed, match="2 schedules and 2 is the most"):
            await one.add("0 11 * * *")
        await one.add("0 11 * * *", guild_id=70)
        with pytest.raises(NotFound, match="no schedule"):
            await one.scheduler.remove(first.id, guild_id=70)
        await one.scheduler.remove(first.id, guild_id=7)
        with pytest.raises(NotFound):
            await one.scheduler.remove(first.id, guild_id=7)
        await one.add("0 11 * * *")
        assert len(await one.scheduler.list(7)) == 2


async def test_a_removed_schedule_is_silent(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with station(tmp_path, clock) as one:
        schedule = await one.add("0 9 * * *")
        await one.scheduler.remove(schedule.id, guild_id=7)
        await one.pass_time(timedelta(days=1))
        assert await one.fired() == []


@asynccontextmanager
async def running(one: Station) -> AsyncIterator[tuple[asyncio.Event, asyncio.Event]]:
    """Let the scheduler run; gives an event for each post, and one for each time it has found out how long to sleep."""
    posted, asleep = asyncio.Event(), asyncio.Event()
    one.scheduler._wake_poster = posted.set
    until_next = one.scheduler._until_next

    async def told() -> timedelta:
        left = await until_next()
        asleep.set()
        return left

    one.scheduler._until_next = told  # type: ignore[method-assign]  # to know when it sleeps
    task = asyncio.create_task(one.scheduler.run())
    try:
        async with asyncio.timeout(20):
            yield posted, asleep
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_running_it_ticks_at_once_and_after_a_schedule_is_added(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with station(tmp_path, clock) as one:
        await one.add("0 9 * * *")
        clock.advance(hours=9)
        async with running(one) as (posted, asleep):
            await posted.wait()
            await asleep.wait()
            posted.clear()
            clock.advance(hours=24)
            await one.add("0 10 * * *")
            await posted.wait()
        assert await one.fired() == ["Sun 01 09:00", "Mon 02 09:00"]


async def test_the_alarm_rings_at_the_slot(tmp_path: Path) -> None:
    """The slot is a blink away: nothing but the alarm wakes the scheduler for it."""
    clock = ManualClock(START + timedelta(hours=9) - timedelta(milliseconds=20))
    async with station(tmp_path, clock) as one:
        await one.add("0 9 * * *")
        async with running(one) as (posted, asleep):
            await asleep.wait()
            assert not posted.is_set()
            clock.advance(1)
            await posted.wait()


@pytest.mark.fault(14)
async def test_a_clock_that_is_set_is_noticed_within_30_seconds(tmp_path: Path) -> None:
    """A clock that is set is noticed by the schedules within 30 seconds."""
    async with station(tmp_path, ManualClock(START)) as one:
        assert await one.scheduler._until_next() == timedelta(seconds=30)
        await one.add("0 9 * * *")
        assert await one.scheduler._until_next() == timedelta(seconds=30)
        one.clock.advance(hours=9, seconds=-10)
        assert await one.scheduler._until_next() == timedelta(seconds=10)
        one.clock.advance(60)
        assert await one.scheduler._until_next() == timedelta(0)
