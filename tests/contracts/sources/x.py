"""X's API v2, as far as the recorded exchanges and its documents tell: the two requests that Mynah makes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import aiohttp

from bot.clock import Clock
from bot.tweets.web import Patience
from bot.tweets.x import X
from tests.contracts.sources.stub import Asked, Reply
from tests.contracts.sources.world import Account, Post

Json = dict[str, Any]
TOKEN = "AAAA%2Ftoken%3D"
PROBLEMS = "https://api.twitter.com/2/problems/"
USER_FIELDS = {"profile_image_url", "protected", "public_metrics", "name", "username", "id", "created_at", "description", "verified"}
POST_FIELDS = {
    "author_id", "created_at", "edit_history_tweet_ids", "entities", "id", "in_reply_to_user_id", "lang", "note_tweet",
    "public_metrics", "referenced_tweets", "text",
}  # fmt: skip
TIMELINE_PARAMETERS = {"max_results", "tweet.fields", "pagination_token", "since_id", "exclude", "expansions"}


class XWorld:
    """The service."""

    hosts: tuple[str, ...] = ("api.twitter.com",)

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.pages: Sequence[int] = (100,)
        self.timelines = 0
        """Requests for posts so far."""

    def answer(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return Reply({"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}, 401)
        match asked.path.split("/"):
            case ["", "2", "users", "by", "username", username]:
                return self._user(username, asked.query)
            case ["", "2", "users", identity, "tweets"]:
                return self._timeline(identity, asked.query)
            case _:
                return Reply(b"", 404)

    def _user(self, username: str, query: Mapping[str, str]) -> Reply:
        if wrong := set(query) - {"user.fields"} or set(query.get("user.fields", "name").split(",")) - USER_FIELDS:
            return bad_request(f"[{wrong}] is not one of the parameters")
        account = next((one for one in self.accounts.values() if one.handle.lower() == username.lower()), None)
        if account is None:
            return problem(
                "Not Found Error", f"Could not find user with username: [{username}].", "resource-not-found", "username", username
            )
        if account.state == "suspended" and account.appears is None:
            return problem("Forbidden", f"User has been suspended: [{username}].", "resource-not-found", "username", username)
        return ok({"data": self._as_user(account)})

    def _as_user(self, account: Account) -> Json:
        return {
            "id": identity_of(account),
            "name": account.name,
            "username": account.handle,
            "protected": account.state == "protected" and account.appears is None,
            "profile_image_url": f"https://pbs.twimg.com/profile_images/{identity_of(account)}/heron_normal.jpg",
            "public_metrics": {"followers_count": 3, "following_count": 2, "tweet_count": len(account.posts), "listed_count": 0},
        }

    def _timeline(self, identity: str, query: Mapping[str, str]) -> Reply:
        if wrong := set(query) - TIMELINE_PARAMETERS or set(query.get("tweet.fields", "id").split(",")) - POST_FIELDS:
            return bad_request(f"[{wrong}] is not one of the parameters")
        if not 5 <= int(query.get("max_results", "10")) <= 100:
            return bad_request(f"The `max_results` query parameter value [{query['max_results']}] is not between 5 and 100")
        self.timelines += 1
        account = next((one for one in self.accounts.values() if identity_of(one) == identity), None)
        if account is None:
            return problem("Not Found Error", f"Could not find user with id: [{identity}].", "resource-not-found", "id", identity)
        if account.state != "open" and self.timelines > (account.appears or 0):
            return self._closed(account, identity)
        return self._page(account, query)

    def _closed(self, account: Account, identity: str) -> Reply:
        if account.state == "suspended":
            return problem("Forbidden", f"User has been suspended: [{identity}].", "resource-not-found", "id", identity)
        detail = f"Sorry, you are not authorized to see the user with id: [{identity}]."
        return problem("Authorization Error", detail, "not-authorized-for-resource", "id", identity)

    def _page(self, account: Account, query: Mapping[str, str]) -> Reply:
        since = int(query.get("since_id", "0"))
        posts = [post for post in account.posts[:3200] if post_id(post) > since]
        number, begin = map(int, query.get("pagination_token", "0-0").split("-"))
        size = min(self.pages[min(number, len(self.pages) - 1)], int(query.get("max_results", "10")))
        shown, end = posts[begin : begin + size], begin + size
        meta: Json = {"result_count": len(shown)}
        if shown:
            meta |= {"newest_id": str(post_id(shown[0])), "oldest_id": str(post_id(shown[-1]))}
        if end < len(posts):
            meta["next_token"] = f"{number + 1}-{end}"
        fields = query.get("tweet.fields", "").split(",")
        data = [self._as_post(post, account, fields) for post in shown]
        return ok({"data": data, "meta": meta} if data else {"meta": meta})

    def _as_post(self, post: Post, account: Account, fields: list[str]) -> Json:
        identity = str(post_id(post))
        text = f"RT @somebody: {post.text}" if post.repost else post.text
        more: Json = {
            "author_id": identity_of(account),
            "created_at": f"{post.at:%Y-%m-%dT%H:%M:%S}.000Z",
            "referenced_tweets": [{"type": "retweeted", "id": "7"}] if post.repost else None,
            "note_tweet": {"text": text} if len(text) > 280 else None,
        }
        shown = text if len(text) <= 280 else f"{text[:270]}… https://t.co/abcdefghij"
        return {
            "edit_history_tweet_ids": [identity],
            "id": identity,
            "text": shown,
            **{name: value for name, value in more.items() if name in fields and value is not None},
        }


def identity_of(account: Account) -> str:
    return str(1000 + sum(account.handle.lower().encode()))


def post_id(post: Post) -> int:
    """Of different lengths, since ids have grown: they are numbers, and no text to be sorted."""
    return 999_999_990 + post.number


def ok(body: Json) -> Reply:
    headers = {"api-version": "2.167", "x-access-level": "read", "x-rate-limit-limit": "10000", "x-rate-limit-remaining": "9999"}
    return Reply(body, headers={**headers, "x-rate-limit-reset": "1767269700"})


def problem(title: str, detail: str, kind: str, parameter: str, value: str) -> Reply:
    """As X says it: with status 200."""
    found = {"value": value, "detail": detail, "title": title, "resource_type": "user", "parameter": parameter, "type": PROBLEMS + kind}
    return ok({"errors": [found | {"resource_id": value}]})


def bad_request(message: str) -> Reply:
    return Reply(
        {
            "errors": [{"parameters": {}, "message": message}],
            "title": "Invalid Request",
            "detail": "One or more parameters to your request was invalid.",
            "type": PROBLEMS + "invalid-request",
        },
        400,
    )


class XCase:
    """X, for the suite."""

    name = "X"
    handle = "Heron_1"
    states: frozenset[str] = frozenset({"protected", "suspended"})

    def __init__(self) -> None:
        self.world = XWorld()

    def source(self, connector: aiohttp.BaseConnector, *, clock: Clock, patience: Patience) -> X:
        return X(TOKEN, clock=clock, connector=connector, patience=patience)

    def limited(self, until: datetime | None) -> Reply:
        headers = {"x-rate-limit-limit": "10000", "x-rate-limit-remaining": "0"}
        if until is not None:
            headers["x-rate-limit-reset"] = str(int(until.timestamp()))
        body = {"title": "Too Many Requests", "detail": "Too Many Requests", "type": "about:blank", "status": 429}
        return Reply(body, 429, headers)
