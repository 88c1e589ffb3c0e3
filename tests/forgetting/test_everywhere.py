"""What is forgotten is found nowhere any more, byte by byte, and everybody else keeps theirs."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.backups import DATABASE
from bot.errors import BadInput
from bot.exports import note_export
from bot.restores import stage
from storage import copies
from storage.characters import CharacterStore
from storage.migrate import newest_version
from storage.restoring import contents
from tests.desk import desk
from tests.forgetting.mind import mind
from tests.forgotten_home import ALICE, CLOCK, GUILD, found, learn, sentence, traces


async def test_no_byte_is_left_of_it_and_everybody_else_keeps_theirs(home: Path) -> None:
    """After forgetting no file of MYNAH_HOME has a sentence of the account: database, copies, backups, replaced folders, exports."""
    assert len(traces(home, "heron")) > 25
    mine = {"mynah.sqlite3", "models/2/v1/dataset.jsonl", "corpora/2.jsonl"}
    async with mind(home) as one:
        receipt = await one.forget("@Heron")
        assert traces(home, "heron") == []  # also while the database is open, in the files beside it
        assert len(one.renewed) == 1
        assert await one.look("SELECT handle FROM characters ORDER BY id") == ["wren", "rook+wren"]
        assert await one.look("SELECT count(*) FROM posts WHERE text IS NOT NULL") == [30]
        assert await one.look("SELECT handle, state FROM jobs ORDER BY id") == [("wren", "succeeded"), ("wren", "queued")]
        assert await one.look("SELECT count(*) FROM consents UNION ALL SELECT count(*) FROM schedules") == [3, 2]
        assert await one.look("SELECT count(*) FROM reports UNION ALL SELECT count(*) FROM requests") == [0, 0]
    assert mine < set(traces(home, "wren"))
    assert not found(home, "backups/.left*") + found(home, ".restore-*") + found(home, "export")
    numbers = {key: receipt.numbers[key] for key in ("characters", "retired", "models", "schedules", "consents", "requests", "reports")}
    assert numbers == {"characters": 3, "retired": 1, "models": 6, "schedules": 1, "consents": 9, "requests": 1, "reports": 2}
    assert (receipt.numbers["copies"], receipt.numbers["exports"], receipt.unclean, receipt.again) == (6, 1, (), None)
    assert receipt.due == 34  # 30 posts, those of two mash-ups and of a character that was deleted, and a question that quotes one
    assert "heron" not in json.dumps([*receipt.numbers])


async def test_the_copies_and_backups_are_whole_afterwards(home: Path) -> None:
    (tar,) = found(home, "backups/*.tar")
    ages = {path: path.stat().st_mtime_ns for path in found(home, "backups/*mynah*")}
    async with mind(home) as one:
        await one.forget()
    assert {path: path.stat().st_mtime_ns for path in found(home, "backups/*mynah*")} == ages
    for copy in found(home, "backups/*.db"):
        assert copies.sound(copy) in (1, newest_version())
    stage(home, tar, CLOCK)
    async with mind(home) as one:
        assert await one.look("SELECT handle FROM characters ORDER BY id") == ["wren", "rook+wren"]
        assert await one.look("SELECT handle FROM jobs WHERE state = 'queued'") == ["wren"]
    assert traces(home, "heron") == []
    named = contents(home / DATABASE)
    assert all((home / "models" / str(c) / f"v{v}" / "dataset.jsonl").exists() for c, v in named.models)


async def test_a_manager_forgets_in_their_server_only(home: Path) -> None:
    async with mind(home) as one:
        await one.forget(guild_id=12, statement="manager")
        rows = await one.look("SELECT guild_id FROM characters WHERE handle = 'heron' ORDER BY 1")
        assert rows == [GUILD]
        assert (await one.look("SELECT count(*) FROM jobs WHERE guild_id = 12"))[0] == 0


async def test_a_mash_up_is_retired_until_it_is_trained_again(home: Path) -> None:
    async with mind(home) as one:
        await one.forget()
        kept = await CharacterStore(one.database).find(GUILD, "rook+wren")
        assert kept is not None
        assert (kept.handles, kept.active_model_id, kept.silenced) == (
            ("rook", "wren"), None, "A part of what this character learned from was forgotten: train it again.",
        )  # fmt: skip
        assert await one.look(
            "SELECT count(*) FROM schedules WHERE character_id = (SELECT id FROM characters WHERE handle = 'rook+wren')"
        ) == [1]
    async with desk(home) as one_desk:
        await learn(one_desk, "rook+wren")
        again = await CharacterStore(one_desk.database).find(GUILD, "rook+wren")
        assert again is not None
        assert (again.id, again.silenced) == (kept.id, None)


async def test_a_mash_up_s_handle_is_no_account(home: Path) -> None:
    async with mind(home) as one:
        with pytest.raises(BadInput, match="a mash-up of 2 accounts: name one of them"):
            await one.forget("heron+wren")


async def test_forgetting_a_person_takes_what_they_called_for_and_their_accounts(home: Path) -> None:
    async with mind(home) as one:
        receipt = await one.forgetting.forget_user(ALICE, guild_id=GUILD)
        assert receipt.name == "you"
        assert traces(home, "heron") == []  # which alice declared her own
        for table, columns in {"jobs": "user_id", "characters": "created_by", "posts": "created_by", "erasures": "user_id"}.items():
            assert ALICE not in await one.look(f"SELECT {columns} FROM {table}")  # noqa: S608
        assert await one.look("SELECT count(*) FROM job_events WHERE detail LIKE '%user 9%'") == [0]
        assert await one.look("SELECT handle FROM characters ORDER BY id") == ["wren", "rook+wren"]
    for copy in found(home, "backups/*.db"):
        with closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("SELECT count(*) FROM posts WHERE created_by = ?", (ALICE,)).fetchone() == (0,)


async def test_what_cannot_be_done_at_once_is_said_and_done_later(home: Path) -> None:
    async with mind(home) as one:
        with closing(sqlite3.connect(home / DATABASE)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM posts").fetchone()  # an old state of the database, as long as it is looked at
            await one.database.fetch_all("PRAGMA busy_timeout = 50")
            receipt = await one.forget()
            assert receipt.again is not None
            assert "held by another program" in receipt.again
            assert {path for path in traces(home, "heron") if path.startswith(("models", "corpora", "uploads", "export"))} == set()
        assert await one.look("SELECT count(*) FROM erasures WHERE todo IS NULL") == [0]
    async with mind(home) as one:
        assert await one.look("SELECT count(*) FROM erasures WHERE todo IS NULL") == [1]
    assert traces(home, "heron") == []


async def test_a_copy_that_cannot_be_read_is_named(home: Path) -> None:
    damaged = home / "backups" / "mynah-2026-01-01T000000Z-daily.db"
    damaged.write_bytes(b"SQLite format 3\0" + b"\xff" * 9000)
    cut_off = home / "backups" / "cut.tar"
    cut_off.write_bytes(found(home, "backups/mynah*.tar")[0].read_bytes()[:5000])
    async with mind(home) as one:
        receipt = await one.forget()
    assert receipt.unclean == (str(damaged), str(cut_off))
    assert any(str(damaged) in line for line in receipt.lines)


async def test_of_a_replaced_database_that_is_damaged_the_files_go_all_the_same(home: Path) -> None:
    (damaged,) = found(home, "replaced-*/mynah.sqlite3")
    damaged.write_bytes(b"SQLite format 3\0" + b"\xff" * 9000)
    async with mind(home) as one:
        receipt = await one.forget()
    assert receipt.unclean == (str(damaged.parent),)
    assert [path for path in traces(home, "heron") if "/6" not in path and "/77" not in path] == []


async def test_the_export_s_folder_keeps_what_is_somebody_s_own(home: Path) -> None:
    (home / "export" / "diary.txt").write_text("mine")
    note_export(home, "wren", home / "other")
    (home / "other").mkdir()
    (home / "other" / "README.md").write_text(sentence("wren"))
    async with mind(home) as one:
        receipt = await one.forget()
    assert [path.name for path in (home / "export").iterdir()] == ["diary.txt"]
    assert receipt.unclean == (str(home / "export"),)
    assert (home / "other" / "README.md").exists()
    assert "wren" in (home / "exports.jsonl").read_text()
    assert "heron" not in (home / "exports.jsonl").read_text()


async def test_nothing_of_the_name_is_kept_but_a_digest(home: Path) -> None:
    async with mind(home) as one:
        await one.forget()
        await one.privacy.opt_out("heron", guild_id=GUILD, user_id=ALICE)
        for table in ("erasures", "opt_outs", "erasure_messages", "characters", "jobs", "posts", "consents", "facts", "job_events"):
            assert "heron" not in str(await one.look(f"SELECT * FROM {table}"))  # noqa: S608
    assert "heron" not in (home / "privacy.json").read_text()
    assert "heron" not in (home / DATABASE).read_bytes().decode("latin-1").replace("heron+", "")
