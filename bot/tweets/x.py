"""X, by its API v2 and tweepy: an account's newest 3,200 posts.

tweepy knows the addresses and the parameters. It sleeps and loops on a limit, and its errors break on bodies that it does not expect (HTML,
an empty one, a list), so it gets a session through which only a good answer passes; everything else is told apart in `xproblems`.
The token stays in that session: tweepy writes the headers that it makes into its log.
"""

import asyncio
import importlib
import re
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import structlog

from bot.clock import Clock
from bot.errors import NoAccess
from bot.tweets.records import MAX_TWEET_CHARACTERS, parse_time
from bot.tweets.source import Page, Profile, Tweet
from bot.tweets.web import PATIENCE, Answer, Item, Patience, Web, text_in
from bot.tweets.xproblems import missing, problems, protected, refusal, unreadable

log = structlog.get_logger("mynah.x")

HOST = "api.twitter.com"
"""Where tweepy asks."""
PAGE = 100
"""The most posts that X gives at once."""

_HANDLE = re.compile(r"[A-Za-z0-9_]{1,30}")
_TOKEN = re.compile(r"[!-~]+")
_LEADING_MENTIONS = re.compile(r"(?:@\w{1,30}\s+)+", re.ASCII)
_USER_FIELDS = ["profile_image_url", "protected", "public_metrics"]
_POST_FIELDS = ["author_id", "created_at", "in_reply_to_user_id", "note_tweet", "referenced_tweets"]


class X:
    """A `Source`."""

    depth = 3200

    def __init__(self, token: str, *, clock: Clock, connector: aiohttp.BaseConnector | None = None, patience: Patience = PATIENCE) -> None:
        """Build it; nothing is asked yet.

        Args:
            token: the bearer token of the operator's app.
            clock: tells whether a limit ends in the time to come.
            connector: taken over, and closed with the source.
            patience: with X's servers.
        """
        self._token = token.strip()
        self._clock = clock
        self._web = Web("X", (HOST,), connector=connector, patience=patience)
        self._tweepy: Any = None

    async def profile(self, handle: str) -> Profile:
        """Look the account up.

        Raises:
            SourceError: it cannot be had, or not now.
        """
        if not _HANDLE.fullmatch(handle):
            raise missing(handle)
        client = await self._client()
        user = await self._ask(client.get_user(username=handle, user_fields=_USER_FIELDS), handle)
        data = user.get("data")
        username = text_in(data, "username") if isinstance(data, Mapping) else ""
        if not isinstance(data, Mapping) or not username or not _number(data.get("id")):
            raise unreadable()
        if username.lower() != handle.lower():
            raise missing(handle)  # whoever it is now, nobody was asked about them
        if data.get("protected") is True:
            raise protected(username)
        metrics = data.get("public_metrics")
        posts = metrics.get("tweet_count") if isinstance(metrics, Mapping) else None
        return Profile(
            handle=username,
            name=text_in(data, "name").strip() or None,
            id=str(_number(data.get("id"))),
            avatar_url=_picture(text_in(data, "profile_image_url")),
            posts=posts if isinstance(posts, int) else None,
        )

    async def page(self, profile: Profile, *, cursor: str | None = None, since: str | None = None) -> Page:
        """One page of the account's posts, retweets among them.

        Raises:
            SourceError: as `profile`.
        """
        client = await self._client()
        newest = _number(since)
        posts = client.get_users_tweets(
            profile.id, max_results=PAGE, tweet_fields=_POST_FIELDS, pagination_token=cursor, since_id=newest or None
        )
        page = await self._ask(posts, profile.handle or "")
        data, meta = page.get("data"), page.get("meta") or {}
        if data is None and isinstance(meta, Mapping) and meta.get("result_count") == 0:
            data = []
        if not isinstance(data, list) or not isinstance(meta, Mapping):
            raise unreadable()
        following = meta.get("next_token")
        reached = any(0 < _number(item.get("id")) <= newest for item in data if isinstance(item, Mapping))
        if not isinstance(following, str) or following in ("", cursor) or reached:
            following = None
        return Page(tuple(_tweets(data, profile, newest)), following, len(data))

    async def close(self) -> None:
        """Give the connections back."""
        await self._web.close()

    async def _client(self) -> Any:  # noqa: ANN401  # tweepy has no types
        if not _TOKEN.fullmatch(self._token):
            raise NoAccess("X needs a token: the operator sets X_BEARER_TOKEN to the bearer token of an app at X.")
        if self._tweepy is None:
            library = await asyncio.to_thread(importlib.import_module, "tweepy.asynchronous")  # a quarter of a second
            client = library.AsyncClient(return_type=aiohttp.ClientResponse)
            client.session = _Session(self._web, self._token)
            self._tweepy = client
        return self._tweepy

    async def _ask(self, call: Awaitable[Answer], handle: str) -> Item:
        """The object that `call` gives, which holds data or says that there are none."""
        try:
            answer = await call
        except _Refused as refused:
            answer = refused.answer
        payload = answer.json()
        if answer.status == 200 and isinstance(payload, dict) and (payload.get("data") or not payload.get("errors")):
            return payload
        error = refusal(answer, handle, self._clock.now())
        log.warning("X gives nothing", status=answer.status, problems=problems(payload)[:5], error=str(error))
        raise error


class _Refused(Exception):
    """An answer that is not for tweepy."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"HTTP {answer.status}")
        self.answer = answer


class _Response(Answer):
    """A good answer, as far as tweepy looks at it."""

    async def read(self) -> bytes:
        return self.body


class _Session:
    """What tweepy takes for aiohttp's session."""

    def __init__(self, web: Web, token: str) -> None:
        self._web = web
        self._token = token

    @asynccontextmanager
    async def request(
        self,
        method: str,  # noqa: ARG002  # tweepy's own form
        url: str,
        *,
        params: Mapping[str, object],
        headers: Mapping[str, str],
        json: object,  # noqa: ARG002
    ) -> AsyncIterator[_Response]:
        """The answer to a GET without a body, which is all that is asked for here."""
        answer = await self._web.get(
            url,
            params={name: str(value) for name, value in params.items()},
            headers={**headers, "Authorization": f"Bearer {self._token}"},
        )
        if answer.status != 200:
            raise _Refused(answer)
        yield _Response(**vars(answer))


def _tweets(data: list[object], profile: Profile, newest: int) -> Iterator[Tweet]:
    """The posts of a page, each once, newer than the one with the id `newest`."""
    seen: set[int] = set()
    for item in data:
        number = _number(item.get("id")) if isinstance(item, Mapping) else 0
        if not isinstance(item, Mapping) or not number or not isinstance(item.get("text"), str):
            log.warning("X sent a post that is none", account=profile.handle)
        elif number > newest and number not in seen and not _is_superseded(item, number):
            seen.add(number)
            tweet = _tweet(item, profile)
            if len(tweet.text) <= MAX_TWEET_CHARACTERS:
                yield tweet
            else:
                log.warning("X sent a post that is too long", account=profile.handle, post=number, characters=len(tweet.text))


def _tweet(item: Item, profile: Profile) -> Tweet:
    text = text_in(item, "text")
    note = item.get("note_tweet")
    full = text_in(note, "text") if isinstance(note, Mapping) else ""
    if _is_reply_to_somebody(item, profile):
        text, full = _LEADING_MENTIONS.sub("", text, count=1), full and _LEADING_MENTIONS.sub("", full, count=1)
    return Tweet(
        full or text,
        id=str(_number(item.get("id"))),
        created_at=parse_time(text_in(item, "created_at")),
        is_retweet=_is_retweet(item, profile),
    )


def _is_superseded(item: Item, number: int) -> bool:
    """An earlier version of a post that was edited."""
    history = item.get("edit_history_tweet_ids")
    versions = [_number(version) for version in history] if isinstance(history, list) else []
    return number in versions and number < max(versions)


def _is_retweet(item: Item, profile: Profile) -> bool:
    author = _number(item.get("author_id"))
    references = item.get("referenced_tweets")
    return (
        text_in(item, "text").startswith("RT @")
        or bool(author and str(author) != profile.id)
        or (isinstance(references, list) and any(isinstance(one, Mapping) and one.get("type") == "retweeted" for one in references))
    )


def _is_reply_to_somebody(item: Item, profile: Profile) -> bool:
    """In answers to others X writes their names first; where one answers oneself, a name is one's own word."""
    to = _number(item.get("in_reply_to_user_id"))
    return bool(to) and str(to) != profile.id


def _number(identity: object) -> int:
    """An id of X, as text or number; 0 where it is none."""
    return int(str(identity)) if re.fullmatch(r"[0-9]{1,20}", str(identity)) else 0


def _picture(address: str) -> str | None:
    """The account's picture in the size that Discord shows; X names one of 48 pixels."""
    return re.sub(r"_normal(\.\w+)$", r"_400x400\1", address) if address.startswith("https://") else None
