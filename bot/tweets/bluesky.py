"""Bluesky, by its public feed: an account's posts, unless it has declared that no AI may learn from them.

Three kinds of servers are asked: Bluesky's own for the profile and the posts, the directory for where the account keeps its records, and
that server for its declarations (`wishes.RECORDS`), which Bluesky itself does not hand on.
"""

import asyncio
import re
from collections.abc import Awaitable, Iterable, Mapping
from typing import TYPE_CHECKING

import aiohttp
import structlog

from bot.clock import Clock
from bot.errors import Declined, SourceDown
from bot.tweets.blueskyproblems import Refused, is_without_record, missing, protected, refusal, said, suspended, unreadable
from bot.tweets.source import Page, Profile, Tweet
from bot.tweets.strangers import public_connector, public_name
from bot.tweets.web import PATIENCE, Item, Patience, Web, text_in
from bot.tweets.wishes import RECORDS, is_refusal, labels, said_in

if TYPE_CHECKING:
    from bot.tweets.xrpc import Xrpc

log = structlog.get_logger("mynah.bluesky")

HOST = "public.api.bsky.app"
"""Bluesky's server for those who are not signed in."""
DIRECTORY = "plc.directory"
"""Tells where an account keeps its records."""

_HANDLE = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
_DID = re.compile(r"did:[a-z]+:[A-Za-z0-9._:-]+")
_SIGNED_IN_ONLY = {"!no-unauthenticated"}
_CLOSED = {"!takedown", "!suspend"}


class Bluesky:
    """A `Source`."""

    depth = 10_000
    """The feed has no end of its own; this many are taught at once."""

    def __init__(self, *, clock: Clock, connector: aiohttp.BaseConnector | None = None, patience: Patience = PATIENCE) -> None:
        """Build it; nothing is asked yet.

        Args:
            clock: tells whether a limit ends in the time to come.
            connector: taken over, and closed with the source; None: an ordinary one, and one that leads to public addresses only for the
                servers that accounts name.
            patience: with each server.
        """
        self._clock = clock
        self._connector = connector
        self._patience = patience
        self._webs: dict[str, Web] = {}
        self._servers: dict[str, Xrpc] = {}

    async def profile(self, handle: str) -> Profile:
        """Look the account up, and what it has declared.

        Raises:
            SourceError: it cannot be had, or not now.
        """
        if not _HANDLE.fullmatch(handle):
            raise missing(handle)
        server = await self._server(HOST, "Bluesky")
        view = _account(await self._ask(server.profile(handle), handle))
        name, did = text_in(view, "handle"), text_in(view, "did")
        if not name or not _DID.fullmatch(did):
            raise unreadable()
        if name.lower() != handle.lower():
            raise missing(handle)  # whoever it is now, nobody was asked about them
        _refuse_labelled(name, [view])
        if words := said_in(f"{text_in(view, 'displayName')}\n{text_in(view, 'description')}"):
            raise Declined(
                f"@{name} says “{words}” in its profile at Bluesky, so Mynah does not learn from it: only its owner can take that back."
            )
        await self._look_for_declarations(did, name)
        avatar, posts = text_in(view, "avatar"), view.get("postsCount")
        return Profile(
            handle=name,
            name=text_in(view, "displayName").strip() or None,
            id=did,
            avatar_url=avatar if avatar.startswith("https://") else None,
            posts=posts if isinstance(posts, int) else None,
        )

    async def page(self, profile: Profile, *, cursor: str | None = None, since: str | None = None) -> Page:
        """One page of the account's posts, reposts among them; and it has declared nothing meanwhile.

        Raises:
            SourceError: as `profile`.
        """
        handle, did = profile.handle or "", profile.id or ""
        server = await self._server(HOST, "Bluesky")
        answer = await self._ask(server.feed(did, cursor), handle)
        items, following = answer.get("feed"), answer.get("cursor")
        if not isinstance(items, list):
            raise unreadable()
        _refuse_labelled(handle, _authors(items, did))
        await self._look_for_declarations(did, handle)
        if not isinstance(following, str) or following in ("", cursor):
            following = None
        tweets, reached = await asyncio.to_thread(_read, items, did, since, is_last=following is None)
        return Page(tweets, None if reached else following, len(items))

    async def close(self) -> None:
        """Give the connections back."""
        for web in self._webs.values():
            await web.close()
        if self._connector is not None:
            await self._connector.close()

    async def _look_for_declarations(self, did: str, handle: str) -> None:
        """Ask the server that keeps the account's records.

        Raises:
            Declined: there is one that disallows what Mynah does.
            SourceDown: nobody knows, so nothing is read.
        """
        host = await self._home(did, handle)
        server = await self._server(host, f"{host}, which keeps the records of @{handle},")
        for collection in RECORDS:
            try:
                record = await server.record(did, collection)
            except Refused as refused:
                if not is_without_record(refused.answer):
                    raise self._unknown(refused, handle) from refused
                continue
            if is_refusal(record.get("value")):
                raise Declined(
                    f"@{handle} has declared at Bluesky that no AI may learn from it ({collection}), so Mynah does not: "
                    "only its owner can take that back."
                )

    async def _home(self, did: str, handle: str) -> str:
        """The server that keeps the account's records, by its document."""
        kind, _, rest = did.removeprefix("did:").partition(":")
        host = public_name(f"https://{rest}") if kind == "web" else DIRECTORY
        if host is None:
            raise _homeless(handle)
        address = f"https://{host}/.well-known/did.json" if kind == "web" else f"https://{host}/{did}"
        answer = await self._web(host, f"{host}, which knows where @{handle} keeps its records,").get(address)
        if answer.status in (404, 410):
            raise missing(handle)
        document = answer.json()
        services = document.get("service") if answer.status == 200 and isinstance(document, Mapping) else None
        for service in services if isinstance(services, list) else ():
            if isinstance(service, Mapping) and text_in(service, "id").endswith("#atproto_pds"):
                home = public_name(service.get("serviceEndpoint"))
                if home is not None:
                    return home
        raise _homeless(handle)

    def _unknown(self, refused: Refused, handle: str) -> Exception:
        """A server that keeps records gave none, and did not say that there is none."""
        error = refusal(refused.answer, handle, self._clock.now())
        return error if refused.answer.status == 429 else _homeless(handle)

    def _web(self, host: str, name: str) -> Web:
        if host not in self._webs:
            ours = host in (HOST, DIRECTORY)
            connector = self._connector or (None if ours else public_connector())
            self._webs[host] = Web(name, (host,), connector=connector, patience=self._patience)
        return self._webs[host]

    async def _server(self, host: str, name: str) -> "Xrpc":
        if host not in self._servers:
            self._servers[host] = await asyncio.to_thread(_xrpc, self._web(host, name), host)
        return self._servers[host]

    async def _ask(self, call: Awaitable[Item], handle: str) -> Item:
        try:
            return await call
        except Refused as refused:
            error = refusal(refused.answer, handle, self._clock.now())
            log.warning("Bluesky gives nothing", status=refused.answer.status, said=said(refused.answer), error=str(error))
            raise error from refused


def _xrpc(web: Web, host: str) -> "Xrpc":
    """In a thread: the first import takes most of a second."""
    from bot.tweets.xrpc import Xrpc  # noqa: PLC0415  # see above

    return Xrpc(web, host)


def _read(items: list[object], did: str, since: str | None, *, is_last: bool) -> tuple[tuple[Tweet, ...], bool]:
    """In a thread."""
    from bot.tweets.feed import tweets  # noqa: PLC0415  # the same

    return tweets(items, did, since=since, is_last=is_last)


def _account(answer: Item) -> Item:
    """The profile: alone, or in a list as `getProfiles` gives it."""
    listed = answer.get("profiles")
    first = listed[0] if isinstance(listed, list) and listed else answer
    return first if isinstance(first, Mapping) else {}


def _authors(items: list[object], did: str) -> list[Item]:
    """The account itself, as it stands at each of its posts."""
    posts = [item.get("post") for item in items if isinstance(item, Mapping)]
    authors = [post.get("author") for post in posts if isinstance(post, Mapping)]
    return [author for author in authors if isinstance(author, Mapping) and author.get("did") == did]


def _refuse_labelled(handle: str, views: Iterable[Item]) -> None:
    for view in views:
        found = labels(view.get("labels"))
        if found & _CLOSED:
            raise suspended(handle)
        if found & _SIGNED_IN_ONLY:
            raise protected(handle)


def _homeless(handle: str) -> SourceDown:
    return SourceDown(
        f"Mynah cannot see whether @{handle} has declared at Bluesky that no AI may learn from it, because the server with its records "
        "does not say: wait until that works."
    )
