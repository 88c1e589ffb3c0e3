"""Whose tweets a training gets, as it is typed at the shell."""

from pathlib import Path

import pytest

from bot.errors import BadInput
from bot.shell.accounts import Source, read_accounts
from bot.uploads import Uploads
from storage.jobs import Material


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Two, in a folder of somebody's own."""
    made = tmp_path / "first.zip", tmp_path / "second.jsonl"
    for path in made:
        path.write_text("tweets")
    return made


def test_each_file_is_that_of_the_handle_in_the_same_place(files: tuple[Path, Path], tmp_path: Path) -> None:
    accounts = read_accounts(["@Wren", "heron"], files, None)
    assert accounts.handle == "heron+wren"
    assert accounts.given == (("heron", files[1]), ("wren", files[0]))
    materials, source_path = accounts.materials(Uploads(tmp_path / "data"))
    assert materials == (
        Material("heron", "file", str(files[1]), "second.jsonl"),
        Material("wren", "file", str(files[0]), "first.zip"),
    )
    assert source_path == str(files[1])
    assert not (tmp_path / "data").exists()


def test_accounts_without_a_file_are_read_from_the_source_into_a_folder_of_their_own(files: tuple[Path, Path], tmp_path: Path) -> None:
    accounts = read_accounts(["heron", "wren", "kite"], files[:1], Source.X)
    assert accounts.fetched == 2
    materials, source_path = accounts.materials(Uploads(tmp_path / "data"))
    assert [(material.handle, material.source) for material in materials] == [("heron", "file"), ("kite", "x"), ("wren", "x")]
    assert materials[1].file_name == "@kite on X"
    room = Path(source_path).parent
    assert room.parent == tmp_path / "data" / "uploads"
    paths = [room / material.path for material in materials]
    assert paths[0] == files[0]
    assert {path.parent for path in paths[1:]} == {room}
    assert paths[1] != paths[2]


def test_the_addresses_of_profiles_are_taken(files: tuple[Path, Path]) -> None:
    assert read_accounts(["https://bsky.app/profile/alice.bsky.social"], [], Source.BLUESKY).handle == "alice.bsky.social"
    assert read_accounts(["@alice@example.social"], [], Source.MASTODON).handle == "alice@example.social"


def test_a_relative_path_is_found_from_anywhere_later(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files[0].parent)
    assert read_accounts(["heron"], [Path("first.zip")], None).given == (("heron", files[0]),)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no file"):
        read_accounts(["heron"], [tmp_path], None)
