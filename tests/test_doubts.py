"""Posts of which nobody knows whether they arrived: asked about once, and what an answer does."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.doubts import Doubts
from bot.errors import NotFound
from bot.messages import Message
from storage.database import Database
from storage.posts import Post, PostKind, PostStore
from tests.clock import ManualClock
from tests.records import NOON


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "mynah.sqlite3")
    yield database
    await database.close()


def doubts_of(database: Database) -> Doubts:
    return Doubts(database=database, clock=ManualClock(NOON))


async def doubtful(database: Database, key: str = "one", kind: PostKind = "say") -> Post:
    store = PostStore(database)
    async with database.transaction() as tx:
        post = await store.insert(
            tx, dedupe_key=key, kind=kind, guild_id=7, channel_id=8, created_by=42, now=NOON, message=Message(f"text {key}").to_dict()
        )
        assert post is not None
        await store.mark_sending(tx, post.id, NOON)
        await store.mark_unknown(tx, post.id, "Nobody can tell.")
    found = await store.get(post.id)
    assert found is not None
    return found


async def questions(database: Database) -> list[Post]:
    return [post for post in await PostStore(database).in_state("pending") if post.kind == "question"]


async def test_each_unknown_post_is_asked_about_once_whoever_starts_how_often(database: Database) -> None:
    posts = [await doubtful(database, key) for key in ("one", "two")]
    for _ in range(3):
        await doubts_of(database).ask()
    asked = await questions(database)
    assert [question.about_id for question in asked] == [post.id for post in posts]
    assert {(question.channel_id, question.guild_id) for question in asked} == {(8, 7)}
    assert all(part in (asked[0].message or {})["content"] for part in ("text one", "Nobody can tell.", "<#8>"))


@pytest.mark.parametrize("kind", ["question", "notice"])
async def test_nobody_is_asked_about_a_question_or_a_notice(database: Database, kind: PostKind) -> None:
    await doubtful(database, kind=kind)
    await doubts_of(database).ask()
    assert await questions(database) == []
    assert await doubts_of(database).list(7) == []


@pytest.mark.fault(23)
@pytest.mark.parametrize(("there", "state"), [(True, "sent"), (False, "pending")])
async def test_the_first_answer_counts(database: Database, there: bool, state: str) -> None:
    """A person says whether an unknown post is there or shall be posted again; whatever is pressed later changes nothing."""
    post = await doubtful(database)
    doubts = doubts_of(database)
    assert [listed.id for listed in await doubts.list(7)] == [post.id]
    assert (await doubts.settle(post, there=there, by=1)).state == state
    for later in (True, False):
        assert (await doubts.settle(post, there=later, by=2)).state == state
    assert await doubts.list(7) == []


async def test_a_post_that_is_unknown_again_is_asked_about_again(database: Database) -> None:
    post, store = await doubtful(database), PostStore(database)
    doubts = doubts_of(database)
    await doubts.ask()
    await doubts.settle(post, there=False, by=1)
    async with database.transaction() as tx:
        await store.mark_sending(tx, post.id, NOON.replace(hour=15))
        await store.mark_unknown(tx, post.id, "Nobody can tell.")
    for _ in range(2):
        await doubts.ask()
    assert len(await questions(database)) == 2


async def test_a_post_of_another_server_is_not_found(database: Database) -> None:
    post = await doubtful(database)
    assert (await doubts_of(database).get(post.id, guild_id=7)).id == (await doubts_of(database).get(post.id, guild_id=None)).id
    for number, guild in ((post.id, 70), (99, 7)):
        with pytest.raises(NotFound, match="There is no post"):
            await doubts_of(database).get(number, guild_id=guild)
