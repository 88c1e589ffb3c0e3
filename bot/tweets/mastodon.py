"""Mastodon, by its API: the public posts of an account on a server that the operator has named.

The terms of many servers forbid it, so none is asked unless it stands in MASTODON_INSTANCES; the export of an account (`outbox.py`) needs
no server. Pages are asked of the account's own server whatever its `Link` header says: of that only the number is taken.
"""

import asyncio
import re
from collections.abc import Mapping
from datetime import datetime

import aiohttp
import structlog
from yarl import URL

from bot.clock import Clock
from bot.errors import Declined, Missing, NoAccess, RateLimited, SourceDown, SourceError, Suspended
from bot.tweets.source import Page, Profile, Tweet
from bot.tweets.web import PATIENCE, Answer, Item, Patience, Web, moment

log = structlog.get_logger("mynah.mastodon")

PAGE = 40
"""The most posts that Mastodon gives at once."""
EXPORT = "send the outbox.json of the account's export, which its owner gets under Preferences, Import and export"

_WHO_ASKS = {"User-Agent": "Mynah (a self-hosted Discord bot)"}
_HANDLE = re.compile(r"(?P<name>[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)@(?P<host>[a-z0-9-]+(?:\.[a-z0-9-]+)+)", re.IGNORECASE)
_IDENTITY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_NEXT = re.compile(r"\brel\s*=\s*\"?[^\",;]*\bnext\b", re.IGNORECASE)


class Mastodon:
    """A `Source`."""

    depth = 10_000
    """Servers keep all; this many are taught at once."""

    def __init__(
        self, instances: frozenset[str], *, clock: Clock, connector: aiohttp.BaseConnector | None = None, patience: Patience = PATIENCE
    ) -> None:
        """Build it; nothing is asked yet.

        Args:
            instances: the names of the servers that may be asked, in lower case.
            clock: tells whether a limit ends in the time to come.
            connector: taken over, and closed with the source.
            patience: with each server.
        """
        self._instances = instances
        self._clock = clock
        self._connector = connector
        self._patience = patience
        self._webs: dict[str, Web] = {}

    async def profile(self, handle: str) -> Profile:
        """Look the account up.

        Raises:
            SourceError: it cannot be had, or not now.
        """
        name, host = self._place(handle)
        answer = await self._web(host).get(f"https://{host}/api/v1/accounts/lookup", params={"acct": name}, headers=_WHO_ASKS)
        account = answer.json()
        if answer.status != 200 or not isinstance(account, Mapping):
            raise self._refusal(answer, handle, host)
        username, identity = account.get("username"), account.get("id")
        if not isinstance(username, str) or not isinstance(identity, str | int) or not _IDENTITY.fullmatch(str(identity)):
            raise _unreadable(host)
        if username.lower() != name.lower() or "@" in str(account.get("acct")):
            raise _missing(handle)  # whoever it is, nobody was asked about them
        if account.get("suspended") is True:
            raise _suspended(handle, host)
        display_name, wish = await asyncio.to_thread(_look_at, account)
        if wish is not None:
            raise _declined(handle, host, wish)
        avatar, posts = account.get("avatar_static") or account.get("avatar"), account.get("statuses_count")
        return Profile(
            handle=f"{username}@{host}",
            name=display_name,
            id=str(identity),
            avatar_url=avatar if isinstance(avatar, str) and avatar.startswith("https://") else None,
            posts=posts if isinstance(posts, int) else None,
        )

    async def page(self, profile: Profile, *, cursor: str | None = None, since: str | None = None) -> Page:
        """One page of the account's posts, boosts among them.

        Raises:
            SourceError: as `profile`.
        """
        handle, identity = profile.handle or "", profile.id or ""
        _, host = self._place(handle)
        asked = {"limit": str(PAGE), "max_id": cursor, "since_id": since}
        parameters = {name: value for name, value in asked.items() if value}
        answer = await self._web(host).get(f"https://{host}/api/v1/accounts/{identity}/statuses", params=parameters, headers=_WHO_ASKS)
        body = answer.json()
        if answer.status != 200 or not isinstance(body, list):
            raise self._refusal(answer, handle, host)
        statuses = [status for status in body if isinstance(status, Mapping)]
        if body and not statuses:
            raise _unreadable(host)
        wish, tweets = await asyncio.to_thread(_read, statuses, identity)
        if wish is not None:
            raise _declined(handle, host, wish)
        newer = tuple(tweet for tweet in tweets if not _is_old(tweet, since))
        following = _following(answer, statuses) if len(newer) == len(tweets) else None
        return Page(newer, None if following == cursor else following, len(body))

    async def close(self) -> None:
        """Give the connections back."""
        for web in self._webs.values():
            await web.close()
        if self._connector is not None:
            await self._connector.close()

    def _place(self, handle: str) -> tuple[str, str]:
        """The account's name on its server, and the server."""
        parts = _HANDLE.fullmatch(handle)
        if parts is None:
            raise _missing(handle)
        host = parts["host"].lower()
        if host not in self._instances:
            raise NoAccess(
                f"Mynah may not read posts at {host}, since its operator has not named that server (MASTODON_INSTANCES): {EXPORT}."
            )
        return parts["name"], host

    def _web(self, host: str) -> Web:
        if host not in self._webs:
            self._webs[host] = Web(f"The Mastodon server {host}", (host,), connector=self._connector, patience=self._patience)
        return self._webs[host]

    def _refusal(self, answer: Answer, handle: str, host: str) -> SourceError:
        """The error in an answer that gives nothing of @`handle`."""
        body = answer.json()
        said = body.get("error") if isinstance(body, Mapping) else None
        error = _meaning(answer, said if isinstance(said, str) else "", handle, host, self._clock.now())
        log.warning("Mastodon gives nothing", host=host, status=answer.status, said=said, error=str(error))
        return error


def _meaning(answer: Answer, said: str, handle: str, host: str, now: datetime) -> SourceError:
    match answer.status:
        case 200:
            return _unreadable(host)
        case 429:
            return _limited(answer, host, now)
        case 410:
            return _suspended(handle, host)
        case 404 if said:
            return _missing(handle)
        case 401 | 403 | 422 if said:
            return NoAccess(f"The Mastodon server {host} shows posts only to those who are signed in, and Mynah is not: {EXPORT}.")
    detail = ", ".join(filter(None, [f"HTTP {answer.status}", " ".join(said.split())[:120]]))
    return SourceDown(f"The Mastodon server {host} gives nothing of @{handle} ({detail}): wait until it works again.")


def _limited(answer: Answer, host: str, now: datetime) -> RateLimited:
    until = moment(answer.headers.get("x-ratelimit-reset"), now) or moment(answer.headers.get("retry-after"), now)
    if until is None:
        return RateLimited(
            f"The Mastodon server {host} takes no more requests from here for now, and does not say until when: wait five minutes or more."
        )
    return RateLimited(
        f"The Mastodon server {host} takes no more requests from here until {until:%Y-%m-%d %H:%M:%S} UTC: wait until then.", until=until
    )


def _missing(handle: str) -> Missing:
    hint = "" if "@" in handle else " (names there have a server, such as nasa@example.social)"
    return Missing(f"There is no Mastodon account @{handle}{hint}: look at how it is spelt, and whether it has been closed.")


def _suspended(handle: str, host: str) -> Suspended:
    return Suspended(f"The Mastodon server {host} has closed @{handle}, so its posts cannot be read there: its owner may have an export.")


def _declined(handle: str, host: str, words: str) -> Declined:
    return Declined(
        f"@{handle} says “{words}” in its profile at {host}, so Mynah does not learn from it: only its owner can take that back."
    )


def _unreadable(host: str) -> SourceDown:
    return SourceDown(f"The Mastodon server {host} answered with something that Mynah cannot read: wait until it works again.")


def _following(answer: Answer, statuses: list[Item]) -> str | None:
    """The number below which the next page begins.

    It stands in the `Link` header. Where a gate on the way has taken that away, and the page is full, it is that of the last post.
    """
    links = ", ".join(value for name, value in answer.headers.items() if name.lower() == "link")
    last = str(statuses[-1].get("id") or "") if statuses else ""
    for address, attributes in _LINK.findall(links):
        if _NEXT.search(attributes):
            return _max_id(address) or last or None
    return last or None if not links and len(statuses) >= PAGE else None


def _max_id(address: str) -> str | None:
    try:
        return URL(address).query.get("max_id")
    except ValueError:
        return None


def _is_old(tweet: Tweet, since: str | None) -> bool:
    """For servers that do not know `since_id`; the ids of some are no numbers."""
    if since is None or tweet.id is None or not (since.isdecimal() and tweet.id.isdecimal()):
        return False
    return (len(tweet.id), tweet.id) <= (len(since), since)


def _look_at(account: Item) -> tuple[str | None, str | None]:
    """The account's name and wish. In a thread: reading HTML begins with an import of a tenth of a second."""
    from bot.tweets.statuses import name_of, wish  # noqa: PLC0415

    return name_of(account), wish(account)


def _read(statuses: list[Item], account: str) -> tuple[str | None, tuple[Tweet, ...]]:
    """The wish of the account as it stands at its newest post, and the tweets. In a thread."""
    from bot.tweets.statuses import identity, tweets, wish  # noqa: PLC0415

    authors = [author for status in statuses if isinstance(author := status.get("account"), Mapping) and identity(author) == account]
    return wish(authors[0]) if authors else None, tweets(statuses, account)
