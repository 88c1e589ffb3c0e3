"""A head of a Ray cluster that answers as a test wants it to: for what a real one does rarely, and for what is none."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from bot.executor.ray import RayExecutor
from tests.executor.scene import WORKER

Answer = tuple[int, Any]
"""Status, and a text or something to be sent as JSON. In a text {name} stands for the job's."""
UNKNOWN: Answer = (404, "Job {name} does not exist")


class FakeHead:
    """The answers may be changed at any time."""

    def __init__(self) -> None:
        self.get: Answer = UNKNOWN
        self.submit: Answer = (200, {"job_id": "raysubmit", "submission_id": "raysubmit"})
        self.stop: Answer = (200, {"stopped": True})
        self.get_after: Answer | None = None
        """Takes the place of `get` when something has been submitted."""
        self.submitted: list[dict[str, Any]] = []
        self.seen: list[tuple[str, str | None]] = []
        """Method and token of each request."""
        self.address = ""

    async def _answer(self, request: web.Request, answer: Answer) -> web.Response:
        self.seen.append((request.method, request.headers.get("Authorization")))
        status, content = answer
        if isinstance(content, str):
            headers = {"Location": "/api/jobs/elsewhere"} if 300 <= status < 400 else None
            return web.Response(status=status, text=content.replace("{name}", request.match_info.get("name", "")), headers=headers)
        return web.json_response(content, status=status)

    async def on_get(self, request: web.Request) -> web.Response:
        return await self._answer(request, self.get)

    async def on_submit(self, request: web.Request) -> web.Response:
        self.submitted.append(await request.json())
        self.get = self.get_after or self.get
        return await self._answer(request, self.submit)

    async def on_stop(self, request: web.Request) -> web.Response:
        return await self._answer(request, self.stop)


@asynccontextmanager
async def fake_head() -> AsyncIterator[FakeHead]:
    head = FakeHead()
    app = web.Application()
    app.router.add_get("/api/jobs/{name}", head.on_get)
    app.router.add_post("/api/jobs/", head.on_submit)
    app.router.add_post("/api/jobs/{name}/stop", head.on_stop)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        head.address = f"http://{host}:{port}"
        yield head
    finally:
        await runner.cleanup()


@asynccontextmanager
async def bot_at(head: FakeHead, **changes: object) -> AsyncIterator[RayExecutor]:
    """The executor of a bot that has just started and takes it for its cluster."""
    given: dict[str, Any] = {"address": head.address, "token": None, "gpus": 1, "grace_s": 0, "worker": WORKER}
    executor = RayExecutor(**{**given, "poll_s": 0.02, "settle_s": 0.1, **changes})
    try:
        yield executor
    finally:
        await executor.close()
