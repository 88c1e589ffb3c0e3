"""The export of a Mastodon account: alone, in its zip or tar.gz, odd, broken, and made as a trap."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.errors import BadInput, BrokenArchive, MynahError
from bot.tweets import tars
from bot.tweets.files import read_source
from bot.tweets.source import Profile, Tweet
from tests.tweets.builders import PLAIN, tweet, tweets_js, zipped

Json = dict[str, Any]
PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
ME = "https://reeds.example/users/heron"
FRIENDS = f"{ME}/followers"
ACTOR: Json = {
    "@context": ["https://www.w3.org/ns/activitystreams"],
    "id": ME,
    "type": "Person",
    "preferredUsername": "heron",
    "name": "Grey Heron :nest:",
    "tag": [{"type": "Emoji", "name": ":nest:"}],
    "icon": {"type": "Image", "mediaType": "image/png", "url": "avatar.png"},
}


def create(number: int, content: object = "<p>Own words here</p>", **more: object) -> Json:
    note = {
        "id": f"{ME}/statuses/{number}",
        "type": "Note",
        "summary": None,
        "inReplyTo": None,
        "published": "2023-01-02T03:04:05Z",
        "url": f"https://reeds.example/@heron/{number}",
        "attributedTo": ME,
        "to": [PUBLIC],
        "cc": [FRIENDS],
        "sensitive": False,
        "content": content,
        "tag": [],
        **more,
    }
    return {
        "id": f"{ME}/statuses/{number}/activity",
        "type": "Create",
        "actor": ME,
        "published": "2023-01-02T03:04:05Z",
        "to": note["to"],
        "cc": note["cc"],
        "object": note,
    }


def boost(number: int, to: object = PUBLIC) -> Json:
    return {"id": f"{ME}/statuses/{number}/activity", "type": "Announce", "actor": ME, "to": to, "object": "https://far.example/notes/1"}


def outbox(*items: object, indent: int | None = None) -> str:
    return json.dumps(
        {
            "@context": ["https://www.w3.org/ns/activitystreams", {"x": [{}]}],
            "id": "outbox.json",
            "type": "OrderedCollection",
            "totalItems": len(items),
            "orderedItems": list(items),
        },
        indent=indent,
        ensure_ascii=False,
    )


def tarred(files: Mapping[str, str | bytes], mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def read(folder: Path, name: str, content: str | bytes) -> tuple[Profile, list[Tweet]]:
    path = folder / "upload"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    profile, found = read_source(path, file_name=name)
    return profile, list(found)


def texts(folder: Path, *items: object) -> list[str]:
    return [one.text for one in read(folder, "outbox.json", outbox(*items))[1]]


def refusal(folder: Path, name: str, content: str | bytes) -> str:
    with pytest.raises(MynahError) as caught:
        read(folder, name, content)
    said = str(caught.value)
    assert isinstance(caught.value, BadInput | BrokenArchive)
    assert said.startswith(name) or f"in {name}" in said
    assert said.endswith(".")
    assert ". " not in said
    assert [path.name for path in folder.iterdir()] == ["upload"]
    return said


OUTBOX = outbox(create(1, "<p>First &amp; best</p>"), boost(2), create(3, "<p>Third</p>"))
EXPORT: dict[str, str | bytes] = {
    "media_attachments/heron.png": b"\x89PNG" * 1000,
    "outbox.json": OUTBOX,
    "likes.json": "{}",
    "actor.json": json.dumps(ACTOR),
}
FORMS: dict[str, tuple[str, str | bytes]] = {
    "alone": ("outbox.json", OUTBOX),
    "under another name": ("my posts.txt", OUTBOX),
    "written over many lines": ("outbox.json", outbox(create(1, "<p>First &amp; best</p>"), boost(2), create(3, "<p>Third</p>"), indent=2)),
    "zip": ("archive-20230102.zip", zipped(EXPORT)),
    "zip with a folder": ("archive.zip", zipped({f"archive-1/{name}": content for name, content in EXPORT.items()})),
    "tar.gz": ("archive-20230102.tar.gz", tarred(EXPORT)),
    "tar.gz with a folder": ("archive.tar.gz", tarred({f"./archive-1/{name}": content for name, content in EXPORT.items()})),
    "tar that a browser has unpacked": ("archive.tar", tarred(EXPORT, "w")),
    "actor first": ("archive.tar.gz", tarred({"actor.json": EXPORT["actor.json"], "outbox.json": OUTBOX})),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_the_export(tmp_path: Path, form: str) -> None:
    profile, found = read(tmp_path, *FORMS[form])
    assert (profile.handle, profile.id, profile.avatar_url) == ("heron@reeds.example", ME, None)
    assert profile.name == ("Grey Heron" if "json" not in FORMS[form][0] and "txt" not in FORMS[form][0] else None)
    assert [(one.text, one.id, one.is_retweet) for one in found] == [("First & best", "1", False), ("", "2", True), ("Third", "3", False)]
    assert found[0].created_at == datetime(2023, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(("to", "cc", "is_read"), [
    ([PUBLIC], [FRIENDS], True),
    ([FRIENDS], [PUBLIC], True),
    (PUBLIC, None, True),
    ("as:Public", [], True),
    ([FRIENDS], [], False),
    (["https://far.example/users/wren"], [], False),
    ([], [], False),
    (None, None, False),
    ([FRIENDS], [{"id": PUBLIC}], True),
    ("https://www.w3.org/ns/activitystreams#Publication", [], False),
])  # fmt: skip
def test_only_what_was_meant_for_everybody_is_read(tmp_path: Path, to: object, cc: object, *, is_read: bool) -> None:
    assert texts(tmp_path, create(1, to=to, cc=cc)) == (["Own words here"] if is_read else [])


def test_a_private_boost_is_not_read(tmp_path: Path) -> None:
    assert texts(tmp_path, boost(1, to=FRIENDS), boost(2, to=[PUBLIC])) == [""]


def test_a_direct_message_is_not_read_though_its_envelope_says_public(tmp_path: Path) -> None:
    letter = create(1, "<p>secret</p>", to=["https://far.example/users/wren"], cc=[])
    assert texts(tmp_path, letter | {"to": [PUBLIC]}) == []


def test_content_warnings_answers_and_pictures_are_as_by_the_api(tmp_path: Path) -> None:
    mention = '<span class="h-card"><a href="https://far.example/@wren" class="u-url mention">@<span>wren</span></a></span>'
    assert texts(
        tmp_path,
        create(1, "<p>warned</p>", summary="food"),
        create(2, f"<p>{mention} I agree</p>", inReplyTo="https://far.example/notes/1"),
        create(3, "<p>So :nest: cosy</p>", tag=[{"type": "Emoji", "name": ":nest:"}, {"type": "Hashtag", "name": "#x"}, 7]),
        create(4, None, contentMap={"en": "<p>By language</p>"}),
        create(5, None),
        create(6, "x" * 30_001),
    ) == ["I agree", "So  cosy", "By language", ""]


def test_other_things_in_an_outbox(tmp_path: Path) -> None:
    bare = create(1)["object"]
    assert (
        texts(
            tmp_path,
            create(0),
            bare,
            create(2, attributedTo="https://far.example/users/wren"),
            create(3, attributedTo=[{"id": ME}], type="Question"),
            create(4, type="Tombstone"),
            {"type": "Like", "actor": ME, "to": [PUBLIC], "object": "https://far.example/1"},
            {"type": "Create", "actor": ME, "to": [PUBLIC], "object": "https://far.example/1"},
            {},
        )
        == ["Own words here"] * 3
    )


@pytest.mark.parametrize(
    ("owner", "url", "handle"),
    [
        ("https://reeds.example/users/heron", None, "heron@reeds.example"),
        ("https://reeds.example/@heron", None, "heron@reeds.example"),
        ("https://reeds.example/ap/users/1137", "https://reeds.example/@heron/1", "heron@reeds.example"),
        ("https://reeds.example/ap/users/1137", "https://reeds.example/notes/1", None),
        ("nonsense", None, None),
        ("https://[::1", None, None),
        ("", None, None),
    ],
)
def test_whose_it_is_without_the_actors_file(tmp_path: Path, owner: str, url: str | None, handle: str | None) -> None:
    profile, _ = read(tmp_path, "outbox.json", outbox(create(1, url=url, attributedTo=owner) | {"actor": owner}))
    assert profile.handle == handle


@pytest.mark.parametrize("actor", ["[" * 100_000, "[]", "x", "", " " * (2 << 20)])
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_an_actors_file_that_cannot_be_read_is_done_without(tmp_path: Path, actor: str, pack: Callable[..., bytes]) -> None:
    profile, found = read(tmp_path, "a.bin", pack({"actor.json": actor, "outbox.json": OUTBOX}))
    assert (profile.handle, len(found)) == ("heron@reeds.example", 3)


def test_an_empty_outbox(tmp_path: Path) -> None:
    assert read(tmp_path, "outbox.json", outbox()) == (Profile(), [])


def test_an_archive_of_x_with_such_a_file_deep_in_it_stays_one(tmp_path: Path) -> None:
    archive = zipped({"data/tweets.js": tweets_js(map(tweet, PLAIN)), "assets/a/outbox.json": OUTBOX})
    assert len(read(tmp_path, "x.zip", archive)[1]) == len(PLAIN)


def test_json_lines_that_speak_of_outboxes_stay_such(tmp_path: Path) -> None:
    lines = json.dumps({"text": 'My "orderedItems": [ are the best, "type":"OrderedCollection"'}) + "\n"
    assert len(read(tmp_path, "x.jsonl", lines)[1]) == 1


# Broken, and made as a trap.


@pytest.mark.parametrize(
    "content",
    [
        OUTBOX[:-40],
        OUTBOX[: OUTBOX.index("orderedItems") + 16],
        '{"type": "OrderedCollection", "totalItems": 9, "first": "https://reeds.example/users/heron/outbox?page=true"}',
        outbox("https://far.example/1"),
        outbox(create(1)).replace("Own words", "\ud800").encode("utf-8", "surrogatepass"),
        OUTBOX.encode().replace(b"best", b"\xff\xfe"),
    ],
    ids=["cut", "cut early", "only where it is", "addresses", "half a letter", "no text"],
)
def test_a_broken_outbox(tmp_path: Path, content: str | bytes) -> None:
    refusal(tmp_path, "outbox.json", content)


BIG = tarred({"noise.png": bytes(number * number % 251 for number in range(300_000)), **EXPORT, "late.png": b"x" * 50_000})


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.95])
def test_a_tar_that_is_cut_short(tmp_path: Path, kept: float) -> None:
    assert "cut short" in refusal(tmp_path, "a.tar.gz", BIG[: int(len(BIG) * kept)])


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9, 0.999])
def test_a_tar_that_is_damaged_even_behind_the_posts(tmp_path: Path, at: float) -> None:
    damaged = bytearray(BIG)
    damaged[int(len(BIG) * at)] ^= 0x55
    assert "damaged" in refusal(tmp_path, "a.tar.gz", bytes(damaged))


def bomb(member: tarfile.TarInfo, size: int, fill: bytes = b" ") -> bytes:
    member.size = size
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=6) as file:
        file.write(member.tobuf())
        for _ in range(size >> 20):
            file.write(fill * (1 << 20))
        file.write(b"\0" * 1024)
    return packed.getvalue()


def test_a_bomb_before_the_posts(tmp_path: Path) -> None:
    assert "100 times its size" in refusal(tmp_path, "a.tar.gz", bomb(tarfile.TarInfo("media/a.png"), 80 << 20))


def test_a_bomb_is_refused_by_what_it_says_before_it_is_unpacked(tmp_path: Path) -> None:
    header = tarfile.TarInfo("media/a.png")
    header.size = 1 << 40
    assert "100 times its size" in refusal(tmp_path, "a.tar.gz", gzip.compress(header.tobuf(tarfile.GNU_FORMAT)))


def test_a_bomb_in_the_posts(tmp_path: Path) -> None:
    assert "100 times its size" in refusal(tmp_path, "a.tar.gz", bomb(tarfile.TarInfo("outbox.json"), 80 << 20))


def test_a_bomb_in_a_header(tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type = tarfile.XHDTYPE
    assert "header of" in refusal(tmp_path, "a.tar.gz", bomb(header, 40 << 20, b"1"))


def test_a_header_over_which_the_reader_would_sit_for_ever(tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 60_000
    assert "endless number" in refusal(tmp_path, "a.tar.gz", gzip.compress(header.tobuf() + b"1" * 60_000 + b"\0" * 2000))


def test_posts_may_hold_long_numbers(tmp_path: Path) -> None:
    export = tarred({"outbox.json": outbox(create(1, f"<p>{'31415926535' * 20_000}</p>"), create(2, f"<p>{'1' * 500}</p>"))})
    assert [len(one.text) for one in read(tmp_path, "a.tar.gz", export)[1]] == [500]


def test_a_bomb_behind_the_posts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tars, "RATIO_FREE_BYTES", 1 << 20)
    assert "100 times its size" in refusal(tmp_path, "a.tar.gz", tarred({"outbox.json": OUTBOX, "z": b"\0" * (4 << 20)}))


def test_more_members_than_any_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tars, "MAX_MEMBERS", 5)
    assert "more than 5 files" in refusal(tmp_path, "a.tar.gz", tarred({f"{number}.png": b"" for number in range(9)}))


@pytest.mark.parametrize("name", ["../outbox.json", "/outbox.json", "a/b/outbox.json", "outbox.json/x", "xoutbox.json"])
def test_an_outbox_in_a_wrong_place_is_none(tmp_path: Path, name: str) -> None:
    assert "holds no outbox.json" in refusal(tmp_path, "a.tar.gz", tarred({name: OUTBOX}))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.GNUTYPE_SPARSE]
)
def test_a_link_or_a_device_is_no_outbox(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("outbox.json")
    info.type, info.linkname = kind, "/etc/passwd"
    refusal(tmp_path, "a.tar", info.tobuf() + b"\0" * 1024)


def test_gzip_of_something_else(tmp_path: Path) -> None:
    assert "gzip" in refusal(tmp_path, "a.gz", gzip.compress(b"hello" * 500))


def test_a_zip_within_a_tar_is_not_opened(tmp_path: Path) -> None:
    assert "holds no outbox.json" in refusal(tmp_path, "a.tar.gz", tarred({"inner.zip": zipped(EXPORT)}))
