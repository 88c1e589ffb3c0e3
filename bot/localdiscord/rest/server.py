"""The way of every REST request: record, faults, limits, token, body, handler, answer."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from aiohttp import web

from bot.localdiscord import faults
from bot.localdiscord.drafts import Upload
from bot.localdiscord.faults import Fault, Harm
from bot.localdiscord.limits import Limits
from bot.localdiscord.record import Exchange, keep
from bot.localdiscord.rest import channels, commands, gateway, guilds, interactions, messages, multipart, users, webhooks
from bot.localdiscord.rest.call import Call, Route
from bot.localdiscord.rules import refusal
from bot.localdiscord.rules.forms import invalid
from bot.localdiscord.rules.refusal import Refusal
from bot.localdiscord.world import World

REQUEST_LIMIT = 25 * 1024 * 1024
"""Bytes of one request."""
ROUTES: list[Route] = [
    route for part in (channels, commands, gateway, guilds, interactions, messages, users, webhooks) for route in part.routes.all
]

_log = logging.getLogger(__name__)
_JSON = {"Content-Type": "application/json"}
_VIA = {"Via": "1.1 google"}


@dataclass
class Answered:
    """A response before it is one."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    harmed: bool = False

    @classmethod
    def of(cls, status: int, body: object) -> "Answered":
        return cls(status) if status == web.HTTPNoContent.status_code else cls(status, json.dumps(body).encode(), dict(_JSON))

    @classmethod
    def refusing(cls, refused: Refusal) -> "Answered":
        return cls.of(refused.status, refused.body)


class Rest:
    """Answers the requests below /api."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._limits = Limits(world.clock)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Enter every endpoint, under /api/v10, /api/v9 and /api."""
        for route in ROUTES:
            router.add_route(route.method, r"/api{version:(?:/v(?:9|10))?}" + route.path, self._handler(route))
        router.add_route("*", "/api{rest:.*}", self._handler(None))

    def _handler(self, route: Route | None) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            try:
                raw = await request.read()
            except web.HTTPRequestEntityTooLarge:
                raw = b""
                answered = Answered.refusing(refusal.too_large())
            else:
                answered = await self._answer(route, request, raw)
            response = web.Response(status=answered.status, body=answered.body or None, headers=_VIA | answered.headers)
            if answered.headers.get("Via") == "":
                del response.headers["Via"]
            query, headers = dict(request.query), dict(request.headers)
            keep(
                self._world.exchanges,
                Exchange(
                    request.method, request.raw_path.partition("?")[0], query, headers, raw, answered.status, answered.body, answered.harmed
                ),
            )
            return response

        return handle

    async def _answer(self, route: Route | None, request: web.Request, raw: bytes) -> Answered:
        fault = faults.take(self._world.faults, request.method, request.path)
        if fault is not None and fault.harm is Harm.DELAY:
            await asyncio.sleep(fault.seconds)
        elif fault is not None and fault.harm not in {Harm.ERROR_AFTER, Harm.DROP_AFTER}:
            return replace(_harmed(fault, request), harmed=True)
        try:
            answered = self._perform(route, request, raw)
        except Refusal as refused:
            answered = Answered.refusing(refused)
        except Exception:  # noqa: BLE001 - the one place where a bug of ours becomes Discord's 500, and is logged
            _log.exception("%s %s", request.method, request.path)
            answered = Answered.of(500, {"message": "500: Internal Server Error", "code": 0})
        return replace(_harmed(fault, request), harmed=True) if fault is not None and fault.harm is not Harm.DELAY else answered

    def _perform(self, route: Route | None, request: web.Request, raw: bytes) -> Answered:
        if route is None:
            raise _no_such_route(request)
        token = request.headers.get("Authorization", "")
        caller = self._world.application_by_token(token.removeprefix("Bot ")) if token.startswith("Bot ") else None
        if route.bot and caller is None:
            raise refusal.unauthorized()
        headers: Mapping[str, str] = {}
        if self._world.limits:
            verdict = self._limits.check(token or str(request.remote), route.method, route.path, request.match_info)
            headers = verdict.headers
            if not verdict.passes:
                return _limited(verdict.retry_after, headers, everywhere=verdict.everywhere)
        body, uploads = _body(request, raw)
        call = Call(self._world, dict(request.match_info), dict(request.query), body, uploads, caller)
        answered = Answered.of(*route.handler(call))
        answered.headers |= headers
        return answered


def _body(request: web.Request, raw: bytes) -> tuple[object, list[Upload]]:
    if not raw:
        return {}, []
    if request.content_type == "application/json":
        return multipart.parse_json(raw), []
    if request.content_type == "multipart/form-data":
        body, files = multipart.read(request.headers["Content-Type"], raw)
        described = body.get("data") if isinstance(body, dict) and request.path.endswith("/callback") else body
        return body, multipart.uploads_of(described, files)
    expected = "{'application/json', 'multipart/form-data'}"
    raise invalid(("_",), "CONTENT_TYPE_INVALID", f'Expected "Content-Type" header to be one of {expected}.')


def _no_such_route(request: web.Request) -> Refusal:
    path = request.path
    known = {route.method for route in ROUTES for prefix in ("/api/v10", "/api/v9", "/api") if _matches(prefix + route.path, path)}
    return refusal.method_not_allowed() if known else refusal.not_found()


def _matches(pattern: str, path: str) -> bool:
    wanted, given = pattern.split("/"), path.split("/")
    return len(wanted) == len(given) and all(part.startswith("{") or part == piece for part, piece in zip(wanted, given, strict=True))


def _limited(retry_after: float, headers: Mapping[str, str], *, everywhere: bool = False) -> Answered:
    body = {"message": "You are being rate limited.", "retry_after": round(retry_after, 3), "global": everywhere, "code": 0}
    answered = Answered.of(429, body)
    answered.headers |= {**headers, "Retry-After": str(max(1, round(retry_after)))}
    return answered


def _harmed(fault: Fault, request: web.Request) -> Answered:
    """The answer, or the lack of one, that a fault asks for."""
    if fault.harm is Harm.RATE_LIMITED:
        return _limited(fault.seconds, {"X-RateLimit-Scope": "shared"})
    if fault.harm is Harm.RATE_LIMITED_EVERYWHERE:
        return _limited(fault.seconds, {"X-RateLimit-Global": "true", "X-RateLimit-Scope": "global"}, everywhere=True)
    if fault.harm is Harm.BANNED:
        answered = _limited(fault.seconds, {})
        return Answered(429, b"error code: 1015", {"Content-Type": "text/plain", "Via": "", "Retry-After": answered.headers["Retry-After"]})
    if fault.harm is Harm.UNAVAILABLE:
        return Answered(503, b"upstream connect error", {"Content-Type": "text/plain"})
    if fault.harm in {Harm.DROP_BEFORE, Harm.DROP_AFTER} and request.transport is not None:
        request.transport.abort()
    return Answered.of(500, {"message": "500: Internal Server Error", "code": 0})
