"""A Mastodon server, as far as the recorded exchanges and its documents tell: the two requests that Mynah makes."""

import html
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import aiohttp

from bot.clock import Clock
from bot.tweets.mastodon import Mastodon
from bot.tweets.web import Patience
from tests.contracts.sources.stub import Asked, Reply
from tests.contracts.sources.world import Account, Post

Json = dict[str, Any]
HOST = "fosstodon.org"


class MastodonWorld:
    """The server."""

    hosts: tuple[str, ...] = (HOST,)

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.pages: Sequence[int] = (40,)
        self.timelines = 0
        """Requests for posts so far."""

    def answer(self, asked: Asked) -> Reply:
        match asked.path.split("/"):
            case ["", "api", "v1", "accounts", "lookup"]:
                return self._lookup(asked.query)
            case ["", "api", "v1", "accounts", identity, "statuses"]:
                return self._statuses(identity, asked.query)
            case _:
                return refused(404, "Not Found")

    def _lookup(self, query: Mapping[str, str]) -> Reply:
        account = next((one for one in self.accounts.values() if name_of(one).lower() == query["acct"].lower()), None)
        if account is None:
            return refused(404, "Record not found")
        return ok({**self._account(account), **({"suspended": True} if self._is(account, "suspended") else {})})

    def _is(self, account: Account, state: str) -> bool:
        """Whether the account is in this state by now."""
        return account.state == state and self.timelines > (account.appears or -1)

    def _account(self, account: Account) -> Json:
        return {
            "id": identity_of(account),
            "username": name_of(account),
            "acct": name_of(account),
            "display_name": f"{account.name} :heron:",
            "emojis": [{"shortcode": "heron"}],
            "note": "<p>Reeds, and <a href='https://fosstodon.org/tags/noai' class='mention hashtag'>#<span>NoAI</span></a></p>"
            if self._is(account, "declined")
            else "<p>Reeds.</p>",
            "avatar": f"https://cdn.fosstodon.org/accounts/avatars/{identity_of(account)}/heron.png",
            "statuses_count": len(account.posts),
        }

    def _statuses(self, identity: str, query: Mapping[str, str]) -> Reply:
        if set(query) - {"limit", "max_id", "since_id"} or int(query.get("limit", "20")) > 40:
            return refused(422, "Validation failed")
        self.timelines += 1
        account = next((one for one in self.accounts.values() if identity_of(one) == identity), None)
        if account is None:
            return refused(404, "Record not found")
        if self._is(account, "suspended"):
            return Reply(b"", 410)
        below, above = int(query.get("max_id", 10**20)), int(query.get("since_id", 0))
        posts = [post for post in account.posts if above < id_of(post) < below]
        shown = posts[: min(self.pages[min(self.timelines - 1, len(self.pages) - 1)], int(query.get("limit", "20")))]
        links = []
        if len(posts) > len(shown):
            below = id_of(shown[-1]) if shown else below - 1
            links.append(f'<https://{HOST}/api/v1/accounts/{identity}/statuses?limit=40&max_id={below}>; rel="next"')
        if shown:
            links.append(f'<https://{HOST}/api/v1/accounts/{identity}/statuses?limit=40&min_id={id_of(shown[0])}>; rel="prev"')
        return ok([self._status(post, account) for post in shown], {"Link": ", ".join(links)} if links else {})

    def _status(self, post: Post, account: Account) -> Json:
        """As the server tells it, which leaves nothing out."""
        common = {"id": str(id_of(post)), "created_at": f"{post.at:%Y-%m-%dT%H:%M:%S}.000Z", "visibility": "public"}
        author = self._account(account)
        if post.repost:
            return common | {
                "account": author,
                "content": "",
                "reblog": common | {"content": paragraphs(post.text), "account": {"id": "7"}},
            }
        return common | {"account": author, "content": paragraphs(post.text), "spoiler_text": "", "reblog": None, "language": "en"}


def paragraphs(text: str) -> str:
    return "<p>" + html.escape(text).replace("\n", "<br />") + "</p>"


def name_of(account: Account) -> str:
    return account.handle.partition("@")[0]


def identity_of(account: Account) -> str:
    return str(109_302_436_954_000_000 + sum(account.handle.lower().encode()))


def id_of(post: Post) -> int:
    """Of different lengths, since ids have grown: they are numbers, and no text to be sorted."""
    return 99_999_999_999_999_800 + 10 * post.number


def ok(body: object, headers: Mapping[str, str] | None = None) -> Reply:
    limit = {"x-ratelimit-limit": "300", "x-ratelimit-remaining": "299", "x-ratelimit-reset": "2026-01-01T12:05:00.216801Z"}
    return Reply(body, headers={**limit, **(headers or {})})


def refused(status: int, error: str) -> Reply:
    return Reply({"error": error}, status)


class MastodonCase:
    """Mastodon, for the suite."""

    name = HOST
    handle = f"Heron@{HOST}"
    states = frozenset({"suspended", "declined"})

    def __init__(self) -> None:
        self.world = MastodonWorld()

    def source(self, connector: aiohttp.BaseConnector, *, clock: Clock, patience: Patience) -> Mastodon:
        return Mastodon(frozenset({HOST}), clock=clock, connector=connector, patience=patience)

    def limited(self, until: datetime | None) -> Reply:
        headers = {"x-ratelimit-limit": "300", "x-ratelimit-remaining": "0"}
        if until is not None:
            headers["x-ratelimit-reset"] = f"{until:%Y-%m-%dT%H:%M:%S}.000000Z"
        return Reply({"error": "Too many requests"}, 429, headers)
