"""Copies by name, the newest seven of them, and which is good."""

import io
import os
import sqlite3
import subprocess
import sys
import tarfile
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage import copies
from storage.errors import StorageProblem
from storage.migrate import newest_version, prepare
from tests.storage.conftest import NOON


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "mynah.sqlite3"
    prepare(made)
    return made


def kept(path: Path) -> list[str]:
    return sorted(file.name for file in (path.parent / "backups").iterdir())


def test_the_newest_seven_daily_copies_are_kept_and_their_names_are_in_order(path: Path) -> None:
    made = [copies.copy_daily(path, NOON + timedelta(days=day)) for day in range(9)]
    copies.copy_before(path, NOON, 3)
    assert kept(path) == ["mynah-2026-03-01T120000Z-before-0003.db", *(file.name for file in made[2:])]
    assert made == sorted(made)
    assert copies.newest_daily(path) == NOON + timedelta(days=8)
    assert all(copies.sound(file) == newest_version() for file in made[2:])
    assert all(file.stat().st_mode & 0o077 == 0 for file in made[2:])


def test_one_copy_before_each_migration_is_kept(path: Path) -> None:
    for hour in range(3):
        copies.copy_before(path, NOON + timedelta(hours=hour), 3)
    copies.copy_before(path, NOON, 4)
    assert kept(path) == ["mynah-2026-03-01T120000Z-before-0004.db", "mynah-2026-03-01T140000Z-before-0003.db"]


def test_a_clock_that_was_wrong_costs_no_new_copy(path: Path) -> None:
    for day in range(8):
        copies.copy_daily(path, datetime(2126, 1, 1 + day, tzinfo=UTC))
    assert copies.copy_daily(path, NOON).exists()


def test_what_a_killed_process_left_is_removed_a_day_later(path: Path) -> None:
    folder = path.parent / "backups"
    for name in (".old.tmp", ".new.tmp"):
        (folder / name).mkdir(parents=True)
    (folder / ".old.db.7.tmp").write_text("half")
    for name in (".old.tmp", ".old.db.7.tmp"):
        os.utime(folder / name, (1, 1))
    made = copies.copy_daily(path, NOON)
    assert kept(path) == [".new.tmp", made.name]


def test_a_name_of_somebody_else_is_no_daily_copy(path: Path) -> None:
    (path.parent / "backups").mkdir()
    (path.parent / "backups" / "mynah-mine-daily.db").write_bytes(b"")
    assert copies.newest_daily(path) is None


def test_what_is_not_whole_is_not_copied(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    path.write_bytes(content)
    with pytest.raises(StorageProblem):
        copies.copy(path, path.parent / "copy.db")
    assert [file.name for file in path.parent.iterdir()] == ["mynah.sqlite3"]


def test_rows_that_refer_to_nothing_are_not_sound(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO job_events (job_id, at, event) VALUES (77, '', 'queued')")
    with pytest.raises(StorageProblem, match="refer to nothing"):
        copies.copy(path, path.parent / "copy.db")


@pytest.mark.fault(10)
def test_the_newest_good_copy_may_be_in_a_backup_of_everything(path: Path) -> None:
    """Whether a backup is good is found out by reading it whole, whatever its age or its kind."""
    older = copies.copy_daily(path, NOON)
    os.utime(older, (1, 1))
    assert copies.newest_good(path, newest_version=newest_version()) == older
    whole, cut = older.parent / "mynah-2.tar", older.parent / "mynah-3.tar"
    with tarfile.open(whole, "w") as tar:
        tar.add(older, "mynah.sqlite3")
    cut.write_bytes(whole.read_bytes()[:9000])
    (older.parent / "notes.tar").write_bytes(b"no archive")
    with tarfile.open(older.parent / "other.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("readme"), io.BytesIO())
    assert copies.newest_good(path, newest_version=newest_version()) == whole
    assert copies.newest_good(path, newest_version=newest_version() - 1) is None


def test_a_copy_is_changed_whole_and_keeps_its_age(path: Path) -> None:
    """What is deleted of a copy is in none of its bytes any more, and nothing is left beside it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany("INSERT INTO facts VALUES (?, ?)", [(f"k{n}", f"a secret {n} " * 50) for n in range(200)])
        connection.commit()
    made = copies.copy_daily(path, NOON)
    os.utime(made, (1000, 2000))

    def change(connection: sqlite3.Connection) -> int:
        return connection.execute("DELETE FROM facts WHERE key <> 'k7'").rowcount

    assert copies.changed(made, change) == 199
    assert (copies.sound(made), made.stat().st_mtime, made.stat().st_mode & 0o077) == (newest_version(), 2000, 0)
    assert b"a secret 6 " not in made.read_bytes()
    assert b"a secret 7 " in made.read_bytes()
    assert kept(path) == [made.name]


def test_a_change_that_fails_leaves_the_copy_as_it_was(path: Path) -> None:
    made = copies.copy_daily(path, NOON)
    before = made.read_bytes()
    with pytest.raises(StorageProblem, match="could not be changed"):
        copies.changed(made, lambda connection: connection.execute("DELETE FROM nothing"))
    made.write_bytes(before[:5000])
    with pytest.raises(StorageProblem):
        copies.changed(made, lambda _: None)
    assert (made.read_bytes(), kept(path)) == (before[:5000], [made.name])


def test_one_at_a_time_makes_or_changes_copies(path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from storage import copies\n"
        "with copies.alone(Path(sys.argv[1])):\n print('has it', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", script, path.parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"has it\n"
        waiting = threading.Thread(target=copies.copy_daily, args=(path, NOON))
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        assert not (path.parent / "backups").exists()
        other.kill()  # the kernel gives it back
        waiting.join(20)
    assert len(kept(path)) == 1
