"""Whatever runs while somebody is forgotten leaves nothing of them: a training, a sentence, a slot; and a kill is no way out."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bot import forgetting as forgetting_module
from bot.backups import DATABASE
from bot.characters import Characters
from bot.config import Settings
from bot.errors import MynahError
from bot.executor.saying import SayReply, SayRequest, Spoken
from bot.restores import stage
from bot.schedules import Scheduler
from storage.restoring import contents
from tests.contracts.fake_executor import hang
from tests.desk import NOON, at_work, desk
from tests.forgetting.mind import mind, mind_of
from tests.forgotten_home import ALICE, CHANNEL, CLOCK, GUILD, copied, found, sentence, taught, traces


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


ROOT = Path(__file__).parents[2]
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
