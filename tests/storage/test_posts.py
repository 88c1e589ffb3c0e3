"""The outbox's rows: each promise once, and only the ways between states that there are."""

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from storage.database import Database
from storage.posts import Post, PostState, PostStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORDS: dict[str, Any] = {
    "message": {"content": "Fish."},
    "character_id": None,
    "model_id": None,
    "prompt": "",
    "seed": 3,
    "text": "Fish.",
    "why": {"overlap": 0.1},
}


async def insert(database: Database, key: str = "interaction:1:0", **changes: Any) -> Post | None:
    values: dict[str, Any] = {"kind": "say", "guild_id": 7, "channel_id": 8, "created_by": 9, "now": NOON}
    async with database.transaction() as tx:
        return await PostStore(database).insert(tx, dedupe_key=key, **{**values, **changes})


async def test_a_promise_is_kept_once(database: Database) -> None:
    post = await insert(database, message={"content": "é"})
    assert post is not None
    assert post.message == {"content": "é"}
    assert await insert(database, message={"content": "other"}) is None
    assert await PostStore(database).by_dedupe_key("interaction:1:0") == post


async def test_the_nonce_depends_on_the_key_alone(database: Database) -> None:
    posts = [await insert(database, key, created_by=n) for n, key in enumerate(("a", "b"))]
    nonces = {post.nonce for post in posts if post}
    assert len(nonces) == 2
    assert {len(nonce) for nonce in nonces} == {25}
    assert "ca978112ca1bbdcafac231b39" in nonces, "it must be the same after every restart and in every version"


async def test_a_due_post_gets_its_words_once(database: Database) -> None:
    post = await insert(database, state="due")
    assert post is not None
    store = PostStore(database)
    assert [due.id for due in await store.due()] == [post.id]
    assert await store.in_state("pending") == []
    async with database.transaction() as tx:
        assert await store.fill(tx, post.id, **WORDS)
        assert not await store.fill(tx, post.id, **{**WORDS, "text": "Eel."})
    [pending] = await store.in_state("pending")
    assert (pending.text, pending.seed, pending.why, pending.message) == ("Fish.", 3, {"overlap": 0.1}, {"content": "Fish."})


MARKS: dict[str, set[PostState]] = {
    "fill": {"due"},
    "mark_sending": {"pending"},
    "mark_sent": {"sending", "unknown"},
    "mark_pending": {"sending", "unknown"},
    "mark_failed": {"due", "pending", "sending", "unknown"},
    "mark_unknown": {"sending"},
    "confirm": {"unknown"},
    "repeat": {"unknown"},
    "mark_deleted": {"due", "pending", "sent", "failed", "unknown"},
}
ARGUMENTS: dict[str, tuple[object, ...]] = {
    "mark_sending": (NOON,),
    "mark_sent": (77, NOON),
    "mark_failed": ("refused",),
    "confirm": (NOON,),
    "mark_unknown": ("no answer",),
}


@pytest.mark.parametrize("mark", MARKS)
async def test_a_state_is_left_only_on_its_ways(database: Database, mark: str) -> None:
    store = PostStore(database)
    for state in get_args(PostState):
        post = await insert(database, state, state=state)
        assert post is not None
        async with database.transaction() as tx:
            moved = await getattr(store, mark)(tx, post.id, *ARGUMENTS.get(mark, ()), **(WORDS if mark == "fill" else {}))
        after = await store.get(post.id)
        assert after is not None
        assert moved == (state in MARKS[mark]), state
        assert (after == post) == (not moved), state


async def test_recent_texts_are_what_was_sent_newest_first(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute(
            "INSERT INTO characters (id, guild_id, handle, name, created_by, created_at) VALUES (3, 7, 'heron', 'Heron', 9, '2026')"
        )
    for number in range(4):
        await insert(database, f"sent:{number}", state="sent", character_id=3, text=f"text {number}")
    await insert(database, "failed", state="failed", character_id=3, text="never seen")
    await insert(database, "other", state="sent", text="of another")
    assert await PostStore(database).recent_texts(3, limit=3) == ["text 3", "text 2", "text 1"]
