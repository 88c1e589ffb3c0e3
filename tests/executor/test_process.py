"""What a worker is not told."""

from itertools import pairwise

from bot.config import Settings
from bot.executor import process


def test_no_worker_gets_a_secret() -> None:
    arguments = process.worker_environment(1, process.TRAINING)
    taken_away = {name for flag, name in pairwise(arguments) if flag == "-u"}
    secrets = {name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert secrets
    assert secrets <= taken_away
