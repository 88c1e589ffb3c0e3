"""The composition root: which executor and which sources the settings ask for, and that the parts know one another."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.app import make_executor, open_app
from bot.config import Settings
from bot.errors import ConfigError, NotAllowed
from storage.trainings import Material
from tests.executor.fake_head import fake_head
from tests.executor.scene import Job
from tests.records import training_of


async def test_trainings_run_on_the_cluster_that_the_settings_name(tmp_path: Path) -> None:
    attempt = Job(tmp_path / "7", "succeed").attempt()
    async with fake_head() as head:
        head.get_after = (200, {"status": "FAILED", "driver_exit_code": 143})
        settings = Settings(_env_file=None, executor="ray", ray_address=head.address, ray_token=SecretStr("a-token\n"), ray_gpus=0.5)
        executor = make_executor(settings)
        await executor.start(attempt)
        assert (await executor.wait(attempt)).state == "preempted"
        await executor.close()
        assert {token for _, token in head.seen} == {"Bearer a-token"}
        (submitted,) = head.submitted
        assert submitted["entrypoint_num_gpus"] == 0.5
        assert submitted["runtime_env"]["env_vars"] == {"RAY_JOB_STOP_WAIT_TIME_S": "20"}
        assert f"-m bot.executor.training_worker {attempt.folder}" in submitted["entrypoint"]
        assert executor.outlives


async def test_trainings_run_here_by_default() -> None:
    executor = make_executor(Settings(_env_file=None))
    assert not executor.outlives
    await executor.close()


async def test_a_cluster_without_an_address_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="EXECUTOR=ray needs RAY_ADDRESS"):
        async with open_app(Settings(_env_file=None, executor="ray", mynah_home=tmp_path)):
            pass


async def test_what_the_operator_has_not_turned_on_is_not_asked_and_the_job_says_so(tmp_path: Path) -> None:
    async with open_app(Settings(_env_file=None, mynah_home=tmp_path)) as app:
        path = app.uploads.fetched(app.uploads.room(), "x", "heron")
        training = training_of("heron", path, materials=(Material("heron", "x", path.name, "@heron on X"),))
        queued = await app.queue.enqueue(training, guild_id=0, channel_id=0, user_id=0, dedupe_key="shell:1", basis="operator")
        ended = await app.runner.run_one(queued.job.id)
        assert ended.state == "failed"
        assert (ended.reason or "").startswith("X is off here")
        assert not path.parent.exists()
        consents = await app.database.fetch_all("SELECT handle, basis, job_id FROM consents")
        assert [tuple(row) for row in consents] == [("heron", "operator", ended.id)]


async def test_who_has_opted_out_is_refused_when_asked_for_and_cancelled_when_waiting(tmp_path: Path) -> None:
    async with open_app(Settings(_env_file=None, mynah_home=tmp_path)) as app:
        path = await app.uploads.save("wren.txt", 6, _write)
        waiting = await app.queue.enqueue(
            training_of("wren", path), guild_id=7, channel_id=8, user_id=9, dedupe_key="interaction:1", basis="agreed"
        )
        await app.privacy.opt_out("wren", guild_id=70, user_id=10)
        assert (await app.queue.get(waiting.job.id, guild_id=7)).state == "cancelled"
        assert not path.parent.exists()
        with pytest.raises(NotAllowed, match="@wren"):
            await app.queue.enqueue(
                training_of("heron+wren", path, materials=tuple(Material(h, "x", h, h) for h in ("heron", "wren"))),
                guild_id=7,
                channel_id=8,
                user_id=9,
                dedupe_key="interaction:2",
                basis="agreed",
            )


async def _write(path: Path) -> None:
    path.write_text("tweets")  # noqa: ASYNC240 - a few bytes
