"""Spending: what reading from X costs, said before it is spent and counted page by page, and the most that may go in a month."""

from dataclasses import dataclass

from bot.clock import Clock
from bot.config import Settings
from bot.errors import Spent
from storage.database import Database
from storage.jobs import JobStore
from storage.spending import SpendingStore

PAID = "paid"
"""In a job's history: something that it has read was counted."""


@dataclass(frozen=True)
class Cost:
    """What reading would cost at most, beside what there is for it. In US dollars."""

    posts: int
    """So many at most."""
    usd: float
    """With the accounts that are looked up."""
    spent_usd: float
    """This month already."""
    budget_usd: float
    """For the month in all."""

    @property
    def left_usd(self) -> float:
        """Of this month's budget."""
        return max(0.0, self.budget_usd - self.spent_usd)

    @property
    def is_affordable(self) -> bool:
        """Whether it would stay within the budget; a rounding error of a thousandth of a cent is none."""
        return self.usd <= self.left_usd + 1e-5


class Spending:
    """The money that goes to X."""

    def __init__(self, *, database: Database, settings: Settings, clock: Clock) -> None:
        self._database, self._settings, self._clock = database, settings, clock
        self._store, self._jobs = SpendingStore(database), JobStore(database)

    async def estimate(self, posts: int, *, accounts: int = 1) -> Cost:
        """What it costs at most to look up so many accounts and to read so many posts of all of them together."""
        spent = await self._store.of(self._month())
        usd = posts * self._settings.x_post_price + accounts * self._settings.x_user_price
        return Cost(posts, usd, spent.usd, self._settings.x_monthly_budget)

    async def check(self, posts: int, *, accounts: int = 0) -> None:
        """See that it can be paid.

        Raises:
            Spent: it would go beyond this month's budget.
        """
        cost = await self.estimate(posts, accounts=accounts)
        if not cost.is_affordable:
            raise Spent(
                f"Reading {posts:,} posts at X would cost up to ${cost.usd:,.2f}, and ${cost.left_usd:,.2f} of this month's "
                f"${cost.budget_usd:,.2f} are left: upload an X archive, which costs nothing, wait for next month, or let the operator of "
                "this bot raise X_MONTHLY_BUDGET."
            )

    async def charge(self, job_id: int, what: str, *, posts: int = 0, accounts: int = 0) -> None:
        """Count what was read for a job, at today's prices, and write `what` it was into its history."""
        usd = posts * self._settings.x_post_price + accounts * self._settings.x_user_price
        async with self._database.transaction() as tx:
            await self._store.add(tx, self._month(), posts=posts, users=accounts, usd=usd)
            await self._jobs.record(tx, job_id, PAID, what, self._clock.now())

    def _month(self) -> str:
        return f"{self._clock.now():%Y-%m}"
