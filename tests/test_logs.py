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


@pytest.mark.fault(34)
@pytest.mark.parametrize("name", ["discord_token", "ray_token", "x_bearer_token"])
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_token_is_blotted_out_everywhere(name: str, log_format: Literal["text", "json"], capsys: pytest.CaptureFixture[str]) -> None:
    """The bot's token is in no line of the log and in no traceback, whoever wrote it there."""
    configure_logs(Settings(_env_file=None, log_format=log_format).model_copy(update={name: SecretStr(CANARY)}))
    structlog.get_logger("mynah").info("hello", header=f"Bot {CANARY}")
    logging.getLogger("discord.client").error("login with %s", CANARY, exc_info=RuntimeError(f"refused {CANARY}"))
    written = capsys.readouterr().err
    assert "hello" in written
    assert "refused" in written
    assert "[secret]" in written
    assert CANARY not in written


@pytest.mark.fault(34)
@pytest.mark.parametrize(
    "path", ["/api/v10/webhooks/123/{}", "/api/v10/webhooks/123/{}/messages/@original", "/interactions/123/{}/callback"]
)
def test_a_token_in_an_address_is_blotted_out(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The tokens of webhooks and interactions, which stand in addresses, are in no line of the log and in no traceback."""
    configure_logs(Settings(_env_file=None, log_level="DEBUG"))
    address = f"https://discord.com{path.format(CANARY)}?wait=true"
    logging.getLogger("discord.webhook.async_").error("POST %s", address, exc_info=OSError(f"cannot reach {address}"))
    written = capsys.readouterr().err
    assert written.count("[secret]") == 2
    logging.getLogger("discord.http").debug("received %s", {"id": "1", "token": CANARY})
    logging.getLogger("discord.http").debug("received %s", json.dumps({"token": CANARY}))
    written += capsys.readouterr().err
    assert written.count("[secret]") == 4
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


@pytest.mark.fault(20)
def test_a_broken_connection_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """That Discord cannot be reached is one line in the log, and no traceback."""
    configure_logs(Settings(_env_file=None))
    error = ConnectionError("name resolution failed")
    logging.getLogger("discord.client").error("Attempting a reconnect in %.2fs", 1.5, exc_info=error)
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert "ConnectionError: name resolution failed" in written
    assert "1.50s" in written


def test_the_token_of_a_cluster_is_blotted_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Settings(_env_file=None, ray_token=SecretStr(CANARY)))
    logging.getLogger("aiohttp.client").error("Bearer %s", CANARY)
    written = capsys.readouterr().err
    assert "[secret]" in written
    assert CANARY not in written
