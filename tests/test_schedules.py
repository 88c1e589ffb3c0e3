"""Each slot once: through weeks, changes of daylight saving, restarts, days without the bot and clocks that are set."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.config import Settings
from bot.errors import BadInput, NotAllowed, NotFound
from bot.schedules import GRACE_S, Scheduler
from bot.when import slots
from storage.characters import CharacterStore
from storage.database import Database
from storage.posts import Post, PostStore
from storage.schedules import Schedule, ScheduleStore
from tests.clock import ManualClock

START = datetime(2026, 3, 1, tzinfo=UTC)


class Station:
    """A scheduler on a database, as one start of the bot has them."""

    def __init__(self, database: Database, clock: ManualClock, character_id: int, **limits: Any) -> None:
        self.database, self.clock, self.character_id = database, clock, character_id
        self.woken = 0
        self.scheduler = Scheduler(database=database, clock=clock, settings=Settings(_env_file=None, **limits), wake_poster=self._wake)

    def _wake(self) -> None:
        self.woken += 1

    async def add(self, cron: str, zone: str = "UTC", **changes: Any) -> Schedule:
        values = {"guild_id": 7, "channel_id": 8, "character_id": self.character_id, "prompt": "Today", "created_by": 9}
        return await self.scheduler.add(cron=cron, zone=zone, **{**values, **changes})

    async def posts(self) -> list[Post]:
        return await PostStore(self.database).due()

    async def fired(self, zone: str = "UTC") -> list[str]:
        """The slots that were posted, as the wall clock of that zone shows them."""
        return [f"{slot_of(post).astimezone(ZoneInfo(zone)):%a %d %H:%M}" for post in await self.posts()]

    async def pass_time(self, span: timedelta, step: timedelta = timedelta(minutes=10)) -> None:
        end = self.clock.now() + span
        while self.clock.now() < end:
            self.clock.set(self.clock.now() + step)
            await self.scheduler.tick()


def slot_of(post: Post) -> datetime:
    return datetime.fromisoformat(post.dedupe_key.split(":", 2)[2])


@asynccontextmanager
async def station(home: Path, clock: ManualClock, **limits: Any) -> AsyncIterator[Station]:
    database = await Database.open(home / "mynah.sqlite3")
    try:
        async with database.transaction() as tx:
            heron = await CharacterStore(database).ensure(tx, guild_id=7, handle="heron", name="Heron", created_by=9, now=START)
        yield Station(database, clock, heron.id, **limits)
    finally:
        await database.close()


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


async def test_jitter_is_thrown_once_for_each_slot(tmp_path: Path) -> None:
    """Each post comes up to so many minutes after its slot, at a time that a restart does not throw again."""
    clock = ManualClock(START)
    async with station(tmp_path, clock) as one:
        await one.add("0 * * * *", jitter_s=1800)
    came: list[tuple[str, int]] = []
    for _ in range(24 * 60):
        clock.advance(60)
        async with station(tmp_path, clock) as again:  # a restart in each minute
            if await again.scheduler.tick():
                slot = slot_of((await again.posts())[-1])
                came.append((f"{slot:%H}", int((clock.now() - slot).total_seconds())))
    assert [hour for hour, _ in came] == [f"{hour % 24:02}" for hour in range(1, 1 + len(came))]
    assert len(came) in (23, 24)  # the last may still be to come
    waits = [wait for _, wait in came]
    assert all(0 <= wait <= 1860 for wait in waits)
    assert len(set(waits)) > 8
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
