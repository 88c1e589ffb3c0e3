"""Each slot once: through changes of daylight saving, restarts, days without the bot and clocks that are set."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.schedules import GRACE_S
from bot.when import slots
from storage.posts import PostStore
from storage.schedules import ScheduleStore
from tests.clock import ManualClock
from tests.station import START, slot_of, station


@pytest.mark.fault(15)
@pytest.mark.parametrize(
    ("zone", "month", "day"),
    [("America/New_York", 3, 8), ("America/New_York", 11, 1), ("Europe/Berlin", 3, 29), ("Europe/Berlin", 10, 25)],
)
async def test_changes_of_daylight_saving(tmp_path: Path, zone: str, month: int, day: int) -> None:
    """A slot comes exactly once on the days on which daylight saving begins and ends, in whichever zone."""
    midday_before = datetime(2026, month, day, tzinfo=UTC) - timedelta(hours=12)
    async with station(tmp_path, ManualClock(midday_before)) as one:
        early, late, hourly = [await one.add(cron, zone) for cron in ("30 1 * * *", "30 2 * * *", "0 * * * *")]
        await one.pass_time(timedelta(days=2))
        by_schedule: dict[int | None, list[str]] = {}
        for post in await one.posts():
            by_schedule.setdefault(post.schedule_id, []).append(f"{slot_of(post).astimezone(ZoneInfo(zone)):%d %H:%M}")
        spring = month == 3
        assert [at for at in by_schedule[early.id] if at.startswith(f"{day:02}")] == [f"{day:02} 01:30"]
        assert [at for at in by_schedule[late.id] if at.startswith(f"{day:02}")] == [f"{day:02} {'03:00' if spring else '02:30'}"]
        assert len(by_schedule[hourly.id]) == 48
        assert len([at for at in by_schedule[hourly.id] if at.startswith(f"{day:02}")]) == (23 if spring else 25)


@pytest.mark.fault(15)
async def test_a_leap_day_comes_every_four_years(tmp_path: Path) -> None:
    """A schedule for 29 February posts once in each leap year."""
    async with station(tmp_path, ManualClock(START)) as one:
        await one.add("0 9 29 2 *", "Europe/Berlin")
        await one.pass_time(timedelta(days=8 * 365), timedelta(days=1))
        assert [f"{slot_of(post):%Y-%m-%d %H:%M}" for post in await one.posts()] == ["2028-02-29 08:00", "2032-02-29 08:00"]


async def test_a_restart_in_the_middle_changes_nothing(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with station(tmp_path, clock) as one:
        await one.add("0 */6 * * *")
    for _ in range(8):
        async with station(tmp_path, clock) as again:
            await again.pass_time(timedelta(hours=7), timedelta(minutes=30))
            fired = await again.fired()
    assert fired == [f"{START + timedelta(hours=6 * n):%a %d %H:%M}" for n in range(1, 10)]


@pytest.mark.fault(16)
@pytest.mark.parametrize(("policy", "late"), [("once", ["Wed 04 09:00"]), ("skip", [])])
async def test_three_days_without_the_bot(tmp_path: Path, policy: Any, late: list[str]) -> None:
    """After days without Mynah a schedule posts once, late, or not at all, as it was told to, and never makes up for each missed time."""
    clock = ManualClock(START)
    async with station(tmp_path, clock) as one:
        await one.add("0 9 * * *", policy=policy)
        await one.pass_time(timedelta(hours=10))
    clock.advance(days=3)
    async with station(tmp_path, clock) as again:
        await again.pass_time(timedelta(days=1))
        assert await again.fired() == ["Sun 01 09:00", *late, "Thu 05 09:00"]


@pytest.mark.fault(16)
@pytest.mark.parametrize("policy", ["once", "skip"])
async def test_within_the_grace_it_is_not_missed(tmp_path: Path, policy: Any) -> None:
    """Of several missed slots the newest counts."""
    clock = ManualClock(START)
    async with station(tmp_path, clock) as one:
        await one.add("0 * * * *", policy=policy)
        clock.advance(hours=5, seconds=GRACE_S)
        assert await one.scheduler.tick() == 1
        assert await one.fired() == ["Sun 01 05:00"]
        clock.advance(hours=2, seconds=1)
        assert await one.scheduler.tick() == (1 if policy == "once" else 0)
        assert (await ScheduleStore(one.database).all())[0].next_at == START + timedelta(hours=8)


async def test_the_same_moment_twice_is_one_post(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with station(tmp_path, clock) as one:
        await one.add("0 9 * * *")
        clock.advance(hours=9)
        assert [await one.scheduler.tick(), await one.scheduler.tick()] == [1, 0]
        assert sum(await asyncio.gather(one.scheduler.tick(), one.scheduler.tick())) == 0


@pytest.mark.fault(1)
async def test_a_crash_between_post_and_next_slot_loses_and_doubles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bot that dies between a slot's post and the next slot posts that slot once."""
    clock = ManualClock(START)
    async with station(tmp_path, clock) as one:
        await one.add("0 9 * * *")
        clock.advance(hours=9)

        async def die(*_: object, **__: object) -> None:
            raise KeyError

        with monkeypatch.context() as patch:
            patch.setattr(PostStore, "insert", die)
            with pytest.raises(KeyError):
                await one.scheduler.tick()
    async with station(tmp_path, clock) as again:
        assert await again.scheduler.tick() == 1
        assert await again.fired() == ["Sun 01 09:00"]


@pytest.mark.fault(14)
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_clock_that_ran_ahead_silences_nobody(tmp_path: Path, restarted: bool) -> None:
    """A clock that was days ahead and is set right silences no schedule, also after a restart."""
    clock = ManualClock(START)
    async with station(tmp_path, clock) as one:
        await one.add("0 9 * * *")
        clock.advance(days=30)
        await one.scheduler.tick()
        clock.set(START + timedelta(hours=1))
        if not restarted:
            await one.pass_time(timedelta(days=1))
    async with station(tmp_path, clock) as again:
        await again.pass_time(timedelta(days=1))
        assert (await again.fired())[:2] == ["Mon 30 09:00", "Sun 01 09:00"]


@pytest.mark.fault(14)
async def test_a_clock_that_starts_in_1970_is_soon_caught_up_with(tmp_path: Path) -> None:
    """A machine whose clock starts in 1970 makes one post when it is set right, not one for each slot since."""
    clock = ManualClock(datetime(1970, 1, 1, tzinfo=UTC))
    async with station(tmp_path, clock) as one:
        await one.add("*/15 * * * *")
        clock.set(START)
        assert await one.scheduler.tick() == 1
        assert await one.fired() == ["Sun 01 00:00"]


@pytest.mark.fault(14, 15)
@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["0 * * * *", "30 1 * * *", "*/15 * * * *", "0 9 * * 1-5"]),
    st.sampled_from(["UTC", "America/New_York", "Europe/Berlin"]),
    st.sampled_from(["once", "skip"]),
    st.sampled_from([0, 600]),
    st.lists(st.tuples(st.integers(-3 * 86400, 3 * 86400), st.booleans()), max_size=25),
)
def test_each_slot_gets_at_most_one_post(cron: str, zone: str, policy: Any, jitter_s: int, steps: list[tuple[int, bool]]) -> None:
    """However often the clock is set forwards and backwards, no slot is posted twice, and none that does not exist."""

    async def scenario(home: Path) -> None:
        start = datetime(2026, 10, 31, tzinfo=UTC)
        clock = ManualClock(start)
        async with station(home, clock) as one:
            await one.add(cron, zone, policy=policy, jitter_s=jitter_s)
        newest = start
        for seconds, restart in steps:
            clock.advance(seconds)
            newest = max(newest, clock.now())
            async with station(home, clock) as again:
                await again.scheduler.tick()
                if not restart:
                    clock.advance(60)
                    newest = max(newest, clock.now())
                    await again.scheduler.tick()
        async with station(home, clock) as last:
            fired = [slot_of(post) for post in await last.posts()]
            assert len(fired) == len(set(fired))
            real = set()
            for slot in slots(cron, zone, min(fired, default=start) - timedelta(seconds=1)):
                if slot > newest:
                    break
                real.add(slot)
            assert set(fired) <= real

    with TemporaryDirectory() as home:
        asyncio.run(scenario(Path(home)))
