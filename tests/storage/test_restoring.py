"""What a backup has forgotten is set right before it becomes the database."""

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from storage.copies import copy
from storage.database import Database
from storage.facts import FactStore
from storage.migrate import prepare
from storage.posts import PostStore
from storage.restoring import ASIDE, HOME, LATER, MARGIN, contents, fold, move, same_jobs, settle, settle_home
from storage.times import to_text
from tests.storage.conftest import NOON
from tests.storage.test_migrate import ROWS


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    """The rows of the migrations' test, and open posts and jobs."""
    path = tmp_path / "staged.sqlite3"
    prepare(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(ROWS)
        for number, state in enumerate(("due", "pending", "sending", "sent", "failed", "unknown", "deleted")):
            connection.execute(
                """INSERT INTO posts (id, dedupe_key, kind, guild_id, channel_id, state, nonce, created_by, created_at)
                   VALUES (?, ?, 'say', 7, 8, ?, ?, 42, ?)""",
                (100 + number, f"k{number}", state, f"n{number}", to_text(NOON)),
            )
        connection.execute("UPDATE jobs SET attempt = 1, state = 'running', owner = 'gone' WHERE id = 13")
        connection.commit()
    return path


def look(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] if len(row) == 1 else row for row in connection.execute(sql)]


def run(staged: Path, replaced: Path, **changes: Any) -> Any:
    wanted: dict[str, Any] = {"failed": set(), "attempts": {}, "aside": "replaced-x", "now": NOON + timedelta(days=2)}
    return settle(staged, replaced, **wanted | changes)


@pytest.mark.fault(32)
def test_what_may_have_been_sent_since_is_unknown_and_what_had_no_words_is_dropped(staged: Path) -> None:
    """After a restore nothing that was to be sent in the backup is sent by itself: it is unknown, and a person is asked."""
    settled = run(staged, staged.with_name("none"))
    assert (settled.unknown, settled.dropped) == (2, 1)
    assert look(staged, "SELECT state FROM posts WHERE id >= 100 ORDER BY id") == [
        "failed",
        "unknown",
        "unknown",
        "sent",
        "failed",
        "unknown",
        "deleted",
    ]
    assert all(look(staged, "SELECT error FROM posts WHERE id IN (100, 101, 102)"))


@pytest.mark.fault(32)
def test_slots_that_have_come_since_are_not_posted(staged: Path) -> None:
    """A slot that came between the backup and its restore is not posted again."""
    assert run(staged, staged.with_name("none")).schedules == 1
    assert look(staged, "SELECT next_at FROM schedules") == [to_text(LATER)]


def test_a_slot_to_come_is_left_alone(staged: Path) -> None:
    assert run(staged, staged.with_name("none"), now=NOON).schedules == 0
    assert look(staged, "SELECT next_at FROM schedules") != [to_text(LATER)]


def test_numbers_that_were_given_since_are_not_given_again(staged: Path, tmp_path: Path) -> None:
    replaced = Path(shutil.copy(staged, tmp_path / "replaced.sqlite3"))
    with closing(sqlite3.connect(replaced)) as connection, connection:
        connection.execute("UPDATE sqlite_sequence SET seq = 500 WHERE name = 'posts'")
        connection.execute("UPDATE sqlite_sequence SET seq = 1 WHERE name = 'jobs'")
    for _ in range(2):
        run(staged, replaced)
        assert dict(look(staged, "SELECT name, seq FROM sqlite_sequence WHERE name IN ('jobs', 'posts')")) == {"jobs": 13, "posts": 500}


@pytest.mark.parametrize("content", [None, b"damaged" * 999])
def test_where_nobody_knows_them_some_are_passed_over(staged: Path, tmp_path: Path, content: bytes | None) -> None:
    replaced = tmp_path / "replaced.sqlite3"
    if content is not None:
        replaced.write_bytes(content)
    run(staged, replaced)
    assert dict(look(staged, "SELECT name, seq FROM sqlite_sequence"))["jobs"] == 13 + MARGIN
    assert same_jobs(staged, replaced) == set()


def test_numbers_of_a_table_that_was_empty_then(tmp_path: Path, staged: Path) -> None:
    empty = tmp_path / "empty.sqlite3"
    prepare(empty)
    run(empty, staged)
    assert dict(look(empty, "SELECT name, seq FROM sqlite_sequence"))["jobs"] == 13


def test_open_jobs(staged: Path, tmp_path: Path) -> None:
    assert [job.id for job in contents(staged).jobs] == [13]
    assert contents(staged).models == [(3, 2)]
    assert contents(staged).corpora == [1]
    gone = Path(shutil.copy(staged, tmp_path / "gone.sqlite3"))
    assert run(gone, gone.with_name("none"), failed={13}).failed_jobs == 1
    assert look(gone, "SELECT state, owner FROM jobs WHERE id = 13") == [("failed", None)]
    assert "upload it again" in look(gone, "SELECT reason FROM jobs WHERE id = 13")[0]
    assert look(gone, "SELECT event FROM job_events WHERE job_id = 13") == ["failed"]

    further = Path(shutil.copy(staged, tmp_path / "further.sqlite3"))
    assert run(further, gone.with_name("none"), attempts={13: 4}).open_jobs == 1
    assert look(further, "SELECT state, attempt, owner FROM jobs WHERE id = 13") == [("queued", 4, None)]

    run(staged, gone.with_name("none"), attempts={13: 1})
    assert look(staged, "SELECT state, attempt, owner FROM jobs WHERE id = 13") == [("running", 1, "gone")]


def test_a_folder_of_a_job_belongs_to_the_same_job_only(staged: Path, tmp_path: Path) -> None:
    replaced = Path(shutil.copy(staged, tmp_path / "replaced.sqlite3"))
    with closing(sqlite3.connect(replaced)) as connection, connection:
        connection.execute("UPDATE jobs SET handle = 'other' WHERE id = 12")
    assert same_jobs(staged, replaced) == {13}


def test_fold(staged: Path, tmp_path: Path) -> None:
    assert fold(staged)
    (tmp_path / "broken").write_bytes(b"SQLite format 3\0" + b"x" * 9000)
    assert not fold(tmp_path / "broken")


async def test_files_are_found_again_where_the_home_is_now(database: Database, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    await settle_home(database, old)
    async with database.transaction() as tx:
        await tx.execute(
            """INSERT INTO jobs (guild_id, channel_id, user_id, handle, source_path, file_name, base, base_name, seed, state, dedupe_key,
                                 created_at) VALUES (7, 8, 9, 'a', ?, 'x', ?, 'gpt2', 1, 'queued', 'k', '')""",
            (f"{old}/uploads/1/x.zip", f"{old}-er/bases/gpt2"),
        )
        await tx.execute(
            """INSERT INTO requests (guild_id, channel_id, user_id, handle, training, state, dedupe_key, created_at)
               VALUES (7, 8, 9, 'a', ?, 'asked', 'k', '')""",
            (json.dumps({"source_path": f"{old}/uploads/2/y.zip", "base": "nano"}),),
        )
    copied = tmp_path / "copied.sqlite3"
    copy(database.path, copied)
    move(copied, new)
    await settle_home(database, new)
    for found in (
        look(copied, "SELECT source_path, base FROM jobs"),
        [tuple(row) for row in await database.fetch_all("SELECT source_path, base FROM jobs")],
    ):
        assert found == [(f"{new}/uploads/1/x.zip", f"{old}-er/bases/gpt2")]
    asked = await database.fetch_one("SELECT training FROM requests")
    assert asked is not None
    for training in (*look(copied, "SELECT training FROM requests"), asked["training"]):
        assert json.loads(training) == {"source_path": f"{new}/uploads/2/y.zip", "base": "nano"}
    assert await FactStore(database).get(HOME) == str(new)
    assert await PostStore(database).due() == []


def spend(path: Path, **months: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for month, posts in months.items():
            connection.execute("INSERT INTO spending (month, posts, users, usd) VALUES (?, ?, 1, ?)", (month, posts, posts / 100))
        connection.commit()


def test_money_that_has_gone_since_does_not_come_back(staged: Path) -> None:
    replaced = staged.with_name("replaced.sqlite3")
    copy(staged, replaced)
    spend(staged, march=100, april=700)
    spend(replaced, march=300, may=50, april=600)
    run(staged, replaced)
    assert look(staged, "SELECT month, posts FROM spending ORDER BY month") == [("april", 700), ("march", 300), ("may", 50)]


def test_what_was_handed_over_must_be_there_and_what_is_fetched_comes_again(staged: Path) -> None:
    materials = [
        {"handle": "a", "source": "x", "path": "x-a.jsonl", "file_name": "@a on X"},
        {"handle": "b", "source": "file", "path": "/mine/b.zip", "file_name": "b.zip"},
        {"handle": "c", "source": "file", "path": "c.zip", "file_name": "c.zip"},
    ]
    training = {"source_path": "/home/uploads/2/d.zip"}
    with closing(sqlite3.connect(staged)) as connection:
        connection.execute(
            "UPDATE jobs SET state = 'waiting', source_path = '/home/uploads/1/x-a.jsonl', materials = ? WHERE id = 13",
            (json.dumps(materials),),
        )
        for state in ("asked", "denied"):
            connection.execute(
                """INSERT INTO requests (guild_id, channel_id, user_id, handle, training, state, dedupe_key, created_at)
                   VALUES (7, 8, 9, 'd', ?, ?, ?, '')""",
                (json.dumps(training), state, state),
            )
        connection.commit()
    found = contents(staged)
    (job,) = [job for job in found.jobs if job.id == 13]
    assert (job.room, job.files) == (Path("/home/uploads/1"), (Path("/mine/b.zip"), Path("/home/uploads/1/c.zip")))
    assert found.requests == [Path("/home/uploads/2")]


def test_the_next_start_knows_where_to_put_what_is_left_over(staged: Path) -> None:
    run(staged, staged.with_name("none"))
    assert look(staged, f"SELECT value FROM facts WHERE key = '{ASIDE}'") == ["replaced-x"]  # noqa: S608
