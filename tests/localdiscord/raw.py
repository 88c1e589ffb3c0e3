"""Clients with nothing of a library between the test and the wire: one for REST, one for the gateway."""

import io
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp
import zstandard

Json = dict[str, Any]
DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT, INVALID_SESSION, HELLO, ACK = 0, 1, 2, 6, 7, 9, 10, 11
GUILDS, GUILD_MESSAGES, MESSAGE_CONTENT = 1, 1 << 9, 1 << 15


@dataclass(frozen=True)
class Answer:
    """A reply. `code` is Discord's own error number, 0 where there is none."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def code(self) -> int:
        return int(self.body["code"]) if isinstance(self.body, dict) and "code" in self.body else 0

    @property
    def places(self) -> set[str]:
        """Paths of the fields that the error names."""

        def walk(errors: object, where: str) -> set[str]:
            if not isinstance(errors, dict):
                return set()
            found = {where} if "_errors" in errors else set()
            return found.union(*(walk(value, f"{where}/{key}".lstrip("/")) for key, value in errors.items() if key != "_errors"))

        return walk(self.body.get("errors"), "") if isinstance(self.body, dict) else set()


class Rest:
    """Requests with a bot's token."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session = session
        self.url = url
        self._token = token

    async def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        files: dict[str, bytes] | None = None,
        token: str | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """Ask below /api/v10.

        With `files` it sends a form with these parts and the body as its JSON, with `raw` these bytes as JSON. `token` stands in place
        of the bot's; "" for none.
        """
        given = f"Bot {self._token}" if token is None else token
        headers = {"Authorization": given} if given else {}
        data: Any = raw
        if files is not None:
            data = aiohttp.FormData()
            data.add_field("payload_json", json.dumps(body or {}), content_type="application/json")
            for name, content in files.items():
                data.add_field(name, io.BytesIO(content), filename=f"{name}.txt", content_type="application/octet-stream")
        elif raw is not None or body is not None:
            headers["Content-Type"] = "application/json"
            data = raw if raw is not None else json.dumps(body).encode()
        async with self._session.request(method, f"{self.url}/api/v10{path}", data=data, headers=headers) as reply:
            text = await reply.read()
            return Answer(reply.status, dict(reply.headers), json.loads(text) if text else None)


class _Plain:
    def read(self, data: bytes) -> bytes:
        return data


class _Zlib:
    def __init__(self) -> None:
        self._stream = zlib.decompressobj()

    def read(self, data: bytes) -> bytes:
        assert data.endswith(b"\x00\x00\xff\xff"), "every message ends with a flush"
        return self._stream.decompress(data)


class _Zstd:
    def __init__(self) -> None:
        self._stream = zstandard.ZstdDecompressor().decompressobj()

    def read(self, data: bytes) -> bytes:
        return self._stream.decompress(data)


class _Reader(Protocol):
    def read(self, data: bytes) -> bytes: ...


class Closed(Exception):
    """The server closed the connection."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


@dataclass
class Gateway:
    """A gateway connection, message by message."""

    socket: aiohttp.ClientWebSocketResponse
    reader: _Reader
    seq: int | None = None
    session_id: str = ""
    resume_url: str = ""
    seen: list[Json] = field(default_factory=list)

    async def receive(self) -> Json:
        """The next message.

        Raises:
            Closed: the server closed the connection.
        """
        message = await self.socket.receive(timeout=5)
        if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED):
            raise Closed(self.socket.close_code)
        data = message.data if isinstance(message.data, bytes) else message.data.encode()
        payload: Json = json.loads(self.reader.read(data))
        if payload.get("s") is not None:
            self.seq = payload["s"]
        self.seen.append(payload)
        return payload

    async def send(self, op: int, data: object = None) -> None:
        await self.socket.send_str(json.dumps({"op": op, "d": data}))

    async def event(self, name: str) -> Json:
        """The data of the next event of that name; what comes before it is passed over."""
        while True:
            payload = await self.receive()
            if payload["op"] == DISPATCH and payload["t"] == name:
                data: Json = payload["d"]
                return data

    async def until_closed(self) -> int | None:
        """Close code of the server."""
        try:
            while True:
                await self.receive()
        except Closed as closed:
            return closed.code

    async def identify(self, token: str, intents: int = GUILDS, **more: object) -> Json:
        """Say hello and wait until ready; gives READY."""
        await self.send(IDENTIFY, {"token": token, "intents": intents, "properties": {"os": "", "browser": "", "device": ""}, **more})
        ready = await self.event("READY")
        self.session_id, self.resume_url = ready["session_id"], ready["resume_gateway_url"]
        return ready


@asynccontextmanager
async def connected(session: aiohttp.ClientSession, url: str, *, query: str = "v=10&encoding=json") -> AsyncIterator[Gateway]:
    """Connect to a gateway address; HELLO is still to be received."""
    reader: _Reader = _Zlib() if "zlib-stream" in query else _Zstd() if "zstd-stream" in query else _Plain()
    async with session.ws_connect(f"{url}/?{query}", autoping=True) as socket:
        yield Gateway(socket, reader)
