"""Ends that are asked for, a full disk and a held database, with the real process."""

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from bot.localdiscord.faults import Fault, Harm
from tests.acceptance.house import open_house, some_tweets

NAMESPACE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")


def jobs(home: Path) -> list[tuple[str, int, int]]:
    with closing(sqlite3.connect(home / "mynah.sqlite3")) as connection:
        return connection.execute("SELECT state, attempt, charged FROM jobs").fetchall()


@pytest.fixture
def _permitted() -> None:
    if subprocess.run([*NAMESPACE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs a process namespace of its own (unshare --user --pid), which is not permitted here")


@pytest.mark.fault(4)
@pytest.mark.usefixtures("_permitted")
async def test_sigterm_ends_it_well_as_process_number_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM stops new work, lets a training save itself and ends with exit code 0 within the grace, also as PID 1 of a container."""
    real = asyncio.create_subprocess_exec

    async def as_number_1(program: str, *arguments: str, **options: object) -> asyncio.subprocess.Process:
        return await real(*NAMESPACE, program, *arguments, **options)  # type: ignore[arg-type]

    async with open_house(tmp_path / "data", start=False) as house:
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "create_subprocess_exec", as_number_1)
            await house.start()
        await house.training("@heron")
        assert house.process is not None
        (bot,) = psutil.Process(house.process.pid).children()
        assert "NSpid:\t" + str(bot.pid) + "\t1\n" in Path(f"/proc/{bot.pid}/status").read_text()  # noqa: ASYNC240
        inside = [bot, *bot.children(recursive=True)]
        began = time.monotonic()
        bot.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(house.process.wait(), 40) == 0, house.log
        assert time.monotonic() - began < 25
        assert [p for p in inside if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
        assert jobs(house.home) == [("queued", 1, 0)]
        assert list((house.home / "jobs" / "1" / "checkpoints").glob("step-*"))


@pytest.mark.fault(4)
async def test_a_second_sigterm_changes_nothing(tmp_path: Path) -> None:
    """A second and a third SIGTERM, whenever they come, still end in exit code 0 with everything saved."""
    async with open_house(tmp_path / "data") as house:
        await house.training("@heron")
        assert house.process is not None
        for _ in range(400):
            with_signal = house.process.returncode is None
            if not with_signal:
                break
            house.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.02)
        assert await asyncio.wait_for(house.process.wait(), 40) == 0, house.log
        assert jobs(house.home) == [("queued", 1, 0)]


@pytest.mark.fault(8)
async def test_a_full_disk_under_the_database_and_the_log_costs_nothing(trained: Path) -> None:
    """While the disk under database and log is full, commands say so and the bot stays up; afterwards everything goes on by itself."""
    async with open_house(trained) as house:
        assert house.process is not None
        bot = psutil.Process(house.process.pid)
        ask = {"character": "ferry", "prompt": "Room"}
        await (await house.alice.slash("say", ask, channel=house.channel)).done(90)
        # No file of the bot may grow any more, neither what the database writes beside itself nor the log: what a full disk does.
        free = bot.rlimit(resource.RLIMIT_FSIZE)
        bot.rlimit(resource.RLIMIT_FSIZE, (1, free[1]))
        told = [(await (await house.alice.slash("say", ask, channel=house.channel)).done(90)).content for _ in range(3)]
        assert all("disk is full" in sentence for sentence in told), told
        refused = await (await house.train("@other", some_tweets())).done(30)
        assert "disk is full" in refused.content
        assert house.process.returncode is None
        bot.rlimit(resource.RLIMIT_FSIZE, free)
        before = len(house.said())
        await (await house.alice.slash("say", ask, channel=house.channel)).done(90)
        assert len(house.said()) == before + 1
        with closing(sqlite3.connect(trained / "mynah.sqlite3")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert await house.stop() == 0


@pytest.mark.fault(34)
async def test_no_secret_leaves_the_process(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bot's token and the webhooks' are in no log, no traceback, no file of a training and no environment of a child process."""
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    async with open_house(trained) as house:
        ask = {"character": "ferry", "prompt": "Hush"}
        await (await house.alice.slash("say", ask, channel=house.channel)).done(90)
        house.world.faults += [Fault(Harm.DROP_AFTER, "POST", "/webhooks/"), Fault(Harm.ERROR_BEFORE, "POST", "/webhooks/", times=2)]
        await (await house.alice.slash("say", ask, channel=house.channel)).done(90)
        await house.training("@heron")
        token = house.application.token
        with closing(sqlite3.connect(trained / "mynah.sqlite3")) as connection:
            (webhook,) = connection.execute("SELECT token FROM webhooks").fetchone()
        for child in house.children():
            assert token not in str(child.environ()) + str(child.cmdline())
        assert await house.stop() == 0
        assert "/webhooks/" in house.log
        for secret in (token, webhook):
            assert secret not in house.log
            for file in (path for folder in ("jobs", "models", "corpora", "uploads") for path in (trained / folder).rglob("*")):
                assert not file.is_file() or secret.encode() not in file.read_bytes(), file


HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.mark.fault(9)
async def test_a_database_held_by_another_program_costs_ten_seconds_and_a_sentence(trained: Path) -> None:
    """A command that finds the database held by another program waits 10 seconds at most and says so; the bot stays up and goes on."""
    async with open_house(trained) as house:
        assert house.process is not None
        ask = {"character": "ferry", "prompt": "Lock"}
        holder = await asyncio.create_subprocess_exec(
            sys.executable, "-c", HOLD, str(trained / "mynah.sqlite3"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ
        )
        assert holder.stdout is not None
        assert await holder.stdout.readline() == b"held\n"
        began = time.monotonic()
        reply = await (await house.alice.slash("say", ask, channel=house.channel)).done(90)
        assert "held by another program" in reply.content
        assert time.monotonic() - began < 45
        assert house.said() == []
        await holder.communicate(b"\n")
        await (await house.alice.slash("say", ask, channel=house.channel)).done(90)
        assert len(house.said()) == 1
        assert house.process.returncode is None
        assert await house.stop() == 0
