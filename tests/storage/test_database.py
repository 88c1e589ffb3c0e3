"""One writer, whole transactions, sound copies."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from storage import lock
from storage.database import Database, Transaction
from storage.errors import Busy, InUse, StorageProblem
from storage.facts import FactStore

HOLD = """
import asyncio, sys, pathlib
from storage.database import Database
async def main():
    await Database.open(pathlib.Path(sys.argv[1]))
    print("open", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


async def put(database: Database, key: str, value: str) -> None:
    async with database.transaction() as tx:
        await FactStore(database).put(tx, key, value)


async def facts(database: Database) -> dict[str, str]:
    return {row["key"]: row["value"] for row in await database.fetch_all("SELECT * FROM facts")}


async def test_a_second_opening_is_refused_and_names_the_first(database: Database) -> None:
    with pytest.raises(InUse, match=f"process {os.getpid()}") as refused:
        await Database.open(database.path)
    assert refused.value.pid == os.getpid()


@pytest.mark.fault(17)
def test_another_process_holds_the_file_until_it_is_killed(tmp_path: Path) -> None:
    """The database belongs to one process until that ends, however it ends; a second one is refused and told its number."""
    path = tmp_path / "mynah.sqlite3"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(InUse) as refused:
            asyncio.run(Database.open(path))
        assert refused.value.pid == holder.pid
        holder.send_signal(signal.SIGKILL)

    async def reopen() -> None:
        await (await Database.open(path)).close()

    asyncio.run(reopen())


def test_what_is_given_back_is_free_though_a_child_that_is_just_being_started_has_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "mynah.sqlite3"
    first = lock.acquire(path)
    copy = os.dup(first)  # as a child has it between fork and exec
    lock.release(first)
    second = lock.acquire(path)
    os.close(copy)
    lock.release(second)


async def test_a_closed_database_can_be_opened_again_under_another_boot_id(tmp_path: Path) -> None:
    path = tmp_path / "mynah.sqlite3"
    first = await Database.open(path)
    await put(first, "a", "1")
    await first.close()
    second = await Database.open(path)
    assert await facts(second) == {"a": "1"}
    assert first.boot_id != second.boot_id
    await second.close()


async def test_the_connection_is_durable_and_checks_references(database: Database) -> None:
    found = {}
    for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete"):
        row = await database.fetch_one(f"PRAGMA {name}")
        assert row is not None
        found[name] = row[0]
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}


async def test_the_file_is_for_its_owner_only(database: Database) -> None:
    await put(database, "token", "secret")
    for file in database.path.parent.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file.name


async def test_what_is_raised_inside_rolls_back(database: Database) -> None:
    async def half() -> None:
        async with database.transaction() as tx:
            await FactStore(database).put(tx, "a", "1")
            raise LookupError

    with pytest.raises(LookupError):
        await half()
    assert await facts(database) == {}
    await put(database, "b", "2")
    assert await facts(database) == {"b": "2"}


@pytest.mark.parametrize("after", range(12))
async def test_a_task_cancelled_anywhere_leaves_all_or_nothing(database: Database, after: int) -> None:
    """Cancelled at each of its first points of suspension in turn."""

    async def two() -> None:
        async with database.transaction() as tx:
            await FactStore(database).put(tx, "a", "1")
            await FactStore(database).put(tx, "b", "1")

    task = asyncio.create_task(two())
    for _ in range(after):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(await facts(database)) in (0, 2)
    await put(database, "after", "1")
    assert len(await facts(database)) in (1, 3)


async def test_a_task_cancelled_inside_leaves_nothing_for_the_next(database: Database) -> None:
    inside = asyncio.Event()

    async def stuck() -> None:
        async with database.transaction() as tx:
            await FactStore(database).put(tx, "half", "1")
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(stuck())
    await inside.wait()
    waiting = asyncio.create_task(put(database, "next", "1"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await waiting
    assert await facts(database) == {"next": "1"}


async def test_interleaved_transactions_take_turns(database: Database) -> None:
    await put(database, "n", "0")

    async def add() -> None:
        async with database.transaction() as tx:
            row = await tx.fetch_one("SELECT value FROM facts WHERE key = 'n'")
            assert row is not None
            await asyncio.sleep(0)
            await FactStore(database).put(tx, "n", str(int(row["value"]) + 1))

    await asyncio.gather(*(add() for _ in range(20)))
    assert await facts(database) == {"n": "20"}


async def test_a_read_never_sees_half_a_transaction(database: Database) -> None:
    half_done, go_on = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        async with database.transaction() as tx:
            await FactStore(database).put(tx, "a", "1")
            half_done.set()
            await go_on.wait()
            await FactStore(database).put(tx, "b", "1")

    writing = asyncio.create_task(write())
    await half_done.wait()
    reading = asyncio.create_task(facts(database))
    await asyncio.sleep(0)
    go_on.set()
    assert await reading == {"a": "1", "b": "1"}
    await writing


async def test_inside_a_transaction_its_own_reads_see_it(database: Database) -> None:
    async with database.transaction() as tx:
        await FactStore(database).put(tx, "a", "1")
        assert await FactStore(database).get("a") == "1"


async def test_a_transaction_in_a_transaction_is_an_error_and_no_deadlock(database: Database) -> None:
    async def nested() -> None:
        async with database.transaction(), database.transaction():
            pass

    with pytest.raises(RuntimeError, match="inside a transaction"):
        await nested()
    await put(database, "a", "1")


async def test_a_transaction_cannot_be_used_after_its_end(database: Database) -> None:
    async with database.transaction() as tx:
        late: Transaction = tx
    with pytest.raises(RuntimeError, match="ended"):
        await late.execute("DELETE FROM facts")


async def test_a_backup_while_writing_is_whole(database: Database, tmp_path: Path) -> None:
    stop = asyncio.Event()

    async def write_pairs() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            async with database.transaction() as tx:
                await FactStore(database).put(tx, "left", str(number))
                await FactStore(database).put(tx, "right", str(number))

    writing = asyncio.create_task(write_pairs())
    targets = [tmp_path / "backups" / f"{n}.db" for n in range(5)]
    for target in targets:
        await database.backup(target)
    stop.set()
    await writing
    for target in targets:
        with closing(sqlite3.connect(target)) as copy:
            values = dict(copy.execute("SELECT key, value FROM facts").fetchall())
            assert values.get("left") == values.get("right")
            assert copy.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert names(tmp_path / "backups") == [target.name for target in targets]


async def test_reading_works_beside_the_writer_and_cannot_write(database: Database) -> None:
    await put(database, "a", "1")
    reader = await Database.open(database.path, read_only=True)
    try:
        assert await facts(reader) == {"a": "1"}
        await put(database, "a", "2")
        assert await facts(reader) == {"a": "2"}
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await put(reader, "a", "3")
    finally:
        await reader.close()


async def test_reading_what_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageProblem, match="no database"):
        await Database.open(tmp_path / "mynah.sqlite3", read_only=True)
    assert names(tmp_path) == []


async def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "mynah.sqlite3").mkdir()
    with pytest.raises(StorageProblem, match="cannot be opened"):
        await Database.open(tmp_path / "mynah.sqlite3")


async def test_nothing_of_what_was_deleted_is_left_in_any_byte(database: Database) -> None:
    """After compacting neither the database nor the files beside it have a trace of what was deleted; what stays is there."""
    async with database.transaction() as tx:
        for number in range(300):
            await tx.execute("INSERT INTO facts VALUES (?, ?)", (f"k{number}", f"a secret {number} " * (1 + number)))
    for step in range(3):
        async with database.transaction() as tx:
            await tx.execute("UPDATE facts SET value = value || ' more' WHERE key LIKE ?", (f"%{step}",))
            await tx.execute("DELETE FROM facts WHERE key LIKE ?", (f"k{step}%",))
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM facts WHERE key <> 'k7'")
    await database.compact()
    contents = [path.read_bytes() for path in database.path.parent.glob("mynah.sqlite3*")]
    assert not any(b"a secret 6" in content or b"a secret 299" in content for content in contents)
    assert await database.fetch_one("SELECT count(*) FROM facts WHERE value LIKE 'a secret 7%'")


async def test_compacting_waits_for_a_transaction_and_says_when_somebody_reads(database: Database) -> None:
    async with database.transaction() as tx:
        compacting = asyncio.create_task(database.compact())
        await asyncio.sleep(0)
        await tx.execute("INSERT INTO facts VALUES ('a', 'b')")
    await compacting
    await database.fetch_all("PRAGMA busy_timeout = 50")
    with closing(sqlite3.connect(database.path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM facts").fetchone()
        with pytest.raises(Busy):
            await database.compact()
    await database.compact()
