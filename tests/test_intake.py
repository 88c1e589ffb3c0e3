"""What a member or the operator hands over, made into a training."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.app import open_app
from bot.config import Settings
from bot.errors import BadInput
from bot.intake import Account, Given, Intake
from storage.trainings import Material, Training


async def write(path: Path) -> None:
    path.write_bytes(b"tweets")  # noqa: ASYNC240 - a few bytes


@pytest.fixture
async def intake(tmp_path: Path) -> AsyncIterator[Intake]:
    settings = Settings(
        _env_file=None,
        mynah_home=tmp_path / "data",
        x_enabled="i-have-read-the-terms",
        x_bearer_token=SecretStr("made-up"),
        base_model="nano",
    )
    async with open_app(settings) as app:
        yield app.intake


def paths(training: Training) -> list[Path]:
    return [Path(training.source_path).parent / material.path for material in training.materials]


async def test_a_file_at_the_shell_stays_where_it_lies_and_what_is_handed_over_is_kept(intake: Intake, tmp_path: Path) -> None:
    own = tmp_path / "heron.zip"
    accounts = [Account("heron", own), Account("wren", Given("wren.txt", 6, write)), Account("kite")]
    async with intake.taken(accounts, service="x", preset="fast", seed=7) as training:
        pass
    assert (training.handle, training.preset, training.seed, training.base_name) == ("heron+kite+wren", "fast", 7, "nano")
    assert training.materials == (
        Material("heron", "file", str(own), "heron.zip"),
        Material("wren", "file", "wren.txt", "wren.txt"),
        Material("kite", "x", "x-kite.jsonl", "@kite on X"),
    )
    first, *others = paths(training)
    assert first == own
    assert {path.parent for path in others} == {Path(training.source_path).parent}
    assert Path(training.source_path).parent.parent == tmp_path / "data" / "uploads"
    assert others[0].read_bytes() == b"tweets"


async def test_of_files_at_the_shell_nothing_is_made(intake: Intake, tmp_path: Path) -> None:
    own = tmp_path / "heron.zip"
    async with intake.taken([Account("heron", own)], service=None, preset="fast") as training:
        assert training.source_path == str(own)
    assert not (tmp_path / "data" / "uploads").exists()


async def test_who_brings_no_tweets_is_told_how_in_their_own_words(intake: Intake) -> None:
    with pytest.raises(BadInput, match=r"There are no tweets of @wren\. Knock first\."):
        async with intake.taken([Account("heron", Path("a.zip")), Account("wren")], service=None, preset="fast", bring="Knock first."):
            pass
