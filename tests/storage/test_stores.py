"""Characters, corpora, models, schedules, facts and webhooks, and what goes with a character."""

import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.characters import Character, CharacterStore
from storage.corpora import CorpusStore
from storage.database import Database, Transaction
from storage.facts import FactStore
from storage.jobs import JobStore
from storage.models import ModelStore
from storage.posts import PostStore
from storage.schedules import Schedule, ScheduleStore
from storage.spending import Month, SpendingStore
from storage.times import from_text, to_text
from storage.webhooks import Webhook, WebhookStore
from tests.storage.test_jobs import claim, inserted

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def test_a_months_spending_only_grows(database: Database) -> None:
    store = SpendingStore(database)
    assert await store.of("2026-11") == Month("2026-11", 0, 0, 0.0)
    for posts in (100, 50):
        async with database.transaction() as tx:
            await store.add(tx, "2026-11", posts=posts, users=1, usd=posts / 200)
    assert await store.of("2026-11") == Month("2026-11", 150, 2, 0.75)
    assert (await store.of("2026-12")).posts == 0


async def test_a_mash_up_knows_whose_tweets_it_learned_from(database: Database) -> None:
    assert (await ensure(database, 7, "nasa+sensanders")).handles == ("nasa", "sensanders")
    assert (await ensure(database, 7, "alice@example.social")).handles == ("alice@example.social",)


async def ensure(database: Database, guild_id: int, handle: str = "heron") -> Character:
    async with database.transaction() as tx:
        return await CharacterStore(database).ensure(tx, guild_id=guild_id, handle=handle, name=handle.title(), created_by=9, now=NOON)


async def add_corpus(database: Database, tx: Transaction, character_id: int, **changes: Any) -> int:
    counts = {"downloaded": 10, "retweets": 2, "short": 1, "kept": 7, "duplicates": 1, "cut": 1, "characters": 9000}
    return await CorpusStore(database).insert(
        tx,
        character_id=character_id,
        file_name="heron.zip",
        first_tweet_at=None,
        last_tweet_at=NOON,
        dataset_sha256="ab",
        now=NOON,
        **{**counts, **changes},
    )


async def add_model(database: Database, character_id: int, job_id: int) -> int:
    models = ModelStore(database)
    async with database.transaction() as tx:
        corpus_id = await add_corpus(database, tx, character_id)
        return await models.insert(
            tx,
            character_id=character_id,
            version=await models.next_version(tx, character_id),
            base="nano",
            base_name="nano",
            recipe={"rank": 16},
            corpus_id=corpus_id,
            job_id=job_id,
            heldout_base=4.0,
            heldout_model=3.0,
            steps=10,
            seconds=1.5,
            files={"a.safetensors": "ff"},
            samples=("Fish.",),
            evaluation={"copies": 0.01},
            now=NOON,
        )


async def add_schedule(database: Database, character_id: int, next_at: datetime = NOON) -> Schedule:
    async with database.transaction() as tx:
        return await ScheduleStore(database).insert(
            tx,
            guild_id=7,
            channel_id=8,
            character_id=character_id,
            cron="0 9 * * *",
            zone="UTC",
            prompt="",
            policy="once",
            grace_s=900,
            next_at=next_at,
            created_by=9,
            now=NOON,
        )


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))])), st.datetimes(timezones=st.just(UTC)))
def test_the_order_of_texts_is_the_order_of_times(a: datetime, b: datetime) -> None:
    assert from_text(to_text(b)) == b
    if a.year not in (1, 9999):
        assert from_text(to_text(a)) == a
        assert (to_text(a) < to_text(b)) == (a < b)


def test_a_time_without_a_zone_is_an_error() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        to_text(datetime(2026, 3, 1))  # noqa: DTZ001


async def test_the_servers_own_character_comes_before_the_shells(database: Database) -> None:
    store = CharacterStore(database)
    shell, other = await ensure(database, 0), await ensure(database, 70)
    wren = await ensure(database, 0, "wren")
    assert await store.find(7, "heron") == shell
    own = await ensure(database, 7)
    assert await ensure(database, 7) == own
    assert await store.find(7, "heron") == own
    assert await store.find(7, "nobody") is None
    assert await store.list(7) == [own, wren]
    assert await store.list(0) == [shell, wren]
    assert {character.id for character in await store.list_all()} == {shell.id, other.id, own.id, wren.id}


async def test_versions_are_counted_per_character_and_one_speaks(database: Database) -> None:
    job = await inserted(database)
    heron, wren = await ensure(database, 7), await ensure(database, 7, "wren")
    first, second = await add_model(database, heron.id, job.id), await add_model(database, heron.id, job.id)
    await add_model(database, wren.id, job.id)
    models = ModelStore(database)
    assert [(model.id, model.version) for model in await models.list(heron.id)] == [(second, 2), (first, 1)]
    assert await models.ids() == {(heron.id, 1), (heron.id, 2), (wren.id, 1)}
    async with database.transaction() as tx:
        await CharacterStore(database).activate(tx, heron.id, first)
        await CharacterStore(database).activate(tx, heron.id, second, name="Grey Heron")
    active = await CharacterStore(database).get(heron.id)
    assert active is not None
    assert (active.active_model_id, active.name) == (second, "Grey Heron")
    model = await models.get(second)
    assert model is not None
    assert model.evaluation == {"copies": 0.01}
    assert (model.recipe, model.files, model.samples) == ({"rank": 16}, {"a.safetensors": "ff"}, ("Fish.",))


async def test_counts_that_do_not_add_up_are_refused(database: Database) -> None:
    heron = await ensure(database, 7)
    with pytest.raises(sqlite3.IntegrityError):
        async with database.transaction() as tx:
            await add_corpus(database, tx, heron.id, kept=8)
    assert await CorpusStore(database).ids() == set()


async def test_deleting_a_character_takes_what_is_its_own_and_leaves_the_history(database: Database) -> None:
    heron = await ensure(database, 7)
    await inserted(database)
    job = await claim(database)
    assert job is not None
    model_id = await add_model(database, heron.id, job.id)
    schedule = await add_schedule(database, heron.id)
    async with database.transaction() as tx:
        await CharacterStore(database).activate(tx, heron.id, model_id)
        await JobStore(database).finish(tx, job.id, state="succeeded", now=NOON, attempt=1, model_id=model_id)
        post = await PostStore(database).insert(
            tx,
            dedupe_key="a",
            kind="schedule",
            guild_id=7,
            channel_id=8,
            created_by=9,
            now=NOON,
            character_id=heron.id,
            model_id=model_id,
            job_id=job.id,
            schedule_id=schedule.id,
        )
    async with database.transaction() as tx:
        assert await CharacterStore(database).delete(tx, heron.id)
        assert not await CharacterStore(database).delete(tx, heron.id)
    assert await ModelStore(database).ids() == set()
    assert await CorpusStore(database).ids() == set()
    assert await ScheduleStore(database).all() == []
    assert post is not None
    left = await PostStore(database).get(post.id)
    assert left is not None
    assert (left.character_id, left.model_id, left.schedule_id, left.job_id) == (None, None, None, job.id)
    again = await ensure(database, 7)
    assert again.id > heron.id, "its folder and its buttons must never be another's"


async def test_schedules_come_due_and_advance_once(database: Database) -> None:
    store = ScheduleStore(database)
    assert await store.earliest(NOON - timedelta(days=1)) is None
    heron = await ensure(database, 7)
    late, early = await add_schedule(database, heron.id, NOON + timedelta(hours=1)), await add_schedule(database, heron.id)
    assert await store.earliest(NOON - timedelta(days=1)) == NOON
    assert await store.earliest(NOON) == NOON + timedelta(hours=1)
    assert await store.due(NOON - timedelta(microseconds=1)) == []
    assert await store.due(NOON + timedelta(hours=1)) == [early, late]
    tomorrow = NOON + timedelta(days=1)
    async with database.transaction() as tx:
        assert await store.advance(tx, early.id, expected=NOON, next_at=tomorrow)
        assert not await store.advance(tx, early.id, expected=NOON, next_at=tomorrow + timedelta(days=1))
    assert [schedule.next_at for schedule in await store.list(7)] == [late.next_at, tomorrow]
    assert await store.count(7) == 2
    async with database.transaction() as tx:
        assert await store.delete(tx, late.id)
        assert not await store.delete(tx, late.id)
    assert (await add_schedule(database, heron.id)).id > early.id, "an id in dedupe keys is never given twice"


async def test_facts_and_webhooks_are_replaced(database: Database) -> None:
    facts, webhooks = FactStore(database), WebhookStore(database)
    for value in ("1", "2"):
        async with database.transaction() as tx:
            await facts.put(tx, "commands_hash", value)
            await webhooks.put(tx, Webhook(8, 100, f"secret-{value}"), now=NOON)
    assert await facts.get("commands_hash") == "2"
    assert await facts.get("nothing") is None
    webhook = await webhooks.get(8)
    assert webhook == Webhook(8, 100, "secret-2")
    assert "secret" not in repr(webhook)
    async with database.transaction() as tx:
        await webhooks.delete(tx, 8)
    assert await webhooks.get(8) is None
