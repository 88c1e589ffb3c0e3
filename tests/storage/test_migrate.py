"""From nothing to the newest schema, or not at all; and a schema that explains itself."""

import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from storage.errors import Corrupt, Newer, StorageProblem
from storage.migrate import MIGRATIONS, check, prepare

ROOT = Path(__file__).parents[2]
NEWEST = len(list(MIGRATIONS.glob("*.sql")))
FIRST = "CREATE TABLE birds (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;\nINSERT INTO birds (name) VALUES ('heron');"
SECOND = "ALTER TABLE birds ADD COLUMN wings INTEGER NOT NULL DEFAULT 2;\nINSERT INTO birds (name) VALUES ('wren');"
KILLED = """
import os, pathlib, signal, sqlite3, sys
from storage import migrate
connect = sqlite3.connect
def killing(*args, **more):
    connection = connect(*args, **more)
    connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
    return connection
sqlite3.connect = killing
migrate.prepare(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
"""


def steps(folder: Path, *scripts: str) -> Path:
    folder.mkdir(exist_ok=True)
    for number, script in enumerate(scripts, start=1):
        (folder / f"{number:04}_step.sql").write_text(script)
    return folder


def look(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)


def test_a_blank_file_becomes_the_newest_and_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "mynah.sqlite3"
    for _ in range(2):
        prepare(path)
        assert look(path, "PRAGMA user_version") == [(NEWEST,)]
    assert not (tmp_path / "backups").exists()
    check(path)


def test_an_older_file_is_backed_up_and_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "mynah.sqlite3"
    folder = steps(tmp_path / "steps", FIRST)
    prepare(path, folder)
    prepare(path, steps(folder, FIRST, SECOND))
    assert look(path, "SELECT name, wings FROM birds") == [("heron", 2), ("wren", 2)]
    (backup,) = (tmp_path / "backups").iterdir()
    assert backup.name == "mynah-before-0002.db"
    assert look(backup, "SELECT * FROM birds") == [(1, "heron")]


def test_a_kill_in_the_middle_of_a_migration_leaves_the_version_before(tmp_path: Path) -> None:
    path = tmp_path / "mynah.sqlite3"
    folder = steps(tmp_path / "steps", FIRST)
    prepare(path, folder)
    steps(folder, FIRST, SECOND + "\nSELECT die();\nDROP TABLE birds;")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path), str(folder)], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert look(path, "PRAGMA user_version") == [(1,)]
    assert look(path, "SELECT * FROM birds") == [(1, "heron")]
    prepare(path, steps(folder, FIRST, SECOND))
    assert look(path, "PRAGMA user_version") == [(2,)]


@pytest.mark.parametrize(
    "broken",
    [
        "INSERT INTO nowhere VALUES (1);",
        "CREATE TABLE nests (bird INTEGER REFERENCES birds (id)) STRICT;\nINSERT INTO nests VALUES (77);",
    ],
)
def test_a_migration_that_fails_changes_nothing(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "mynah.sqlite3"
    folder = steps(tmp_path / "steps", FIRST)
    prepare(path, folder)
    with pytest.raises(StorageProblem, match="brought up to date"):
        prepare(path, steps(folder, FIRST, f"{SECOND}\n{broken}"))
    assert look(path, "PRAGMA user_version") == [(1,)]
    assert look(path, "SELECT * FROM birds") == [(1, "heron")]


def test_a_newer_file_is_refused_and_the_newest_backup_that_fits_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mynah.sqlite3"
    prepare(path)
    (tmp_path / "backups").mkdir()
    good = tmp_path / "backups" / "good.db"
    good.write_bytes(path.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {NEWEST + 1}")
    (tmp_path / "backups" / "too-new.db").write_bytes(path.read_bytes())
    for refusing in (prepare, check):
        with pytest.raises(Newer, match=rf"schema {NEWEST + 1} .* up to {NEWEST}") as refused:
            refusing(path)
        assert str(good) in str(refused.value)
    assert look(path, "PRAGMA user_version") == [(NEWEST + 1,)]


def test_a_damaged_file_is_refused_and_the_newest_good_backup_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mynah.sqlite3"
    prepare(path)
    (tmp_path / "backups").mkdir()
    good, bad = tmp_path / "backups" / "good.db", tmp_path / "backups" / "bad.db"
    good.write_bytes(path.read_bytes())
    damage(path)
    bad.write_bytes(path.read_bytes())
    before = path.read_bytes()
    for refusing in (prepare, check):
        with pytest.raises(Corrupt, match="damaged") as refused:
            refusing(path)
        assert str(good) in str(refused.value)
    assert path.read_bytes() == before


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mynah.sqlite3"
    path.write_text("tweets, tweets, tweets " * 100)
    with pytest.raises(Corrupt, match="no good one"):
        prepare(path)


def test_an_older_file_is_not_read_as_if_it_were_new(tmp_path: Path) -> None:
    path = tmp_path / "mynah.sqlite3"
    folder = steps(tmp_path / "steps", FIRST)
    prepare(path, folder)
    with pytest.raises(StorageProblem, match="start the bot once"):
        check(path, steps(folder, FIRST, SECOND))


def test_a_gap_in_the_numbers_is_an_error(tmp_path: Path) -> None:
    folder = steps(tmp_path / "steps", FIRST, SECOND)
    (folder / "0001_step.sql").unlink()
    with pytest.raises(ValueError, match="one by one"):
        prepare(tmp_path / "mynah.sqlite3", folder)


def tables() -> list[tuple[str, str, str]]:
    """Name, body and what follows it, of every table that a migration makes."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in sorted(MIGRATIONS.glob("*.sql")))
    found = re.findall(r"CREATE TABLE (\w+) \((.*?)\n\)(.*?);", text, flags=re.DOTALL)
    assert len(found) == text.count("CREATE TABLE")
    return found


def test_every_table_is_strict() -> None:
    assert [name for name, _, options in tables() if options.strip() != "STRICT"] == []


def test_every_column_has_a_comment(tmp_path: Path) -> None:
    prepare(tmp_path / "mynah.sqlite3")
    text = "\n\n".join(file.read_text(encoding="utf-8") for file in sorted(MIGRATIONS.glob("*.sql")))
    for table, body, _ in tables():
        added = re.findall(rf"^ALTER TABLE {table} ADD COLUMN\n(.*?;[^\n]*)$", text, flags=re.DOTALL | re.MULTILINE)
        columns = {str(row[1]) for row in look(tmp_path / "mynah.sqlite3", f"PRAGMA table_info({table})")}
        explained = {line.split()[0] for line in "\n".join([body, *added]).splitlines() if re.search(r"-- \S+", line)}
        assert columns - explained == set(), table
