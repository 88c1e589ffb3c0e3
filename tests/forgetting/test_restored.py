"""What was forgotten does not come back with a backup, and what was learned since does not go with it."""

import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from bot.backups import DATABASE, back_up
from bot.errors import NotAllowed
from bot.restores import stage
from storage import copies
from tests.desk import NOON, desk
from tests.forgetting.mind import mind
from tests.forgotten_home import BOB, CLOCK, GUILD, found, learn, traces


@pytest.mark.parametrize("damage", ["no", "database", "ledger_only"])
async def test_an_older_backup_is_rid_of_it_again(home: Path, tmp_path: Path, damage: str) -> None:
    """A backup from elsewhere that still has it loses it as soon as it is restored; who opted out since is opted out."""
    old = tmp_path / "old.tar"
    shutil.copy(found(home, "backups/*.tar")[0], old)
    async with mind(home) as one:
        await one.forget()
        await one.privacy.opt_out("wren", guild_id=GUILD, user_id=BOB)
    if damage == "database":
        (home / DATABASE).write_bytes(b"SQLite format 3\0" + b"\xff" * 9000)
    elif damage == "ledger_only":
        (home / DATABASE).unlink()
    stage(home, old, CLOCK)
    async with mind(home) as one:
        assert traces(home, "heron") == []
        with pytest.raises(NotAllowed, match="@wren has opted out"):
            await one.privacy.check(["wren"])
        await one.privacy.check(["heron"])
        assert await one.look("SELECT handle FROM characters WHERE silenced IS NULL") == []
        assert await one.look("SELECT count(*) FROM erasures UNION ALL SELECT count(*) FROM opt_outs") == [1, 1]
        assert await one.look("SELECT count(*) FROM erasure_messages WHERE state = 'due'") == [34]
    async with mind(home) as one:  # once only
        assert await one.look("SELECT count(*) FROM erasures") == [1]


async def test_what_was_learned_after_it_was_forgotten_stays(home: Path) -> None:
    async with mind(home) as one:
        await one.forget()
    async with desk(home) as one_desk:
        await learn(one_desk, "heron")
    copies.copy_daily(home / DATABASE, NOON + timedelta(days=2))
    async with mind(home) as one:
        assert "heron" in await one.look("SELECT handle FROM characters")
        await one.forget("rook")
    assert len(traces(home, "heron")) > 3
    async with mind(home) as one:
        await one.forget()
    assert traces(home, "heron") == []


async def test_a_restore_takes_what_was_forgotten_and_not_what_was_learned_since(home: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.tar"
    shutil.copy(found(home, "backups/*.tar")[0], old)
    async with mind(home) as one:
        await one.forget()
    async with desk(home) as one_desk:
        await learn(one_desk, "heron")
    newer = copies.copy_daily(home / DATABASE, NOON + timedelta(days=2))
    stage(home, old, CLOCK)
    async with mind(home) as one:
        assert "heron" not in await one.look("SELECT handle FROM characters")
    with closing(sqlite3.connect(newer)) as connection:
        assert connection.execute("SELECT count(*) FROM characters WHERE handle = 'heron'").fetchone() == (1,)


async def test_a_database_on_another_machine_brings_what_it_forgot(home: Path, tmp_path: Path) -> None:
    async with mind(home) as one:
        await one.forget()
        await one.privacy.opt_out("rook", guild_id=GUILD, user_id=BOB)
    made = back_up(home, tmp_path / "moved.tar", CLOCK)
    there = tmp_path / "there"
    async with mind(there) as one:
        await one.privacy.opt_out("wren", guild_id=GUILD, user_id=BOB)  # with a salt of its own
    stage(there, made.path, CLOCK)
    async with mind(there) as one:
        for handle in ("wren", "rook"):
            with pytest.raises(NotAllowed):
                await one.privacy.check([handle])
        assert len((await one.look("SELECT value FROM facts WHERE key = 'privacy_salts'"))[0].split()) == 2


async def test_after_a_restore_nobody_is_asked_about_what_was_forgotten_on_its_way(home: Path, tmp_path: Path) -> None:
    async with mind(home) as one:
        await one.forget()
        async with one.database.transaction() as tx:
            await tx.execute("UPDATE posts SET erasure_id = 1, state = 'sending' WHERE state = 'sent' AND id = (SELECT min(id) FROM posts)")
        made = back_up(home, tmp_path / "new.tar", CLOCK)
    stage(home, made.path, CLOCK)
    async with mind(home) as one:
        assert set(await one.look("SELECT state FROM posts WHERE erasure_id IS NOT NULL")) == {"sending"}
