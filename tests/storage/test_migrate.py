"""From nothing to the newest schema, or not at all; and a schema that explains itself."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from storage.errors import Busy, Corrupt, Newer, StorageProblem
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
    assert re.fullmatch(r"mynah-\d{4}-\d\d-\d\dT\d{6}Z-before-0002\.db", backup.name)
    assert look(backup, "SELECT * FROM birds") == [(1, "heron")]


@pytest.mark.fault(11)
def test_a_kill_in_the_middle_of_a_migration_leaves_the_version_before(tmp_path: Path) -> None:
    """Killed in the middle of a migration, the database is what it was before it, and the next start makes the migration."""
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


@pytest.mark.fault(12)
def test_a_newer_file_is_refused_and_the_newest_backup_that_fits_is_named(tmp_path: Path) -> None:
    """A database of a newer Mynah is left alone, and the start names the newest good backup that this Mynah can read."""
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


@pytest.mark.fault(10)
def test_a_damaged_file_is_refused_and_the_newest_good_backup_is_named(tmp_path: Path) -> None:
    """A damaged database is left alone, and the start names the newest backup that is whole, and the command that goes back to it."""
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
        assert f"mynah restore {good}" in str(refused.value)
    assert path.read_bytes() == before


@pytest.mark.fault(10)
@pytest.mark.parametrize("page", range(1, 40))
def test_no_page_can_be_overwritten_unnoticed(tmp_path: Path, page: int) -> None:
    """Whichever page of the database is overwritten, the start refuses it and changes nothing."""
    path = tmp_path / "mynah.sqlite3"
    prepare(path)
    content = bytearray(path.read_bytes())
    if page >= len(content) // 4096:
        pytest.skip("the database has fewer pages")
    content[page * 4096 : (page + 1) * 4096] = os.urandom(4096)
    path.write_bytes(content)
    with pytest.raises(Corrupt):
        prepare(path)
    assert path.read_bytes() == content


HELD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.mark.fault(9)
def test_a_start_waits_ten_seconds_for_another_program_and_says_so(tmp_path: Path) -> None:
    """A start that finds the database held by another program waits 10 seconds for it, then says so in one sentence."""
    path = tmp_path / "mynah.sqlite3"
    folder = steps(tmp_path / "steps", FIRST)
    prepare(path, folder)
    with subprocess.Popen([sys.executable, "-c", HELD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        began = time.monotonic()
        with pytest.raises(Busy, match="held by another program"):
            prepare(path, steps(folder, FIRST, SECOND))
        assert 9 < time.monotonic() - began < 15
        holder.communicate(b"\n")
    prepare(path, folder)
    assert look(path, "PRAGMA user_version") == [(2,)]


ROWS = """
INSERT INTO facts (key, value) VALUES ('commands_hash', 'abc');
INSERT INTO characters (id, guild_id, handle, name, active_model_id, created_by, created_at)
    VALUES (3, 7, 'heron', 'Heron', NULL, 42, '2026-03-01T12:00:00.000000+00:00');
INSERT INTO corpora (id, character_id, file_name, downloaded, retweets, short, kept, duplicates, cut, characters, dataset_sha256,
                     created_at)
    VALUES (1, 3, 'heron.zip', 10, 1, 2, 7, 0, 0, 900, 'f00', '2026-03-01T12:00:00.000000+00:00');
INSERT INTO jobs (id, guild_id, channel_id, user_id, handle, source_path, file_name, base, base_name, seed, state, dedupe_key, created_at)
    VALUES (12, 7, 8, 42, 'heron', '/u/x', 'x', 'nano', 'nano', 1, 'succeeded', 'interaction:1', '2026-03-01T12:00:00.000000+00:00'),
           (13, 7, 8, 42, 'wren', '/u/y', 'y', 'nano', 'nano', 1, 'queued', 'interaction:2', '2026-03-01T12:00:00.000000+00:00');
INSERT INTO models (id, character_id, version, base, base_name, recipe, corpus_id, job_id, heldout_base, heldout_model, steps, seconds,
                    files, samples, created_at)
    VALUES (5, 3, 2, 'nano', 'nano', '{}', 1, 12, 4.9, 4.0, 300, 95.0, '{}', '[]', '2026-03-01T12:00:00.000000+00:00');
UPDATE characters SET active_model_id = 5;
UPDATE jobs SET model_id = 5 WHERE id = 12;
INSERT INTO job_events (id, job_id, at, event, detail) VALUES (1, 12, '2026-03-01T12:00:00.000000+00:00', 'queued', 'user 42');
INSERT INTO schedules (id, guild_id, channel_id, character_id, cron, zone, prompt, policy, grace_s, next_at, created_by, created_at)
    VALUES (4, 7, 8, 3, '0 9 * * *', 'UTC', '', 'once', 900, '2026-03-02T09:00:00.000000+00:00', 42,
                              '2026-03-01T12:00:00.000000+00:00');
INSERT INTO posts (id, dedupe_key, kind, guild_id, channel_id, state, nonce, character_id, model_id, job_id, schedule_id, created_by,
                   created_at)
    VALUES (9, 'schedule:4:x', 'schedule', 7, 8, 'sent', 'n', 3, 5, NULL, 4, 42, '2026-03-01T12:00:00.000000+00:00'),
           (20, 'job:12:result', 'result', 7, 8, 'due', 'm', 3, 5, 12, NULL, 0, '2026-03-01T12:00:00.000000+00:00');
DELETE FROM posts WHERE id = 20;
INSERT INTO webhooks (channel_id, webhook_id, token, created_at) VALUES (8, 99, 'secret', '2026-03-01T12:00:00.000000+00:00');
"""
"""One of everything, in the columns of the first schema. A post was given the number 20 and is gone: nobody may be given it again."""


def shape(path: Path) -> dict[str, object]:
    """What a schema means: tables with their columns, keys, checks and options, and indices, however each came about."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = None
        tables = [row[1:] for row in connection.execute("PRAGMA table_list") if not row[1].startswith("sqlite_")]
        found: dict[str, object] = {}
        for name, *options in sorted(tables):
            (made,) = connection.execute("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", (name,)).fetchone()
            plain = re.sub(r"--[^\n]*", "", made)
            found[name] = {
                "options": options,
                "columns": connection.execute(f"PRAGMA table_xinfo({name})").fetchall(),
                "references": sorted(connection.execute(f"PRAGMA foreign_key_list({name})").fetchall()),
                "checks": sorted(re.sub(r"\s+", " ", check) for check in re.findall(r"CHECK \((?:[^()]|\([^()]*\))*\)", plain)),
                "autoincrement": "AUTOINCREMENT" in plain,
                "indices": sorted(
                    (index[1:], connection.execute(f"PRAGMA index_xinfo({index[1]})").fetchall())
                    for index in connection.execute(f"PRAGMA index_list({name})").fetchall()
                ),
                "partial": sorted(
                    re.sub(r"\s+", " ", sql)
                    for (sql,) in connection.execute("SELECT sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?", (name,))
                    if sql
                ),
            }
        return found


def everything(path: Path) -> dict[str, list[dict[str, object]]]:
    """Every row of every table, sqlite's own record of the numbers that were given included."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        return {name: [dict(row) for row in connection.execute(f"SELECT * FROM {name} ORDER BY 1")] for name in names}  # noqa: S608


@pytest.mark.parametrize("oldest", range(1, NEWEST + 1))
def test_every_version_becomes_what_a_new_file_is(tmp_path: Path, oldest: int) -> None:
    old, new, folder = tmp_path / "old.sqlite3", tmp_path / "new.sqlite3", tmp_path / "steps"
    folder.mkdir()
    for file in sorted(MIGRATIONS.glob("*.sql"))[:oldest]:
        shutil.copy(file, folder)
    prepare(old, folder)
    prepare(new)
    for path in (old, new):
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(ROWS)
            if path == new or oldest >= 4:  # as the fourth migration does with the rows that it finds
                connection.executescript("UPDATE characters SET handles = json_array(handle)")
    prepare(old)
    assert shape(old) == shape(new)
    assert everything(old) == everything(new)
    with closing(sqlite3.connect(old)) as connection, connection:
        given = connection.execute(
            """INSERT INTO posts (dedupe_key, kind, guild_id, channel_id, state, nonce, created_by, created_at)
               VALUES ('k', 'say', 7, 8, 'due', 'o', 1, '') RETURNING id"""
        ).fetchone()
    assert given == (21,)


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
    """Name, body and what follows it, of every table that a migration makes; of one that is made anew, what it is then."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in sorted(MIGRATIONS.glob("*.sql")))
    found = re.findall(r"CREATE TABLE (\w+) \((.*?)\n\)(.*?);", text, flags=re.DOTALL)
    assert len(found) == text.count("CREATE TABLE")
    return list({name: (name, body, options) for name, body, options in found}.values())


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
