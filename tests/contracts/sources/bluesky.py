"""Bluesky's servers, as far as the recorded exchanges and its documents tell: the public one, the directory, and one that keeps records."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import aiohttp

from bot.clock import Clock
from bot.tweets.bluesky import DIRECTORY, HOST, Bluesky
from bot.tweets.web import Patience
from tests.contracts.sources.stub import Asked, Reply
from tests.contracts.sources.world import Account, Post

Json = dict[str, Any]
HOME = "morel.us-east.host.bsky.network"
LETTERS = "234567abcdefghijklmnopqrstuvwxyz"


class BlueskyWorld:
    """The servers."""

    hosts: tuple[str, ...] = (HOST, DIRECTORY, HOME)

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.pages: Sequence[int] = (100,)
        self.feeds = 0
        """Requests for posts so far."""
        self.records: dict[str, Json] = {}
        """What every account has declared, by the name of the collection; in place of what `Account.state` says."""
        self.documents: dict[str, object] = {}
        """What the directory says of a DID, in place of what it should."""

    def answer(self, asked: Asked) -> Reply:
        match asked.host, asked.path.removeprefix("/xrpc/"):
            case (host, "app.bsky.actor.getProfile") if host == HOST:
                return self._profile(asked.query)
            case (host, "app.bsky.feed.getAuthorFeed") if host == HOST:
                return self._feed(asked.query)
            case (host, path) if host == DIRECTORY:
                return self._document(path.removeprefix("/"))
            case (host, "com.atproto.repo.getRecord") if host == HOME:
                return self._record(asked.query)
            case _:
                return Reply({"error": "XRPCNotSupported", "message": "XRPCNotSupported"}, 404)

    def _profile(self, query: Mapping[str, str]) -> Reply:
        account = next((one for one in self.accounts.values() if one.handle.lower() == query["actor"].lower()), None)
        if account is None:
            return refused("InvalidRequest", "Profile not found")
        if account.state == "suspended" and account.appears is None:
            return refused("AccountTakedown", "Account has been suspended")
        return ok({**self._author(account, protected=self._is(account, "protected")), "postsCount": len(account.posts)})

    def _author(self, account: Account, *, protected: bool) -> Json:
        did = did_of(account)
        labels = [
            {"src": did, "uri": f"at://{did}/app.bsky.actor.profile/self", "val": "!no-unauthenticated", "cts": "1970-01-01T00:00:00Z"}
        ]
        return {
            "did": did,
            "handle": account.handle,
            "displayName": account.name,
            "avatar": f"https://cdn.bsky.app/img/avatar/plain/{did}/heron@jpeg",
            "labels": labels if protected else [],
        }

    def _is(self, account: Account, state: str) -> bool:
        """Whether the account is in this state by now."""
        return account.state == state and self.feeds > (account.appears or -1)

    def _document(self, did: str) -> Reply:
        if did in self.documents:
            return Reply(self.documents[did])
        if not any(did_of(account) == did for account in self.accounts.values()):
            return Reply({"message": f"DID not registered: {did}"}, 404)
        service = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": f"https://{HOME}"}
        return Reply({"@context": ["https://www.w3.org/ns/did/v1"], "id": did, "service": [service]})

    def _record(self, query: Mapping[str, str]) -> Reply:
        collection = query["collection"]
        account = next(one for one in self.accounts.values() if did_of(one) == query["repo"])
        record = self.records.get(collection)
        if collection == "org.user-intents.declaration" and self._is(account, "declined"):
            record = {"syntheticContentGeneration": {"allow": False, "updatedAt": "2026-01-01T00:00:00Z"}}
        uri = f"at://{query['repo']}/{collection}/{query['rkey']}"
        if record is None:
            return refused("RecordNotFound", f"Could not locate record: {uri}")
        return ok(
            {"uri": uri, "cid": "bafyreihmbaazzyamwdqwbon7o7qpyuqt7egmmj6s7sred4myfb74jz5f2u", "value": {"$type": collection, **record}}
        )

    def _feed(self, query: Mapping[str, str]) -> Reply:
        if query.get("includePins") != "false" or query.get("filter") != "posts_with_replies" or int(query["limit"]) > 100:
            return refused("InvalidRequest", "Error: Params must have other properties")
        self.feeds += 1
        account = next((one for one in self.accounts.values() if did_of(one) == query["actor"]), None)
        if account is None:
            return refused("InvalidRequest", "Profile not found")
        if self._is(account, "suspended"):
            return refused("AccountTakedown", "Account has been suspended")
        number, begin = map(int, query.get("cursor", "0-0").split("-"))
        end = begin + min(self.pages[min(number, len(self.pages) - 1)], int(query["limit"]))
        body: Json = {"feed": [self._item(post, account) for post in account.posts[begin:end]]}
        return ok(body | ({"cursor": f"{number + 1}-{end}"} if end < len(account.posts) else {}))

    def _item(self, post: Post, account: Account) -> Json:
        author = self._author(account, protected=self._is(account, "protected"))
        if not post.repost:
            return item(author, post.text, post.at)
        reason = {
            "$type": "app.bsky.feed.defs#reasonRepost",
            "by": author,
            "uri": f"at://{author['did']}/app.bsky.feed.repost/{key_of(post.at)}",
            "indexedAt": time(post.at),
        }
        other = {"did": "did:plc:somebodyelse222222222222", "handle": "somebody.example", "labels": []}
        return {**item(other, post.text, datetime(2025, 1, 1, tzinfo=UTC)), "reason": reason}


def item(author: Json, text: str, at: datetime, **record: object) -> Json:
    """One item of a feed; `record` adds to the post's record."""
    post = {"$type": "app.bsky.feed.post", "createdAt": time(at), "langs": ["en"], "text": text, **record}
    uri = f"at://{author['did']}/app.bsky.feed.post/{key_of(at)}"
    return {"post": {"uri": uri, "author": author, "record": post, "indexedAt": time(at), "labels": []}}


def time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def key_of(at: datetime) -> str:
    """The key of a record that was made at this moment."""
    number = int(at.timestamp() * 1_000_000) << 10 | 7
    return "".join(LETTERS[number >> shift & 31] for shift in range(60, -1, -5))


def did_of(account: Account) -> str:
    return f"did:plc:{account.handle.lower().replace('.', ''):2<24.24}"


def ok(body: Json) -> Reply:
    headers = {"RateLimit-Limit": "3000", "RateLimit-Remaining": "2994", "RateLimit-Reset": "1767269700", "RateLimit-Policy": "3000;w=300"}
    return Reply(body, headers=headers)


def refused(error: str, message: str) -> Reply:
    return Reply({"error": error, "message": message}, 400)


class BlueskyCase:
    """Bluesky, for the suite."""

    name = "Bluesky"
    handle = "Heron.bsky.social"
    states = frozenset({"protected", "suspended", "declined"})

    def __init__(self) -> None:
        self.world = BlueskyWorld()

    def source(self, connector: aiohttp.BaseConnector, *, clock: Clock, patience: Patience) -> Bluesky:
        return Bluesky(clock=clock, connector=connector, patience=patience)

    def limited(self, until: datetime | None) -> Reply:
        headers = {"RateLimit-Limit": "3000", "RateLimit-Remaining": "0", "RateLimit-Policy": "3000;w=300"}
        if until is not None:
            headers["RateLimit-Reset"] = str(int(until.timestamp()))
        return Reply({"error": "RateLimitExceeded", "message": "Rate Limit Exceeded"}, 429, headers)
