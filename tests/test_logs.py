"""What the log says, and what it never says."""

import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog
from pydantic import SecretStr

from bot.config import Settings
from bot.logs import configure_logs

CANARY = "canary-token-7f3a"


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_token_is_blotted_out_everywhere(log_format: Literal["text", "json"], capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Settings(_env_file=None, discord_token=SecretStr(CANARY), log_format=log_format))
    structlog.get_logger("mynah").info("hello", header=f"Bot {CANARY}")
    logging.getLogger("discord.client").error("login with %s", CANARY, exc_info=RuntimeError(f"refused {CANARY}"))
    written = capsys.readouterr().err
    assert "hello" in written
    assert "refused" in written
    assert "[secret]" in written
    assert CANARY not in written


def test_json_lines_are_one_object_each(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Settings(_env_file=None, log_format="json"))
    structlog.get_logger("mynah").warning("job failed", job=7)
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["job"], line["level"], line["logger"]) == ("job failed", 7, "warning", "mynah")


def test_the_level_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Settings(_env_file=None, log_level="ERROR"))
    structlog.get_logger("mynah").info("quiet")
    assert capsys.readouterr().err == ""
