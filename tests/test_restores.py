"""Going back to a backup: what comes back, what is set aside, and that no kill leaves half of it."""

import asyncio
import io
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.app import open_database
from bot.backups import DATABASE, MANIFEST, WAITING, back_up
from bot.config import Settings
from bot.errors import BadInput, StorageError
from bot.restores import report, stage, take_over
from bot.shell import backups
from storage.copies import copy_daily
from storage.models import ModelStore
from tests.clock import ManualClock
from tests.contracts.fake_executor import hang
from tests.desk import NOON, Desk, cut_off, desk

CLOCK = ManualClock(NOON + timedelta(days=1))
ROOT = Path(__file__).parents[1]


def look(home: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        return [row[0] if len(row) == 1 else row for row in connection.execute(sql)]


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


async def models(one: Desk) -> set[tuple[int, int]]:
    return await ModelStore(one.database).ids()


async def go_back(home: Path, backup: Path) -> dict[str, Any]:
    """As the command does where no bot runs, and then a start of the bot."""
    aside = stage(home, backup, CLOCK)
    await (await open_database(home, CLOCK)).close()
    assert not (home / WAITING).exists()
    async with desk(home) as one:
        await one.runner.recover()
    return report(aside)


@pytest.fixture
async def backup(tmp_path: Path) -> Path:
    """Of a home with the character heron and a training of wren that waits. Since then heron was trained once more in `tmp_path/home`."""
    home = tmp_path / "home"
    await (await open_database(home, CLOCK)).close()
    async with desk(home) as one:
        await one.train()
        await one.ask("wren", key="interaction:wren")
        made = back_up(home, tmp_path / "backup.tar", CLOCK)
        await one.train()
    return made.path


async def test_everything_comes_back_on_another_machine(backup: Path, tmp_path: Path) -> None:
    home = tmp_path / "elsewhere"
    told = await go_back(home, backup)
    assert (told["missing_files"], told["open_jobs"], told["failed_jobs"]) == (0, 1, 0)
    shutil.rmtree(tmp_path / "home")
    async with desk(home) as one:
        assert await models(one) == {(1, 1)}
        assert (home / "models" / "1" / "v1" / "adapter_model.safetensors").is_file()
        assert (home / "corpora" / "1.jsonl").is_file()
        (wren,) = await one.jobs.in_state("queued")
        assert Path(wren.source_path).is_relative_to(home)
        assert Path(wren.source_path).is_file()  # noqa: ASYNC240
        assert (await one.runner.run_one(wren.id)).state == "succeeded"


async def test_what_came_since_is_set_aside_and_comes_back_with_what_was_replaced(backup: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    before = tree(home)
    told = await go_back(home, backup)
    aside = Path(told["replaced"])
    assert aside == home / "replaced-2026-03-02T120000Z"
    assert (aside / "models" / "1" / "v2").is_dir()
    assert (aside / "corpora" / "2.jsonl").is_file()
    assert not (home / "models" / "1" / "v2").exists()
    async with desk(home) as one:
        assert await models(one) == {(1, 1)}
        await one.runner.recover()  # the second start removes again what belongs to nothing
        assert (aside / "models" / "1" / "v2").is_dir()

    CLOCK.advance(hours=1)
    await go_back(home, aside)
    async with desk(home) as one:
        assert await models(one) == {(1, 1), (1, 2)}
    models_now = {name: content for name, content in tree(home).items() if name.startswith(("models", "corpora"))}
    assert models_now == {name: content for name, content in before.items() if name.startswith(("models", "corpora"))}


async def test_a_copy_of_the_database_alone_is_enough_where_the_files_are(backup: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    copied = copy_daily(home / DATABASE, CLOCK.now())
    async with desk(home) as one:
        await one.train()
    assert (await go_back(home, copied))["missing_files"] == 0
    async with desk(home) as one:
        assert await models(one) == {(1, 1), (1, 2)}
    told = await go_back(tmp_path / "new", copied)
    assert (told["missing_files"], told["failed_jobs"]) == (5, 1)


async def test_a_training_goes_on_from_where_it_is_now(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with desk(home, hang) as one:
        job = (await one.ask()).job
        working = asyncio.create_task(one.runner.run())
        await one.executor.running.wait()
        made = back_up(home, tmp_path / "backup.tar", CLOCK)
        await cut_off(working)
    for number in (2, 3):
        (home / "jobs" / str(job.id) / f"a{number}").mkdir()
    await go_back(home, made.path)
    async with desk(home) as one:
        again = await one.job(job.id)
        assert (again.state, again.attempt) == ("queued", 3)
        await one.runner.run_one(job.id)
        assert one.executor.started[0].attempt == 4


async def test_a_job_that_ended_since_does_not_run_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with desk(home) as one:
        job = (await one.ask()).job
        copied = copy_daily(home / DATABASE, CLOCK.now())
        await one.runner.run_one(job.id)
    told = await go_back(home, copied)
    assert told["failed_jobs"] == 1
    async with desk(home) as one:
        assert (await one.job(job.id)).state == "failed"
        assert await one.results() == []
        assert await models(one) == set()
    assert (Path(told["replaced"]) / "models" / "1" / "v1").is_dir()


async def test_a_folder_of_another_machines_job_is_not_taken_for_ours(tmp_path: Path) -> None:
    async with desk(tmp_path / "theirs") as one:
        await one.ask("wren")
        made = back_up(one.home, tmp_path / "backup.tar", CLOCK)
    home = tmp_path / "ours"
    async with desk(home) as one:
        await one.ask("heron")
    (home / "jobs" / "1" / "a1").mkdir(parents=True)
    (home / "jobs" / "1" / "a1" / "result.json").write_text("{}")
    told = await go_back(home, made.path)
    assert (Path(told["replaced"]) / "jobs" / "1" / "a1" / "result.json").is_file()
    assert look(home, "SELECT handle, state, attempt FROM jobs") == [("wren", "queued", 0)]


def rewrite(backup: Path, *, leave: str = "", add: tuple[tarfile.TarInfo, bytes] | None = None, change: str = "") -> None:
    """The same backup with a member less, more or otherwise."""
    with tarfile.open(backup) as tar:
        members = [(member, tar.extractfile(member)) for member in tar]
        contents = [(member, source.read() if source else b"") for member, source in members]
    with tarfile.open(backup, "w") as tar:
        if add is not None:
            tar.addfile(add[0], io.BytesIO(add[1]))
        for member, content in contents:
            if member.name.endswith(change) and change:
                content = content[:-1] + bytes([content[-1] ^ 1])  # noqa: PLW2901
            if not leave or not member.name.endswith(leave):
                tar.addfile(member, io.BytesIO(content))


def info(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size, made.type, made.linkname = size, kind, link
    return made


def test_what_is_damaged_or_cut_off_is_refused_and_nothing_is_touched(backup: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    whole, before = backup.read_bytes(), tree(home)

    def refused(why: str = "damaged or cut off|cannot be restored|no file of Mynah's") -> None:
        with pytest.raises(BadInput, match=why):
            stage(home, backup, CLOCK)
        assert tree(home) == before
        assert not list(home.glob(".restore-*"))

    for part in range(1, 10):
        backup.write_bytes(whole[: len(whole) * part // 10])
        refused("damaged|cannot be restored|neither")
    for changes in ({"leave": MANIFEST}, {"leave": "adapter_model.safetensors"}, {"change": "dataset.jsonl"}, {"leave": DATABASE}):
        backup.write_bytes(whole)
        rewrite(backup, **changes)  # type: ignore[arg-type]
        refused()
    for hostile in (
        info("../outside"),
        info("/tmp/outside"),
        info("models/../../outside"),
        info("models"),
        info("secrets/x"),
        info("models/1/v1/link", kind=tarfile.SYMTYPE, link="/etc/passwd"),
        info("models/1/v1/hard", kind=tarfile.LNKTYPE, link="../../../x"),
        info("models/1/v1/pipe", kind=tarfile.FIFOTYPE),
    ):
        backup.write_bytes(whole)
        rewrite(backup, add=(hostile, b""))
        refused()
    backup.write_text("a diary")
    refused("neither a file of mynah backup")
    backup.unlink()
    refused("no backup")
    backup.mkdir()
    refused("holds no")
    assert not (tmp_path / "outside").exists()


def test_a_backup_of_a_newer_mynah_is_refused(backup: Path, tmp_path: Path) -> None:
    copied = copy_daily(tmp_path / "home" / DATABASE, CLOCK.now())
    with closing(sqlite3.connect(copied)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(BadInput, match="install the newer Mynah"):
        stage(tmp_path / "home", copied, CLOCK)


def test_one_restore_at_a_time(backup: Path, tmp_path: Path) -> None:
    stage(tmp_path / "home", backup, CLOCK)
    with pytest.raises(BadInput, match="waiting already"):
        stage(tmp_path / "home", backup, CLOCK)


async def test_where_nobody_takes_it_over_it_waits_for_the_next_start(
    backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setattr(backups, "TAKE_OVER_S", 0.1)
    settings = Settings(_env_file=None, mynah_home=home, stop_grace_seconds=0.1)
    async with desk(home) as busy:  # it has the database open, and does not look for a restore
        with pytest.raises(StorageError, match=rf"Nobody has taken the restore over .* in use by process {os.getpid()}"):
            await backups.restore(settings, backup=backup)
        assert await models(busy) == {(1, 1), (1, 2)}
    await (await open_database(home, CLOCK)).close()
    assert look(home, "SELECT count(*) FROM models") == [1]


async def test_a_damaged_database_is_replaced_and_kept(backup: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    damaged = b"SQLite format 3\0" + b"\xff" * 9000
    (home / DATABASE).write_bytes(damaged)
    (home / f"{DATABASE}-wal").write_bytes(b"newest changes")
    with pytest.raises(StorageError, match="damaged"):
        await open_database(home, CLOCK)
    told = await go_back(home, backup)
    aside = Path(told["replaced"])
    assert (aside / DATABASE).read_bytes() == damaged
    assert look(home, "SELECT count(*) FROM models") == [1]


KILLED = """
import os, pathlib, signal, sys
from datetime import datetime
home, moment, at = pathlib.Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2]), int(sys.argv[3])
from bot import restores
count = 0
def watch(event, arguments):
    global count
    if event in ("open", "os.rename", "os.remove", "os.mkdir", "shutil.copyfile", "shutil.rmtree", "sqlite3.connect", "os.rmdir"):
        if event == "open" and not any(str(home) in str(a) for a in arguments):
            return
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
restores.take_over(home, moment)
print(count)
"""


@pytest.mark.fault(32)
def test_killed_anywhere_a_restore_is_finished_by_the_next_start(backup: Path, tmp_path: Path) -> None:
    """Killed at any of its steps, a restore leaves the old database or the new one, whole, and the next start finishes it."""
    home, kills = tmp_path / "home", 0
    shutil.copytree(home, tmp_path / "before")
    wanted: dict[str, bytes] | None = None
    for at in range(1, 200):
        shutil.rmtree(home)
        shutil.copytree(tmp_path / "before", home)
        stage(home, backup, CLOCK)
        arguments = [str(home), CLOCK.now().isoformat(), str(at if wanted is not None else 10**6)]
        done = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=ROOT, capture_output=True, check=False)
        assert done.returncode in (0, -9), done.stderr
        if wanted is not None and done.returncode == 0:
            break
        kills += wanted is not None
        assert look(home, "PRAGMA integrity_check") == ["ok"]
        take_over(home, CLOCK.now())
        found = {name: content for name, content in tree(home).items() if not name.endswith(("-shm", "-wal"))}
        tables = ("jobs", "models", "posts", "facts", "sqlite_sequence")
        rows = [look(home, f"SELECT * FROM {table} ORDER BY 1") for table in tables]  # noqa: S608
        told = found | {DATABASE: str(rows).encode()}
        wanted = wanted or told
        assert told == wanted, at
    assert kills > 25


async def test_what_cannot_be_taken_over_says_what_to_do_and_leaves_the_database(backup: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    stage(home, backup, CLOCK)
    (home / WAITING / "plan.json").write_text("{")
    before = (home / DATABASE).read_bytes()
    with pytest.raises(StorageError, match="remove that folder to stay with the database as it is"):
        await open_database(home, CLOCK)
    assert (home / DATABASE).read_bytes() == before
    shutil.rmtree(home / WAITING)
    await (await open_database(home, CLOCK)).close()


def test_what_a_killed_command_left_is_removed_a_day_later(tmp_path: Path) -> None:
    (tmp_path / ".restore-1").mkdir()
    (tmp_path / ".restore-2").mkdir()
    os.utime(tmp_path / ".restore-1", (1, 1))
    with pytest.raises(BadInput):
        stage(tmp_path, tmp_path / "nothing", CLOCK)
    assert [path.name for path in tmp_path.iterdir()] == [".restore-2"]
