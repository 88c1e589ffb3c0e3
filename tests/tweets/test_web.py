"""The way to the sources' servers, over real sockets and TLS."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from unittest.mock import AsyncMock

import pytest

from bot.errors import SourceDown
from bot.tweets.web import MOST_BYTES, Answer, Patience, Web, moment
from tests.contracts.sources.stub import Asked, Reply, Stub, running

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HERE = "https://heron.example"


@dataclass
class Paths:
    """A server that has an answer to each path."""

    answers: dict[str, Reply]
    hosts: tuple[str, ...] = ("heron.example", "egret.example")

    def answer(self, asked: Asked) -> Reply:
        return self.answers.get(asked.path, Reply({"path": asked.path, "query": dict(asked.query)}))


@asynccontextmanager
async def web_to(answers: dict[str, Reply] | None = None, **patience: object) -> AsyncIterator[tuple[Web, Stub]]:
    async with running(Paths(answers or {})) as stub:
        calm = Patience(**{"pause": AsyncMock(), **patience})  # type: ignore[arg-type]
        web = Web("Heron", Paths.hosts, connector=stub.connector(), patience=calm)
        yield web, stub
        await web.close()


def moved(location: str, status: int = 302) -> Reply:
    return Reply(b"", status, {"Location": location})


async def test_an_answer_is_whole() -> None:
    async with web_to() as (web, stub):
        answer = await web.get(f"{HERE}/fish?a=1", params={"b": "2 & 3"}, headers={"X-Bird": "grey"})
    assert (answer.status, answer.json()) == (200, {"path": "/fish", "query": {"a": "1", "b": "2 & 3"}})
    assert stub.asked[0].headers["x-bird"] == "grey"
    assert answer.headers["CONTENT-TYPE"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("status", [204, 304, 400, 401, 402, 403, 404, 410, 418, 429])
async def test_a_refusal_is_an_answer_and_is_asked_for_once(status: int) -> None:
    async with web_to({"/": Reply(b"" if status in (204, 304) else b"no", status)}) as (web, stub):
        assert (await web.get(f"{HERE}/")).status == status
        assert len(stub.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_move_on_the_same_server_is_followed(status: int) -> None:
    async with web_to({"/old": moved("/new?page=2", status)}) as (web, _):
        assert (await web.get(f"{HERE}/old")).json() == {"path": "/new", "query": {"page": "2"}}


@pytest.mark.parametrize(
    "location",
    [
        "https://egret.example/",
        "https://heron.example.evil.example/",
        "https://heron.example@evil.example/",
        "https://someone:secret@heron.example/",
        "https://heron.example:8443/",
        "http://heron.example/",
        "http://heron.example:443/",
        "//evil.example/",
        "https://127.0.0.1/",
        "file:///etc/passwd",
        "https://[::1",
        "https://heron.example:99999999/",
        "",
    ],
)
async def test_a_move_elsewhere_is_not_followed(location: str) -> None:
    async with web_to({"/old": moved(location)}) as (web, stub):
        with pytest.raises(SourceDown, match="Heron"):
            await web.get(f"{HERE}/old")
        assert {asked.path for asked in stub.asked} == {"/old"}
        assert stub.names.refused == []


@pytest.mark.parametrize(
    "url", ["https://evil.example/", "http://heron.example/", "heron.example", "https://heron.example:444/", "https://[", ""]
)
async def test_an_address_elsewhere_is_not_asked(url: str) -> None:
    """A server may say where its next page is: no address is trusted because of who gave it."""
    async with web_to() as (web, stub):
        with pytest.raises(SourceDown):
            await web.get(url)
        assert (stub.asked, stub.names.refused) == ([], [])


async def test_the_largest_answer_and_one_that_is_larger() -> None:
    async with web_to({"/": Reply(b"a" * MOST_BYTES), "/more": Reply(b"a" * (MOST_BYTES + 1))}) as (web, _):
        assert len((await web.get(f"{HERE}/")).body) == MOST_BYTES
        with pytest.raises(SourceDown, match="more than 8 MiB"):
            await web.get(f"{HERE}/more")
        assert (await web.get(f"{HERE}/small")).status == 200


async def test_the_pauses_grow_and_stay_short() -> None:
    pause = AsyncMock()
    async with web_to({"/": Reply(b"", 503)}, tries=5, pause=pause) as (web, stub):
        with pytest.raises(SourceDown, match=r"HTTP 503\) 5 times"):
            await web.get(f"{HERE}/")
        assert len(stub.asked) == 5
    waited = [call.args[0] for call in pause.await_args_list]
    assert len(waited) == 4
    assert all(0 <= seconds <= min(2**tried, 5) for tried, seconds in enumerate(waited))


async def test_cookies_are_not_kept() -> None:
    async with web_to({"/": Reply(b"", 200, {"Set-Cookie": "who=you; Secure"})}) as (web, stub):
        await web.get(f"{HERE}/")
        await web.get(f"{HERE}/")
    assert "cookie" not in stub.asked[1].headers


SECONDS = f"{NOW.timestamp() + 600:.0f}"
IN_TEN_MINUTES = NOW + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (SECONDS, IN_TEN_MINUTES),
        (f" {SECONDS}.0 ", IN_TEN_MINUTES),
        ("600", IN_TEN_MINUTES),
        ("2026-11-21T12:10:00.000Z", IN_TEN_MINUTES),
        ("2026-11-21T13:10:00+01:00", IN_TEN_MINUTES),
        ("2026-11-21T12:10:00", IN_TEN_MINUTES),
        ("Sat, 21 Nov 2026 12:10:00 GMT", IN_TEN_MINUTES),
        (f"{NOW.timestamp():.0f}", None),
        (f"{NOW.timestamp() - 5:.0f}", None),
        (f"{SECONDS}000", None),
        ("0", None),
        ("-600", None),
        ("1e400", None),
        ("nan", None),
        ("9" * 400, None),
        ("2036-11-21T12:10:00Z", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_when_a_limit_ends(value: str | None, expected: datetime | None) -> None:
    assert moment(value, NOW) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'"\\ud83d"', "�"),
        (b'"\\uD83D\\uDC1F \\\\ud83d"', "\U0001f41f \\ud83d"),
        (b'{"\\udc00": ["\\udc00"]}', {"�": ["�"]}),
        (b"", None),
        (b"<html>", None),
        (b'"\xff"', None),
        (b"[" * 100_000, None),
        (b"1" * 10_000, None),
        (b"[" + b"[]," * 399_998 + b"[]]", None),
        (b"[" + b"1," * 399_999 + b"1]", [1] * 400_000),
    ],
    ids=lambda value: str(value)[:20],
)
def test_the_body_as_json(body: bytes, expected: object) -> None:
    assert Answer(200, "OK", {}, body).json() == expected
