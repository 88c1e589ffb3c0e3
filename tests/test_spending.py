"""What X costs: said before, counted as it is read, and no more than a month may have."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.errors import Spent
from bot.registry import CUT_SHORT
from storage.corpora import CorpusStore
from storage.spending import SpendingStore
from tests.accounts import fetched, keep_files, paid, spent, with_source
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


# Of what an account costs.


async def test_what_would_go_beyond_the_budget_is_refused_with_the_numbers(tmp_path: Path) -> None:
    async with desk(tmp_path, x_monthly_budget=1.0) as one:
        source = with_source(one, 400, profile_posts=400)
        job = await fetched(one)
        assert job.state == "failed"
        assert "Reading 400 posts at X would cost up to $2.00, and $0.99 of this month's $1.00 are left" in (job.reason or "")
        assert source.asked == []
        assert await spent(one) == paid(0)
        one.clock.advance(hours=31 * 24)
        with_source(one, 100, profile_posts=100)
        assert (await fetched(one)).state == "succeeded"


async def test_a_small_account_needs_no_large_budget(tmp_path: Path) -> None:
    async with desk(tmp_path, x_monthly_budget=1.0) as one:
        with_source(one, 20, profile_posts=20)
        assert (await fetched(one)).state == "succeeded"


async def test_all_accounts_of_a_mash_up_must_be_within_the_budget_before_the_first_is_read(tmp_path: Path) -> None:
    async with desk(tmp_path, x_monthly_budget=1.0) as one:
        source = with_source(one, 120, profile_posts=120)
        job = await fetched(one, "heron", "wren")
        assert job.state == "failed"
        assert "Reading 240 posts" in (job.reason or "")
        assert source.asked == []


@pytest.mark.parametrize("out_of_money", ["ours", "theirs"])
async def test_money_that_ends_in_the_middle_ends_the_reading_and_not_the_job(tmp_path: Path, out_of_money: str) -> None:
    async with desk(tmp_path, x_monthly_budget=0.56) as one:
        source, given = with_source(one, 200, profile_posts=20, size=20), keep_files(one)
        if out_of_money == "theirs":
            source.fails = {3: Spent("The credit at X is used up.")}
        job = await fetched(one)
        assert job.state == "succeeded"
        assert [len(ids) for ids in given] == [20]
        corpus = await CorpusStore(one.database).get(1)
        assert corpus is not None
        assert corpus.warning is not None
        assert "Only the newest 20 posts of @heron on X were read." in corpus.warning
        assert CUT_SHORT in await one.history(job)
