"""The sources' servers on loopback: real sockets, TLS, and the names that they have in the world.

A `Service` answers as one of them does. The stub gives each its name by a resolver of its own, which refuses every other name. It keeps
what it was asked, and can answer wrongly in any way that a network can.
"""

import asyncio
import json
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal, Protocol

import aiohttp
import trustme
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

Wire = Literal["whole", "cut", "silent", "stalled", "hung up", "endless", "rubbish"]
"""How an answer travels: as it should; ending before its announced length; never; half, and then nothing; not at all, with the connection
closed; without end; as bytes that are no HTTP."""


@dataclass(frozen=True)
class Asked:
    """One request that arrived."""

    host: str
    path: str
    """Decoded, without the query."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""


@dataclass(frozen=True)
class Reply:
    """What is answered. A list or an object is sent as JSON."""

    body: object = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    wire: Wire = "whole"

    def bytes(self) -> bytes:
        match self.body:
            case bytes():
                return self.body
            case str():
                return self.body.encode()
            case _:
                return json.dumps(self.body, ensure_ascii=False).encode()

    def all_headers(self) -> dict[str, str]:
        kind = "text/html" if isinstance(self.body, str | bytes) else "application/json; charset=utf-8"
        return {"Content-Type": kind, **self.headers}


class Service(Protocol):
    """One server in the world."""

    hosts: tuple[str, ...]
    """The names it goes by."""

    def answer(self, asked: Asked) -> Reply: ...


class Names(AbstractResolver):
    """Knows the services' names and no other."""

    def __init__(self, hosts: frozenset[str], port: int) -> None:
        self._hosts, self._port = hosts, port
        self.refused: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:  # noqa: ARG002  # aiohttp's own form
        if host not in self._hosts or port != 443:
            self.refused.append(f"{host}:{port}")
            raise OSError(f"the stub does not know {host}:{port}")
        return [ResolveResult(hostname=host, host="127.0.0.1", port=self._port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None: ...


class Stub:
    """The services at work."""

    def __init__(self, services: tuple[Service, ...], authority: trustme.CA) -> None:
        self._services = {host: service for service in services for host in service.hosts}
        self._authority = authority
        self._instead: deque[Reply] = deque()
        self._always: Reply | None = None
        self._end = asyncio.Event()
        self.names = Names(frozenset(self._services), 0)
        self.hosts = tuple(self._services)
        self.port = 0
        """On loopback."""
        self.asked: list[Asked] = []
        """Every request, the first one first."""

    def instead(self, *replies: Reply) -> None:
        """The next requests are answered with these, one each, whatever they ask."""
        self._instead.extend(replies)

    def always(self, reply: Reply | None) -> None:
        """Every request is answered with this from now on; None: as the services do again."""
        self._always = reply

    def connector(self) -> aiohttp.TCPConnector:
        """A new way to these servers, and to nowhere else; whoever gets it closes it."""
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody else; the default one would read all that the system trusts
        self._authority.configure_trust(trust)
        return aiohttp.TCPConnector(resolver=self.names, ssl=trust)

    def write_trust(self, path: Path) -> None:
        """The certificate of whoever vouches for these servers, for a process of its own."""
        self._authority.cert_pem.write_to_path(str(path))

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = Asked(
            request.host.partition(":")[0],
            request.path,
            dict(request.query),
            {name.lower(): value for name, value in request.headers.items()},
        )
        self.asked.append(asked)
        reply = self._instead.popleft() if self._instead else self._always or self._services[asked.host].answer(asked)
        if reply.wire == "whole":
            return web.Response(body=reply.bytes(), status=reply.status, headers=reply.all_headers())
        return await self._answer_badly(request, reply)

    async def _answer_badly(self, request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        answer = web.StreamResponse(status=reply.status, headers=reply.all_headers())
        match reply.wire:
            case "silent":
                await self._end.wait()
            case "rubbish":
                transport.write(b"\x00\x01 what is this?\r\n\r\n")
            case "cut" | "stalled":
                body = reply.bytes()
                answer.content_length = len(body) + 1
                await answer.prepare(request)
                await answer.write(body[: len(body) // 2])
                if reply.wire == "stalled":
                    await self._end.wait()
            case "endless":
                answer.enable_chunked_encoding()
                await answer.prepare(request)
                while not self._end.is_set() and not transport.is_closing():
                    await answer.write(b"[" * (1 << 16))
                    await asyncio.sleep(0)  # a write alone lets nobody else have a turn
        transport.abort() if reply.wire != "rubbish" else transport.close()
        return answer

    def release(self) -> None:
        """Let go of whoever waits for an answer."""
        self._end.set()


@cache
def _authority() -> trustme.CA:
    """Who vouches for all of them."""
    return trustme.CA()


@asynccontextmanager
async def running(*services: Service) -> AsyncIterator[Stub]:
    """The stub, listening."""
    authority = _authority()
    stub = Stub(services, authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(host for service in services for host in service.hosts)).configure_cert(context)
    runner = web.ServerRunner(web.Server(stub.serve), handle_signals=False, shutdown_timeout=1)
    await runner.setup()
    site = web.SockSite(runner, socket.create_server(("127.0.0.1", 0)), ssl_context=context)
    await site.start()
    stub.port = runner.addresses[0][1]
    stub.names = Names(frozenset(stub.hosts), stub.port)
    try:
        yield stub
    finally:
        stub.release()
        await runner.cleanup()
