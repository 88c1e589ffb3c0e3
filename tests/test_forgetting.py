"""What is forgotten is found nowhere any more, byte by byte; whatever runs meanwhile, whatever is restored later."""

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot import forgetting as forgetting_module
from bot.app import open_database
from bot.backups import DATABASE, back_up
from bot.characters import Characters
from bot.config import Settings
from bot.errors import BadInput, MynahError, NotAllowed
from bot.executor.generator import SayReply, SayRequest, Spoken
from bot.exports import note_export
from bot.forgetting import Forgetting
from bot.privacy import Privacy
from bot.restores import stage
from bot.schedules import Scheduler
from storage import copies
from storage.characters import CharacterStore
from storage.database import Database
from storage.restoring import contents
from tests.contracts.fake_executor import hang
from tests.desk import NOON, at_work, desk
from tests.forgotten_home import ALICE, BOB, CHANNEL, CLOCK, GUILD, copied, fill, found, learn, sentence, taught, traces

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with texts of heron and wren everywhere. Not to be changed."""
    home = tmp_path_factory.mktemp("full") / "home"
    asyncio.run(fill(home))
    return home


@pytest.fixture
def home(full: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return copied(full, tmp_path / "home")


@dataclass
class Mind:
    """What forgets."""

    database: Database
    privacy: Privacy
    forgetting: Forgetting
    renewed: list[None]

    async def forget(self, handle: str = "heron", **changes: Any) -> Any:
        CLOCK.advance(1)
        return await self.forgetting.forget(handle, **{"guild_id": GUILD, "user_id": ALICE, "statement": "own", **changes})

    async def look(self, sql: str) -> list[Any]:
        return [row[0] if len(row) == 1 else tuple(row) for row in await self.database.fetch_all(sql)]


def mind_of(database: Database) -> Mind:
    privacy = Privacy(database=database, clock=CLOCK)
    renewed: list[None] = []

    async def renew() -> None:
        renewed.append(None)

    return Mind(database, privacy, Forgetting(database=database, clock=CLOCK, privacy=privacy, renew=renew), renewed)


@asynccontextmanager
async def mind(home: Path) -> AsyncIterator[Mind]:
    """As the program has it that has just opened the database."""
    database = await open_database(home, CLOCK)
    try:
        yield mind_of(database)
    finally:
        await database.close()


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
        assert copies.sound(copy) in (1, 4)
    stage(home, tar, CLOCK)
    async with mind(home) as one:
        assert await one.look("SELECT handle FROM characters ORDER BY id") == ["wren", "rook+wren"]
        assert await one.look("SELECT handle FROM jobs WHERE state = 'queued'") == ["wren"]
    assert traces(home, "heron") == []
    named = contents(home / DATABASE)
    assert all((home / "models" / str(c) / f"v{v}" / "dataset.jsonl").exists() for c, v in named.models)


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


async def test_a_training_that_runs_is_stopped_and_leaves_nothing(tmp_path: Path) -> None:
    """A training of an account that is forgotten is stopped at once, and nothing of it is published or told."""
    async with desk(tmp_path, hang) as one:
        upload = one.upload("mine.txt")
        upload.write_text(sentence("heron"))
        forgets = mind_of(one.database)
        forgets.privacy.halt = one.queue.halt
        async with at_work(one):
            job = (await one.ask(path=upload)).job
            await one.reaches(job.id, "running")
            async with asyncio.timeout(20):
                await one.executor.running.wait()
            (one.attempt(job).folder / "worker.log").write_text(sentence("heron"))
            await forgets.forget()
            assert one.executor.cancelled == [f"{job.id}-a1"]
            assert (traces(tmp_path, "heron"), await one.jobs.get(job.id), await one.results()) == ([], None, [])
            assert {path.split("/")[0] for path in one.files()} == {"privacy.json"}
            one.executor.plans.append(taught("wren"))
            assert (await one.reaches((await one.ask("wren")).job.id, "succeeded")).handle == "wren"


async def test_a_training_that_ends_in_that_moment_leaves_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path, hang, hang, hang, hang, hang) as one:
        forgets = mind_of(one.database)
        forgets.privacy.halt = one.queue.halt
        async with at_work(one):
            for naps in range(5):
                one.executor.running.clear()
                job = (await one.ask()).job
                async with asyncio.timeout(20):
                    await one.executor.running.wait()
                one.executor.end(one.attempt(job), taught("heron")(one.attempt(job)))
                for _ in range(8**naps // 8):
                    await asyncio.sleep(0)
                await forgets.forget()
                assert traces(tmp_path, "heron") == []
                assert await forgets.look("SELECT count(*) FROM characters UNION ALL SELECT count(*) FROM posts") == [0, 0]


class Thinking:
    """A generator that answers when it is told to."""

    def __init__(self) -> None:
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def say(self, _: SayRequest) -> SayReply:
        self.asked.set()
        await self.answer.wait()
        return SayReply((Spoken(sentence("heron"), 1, (), sentence("heron"), 0.5),))


@pytest.mark.parametrize("then", ["heron", "wren"])
async def test_what_is_being_said_meanwhile_is_neither_posted_nor_kept(home: Path, then: str) -> None:
    """What a character has begun to say when it is forgotten is dropped, whether it was asked for or a schedule's slot has come."""
    async with mind(home) as one:
        thinking = Thinking()
        characters = Characters(database=one.database, generator=thinking, home=home, clock=CLOCK)  # type: ignore[arg-type]  # it has what is called
        request = {"guild_id": GUILD, "channel_id": CHANNEL, "user_id": ALICE, "prompt": "", "count": 1, "seed": None}
        said = asyncio.create_task(characters.say(handle="heron", dedupe_key="late", **request))  # type: ignore[arg-type]
        await thinking.asked.wait()
        await one.forget(then)
        thinking.answer.set()
        if then == "wren":
            assert len(await said) == 1
        else:
            with pytest.raises(MynahError, match="has just been deleted"):
                await said
            assert traces(home, "heron") == []


async def test_a_slot_that_is_due_is_dropped(home: Path) -> None:
    async with mind(home) as one:
        scheduler = Scheduler(database=one.database, clock=CLOCK, settings=Settings(_env_file=None), wake_poster=lambda: None)
        await one.database.fetch_all("SELECT 1")
        async with one.database.transaction() as tx:
            await tx.execute("UPDATE schedules SET next_at = ?", (NOON.isoformat(timespec="microseconds"),))
        await scheduler.tick()
        assert await one.look("SELECT count(*) FROM posts WHERE state = 'due' AND kind = 'schedule'") == [3]
        await one.forget()
        assert await one.look("SELECT count(*) FROM posts WHERE state = 'due' AND kind = 'schedule'") == [1]  # wren's
        assert await scheduler.tick() == 0


async def test_what_cannot_be_done_at_once_is_said_and_done_later(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


async def test_a_training_that_does_not_end_holds_nothing_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a cluster that cannot be reached: its folder goes all the same, and it is stopped again later."""
    monkeypatch.setattr(forgetting_module, "STOP_S", 0.05)
    halted: list[list[int]] = []

    async def halt(jobs: Sequence[int]) -> None:
        halted.append(list(jobs))
        await asyncio.Event().wait()

    async with mind(home) as one:
        one.privacy.halt = halt
        receipt = await one.forget()
        assert "has not ended within" in str(receipt.again)
        assert traces(home, "heron") == []
        (todo,) = await one.look("SELECT todo FROM erasures")
        assert json.loads(todo)["jobs"] == halted[0]


async def test_after_a_restore_nobody_is_asked_about_what_was_forgotten_on_its_way(home: Path, tmp_path: Path) -> None:
    async with mind(home) as one:
        await one.forget()
        async with one.database.transaction() as tx:
            await tx.execute("UPDATE posts SET erasure_id = 1, state = 'sending' WHERE state = 'sent' AND id = (SELECT min(id) FROM posts)")
        made = back_up(home, tmp_path / "new.tar", CLOCK)
    stage(home, made.path, CLOCK)
    async with mind(home) as one:
        assert set(await one.look("SELECT state FROM posts WHERE erasure_id IS NOT NULL")) == {"sending"}


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


KILLED = """
import asyncio, os, pathlib, signal, sys
from datetime import datetime
import aiosqlite
from bot import app, forgetting, privacy
from tests.clock import ManualClock
home, moment, at = pathlib.Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2]), int(sys.argv[3])
count = -10**9
def moment_passes():
    global count
    count += 1
    if count == at:
        os.kill(os.getpid(), signal.SIGKILL)
def watch(event, arguments):
    if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.utime", "shutil.rmtree", "sqlite3.connect"):
        if event != "open" or any(str(home) in str(a) for a in arguments):
            moment_passes()
execute = aiosqlite.Connection._execute
async def counted(self, *arguments, **named):
    moment_passes()
    return await execute(self, *arguments, **named)
async def forget():
    global count
    clock = ManualClock(moment)
    database = await app.open_database(home, clock)
    known = privacy.Privacy(database=database, clock=clock)
    sys.addaudithook(watch)
    aiosqlite.Connection._execute = counted
    count = 0
    receipt = await forgetting.Forgetting(database=database, clock=clock, privacy=known).forget(
        "heron", guild_id=7, user_id=9, statement="own")
    print(count)
    count = -10**9
    await database.close()
asyncio.run(forget())
"""
POINTS = 10


def killed(home: Path, at: int) -> subprocess.CompletedProcess[str]:
    arguments = [str(home), CLOCK.now().isoformat(), str(at)]
    return subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.fault(1)
async def test_killed_anywhere_the_next_start_has_forgotten_all_or_nothing(full: Path, tmp_path: Path) -> None:
    """A bot that is killed while it forgets has forgotten everything at its next start, or was not asked yet; also after a restore."""
    whole = killed(copied(full, tmp_path / "whole"), 10**9)
    assert whole.returncode == 0, whole.stderr
    assert traces(tmp_path / "whole", "heron") == []
    moments, forgot = int(whole.stdout.split()[-1]), 0
    for number, at in enumerate(range(2, moments, moments // POINTS)):
        home = copied(full, tmp_path / str(at))
        shutil.copy(found(home, "backups/*.tar")[0], tmp_path / "old.tar")
        assert killed(home, at).returncode == -9
        asked = (home / "privacy.json").exists() and bool(json.loads((home / "privacy.json").read_text())["erasures"])
        if number % 2:
            stage(home, tmp_path / "old.tar", CLOCK)
        async with mind(home) as one:
            if asked:
                forgot += 1
                assert (at, traces(home, "heron")) == (at, [])
                assert await one.look("SELECT count(*) FROM erasures WHERE todo IS NOT NULL") == [0]
                assert (await one.look("SELECT count(*) FROM erasure_messages"))[0] >= 33
            else:
                assert "heron" in await one.look("SELECT handle FROM characters")
                named = contents(home / DATABASE)
                assert all((home / "models" / str(c) / f"v{v}" / "dataset.jsonl").exists() for c, v in named.models)
        shutil.rmtree(home)
    assert forgot > POINTS / 2
