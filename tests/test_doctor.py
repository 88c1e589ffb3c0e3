"""`mynah doctor`: what is wrong is found, with what to do about it; nothing is changed, and no secret is shown."""

import asyncio
import os
import platform
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from bot import doctor
from bot.backups import DATABASE
from bot.config import Settings
from bot.doctor import Check, examine
from bot.shell.doctor import show_doctor
from storage.database import Database
from storage.migrate import newest_version
from storage.spending import SpendingStore
from tests.clock import ManualClock
from tests.executor.fake_head import FakeHead, fake_head
from tests.records import model

CLOCK = ManualClock(datetime(2026, 11, 21, 10, 30, tzinfo=UTC))
SECRET = "MTEw.canary.x"


@pytest.fixture
def _no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the second that loading it takes."""

    async def nothing() -> list[Check]:
        return []

    monkeypatch.setattr(doctor, "_language_model", nothing)


async def look(home: Path, **settings: Any) -> dict[str, Check]:
    """What is found, by name; of several of one name the worst."""
    made = Settings(_env_file=None, mynah_home=home, **settings)
    found: dict[str, Check] = {}
    for check in await examine(made, CLOCK):
        if check.name not in found or found[check.name].state == "ok":
            found[check.name] = check
    return found


def broken(checks: dict[str, Check]) -> set[str]:
    return {check.name for check in checks.values() if check.state == "broken"}


async def make_database(home: Path) -> Path:
    await (await Database.open(home / DATABASE)).close()
    return home / DATABASE


def run_sql(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql)
        connection.commit()


async def test_before_the_first_start_nothing_is_broken_and_nothing_is_made(tmp_path: Path) -> None:
    checks = await look(tmp_path / "data")
    assert broken(checks) == set()
    names = (
        "python",
        "torch",
        "kernels",
        "packages",
        "folder",
        "disk",
        "database",
        "base",
        "bases",
        "discord",
        "time",
        "x",
        "bluesky",
        "mastodon",
    )
    assert [name for name in names if name not in checks] == []
    assert "none yet" in checks["database"].found
    assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("_no_torch")
class TestOfTheMachine:
    async def test_another_python_is_said_to_be_the_wrong_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(platform, "python_version", lambda: "3.12.1")
        python = (await look(tmp_path))["python"]
        assert (python.state, python.found) == ("broken", "3.12.1")
        assert "3.11" in str(python.advice)

    async def test_a_package_that_came_with_this_version_and_is_not_installed_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(doctor, "find_spec", lambda name: None if name == "atproto" else SimpleNamespace())
        packages = (await look(tmp_path))["packages"]
        assert packages.state == "broken"
        assert "atproto" in packages.found
        assert "tweepy" not in packages.found

    @pytest.mark.parametrize(("free", "state"), [(5e7, "broken"), (5e8, "note"), (5e9, "ok")])
    async def test_the_space_on_the_disk_is_said(self, free: float, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
        disk = (await look(tmp_path / "not" / "yet"))["disk"]
        assert disk.state == state
        assert f"{free / 1e9:.1f} GB" in disk.found

    async def test_a_file_in_the_place_of_the_folder_is_found(self, tmp_path: Path) -> None:
        (tmp_path / "data").write_text("no folder")
        checks = await look(tmp_path / "data")
        assert broken(checks) == {"folder"}
        assert "MYNAH_HOME" in str(checks["folder"].advice)

    async def test_a_folder_that_may_not_be_written_is_found(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "access", lambda path, _: Path(path) != tmp_path)  # root may do everything
        checks = await look(tmp_path)
        assert broken(checks) == {"folder"}
        assert "database" not in checks, "nobody can look into that folder"

    async def test_a_clock_before_this_mynah_was_made_is_wrong(self, tmp_path: Path) -> None:
        checks = await examine(Settings(_env_file=None, mynah_home=tmp_path), ManualClock(datetime(1970, 1, 1, tzinfo=UTC)))
        assert [check.name for check in checks if check.state == "broken"] == ["time"]

    async def test_the_time_is_told_in_utc_and_as_it_is_here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        try:
            told = (await look(tmp_path))["time"]
        finally:
            monkeypatch.undo()
            time.tzset()
        assert told == Check("time", "ok", "2026-11-21 10:30 UTC, 16:00 on this machine (IST)")


class TestOfTorch:
    @pytest.fixture
    def fake(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
        """Writes what is imported as torch in child processes."""
        (tmp_path / "fake" / "torch").mkdir(parents=True)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "fake"))
        return (tmp_path / "fake" / "torch" / "__init__.py").write_text

    @pytest.mark.parametrize(
        ("program", "said"),
        [
            ("raise ImportError('libgomp.so.1: no such file')", "libgomp.so.1: no such file"),
            ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "ended by SIGILL"),
            ("import os; os._exit(3)", "its process ended with 3"),
            ("print('hello'); raise SystemExit('no such device')", "no such device"),
        ],
    )
    async def test_one_that_cannot_be_loaded_is_told_with_the_reason(
        self, program: str, said: str, fake: Callable[[str], int], tmp_path: Path
    ) -> None:
        fake(program)
        checks = await look(tmp_path / "data")
        assert broken(checks) == {"torch"}
        assert said in checks["torch"].found
        assert checks["torch"].advice

    async def test_one_that_never_comes_is_not_waited_for(
        self, fake: Callable[[str], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake("import time; time.sleep(600)")
        monkeypatch.setattr(doctor, "_IMPORT_S", 0.2)
        async with asyncio.timeout(30):
            assert "not loaded within" in (await look(tmp_path / "data"))["torch"].found

    @pytest.mark.parametrize(
        ("device", "built", "level", "state"),
        [("cpu", True, "avx2", "ok"), ("cpu", True, None, "note"), ("cpu", False, None, "note"), ("NVIDIA H200", False, None, "ok")],
    )
    def test_kernels_that_cannot_be_used_break_nothing(self, *, device: str, built: bool, level: str | None, state: str) -> None:
        check = doctor._kernels(doctor._Machine("2.0", device, built, level))
        assert check.state == state
        assert ("compiler" in str(check.advice)) == (state == "note" and not built)
        assert level is None or level in check.found


@pytest.mark.usefixtures("_no_torch")
class TestOfWhatIsStored:
    async def test_a_sound_database_is_told_with_its_schema_while_another_process_writes_it(self, tmp_path: Path) -> None:
        writer = await Database.open(tmp_path / DATABASE)
        try:
            checks = await look(tmp_path)
        finally:
            await writer.close()
        assert broken(checks) == set()
        assert f"schema {newest_version()}" in checks["database"].found

    async def test_a_damaged_database_is_told_with_the_command_that_goes_back(self, tmp_path: Path) -> None:
        (await make_database(tmp_path)).write_bytes(b"SQLite format 3\0" + b"\xff" * 9000)
        checks = await look(tmp_path)
        assert broken(checks) == {"database"}
        assert "mynah restore" in checks["database"].found

    async def test_an_older_one_only_needs_a_start_and_a_newer_one_another_mynah(self, tmp_path: Path) -> None:
        path = await make_database(tmp_path)
        run_sql(path, f"PRAGMA user_version = {newest_version() - 1}")
        older = (await look(tmp_path))["database"]
        assert older.state == "note"
        assert "start the bot once" in older.found
        run_sql(path, f"PRAGMA user_version = {newest_version() + 1}")
        assert broken(await look(tmp_path)) == {"database"}

    def test_characters_without_their_files_or_their_base_are_named(self, tmp_path: Path) -> None:
        there = tmp_path / "models"
        there.mkdir()
        away = model(base=str(tmp_path / "away"), base_name="distilgpt2")
        lost = doctor._characters([("heron", model(), there), ("wren", model(), tmp_path / "gone"), ("kite", away, there)], tmp_path)
        assert [check.state for check in lost] == ["broken", "broken"]
        assert "@wren" in lost[0].found
        assert "@kite" in lost[1].found
        assert "distilgpt2" in lost[1].found
        make_base(tmp_path / "bases" / "distilgpt2")
        assert [check.state for check in doctor._characters([("heron", model(), there), ("kite", away, there)], tmp_path)] == ["ok"]

    async def test_a_base_that_is_set_and_was_not_pulled_is_told_with_the_command(self, tmp_path: Path) -> None:
        checks = await look(tmp_path, base_model="gpt2")
        assert broken(checks) == {"base"}
        assert "mynah base pull gpt2" in checks["base"].found

    async def test_pulled_bases_are_listed_and_damaged_ones_named(self, tmp_path: Path) -> None:
        make_base(tmp_path / "bases" / "gpt2")
        make_base(tmp_path / "bases" / "Qwen--Qwen3-0.6B-Base")
        (tmp_path / "bases" / ".half--fetched.part").mkdir()
        checks = await look(tmp_path)
        assert checks["base"].found.endswith("gpt2")
        assert checks["bases"].found == "pulled: Qwen/Qwen3-0.6B-Base, gpt2"
        assert "other languages" not in checks
        (tmp_path / "bases" / "Qwen--Qwen3-0.6B-Base" / "model.safetensors").unlink()
        checks = await look(tmp_path)
        assert checks["bases"].state == "note"
        assert "mynah base pull Qwen/Qwen3-0.6B-Base" in str(checks["other languages"].advice)


def make_base(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    (folder / "model.safetensors").write_bytes(b"")


@pytest.mark.usefixtures("_no_torch")
class TestOfTheSources:
    async def test_x_is_off_until_it_is_turned_on_and_needs_a_token_then(self, tmp_path: Path) -> None:
        assert (await look(tmp_path))["x"].found.startswith("off")
        assert broken(await look(tmp_path, x_enabled="i-have-read-the-terms")) == {"x"}
        on = (await look(tmp_path, x_enabled="i-have-read-the-terms", x_bearer_token=SecretStr(SECRET)))["x"]
        assert (on.state, on.found) == ("ok", "on; left of this month's $20.00 (UTC): $20.00")

    async def test_what_is_left_of_the_months_budget_is_told(self, tmp_path: Path) -> None:
        settings: dict[str, Any] = {"x_enabled": "i-have-read-the-terms", "x_bearer_token": SecretStr(SECRET), "x_monthly_budget": 5.0}
        database = await Database.open(tmp_path / DATABASE)
        try:
            async with database.transaction() as tx:
                await SpendingStore(database).add(tx, "2026-10", posts=900, users=1, usd=4.51)
                await SpendingStore(database).add(tx, "2026-11", posts=500, users=1, usd=2.51)
            assert (await look(tmp_path, **settings))["x"].found.endswith("$2.49")
            async with database.transaction() as tx:
                await SpendingStore(database).add(tx, "2026-11", posts=496, users=0, usd=2.48)
        finally:
            await database.close()
        spent = (await look(tmp_path, **settings))["x"]
        assert spent.state == "note"
        assert "X_MONTHLY_BUDGET" in str(spent.advice)

    async def test_the_servers_that_may_be_asked_are_named(self, tmp_path: Path) -> None:
        assert "MASTODON_INSTANCES" in (await look(tmp_path))["mastodon"].found
        assert "a.example, b.example" in (await look(tmp_path, mastodon_instances="b.example, A.example"))["mastodon"].found

    async def test_no_secret_is_shown(self, tmp_path: Path) -> None:
        secret = SecretStr(SECRET)
        settings: dict[str, Any] = {"discord_token": secret, "x_bearer_token": secret, "x_enabled": "i-have-read-the-terms"}
        checks = await look(tmp_path, ray_token=secret, **settings)
        assert checks["discord"] == Check("discord", "ok", "DISCORD_TOKEN is set")
        assert SECRET not in str(checks)
        assert (await look(tmp_path, discord_token=SecretStr("  ")))["discord"].state == "note"


@pytest.mark.usefixtures("_no_torch")
class TestOfTheCluster:
    @pytest.fixture
    async def head(self) -> Any:
        async with fake_head() as head:
            yield head

    async def test_a_living_head_is_well(self, head: FakeHead, tmp_path: Path) -> None:
        checks = await look(tmp_path, executor="ray", ray_address=head.address, ray_token=SecretStr(SECRET))
        assert checks["cluster"].state == "ok"
        assert head.seen == [("GET", f"Bearer {SECRET}")]

    async def test_one_that_refuses_or_is_not_there_is_broken(self, head: FakeHead, tmp_path: Path) -> None:
        head.get = (401, "no")
        assert "RAY_TOKEN" in (await look(tmp_path, executor="ray", ray_address=head.address))["cluster"].found
        assert broken(await look(tmp_path, executor="ray", ray_address="http://127.0.0.1:9")) == {"cluster"}
        assert "RAY_ADDRESS" in (await look(tmp_path, executor="ray"))["cluster"].found


def test_what_is_found_and_what_to_do_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    checks = [{"name": "disk", "state": "broken", "found": "[bold] 0.1 GB free", "advice": "Free some space."}]
    show_doctor({"ok": False, "checks": checks, "x_terms": [{"sentence": "You shall not.", "source": "X [1]"}]})
    shown = capsys.readouterr().out
    assert "[bold] 0.1 GB free" in shown
    assert "Free some space." in shown
    assert "“You shall not.” (X [1])" in shown
    assert "Broken: disk." in shown
