"""Servers that an account names, not the operator: asked only where they are on the public internet."""

import ipaddress
import re
import socket

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from yarl import URL

_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_NEVER_PUBLIC = ("localhost", "local", "internal", "intranet", "home", "lan", "corp", "arpa", "onion", "test", "example", "invalid")


def public_name(address: object) -> str | None:
    """The host of an `https://` address, if it can be a server of the public internet."""
    if not isinstance(address, str):
        return None
    try:
        url = URL(address)
        host, usual = url.host or "", url.scheme == "https" and url.port == 443 and url.user is None
    except ValueError:
        return None
    is_public = _NAME.fullmatch(host) and host.rpartition(".")[2] not in _NEVER_PUBLIC
    return host if usual and is_public else None


def public_connector() -> aiohttp.TCPConnector:
    """A way to the public internet, and not to the operator's own network."""
    return aiohttp.TCPConnector(resolver=_PublicResolver())


class _PublicResolver(AbstractResolver):
    """Forgets every answer that leads into a private network."""

    def __init__(self) -> None:
        self._resolver = DefaultResolver()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        public = [one for one in found if ipaddress.ip_address(one["host"]).is_global]
        if not public:
            raise OSError(f"{host} has no public address")
        return public

    async def close(self) -> None:
        await self._resolver.close()
