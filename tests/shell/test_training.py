"""Training at the shell from a source: its cost is agreed to before, and what makes it wait is said."""

import io
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from rich.console import Console

import bot.app
import bot.intake
from bot.backups import DATABASE
from bot.config import Settings
from bot.errors import BadInput, Missing, NotAllowed, RateLimited, Spent, TrainingError
from bot.shell import console, privacy, training
from bot.shell.accounts import read_accounts
from bot.tweets.accounts import Service
from storage.requests import Claim
from tests.contracts.fake_executor import FakeExecutor
from tests.fake_source import FakeSource, posts

LATER = datetime.now(UTC) + timedelta(hours=1)


class Shell:
    """The command, with a source and an executor in memory."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        self.source, self.executor = FakeSource(posts(25)), FakeExecutor()
        self.made: list[str] = []
        self.errors = io.StringIO()
        for module in (bot.app, bot.intake):
            monkeypatch.setattr(module, "make_source", self._make)
        monkeypatch.setattr(bot.app, "make_executor", lambda _: self.executor)
        self.sits_there(monkeypatch, answers=None)

    def sits_there(self, monkeypatch: pytest.MonkeyPatch, *, answers: str | None) -> None:
        """Let somebody type this at a terminal; None: there is none."""
        status = Console(file=self.errors, force_terminal=answers is not None, width=300)
        monkeypatch.setattr(status, "input", lambda *_, **__: answers)
        for module in (console, training):
            monkeypatch.setattr(module, "status", status)

    def _make(self, name: str, *_: Any, **__: Any) -> FakeSource:
        self.made.append(name)
        return self.source

    async def train(
        self, *, source: Service = "x", consent: Claim | None = "own", yes: bool = True, budget: float = 20.0
    ) -> dict[str, Any]:
        # A closed executor starts nothing.
        self.executor.closed = False
        settings = Settings(
            _env_file=None,
            mynah_home=self.home,
            x_enabled="i-have-read-the-terms",
            x_bearer_token=SecretStr("made-up"),
            x_monthly_budget=budget,
            base_model="nano",
        )
        wanted = read_accounts(["@Heron"], [])
        return await training.train(settings, wanted, source=source, consent=consent, base=None, seed=1, preset="default", yes=yes)

    def rows(self, sql: str) -> list[Any]:
        with closing(sqlite3.connect(self.home / DATABASE)) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(tmp_path / "data", monkeypatch)


async def test_what_is_read_is_trained_on_and_paid_for(shell: Shell) -> None:
    made = await shell.train()
    assert (made["character"], made["handles"], made["model_version"]) == ("heron", ("heron",), 1)
    assert shell.source.asked
    assert shell.executor.started[0].sources[0].basis == "own"
    assert "up to $16.01" in shell.errors.getvalue()
    assert shell.rows("SELECT posts, users FROM spending") == [(25, 1)]
    assert shell.rows("SELECT handle, basis FROM consents") == [("heron", "own")]


@pytest.mark.parametrize(("answer", "goes_on"), [("y", True), ("n", False), ("", False)])
async def test_at_a_terminal_the_cost_is_asked(answer: str, shell: Shell, monkeypatch: pytest.MonkeyPatch, *, goes_on: bool) -> None:
    shell.sits_there(monkeypatch, answers=answer)
    if goes_on:
        assert (await shell.train(yes=False))["model_version"] == 1
        return
    with pytest.raises(BadInput, match="Nothing was done"):
        await shell.train(yes=False)
    assert shell.source.requests == 0
    assert shell.rows("SELECT count(*) FROM jobs") == [(0,)]


async def test_where_nobody_can_be_asked_nothing_is_spent(shell: Shell) -> None:
    with pytest.raises(BadInput, match=r"up to \$16\.01 .* --yes"):
        await shell.train(yes=False)
    assert shell.source.requests == 0


async def test_of_a_small_budget_as_much_is_read_as_there_is_to_read(shell: Shell) -> None:
    shell.source.profile_posts = 25
    assert (await shell.train(budget=1.0))["model_version"] == 1
    assert "$1.00 of this month's $1.00 are left. It is refused when there are more posts" in shell.errors.getvalue()


async def test_more_posts_than_the_budget_pays_for_are_refused_once_they_are_counted(shell: Shell) -> None:
    shell.source.profile_posts = 500
    with pytest.raises(TrainingError, match=r"Reading 500 posts at X would cost up to \$2\.50"):
        await shell.train(budget=1.0)
    assert not shell.source.asked


async def test_what_cannot_even_be_looked_up_is_refused_before_it_is_asked(shell: Shell) -> None:
    with pytest.raises(Spent, match=r"\$0\.00 of this month's \$0\.00"):
        await shell.train(budget=0.0)
    assert shell.source.requests == 0
    assert shell.rows("SELECT count(*) FROM jobs") == [(0,)]


async def test_what_costs_nothing_is_not_asked(shell: Shell) -> None:
    assert (await shell.train(source="bluesky", yes=False))["model_version"] == 1
    assert "$" not in shell.errors.getvalue()


async def test_without_a_consent_the_operator_is_told_to_answer_for_it(shell: Shell) -> None:
    await shell.train(consent=None)
    assert "You answer for it that Mynah may learn from @heron" in shell.errors.getvalue()
    assert shell.rows("SELECT basis FROM consents") == [("operator",)]


async def test_an_account_that_has_opted_out_is_refused_before_its_source_is_asked_or_paid(shell: Shell) -> None:
    settings = Settings(_env_file=None, mynah_home=shell.home)
    await privacy.opt_out(settings, handle="heron")
    with pytest.raises(NotAllowed, match="opted out"):
        await shell.train(yes=False)
    assert shell.source.requests == 0
    await privacy.opt_in(settings, handle="heron")
    assert (await shell.train())["model_version"] == 1


async def test_a_source_that_has_had_enough_makes_it_wait_and_the_same_command_goes_on_when_it_may(shell: Shell) -> None:
    shell.source.fails = {2: RateLimited("X has had enough requests.", until=LATER)}
    with pytest.raises(TrainingError, match=r"X has had enough requests\. .* the same command again"):
        await shell.train()
    requests = shell.source.requests
    with pytest.raises(TrainingError, match="X has had enough"):
        await shell.train()
    assert shell.source.requests == requests, "it was asked before the time that it named"
    with closing(sqlite3.connect(shell.home / DATABASE)) as connection, connection:
        connection.execute("UPDATE jobs SET retry_at = '2026-01-01T00:00:00.000000+00:00'")
    assert (await shell.train())["model_version"] == 1
    assert "Job 1 was asked for before and goes on: from @heron on X." in shell.errors.getvalue()
    assert shell.source.looked_up == 1


async def test_an_account_that_is_not_there_is_said_in_the_sources_sentence(shell: Shell) -> None:
    shell.source.fails = {1: Missing("X has no account @heron: check the spelling.")}
    with pytest.raises(TrainingError, match="X has no account @heron: check the spelling"):
        await shell.train()
    assert not list((shell.home / "uploads").glob("*"))
