"""Schedules with the clock set forward through a week, over both changes of daylight saving and a restart.

The bot runs in this process, so that its clock can be set; it talks to the local Discord over the same wire as ever.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.app import App, open_app
from bot.config import Settings
from bot.service import run_app
from storage.posts import PostStore
from tests.acceptance.house import House, open_house
from tests.clock import ManualClock


@asynccontextmanager
async def bot_in_here(house: House, clock: ManualClock) -> AsyncIterator[App]:
    """The bot connected and at work until the block ends."""
    settings = Settings(
        _env_file=None, discord_token=SecretStr(house.application.token), discord_base_url=house.server.url, mynah_home=house.home
    )
    stopped = asyncio.Event()
    async with open_app(settings, clock=clock) as app:
        ready = sum(dispatch.event == "READY" for dispatch in house.world.dispatches)
        service = asyncio.create_task(run_app(app, house.application.token, stopped))
        try:
            async with asyncio.timeout(30):
                while sum(dispatch.event == "READY" for dispatch in house.world.dispatches) == ready:
                    assert not service.done(), service
                    await asyncio.sleep(0.02)
            yield app
        finally:
            stopped.set()
            await service


async def every_hour(app: App, clock: ManualClock, hours: int) -> None:
    """Let the time go by, and have what became due delivered."""
    posts = PostStore(app.database)
    for _ in range(hours):
        clock.advance(hours=1)
        if await app.scheduler.tick():
            open_posts = [*await posts.due(), *await posts.in_state("pending"), *await posts.in_state("sending")]
            assert {post.state for post in await app.poster.delivered([post.id for post in open_posts], 60)} == {"sent"}


@pytest.mark.parametrize(
    ("start", "zone", "when"),
    [
        pytest.param(datetime(2026, 3, 25, 12, tzinfo=UTC), "Europe/Berlin", "every day at 2:30", id="spring"),
        pytest.param(datetime(2026, 10, 28, 12, tzinfo=UTC), "America/New_York", "every day at 1:30", id="autumn"),
    ],
)
async def test_each_day_of_a_week_has_its_post(start: datetime, zone: str, when: str, trained: Path) -> None:
    clock = ManualClock(start)
    async with open_house(trained, start=False) as house:
        async with bot_in_here(house, clock):
            house.make_manager(house.alice)
            values = {"character": "ferry", "when": when, "zone": zone, "prompt": "Today"}
            await (await house.alice.slash("schedule add", values, channel=house.channel)).done(20)
        async with bot_in_here(house, clock) as app:
            await every_hour(app, clock, 84)
        async with bot_in_here(house, clock) as app:
            await every_hour(app, clock, 84)
            rows = await app.database.fetch_all("SELECT dedupe_key, state FROM posts WHERE kind = 'schedule'")
    assert len(rows) == len({row["dedupe_key"] for row in rows}) == 7
    assert {row["state"] for row in rows} == {"sent"}
    said = house.said()
    assert len(said) == len({message.content for message in said}) == 7
    assert all(message.content.startswith("Today") and message.author_name.endswith("(AI)") for message in said)
