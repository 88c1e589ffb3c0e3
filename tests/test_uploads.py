"""Uploads: where files lie, what is refused, and that nothing stays behind."""

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import BadInput, NoSpace
from bot.uploads import LIMIT_MIB, Uploads, safe_name


async def write(path: Path) -> None:
    path.write_bytes(b"tweets")  # noqa: ASYNC240 - a few bytes


def files(home: Path) -> list[Path]:
    return [path for path in home.rglob("*") if path.is_file()]


async def test_a_file_lies_in_a_folder_of_its_own_under_its_own_name(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    first = await uploads.save("tweets.js", 6, write)
    second = await uploads.save("tweets.js", 6, write)
    assert first != second
    assert first.name == second.name == "tweets.js"
    assert first.read_bytes() == b"tweets"
    assert first.is_relative_to(tmp_path / "uploads")


async def test_the_files_of_one_request_lie_together_also_two_of_one_name(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    room = uploads.room()
    assert not room.exists()
    paths = [await uploads.save("tweets.js", 6, write, room=room) for _ in range(3)]
    assert {path.parent for path in paths} == {room}
    assert len({path.name for path in paths}) == 3
    assert all(path.suffix == ".js" for path in paths)
    uploads.discard(uploads.fetched(room, "x", "heron"))
    assert not room.exists()


async def test_what_is_fetched_has_a_name_of_its_own_in_the_room(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    room = uploads.room()
    names = [uploads.fetched(room, "mastodon", handle).name for handle in ("alice@example.social", "alice.example.social")]
    assert names == ["mastodon-alice_example.social.jsonl", "mastodon-alice.example.social.jsonl"]


async def test_when_one_file_of_a_request_cannot_be_written_none_stays(tmp_path: Path) -> None:
    async def fail(_: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    uploads = Uploads(tmp_path)
    room = uploads.room()
    await uploads.save("one.zip", 6, write, room=room)
    with pytest.raises(OSError, match="Input/output error"):
        await uploads.save("two.zip", 6, fail, room=room)
    assert not files(tmp_path)


async def test_a_file_above_the_limit_is_refused_with_the_numbers(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=rf"200 MiB.*{LIMIT_MIB} MiB"):
        await Uploads(tmp_path).save("big.zip", 200 * 2**20, write)
    assert not files(tmp_path)


async def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="empty"):
        await Uploads(tmp_path).save("nothing.txt", 0, write)


async def test_a_full_disk_is_said_and_nothing_stays(tmp_path: Path) -> None:
    async def half_write(path: Path) -> None:
        path.write_bytes(b"twe")  # noqa: ASYNC240 - a few bytes
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(NoSpace, match="disk is full"):
        await Uploads(tmp_path).save("a.zip", 6, half_write)
    assert list((tmp_path / "uploads").iterdir()) == []


async def test_what_fails_afterwards_discards_the_file(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)

    async def refused() -> None:
        async with uploads.received("a.zip", 6, write) as path:
            assert path.exists()
            raise BadInput("no")

    with pytest.raises(BadInput):
        await refused()
    assert list((tmp_path / "uploads").iterdir()) == []


async def test_what_goes_well_keeps_it_until_discarded(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    async with uploads.received("a.zip", 6, write) as path:
        pass
    assert path.exists()
    uploads.discard(path)
    uploads.discard(path)
    assert list((tmp_path / "uploads").iterdir()) == []


def test_discard_touches_nothing_outside_its_folder(tmp_path: Path) -> None:
    precious = tmp_path / "archives" / "me" / "tweets.js"
    precious.parent.mkdir(parents=True)
    precious.write_text("mine")
    Uploads(tmp_path).discard(precious)
    assert precious.read_text() == "mine"


@pytest.mark.fault(27)
@given(st.text(max_size=300))
def test_a_safe_name_is_one_plain_name(name: str) -> None:
    """A file that is handed over lies under one plain name in a folder of its own, whatever it is called."""
    safe = safe_name(name)
    assert 1 <= len(safe) <= 100
    assert safe.isascii()
    assert Path(safe).name == safe
    assert not safe.startswith(".")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("tweets.js", "tweets.js"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\archive.zip", "archive.zip"),
        ("mes tweets é.jsonl", "mes_tweets_.jsonl"),
        ("..", "upload"),
        ("a" * 300 + ".zip", "a" * 96 + ".zip"),
    ],
)
def test_safe_names(name: str, safe: str) -> None:
    assert safe_name(name) == safe
