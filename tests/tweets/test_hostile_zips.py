"""Zips that are damaged or made as a trap: one clear sentence, little memory, and nothing written."""

import io
import stat
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.errors import BrokenArchive, MynahError
from bot.tweets import members
from bot.tweets.files import read_source
from tests.tweets.builders import PLAIN, tweet, tweets_js, zipped

GOOD = tweets_js([tweet(text, n) for n, text in enumerate(PLAIN)])


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that must hold the zip alone in the end."""
    yield tmp_path
    assert [path.name for path in tmp_path.iterdir()] == ["archive.zip"]


def refusal(folder: Path, data: bytes) -> str:
    path = folder / "archive.zip"
    path.write_bytes(data)
    with pytest.raises(MynahError) as caught:
        list(read_source(path)[1])
    message = str(caught.value)
    assert "archive.zip" in message
    assert message.endswith(".")
    assert ". " not in message
    assert "\n" not in message
    return message


@pytest.mark.fault(27)
@pytest.mark.parametrize("name", ["../tweets.js", "data/../../tweets.js", "/etc/passwd", "C:\\tweets.js", "..\\tweets.js", "data/.."])
def test_names_that_lead_out(folder: Path, name: str) -> None:
    """A zip with a name that leads out of its folder is refused in one sentence, and nothing is ever unpacked to the disk."""
    assert "leads out of its folder" in refusal(folder, zipped({"data/tweets.js": GOOD, name: "x"}))


@pytest.mark.fault(27)
def test_name_with_nul(folder: Path) -> None:
    """A zip with a NUL in a name is refused."""
    data = zipped({"data/tweets.js": GOOD, "data/tweets.js_evil": "x"}).replace(b"data/tweets.js_evil", b"data/tweets.js\0evil")
    assert "leads out of its folder" in refusal(folder, data)


@pytest.mark.fault(27)
def test_link_in_place_of_a_file(folder: Path) -> None:
    """A link in place of a file in a zip is refused and not followed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("data/tweets.js")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert "holds a link" in refusal(folder, buffer.getvalue())


def test_name_that_stands_twice(folder: Path) -> None:
    buffer = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data/tweets.js", GOOD)
        archive.writestr("data/tweets.js", GOOD)
    assert "'data/tweets.js' twice" in refusal(folder, buffer.getvalue())


@pytest.mark.fault(26)
def test_zip_in_a_zip(folder: Path) -> None:
    """A zip inside a zip is not opened, and the sentence says so."""
    assert "another zip ('inner.zip')" in refusal(folder, zipped({"inner.zip": zipped({"data/tweets.js": GOOD})}))


def test_zip_of_something_else(folder: Path) -> None:
    assert "no tweets among its 1 files" in refusal(folder, zipped({"word/document.xml": "<w/>"}))


def test_empty_zip(folder: Path) -> None:
    assert "no tweets among its 0 files" in refusal(folder, zipped({}))


def test_locked_zip(folder: Path) -> None:
    data = bytearray(zipped({"data/tweets.js": GOOD}))
    data[6] |= 1  # the flag of the member …
    data[data.index(b"PK\x01\x02") + 8] |= 1  # … and in the list of members
    assert "password" in refusal(folder, bytes(data))


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packing_that_could_ask_for_any_memory(folder: Path, compression: int) -> None:
    assert "packed in a way" in refusal(folder, zipped({"data/tweets.js": GOOD}, compression=compression))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_cut_short(folder: Path, share: float) -> None:
    data = zipped({f"data/tweets-part{n}.js": GOOD for n in range(5)})
    assert "download it again" in refusal(folder, data[: int(len(data) * share)])


def test_every_damaged_byte_is_a_sentence_or_harmless(tmp_path: Path) -> None:
    data = zipped({"data/tweets.js": GOOD})
    path = tmp_path / "archive.zip"
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x5A]) + data[place + 1 :])
        try:
            found = [one.text for one in read_source(path)[1]]
        except MynahError:
            continue
        assert found == list(PLAIN)


def test_checksum_is_looked_at(folder: Path) -> None:
    data = zipped({"data/tweets.js": GOOD}, compression=zipfile.ZIP_STORED)
    assert "is damaged" in refusal(folder, data.replace(b"kettle", b"cattle"))


def bomb(mebibytes: int) -> bytes:
    """Tweets that unpack to a thousand times their size."""
    buffer = io.BytesIO()
    item = ('{"full_text": "' + "a" * 20_000 + '"},').encode()
    block = item * (1_000_000 // len(item))
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("data/tweets.js", "w") as member:
        member.write(b"window.YTD.tweets.part0 = [")
        for _ in range(mebibytes):
            member.write(block)
        member.write(b'{"full_text": "end"}]')
    return buffer.getvalue()


@pytest.mark.fault(26)
def test_bomb_by_its_ratio(folder: Path) -> None:
    """A zip that unpacks to more than 400 times its size is refused while it is read, in less than 16 MiB of memory."""
    path = folder / "archive.zip"
    path.write_bytes(bomb(100))
    tracemalloc.start()
    with pytest.raises(BrokenArchive, match="more than 400 times its size"):
        for _ in read_source(path)[1]:
            pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


@pytest.mark.fault(26)
def test_bomb_by_its_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a zip unpacks to has an upper limit, counted by the bytes that really come out."""
    monkeypatch.setattr(members, "MAX_READ_BYTES", 8 << 20)
    assert "unpacks to more than 8 MiB" in refusal(folder, bomb(9))


@pytest.mark.fault(26)
def test_claimed_size_is_not_believed(folder: Path) -> None:
    """The size that a zip claims for a file is not believed."""
    data = bytearray(zipped({"data/tweets.js": GOOD}))
    place = data.index(b"PK\x01\x02") + 24
    data[place : place + 4] = struct.pack("<I", 10)
    assert "damaged" in refusal(folder, bytes(data))


def test_one_string_without_end(folder: Path) -> None:
    assert "archive.zip is damaged at tweet 1" in refusal(folder, zipped({"data/tweets.js": '[{"full_text": "' + "a" * 20_000_000}))


def test_brackets_without_end(folder: Path) -> None:
    assert "archive.zip is damaged at tweet 1" in refusal(
        folder, zipped({"data/tweets.js": "window.YTD.tweets.part0 = " + "[" * 6_000_000})
    )
    assert "archive.zip is damaged at tweet 1" in refusal(folder, zipped({"data/tweets.js": '[{"a":' * 1_000_000}))


@pytest.mark.fault(26)
def test_a_million_members(folder: Path) -> None:
    """A zip with a million files is refused before they are looked at."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    count, size = 1_000_000, 1_000_000 * len(entry)
    end_64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, size, 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    first = b"PK\x03\x04"
    assert "holds 1,000,000 files" in refusal(folder, first + entry * count + end_64 + locator + end)
