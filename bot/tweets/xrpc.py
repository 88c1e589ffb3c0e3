"""Bluesky's protocol, by atproto, over our own way to its servers.

Importing atproto takes most of a second, so this file is imported in a thread, and only when Bluesky is asked. atproto knows the methods
and their parameters. Its models of answers are strict, and one odd post would lose a whole page, so what comes back is plain JSON.
"""

import json
from collections.abc import Mapping
from typing import Any

import httpx
from atproto import AsyncClient, AsyncRequest, models  # type: ignore[import-untyped]  # it has types and does not say so

from bot.tweets.blueskyproblems import Refused
from bot.tweets.web import Web

PAGE = 100
"""The most posts that Bluesky gives at once."""


class Xrpc:
    """One server. Every method raises Refused, or SourceDown."""

    def __init__(self, web: Web, host: str) -> None:
        """Build it; nothing is asked yet."""
        request = AsyncRequest(transport=_Transport(web), trust_env=False)
        self._client = AsyncClient(f"https://{host}", request=request)

    async def profile(self, actor: str) -> Mapping[str, object]:
        """`app.bsky.actor.getProfile`."""
        return await self._query("app.bsky.actor.getProfile", models.AppBskyActorGetProfile.Params(actor=actor))

    async def feed(self, actor: str, cursor: str | None) -> Mapping[str, object]:
        """`app.bsky.feed.getAuthorFeed`: posts, answers and reposts, the newest first."""
        parameters = models.AppBskyFeedGetAuthorFeed.Params(
            actor=actor, cursor=cursor, filter="posts_with_replies", include_pins=False, limit=PAGE
        )
        return await self._query("app.bsky.feed.getAuthorFeed", parameters)

    async def record(self, repo: str, collection: str) -> Mapping[str, object]:
        """`com.atproto.repo.getRecord` of the one record that describes the account itself."""
        parameters = models.ComAtprotoRepoGetRecord.Params(repo=repo, collection=collection, rkey="self")
        return await self._query("com.atproto.repo.getRecord", parameters)

    async def _query(self, method: str, parameters: Any) -> Mapping[str, object]:  # noqa: ANN401  # a model of atproto's
        content: Mapping[str, object] = (await self._client.invoke_query(method, params=parameters)).content
        return content


class _Transport(httpx.AsyncBaseTransport):
    """Lets good answers pass, and raises the others before atproto can stumble over them."""

    def __init__(self, web: Web) -> None:
        self._web = web

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url.copy_with(query=None)
        answer = await self._web.get(
            str(url), params=dict(request.url.params), headers={"Accept": "application/json", "User-Agent": request.headers["User-Agent"]}
        )
        content = answer.json()
        if answer.status != 200 or not isinstance(content, dict):
            raise Refused(answer)
        return httpx.Response(200, headers={"Content-Type": "application/json"}, content=json.dumps(content).encode())
