"""The way to the sources' servers: only to the names it was given, by TLS, within a time and a size, and it follows nobody elsewhere.

Every source asks through it. What comes back is an answer that was received whole, whatever it says; everything else is `SourceDown`.
"""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import aiohttp
import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from yarl import URL

from bot.errors import SourceDown

log = structlog.get_logger("mynah.web")

MOST_BYTES = 8 << 20
"""Of an answer, unpacked. A hundred of X's longest posts in the widest script are 7.5 MB."""
LONGEST_WAIT = timedelta(days=31)
"""A limit that is said to end later is no moment that anybody can have meant."""
MOST_PARTS = 400_000
"""Values in an answer: reading it stops everything else, for some tenths of a second with so many. A page of posts has some thousands."""
_MOST_REDIRECTS = 3


@dataclass(frozen=True)
class Patience:
    """How long a request may take and how often it is tried, before the source counts as down."""

    total_s: float = 30.0
    """For one try, from the connection to the last byte."""
    tries: int = 3
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    """Waits, in seconds, between two tries."""


PATIENCE = Patience()

Item = Mapping[str, object]
"""An object in an answer."""


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    reason: str
    headers: Mapping[str, str]
    """Names in any case."""
    body: bytes

    def json(self) -> object:
        """The body as JSON, whatever type the server calls it; None where it is none.

        Halves of letters, which JSON can carry and no file can, are replaced.
        """
        if sum(map(self.body.count, (b"[", b"{", b","))) > MOST_PARTS:
            return None
        try:
            text = self.body.decode("utf-8-sig")
            value: object = json.loads(text)
            if "\\ud" in text.lower():
                whole = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
                value = json.loads(whole)
        except (ValueError, RecursionError):
            return None
        return value


class _Hiccup(Exception):
    """One try failed in a way that the next one may not. The message is the end of a sentence."""


class Web:
    """The servers of one source."""

    def __init__(
        self, name: str, hosts: Iterable[str], *, connector: aiohttp.BaseConnector | None = None, patience: Patience = PATIENCE
    ) -> None:
        """Build it; nothing is asked yet.

        Args:
            name: the source's, for sentences.
            hosts: the only names that are asked.
            connector: taken over, and closed with the rest; None: an ordinary one.
            patience: of every request.
        """
        self._name = name
        self._hosts = frozenset(hosts)
        self._connector = connector
        self._patience = patience
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, *, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for `url`, again after a moment where the server stumbles.

        Raises:
            SourceDown: it gave no whole answer below status 500, or leads to another server.
        """
        try:
            async for attempt in AsyncRetrying(
                stop=stop_after_attempt(self._patience.tries),
                wait=wait_random_exponential(max=5),
                retry=retry_if_exception_type(_Hiccup),
                sleep=self._patience.pause,
                reraise=True,
            ):
                with attempt:
                    return await self._follow(self._address(url).update_query(params or {}), headers or {})
        except _Hiccup as hiccup:
            raise SourceDown(f"{self._name} {hiccup} {self._patience.tries} times in a row: wait until it works again.") from hiccup
        raise AssertionError("tenacity ends with a return or an error")

    async def close(self) -> None:
        """Give the connections back."""
        if self._session is not None:
            await self._session.close()
        elif self._connector is not None:
            await self._connector.close()

    async def _follow(self, url: URL, headers: Mapping[str, str]) -> Answer:
        """To where `url` has moved, on the same server."""
        for _ in range(_MOST_REDIRECTS + 1):
            answer = await self._once(url, headers)
            if answer.status not in (301, 302, 303, 307, 308) or "Location" not in answer.headers:
                return answer
            url = self._address(answer.headers["Location"], url)
        raise SourceDown(f"{self._name} sends Mynah round in circles: wait until that is mended.")

    def _address(self, text: str, base: URL | None = None) -> URL:
        """The address, if it is one of this source's servers, and the one that gave it."""
        try:
            url = URL(text) if base is None else base.join(URL(text))
            port = url.port
        except ValueError as error:
            raise SourceDown(f"{self._name} gives an address that is none: wait until that is mended.") from error
        elsewhere = url.host not in self._hosts if base is None else url.host != base.host
        if url.scheme != "https" or elsewhere or port != 443 or url.user is not None:
            raise SourceDown(f"{self._name} sends Mynah to another server ({url.host}), where it does not go: wait until that is mended.")
        return url

    async def _once(self, url: URL, headers: Mapping[str, str]) -> Answer:
        try:
            async with self._open().get(url, headers=headers, allow_redirects=False) as response:
                body = await self._read(response)
        except TimeoutError as error:
            raise self._hiccup(url, f"did not answer within {self._patience.total_s:g} seconds,", error) from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._hiccup(url, f"could not be reached ({type(error).__name__})", error) from error
        if response.status >= 500:
            raise self._hiccup(url, f"was out of order (HTTP {response.status})", None)
        return Answer(response.status, response.reason or "", response.headers, body)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(1 << 16):
            body += chunk
            if len(body) > MOST_BYTES:
                response.close()
                raise SourceDown(f"{self._name} answered with more than {MOST_BYTES >> 20} MiB: wait until that is mended.")
        return bytes(body)

    def _hiccup(self, url: URL, what: str, error: Exception | None) -> _Hiccup:
        log.warning("a source gave no answer", source=self._name, path=url.path, what=what, error=str(error) if error else None)
        return _Hiccup(what)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._connector,
                timeout=aiohttp.ClientTimeout(total=self._patience.total_s),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def text_in(item: Item, name: str) -> str:
    """What stands under that name, if it is a text; else an empty one."""
    value = item.get(name)
    return value if isinstance(value, str) else ""


def moment(value: str | None, now: datetime) -> datetime | None:
    """When a limit ends, from a header in any of the forms that servers write it in; None where it says no time to come.

    Seconds since 1970, seconds from now (fewer than a year's), an ISO time, or the time of HTTP's own headers.
    """
    try:
        end = _parse(value.strip(), now) if value else None
    except (ValueError, OverflowError):
        return None
    return end if end is not None and now < end <= now + LONGEST_WAIT else None


def _parse(value: str, now: datetime) -> datetime | None:
    try:
        seconds = float(value)
    except ValueError:
        try:
            end = datetime.fromisoformat(value)
        except ValueError:
            end = parsedate_to_datetime(value)
        return end.replace(tzinfo=UTC) if end.tzinfo is None else end.astimezone(UTC)
    if not math.isfinite(seconds):
        return None
    return now + timedelta(seconds=seconds) if seconds < 366 * 86_400 else datetime.fromtimestamp(seconds, UTC)
