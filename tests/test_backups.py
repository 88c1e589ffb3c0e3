"""One file with everything, and the copies of each day."""

import asyncio
import json
import os
import tarfile
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.backups import DATABASE, WAITING, DailyCopies, back_up
from bot.errors import BadInput, StorageError
from storage.copies import newest_daily
from storage.database import Database
from tests.clock import ManualClock
from tests.desk import NOON, desk


def names(file: Path) -> set[str]:
    with tarfile.open(file) as tar:
        return set(tar.getnames())


async def test_a_backup_has_everything_that_rows_name_and_nothing_else(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        done = await one.train()
        assert done.state == "succeeded"
        waiting = (await one.ask("wren")).job
        one.upload("nobodys.zip")
        (tmp_path / "models" / "77" / "v1").mkdir(parents=True)
        (tmp_path / "models" / "77" / "v1" / "x").write_text("left over")
        made = await asyncio.to_thread(back_up, tmp_path, None, one.clock)
    assert made.path == tmp_path / "backups" / "mynah-2026-03-01T120000Z.tar"
    assert made.path.stat().st_mode & 0o077 == 0
    assert made.path.stat().st_size == made.size
    assert (made.models, made.missing) == (1, 0)
    models = {f"models/1/v1/{path.name}" for path in (tmp_path / "models" / "1" / "v1").iterdir()}
    upload = Path(waiting.source_path).relative_to(tmp_path).as_posix()
    assert models
    assert names(made.path) == {DATABASE, "manifest.json", "corpora/1.jsonl", upload} | models
    with tarfile.open(made.path) as tar:
        assert tar.getnames()[0] == DATABASE
        assert tar.getnames()[-1] == "manifest.json"
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        told = json.loads(manifest.read())
    assert (told["home"], told["made_at"]) == (str(tmp_path), NOON.isoformat())
    assert [path.name for path in (tmp_path / "backups").iterdir()] == [made.path.name]


async def test_what_is_in_the_way_is_said(tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    with pytest.raises(StorageError, match="nothing to back up"):
        back_up(tmp_path, None, clock)
    async with desk(tmp_path) as one:
        there = tmp_path / "there.tar"
        there.write_text("mine")
        with pytest.raises(BadInput, match=r"there\.tar is there already"):
            await asyncio.to_thread(back_up, tmp_path, there, one.clock)
        with pytest.raises(BadInput, match="no folder"):
            await asyncio.to_thread(back_up, tmp_path, tmp_path / "nowhere" / "b.tar", one.clock)
        assert there.read_text() == "mine"
    (tmp_path / DATABASE).write_bytes(b"damaged" * 5000)
    with pytest.raises(StorageError, match="could not be written"):
        back_up(tmp_path, tmp_path / "b.tar", clock)
    assert not [name for name in os.listdir(tmp_path) if "b.tar" in name or "backup" in name]  # noqa: PTH208


async def test_a_running_bot_makes_a_copy_each_day(tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    database = await Database.open(tmp_path / DATABASE)
    try:
        copies = DailyCopies(home=tmp_path, clock=clock)
        for _ in range(30):
            await copies.look()
            await DailyCopies(home=tmp_path, clock=clock).look()  # after a restart
            clock.advance(hours=8)
    finally:
        await database.close()
    made = sorted(path.name for path in (tmp_path / "backups").iterdir())
    assert made == [f"mynah-2026-03-{day:02}T120000Z-daily.db" for day in range(4, 11)]


async def test_a_copy_that_cannot_be_made_is_tried_again_after_an_hour(tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    database = await Database.open(tmp_path / DATABASE)
    try:
        (tmp_path / "backups").write_text("in the way")
        copies = DailyCopies(home=tmp_path, clock=clock)
        with capture_logs() as told:
            await copies.look()
            await copies.look()
        assert [line["log_level"] for line in told] == ["error"]
        (tmp_path / "backups").unlink()
        clock.advance(minutes=59)
        await copies.look()
        assert newest_daily(tmp_path / DATABASE) is None
        clock.advance(minutes=1)
        await copies.look()
        assert newest_daily(tmp_path / DATABASE) == NOON + timedelta(hours=1)
    finally:
        await database.close()


async def test_a_restore_that_waits_ends_it(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / DATABASE)
    try:
        copies = DailyCopies(home=tmp_path, clock=ManualClock(NOON))
        running = asyncio.create_task(copies.run())
        await asyncio.sleep(0)
        assert not running.done()
        (tmp_path / WAITING).mkdir()
        await asyncio.wait_for(running, 10)
    finally:
        await database.close()
