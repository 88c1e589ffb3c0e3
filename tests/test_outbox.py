"""The rules of delivery, with a Discord that does what a test says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.clock import Clock
from bot.errors import GenerationError
from bot.messages import Message
from bot.outbox import Later, Outbox, Refused, Unreadable
from storage.database import Database
from storage.posts import Post, PostKind, PostState, PostStore
from storage.schedules import Policy, ScheduleStore
from tests.clock import ManualClock
from tests.records import NOON

Answer = Exception | None


class Scripted(Outbox):
    """Answers each text as it is told, once each; an answer that is missing is success."""

    def __init__(self, database: Database, fill_due: Callable[[Post], object] | None = None, clock: Clock | None = None) -> None:
        super().__init__(database=database, clock=clock or ManualClock(NOON), fill_due=fill_due or self._nothing_due, settle_s=0)  # type: ignore[arg-type] # a test's is simpler
        self.answers: dict[str, Answer] = {}
        self.in_channel: dict[str, int] = {}
        self.readable: Exception | None = None
        self.sent: list[str] = []
        self.states_while_sending: list[PostState] = []
        self.at_once: dict[int, int] = {}

    async def _nothing_due(self, _: Post) -> Post | None:
        return None

    async def prepare(self, post: Post, message: Message) -> None:
        pass

    async def transmit(self, post: Post, message: Message) -> int:
        self.at_once[post.channel_id] = self.at_once.get(post.channel_id, 0) + 1
        assert self.at_once[post.channel_id] == 1
        stored = await PostStore(self._database).get(post.id)
        assert stored is not None
        self.states_while_sending.append(stored.state)
        await asyncio.sleep(0)
        self.at_once[post.channel_id] -= 1
        answer = self.answers.pop(message.content, None)
        if isinstance(answer, Later | Refused):
            raise answer
        self.sent.append(message.content)
        if isinstance(answer, Lost):
            if answer.arrived:
                self.in_channel[message.content] = 500 + post.id
            raise answer
        return 500 + post.id

    async def find(self, _: Post, message: Message) -> int | None:
        if self.readable is not None:
            raise self.readable
        return self.in_channel.get(message.content)


class Lost(Exception):
    """No answer came."""

    def __init__(self, *, arrived: bool) -> None:
        super().__init__()
        self.arrived = arrived


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "mynah.sqlite3")
    yield database
    await database.close()


async def add(
    database: Database,
    text: str,
    *,
    channel: int = 8,
    state: PostState = "pending",
    kind: PostKind = "say",
    job_id: int | None = None,
    schedule_id: int | None = None,
) -> int:
    async with database.transaction() as tx:
        post = await PostStore(database).insert(
            tx,
            dedupe_key=f"{channel}:{text}",
            kind=kind,
            guild_id=7,
            channel_id=channel,
            created_by=42,
            now=NOON,
            state="pending" if state == "sending" else state,
            message=None if state == "due" else Message(text).to_dict(),
            job_id=job_id,
            schedule_id=schedule_id,
        )
        assert post is not None
        if state == "sending":
            await PostStore(database).mark_sending(tx, post.id, NOON)
    return post.id


@asynccontextmanager
async def running(outbox: Outbox) -> AsyncIterator[None]:
    task = asyncio.create_task(outbox.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def settle(outbox: Outbox, *post_ids: int) -> list[Post]:
    async with running(outbox):
        return await outbox.delivered(post_ids, 20)


async def test_a_post_is_sending_before_it_leaves_and_sent_after(database: Database) -> None:
    outbox = Scripted(database)
    [post] = await settle(outbox, await add(database, "one"))
    assert outbox.states_while_sending == ["sending"]
    assert (post.state, post.message_id) == ("sent", 500 + post.id)


async def test_posts_of_a_channel_go_one_at_a_time_in_order(database: Database) -> None:
    outbox = Scripted(database)
    wanted = [str(number) for number in range(8)]
    ids = [await add(database, text) for text in wanted]
    await settle(outbox, *ids)
    assert outbox.sent == wanted


async def test_a_post_that_comes_while_it_runs_is_delivered(database: Database) -> None:
    outbox = Scripted(database)
    async with running(outbox):
        for number in range(5):
            post_id = await add(database, str(number))
            outbox.wake()
            [post] = await outbox.delivered([post_id], 20)
            assert post.state == "sent"


async def test_a_refused_post_has_failed_and_the_next_one_goes(database: Database) -> None:
    outbox = Scripted(database)
    outbox.answers = {"one": Refused("The channel is gone.")}
    first, second = await settle(outbox, await add(database, "one"), await add(database, "two"))
    assert (first.state, first.error) == ("failed", "The channel is gone.")
    assert second.state == "sent"


async def test_not_now_is_tried_again_in_order(database: Database) -> None:
    outbox = Scripted(database)
    outbox.answers = {"one": Later(0)}
    posts = await settle(outbox, await add(database, "one"), await add(database, "two"))
    assert [post.state for post in posts] == ["sent", "sent"]
    assert outbox.sent == ["one", "two"]


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_lost_answer_is_looked_up_and_never_sent_twice(database: Database, arrived: bool) -> None:
    outbox = Scripted(database)
    outbox.answers = {"one": Lost(arrived=arrived)}
    [post] = await settle(outbox, await add(database, "one"))
    assert post.state == "sent"
    assert outbox.sent == (["one"] if arrived else ["one", "one"])


async def test_what_a_dead_bot_was_sending_is_looked_up_first(database: Database) -> None:
    outbox = Scripted(database)
    there, absent = await add(database, "there", state="sending"), await add(database, "absent", state="sending")
    outbox.in_channel = {"there": 99}
    first, second = await settle(outbox, there, absent)
    assert (first.state, first.message_id) == ("sent", 99)
    assert second.state == "sent"
    assert outbox.sent == ["absent"]


async def test_what_cannot_be_looked_up_is_unknown_and_not_sent(database: Database) -> None:
    outbox = Scripted(database)
    outbox.readable = Unreadable("Nobody can tell.")
    [post] = await settle(outbox, await add(database, "one", state="sending"))
    assert (post.state, post.error, outbox.sent) == ("unknown", "Nobody can tell.", [])


async def test_what_stood_in_a_deleted_channel_has_failed(database: Database) -> None:
    outbox = Scripted(database)
    outbox.readable = Refused("The channel is gone.")
    [post] = await settle(outbox, await add(database, "one", state="sending"))
    assert post.state == "failed"


async def test_a_due_post_is_made_first(database: Database) -> None:
    async def fill(post: Post) -> Post | None:
        async with database.transaction() as tx:
            await PostStore(database).fill(
                tx,
                post.id,
                message=Message("spoken").to_dict(),
                character_id=None,
                model_id=None,
                prompt=None,
                seed=None,
                text=None,
                why=None,
            )
        return await PostStore(database).get(post.id)

    outbox = Scripted(database, fill)
    [post] = await settle(outbox, await add(database, "due", state="due"))
    assert (post.state, outbox.sent) == ("sent", ["spoken"])


@pytest.mark.parametrize(
    ("error", "told"), [(GenerationError("16 tries, nothing."), "16 tries, nothing."), (KeyError("x"), "Something went wrong")]
)
async def test_a_due_post_that_cannot_be_made_does_not_hold_up_its_channel(database: Database, error: Exception, told: str) -> None:
    async def fill(_: Post) -> Post | None:
        raise error

    first, second = await settle(Scripted(database, fill), await add(database, "due", state="due"), await add(database, "two"))
    assert first.state == "failed"
    assert told in (first.error or "")
    assert second.state == "sent"


async def test_waiting_for_delivery_ends_at_its_time(database: Database) -> None:
    [post] = await Scripted(database).delivered([await add(database, "one")], 0.01)
    assert post.state == "pending"


async def test_a_channel_that_waits_does_not_hold_up_the_others(database: Database) -> None:
    outbox = Scripted(database)
    outbox.answers = {"stuck": Later(3600)}
    await add(database, "stuck", channel=8)
    [post] = await settle(outbox, await add(database, "free", channel=9))
    assert post.state == "sent"


# Slots that waited for Discord.


async def add_slots(database: Database, count: int, policy: Policy) -> list[int]:
    """A schedule's posts, all of noon."""
    async with database.transaction() as tx:
        await tx.execute(
            "INSERT INTO characters (id, guild_id, handle, name, created_by, created_at) VALUES (3, 7, 'heron', 'Heron', 42, '2026')"
        )
        schedule = await ScheduleStore(database).insert(
            tx,
            guild_id=7,
            channel_id=8,
            character_id=3,
            cron="0 * * * *",
            zone="UTC",
            prompt="",
            policy=policy,
            grace_s=900,
            next_at=NOON,
            created_by=42,
            now=NOON,
        )
    return [await add(database, f"slot {number}", kind="schedule", schedule_id=schedule.id) for number in range(count)]


@pytest.mark.fault(16)
@pytest.mark.parametrize(("policy", "wanted"), [("once", ["slot 2"]), ("skip", [])])
async def test_slots_that_waited_for_days_are_no_burst(database: Database, policy: Policy, wanted: list[str]) -> None:
    """Of the posts of a schedule that piled up while Discord was away, the newest is posted, or none if the schedule skips what is late."""
    clock = ManualClock(NOON)
    outbox = Scripted(database, clock=clock)
    ids = await add_slots(database, 3, policy)
    clock.advance(days=3)
    posts = await settle(outbox, *ids)
    assert outbox.sent == wanted
    assert [post.state for post in posts] == ["failed"] * (3 - len(wanted)) + ["sent"] * len(wanted)
    assert "4320 minutes late" in (posts[0].error or "")


async def test_slots_within_their_grace_are_all_posted(database: Database) -> None:
    clock = ManualClock(NOON)
    outbox = Scripted(database, clock=clock)
    ids = await add_slots(database, 2, "skip")
    clock.advance(900)
    await settle(outbox, *ids)
    assert outbox.sent == ["slot 0", "slot 1"]


async def test_an_old_slot_that_may_have_arrived_is_looked_for_all_the_same(database: Database) -> None:
    clock = ManualClock(NOON)
    outbox = Scripted(database, clock=clock)
    [first, _] = await add_slots(database, 2, "once")
    async with database.transaction() as tx:
        await PostStore(database).mark_sending(tx, first, NOON)
    outbox.in_channel = {"slot 0": 77}
    clock.advance(days=3)
    [post] = await settle(outbox, first)
    assert (post.state, post.message_id) == ("sent", 77)
