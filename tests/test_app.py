"""The composition root: which executor the settings ask for."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.app import make_executor, open_app
from bot.config import Settings
from bot.errors import ConfigError
from tests.executor.fake_head import fake_head
from tests.executor.scene import Job


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
