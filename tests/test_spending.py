"""What X costs: said before, counted as it is read, and no more than a month may have."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.errors import Spent
from storage.spending import SpendingStore
from tests.clock import ManualClock
from tests.desk import desk


async def test_an_estimate_says_what_there_is_for_it(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        cost = await one.spending.estimate(3200)
        assert (cost.posts, round(cost.usd, 4), cost.spent_usd, cost.budget_usd, cost.left_usd) == (3200, 16.01, 0.0, 20.0, 20.0)
        assert cost.is_affordable
        job = (await one.ask()).job
        await one.spending.charge(job.id, "@heron: page 1", posts=1000, accounts=1)
        cost = await one.spending.estimate(3200, accounts=2)
        assert (round(cost.usd, 4), round(cost.spent_usd, 4), round(cost.left_usd, 4)) == (16.02, 5.01, 14.99)
        assert not cost.is_affordable
        assert await one.history(job) == ["queued", "paid"]


async def test_beyond_the_budget_is_refused_with_the_numbers_and_up_to_it_is_not(tmp_path: Path) -> None:
    async with desk(tmp_path, x_monthly_budget=1.0) as one:
        await one.spending.check(200)
        await one.spending.check(198, accounts=1)
        with pytest.raises(Spent, match=r"Reading 201 posts at X would cost up to \$1\.01, and \$1\.00 of this month's \$1\.00 are left"):
            await one.spending.check(201)


async def test_prices_are_settings_and_what_is_counted_keeps_the_price_of_its_day(tmp_path: Path) -> None:
    async with desk(tmp_path, x_post_price=0.001, x_user_price=0.002) as one:
        job = (await one.ask()).job
        await one.spending.charge(job.id, "a", posts=10, accounts=1)
    async with desk(tmp_path, x_post_price=0.1) as two:
        await two.spending.charge(job.id, "b", posts=1)
        month = await SpendingStore(two.database).of("2026-03")
        assert (month.posts, month.users, round(month.usd, 6)) == (11, 1, 0.112)


async def test_a_month_ends_at_midnight_utc(tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC))
    async with desk(tmp_path, clock=clock, x_monthly_budget=1.0) as one:
        job = (await one.ask()).job
        await one.spending.charge(job.id, "a", posts=200)
        with pytest.raises(Spent):
            await one.spending.check(1)
        clock.advance(1)
        await one.spending.check(200)
        assert (await SpendingStore(one.database).of("2026-03")).posts == 200


async def test_where_nothing_costs_anything_all_is_affordable(tmp_path: Path) -> None:
    async with desk(tmp_path, x_post_price=0, x_user_price=0, x_monthly_budget=0) as one:
        await one.spending.check(3200, accounts=1)
