"""Whose tweets a training gets, as it is typed at the shell."""

from pathlib import Path

import pytest

from bot.errors import BadInput
from bot.intake import Account
from bot.shell.accounts import read_accounts


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Two, in a folder of somebody's own."""
    made = tmp_path / "first.zip", tmp_path / "second.jsonl"
    for path in made:
        path.write_text("tweets")
    return made


def test_each_file_is_that_of_the_handle_in_the_same_place(files: tuple[Path, Path]) -> None:
    assert read_accounts(["@Wren", "heron"], files) == [Account("wren", files[0]), Account("heron", files[1])]
    assert read_accounts(["heron", "wren", "kite"], files[:1]) == [Account("heron", files[0]), Account("wren"), Account("kite")]


def test_the_addresses_of_profiles_are_taken() -> None:
    addresses = ["https://bsky.app/profile/alice.bsky.social", "@alice@example.social"]
    assert read_accounts(addresses, []) == [Account("alice.bsky.social"), Account("alice@example.social")]


def test_a_relative_path_is_found_from_anywhere_later(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files[0].parent)
    assert read_accounts(["heron"], [Path("first.zip")]) == [Account("heron", files[0])]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no file"):
        read_accounts(["heron"], [tmp_path])
