"""The message that shows a job: how often it is edited, and when it is sent anew."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from bot.board import INTERVAL_S, REPLY_GRACE, Board
from bot.executor.contract import Progress
from bot.jobs import Place
from bot.messages import Message
from bot.outbox import Later, Refused
from storage.database import Database
from storage.jobs import Job, JobStore
from tests.clock import ManualClock
from tests.records import NOON, training_of


@dataclass
class Desk:
    """A board with a channel that is a list, and a clock that waits for nobody."""

    database: Database
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    log: list[str] = field(default_factory=list)
    """What happened, in order: edit, send and wait."""
    answers: list[Exception | bool] = field(default_factory=list)
    """To edits; True when there is none left."""
    board: Board = field(init=False)

    def __post_init__(self) -> None:
        self.board = Board(database=self.database, queue=cast("Any", self), poster=cast("Any", self), clock=self.clock)

    async def place(self, _: Job) -> Place:
        return Place(2, 60.0)

    async def edit(self, _: int, message_id: int, message: Message) -> bool:
        self.log.append(f"edit {message_id}: {message.content.splitlines()[1]}")
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def send(self, _: int, message: Message, *, nonce: str) -> int:
        self.log.append(f"send {nonce}: {message.content.splitlines()[1]}")
        return 77

    async def job(self, *, message_id: int | None = 5, guild_id: int = 7) -> Job:
        store = JobStore(self.database)
        async with self.database.transaction() as tx:
            job = await store.insert(
                tx, training_of("heron", Path("x")), guild_id=guild_id, channel_id=8, user_id=42, dedupe_key="1", now=NOON
            )
            assert job is not None
            if message_id is not None:
                await store.set_message(tx, job.id, message_id)
        return job

    async def start(self, job: Job) -> None:
        async with self.database.transaction() as tx:
            await JobStore(self.database).claim(tx, owner="test", now=NOON, job_id=job.id)

    async def rest(self) -> None:
        """Until the board has nothing to do."""
        while self.board._tasks:
            await asyncio.gather(*self.board._tasks.values())


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    database = await Database.open(tmp_path / "mynah.sqlite3")
    desk = Desk(database)
    real_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        desk.log.append(f"wait {seconds}")
        desk.clock.advance(seconds)
        await real_sleep(0)

    monkeypatch.setattr("bot.board.asyncio.sleep", sleep)
    yield desk
    await database.close()


async def test_between_two_edits_lies_the_interval_and_the_newest_counts(desk: Desk) -> None:
    job = await desk.job()
    await desk.start(job)
    for percent in (10, 20, 30):
        desk.board.show(job, Progress("training", percent / 100))
    while len(desk.log) < 1:
        await asyncio.sleep(0)  # counted below as a wait of 0 s
    desk.board.show(job, Progress("training", 0.4))
    await desk.rest()
    assert [entry for entry in desk.log if entry != "wait 0"] == [
        "edit 5: `██████░░░░░░░░░░░░░░` 30% · training",
        f"wait {INTERVAL_S}",
        "edit 5: `████████░░░░░░░░░░░░` 40% · training",
        f"wait {INTERVAL_S}",
    ]


async def test_a_message_that_is_gone_is_sent_anew_and_remembered(desk: Desk) -> None:
    job = await desk.job()
    desk.answers = [False]
    desk.board.show(job)
    await desk.rest()
    assert desk.log[1] == f"send {job.id}:5: Queued, 2nd, about 1 min."
    stored = await JobStore(desk.database).get(job.id)
    assert stored is not None
    assert stored.message_id == 77


async def test_a_new_jobs_message_is_the_reply_unless_that_never_came(desk: Desk) -> None:
    desk.board.show(await desk.job(message_id=None))
    await desk.rest()
    sent = [number for number, entry in enumerate(desk.log) if entry.startswith("send")]
    assert len(sent) == 1
    assert timedelta(seconds=INTERVAL_S * sent[0]) >= REPLY_GRACE


async def test_a_job_that_no_reply_shows_is_posted_at_once(desk: Desk) -> None:
    desk.board.post(await desk.job(message_id=None))
    await desk.rest()
    assert [entry.split(":")[0] for entry in desk.log] == ["send 1", f"wait {INTERVAL_S}"]


async def test_what_discord_takes_later_is_shown_later(desk: Desk) -> None:
    desk.answers = [Later(1), Later(1)]
    desk.board.show(await desk.job())
    await desk.rest()
    assert len([entry for entry in desk.log if entry.startswith("edit")]) == 3


async def test_what_discord_refuses_is_given_up(desk: Desk) -> None:
    desk.answers = [Refused("no")]
    desk.board.show(await desk.job())
    await desk.rest()
    assert len([entry for entry in desk.log if entry.startswith("edit")]) == 1


async def test_of_a_job_that_has_ended_no_new_message_is_sent(desk: Desk) -> None:
    job = await desk.job()
    async with desk.database.transaction() as tx:
        await JobStore(desk.database).finish(tx, job.id, state="cancelled", now=NOON, attempt=0)
    desk.answers = [False]
    desk.board.show(job)
    await desk.rest()
    assert [entry.split(":")[0] for entry in desk.log] == ["edit 5", f"wait {INTERVAL_S}"]


async def test_those_that_wait_are_shown_when_the_queue_moves(desk: Desk) -> None:
    await desk.job()
    await desk.board.show_queue()
    await desk.rest()
    assert desk.log[0] == "edit 5: Queued, 2nd, about 1 min."


async def test_a_job_of_the_shell_has_no_message(desk: Desk) -> None:
    desk.board.show(await desk.job(guild_id=0))
    await desk.rest()
    assert desk.log == []
