"""One gateway websocket: hello, heartbeats, identify, resume, and Discord's close codes."""

import asyncio
import contextlib
import json
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from aiohttp import WSMessage, WSMsgType, web

from bot.localdiscord import wire
from bot.localdiscord.compression import packer
from bot.localdiscord.events import Event
from bot.localdiscord.sessions import ALL_INTENTS, MEMBERS, MESSAGE_CONTENT, PRESENCES, READY, Session

if TYPE_CHECKING:
    from bot.localdiscord.gateway import Gateway

Json = dict[str, Any]

DISPATCH, HEARTBEAT, IDENTIFY, PRESENCE, VOICE, RESUME, RECONNECT, MEMBERS_REQUEST, INVALID_SESSION, HELLO, ACK = (
    0,
    1,
    2,
    3,
    4,
    6,
    7,
    8,
    9,
    10,
    11,
)

ACK_DELAY_S = 0.02
SENDS_A_MINUTE = 120
MOST_PAYLOAD_BYTES = 4096


class Closed(Exception):
    """The server ends the connection with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Connection:
    """One websocket."""

    def __init__(self, gateway: "Gateway", socket: web.WebSocketResponse, request: web.Request) -> None:
        self._gateway = gateway
        self._socket = socket
        self._request = request
        self._packer = packer(request.query.get("compress"))
        self._outbox: asyncio.Queue[str | bytes] = asyncio.Queue()
        self._sent_at: deque[float] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._closed_by_us = False
        self.session: Session | None = None
        self.heard_at = time.monotonic()
        """When HELLO left or the newest heartbeat came, by `time.monotonic`."""
        self.silent = False
        """A zombie: connected, and never heard from again."""

    async def live(self) -> None:
        """Talk until one side ends it."""
        self._writer = asyncio.create_task(self._write())
        try:
            self._check_query()
            self.send(HELLO, {"heartbeat_interval": int(self._gateway.heartbeat_s * 1000), "_trace": ["[]"]})
            while await self._read_one():
                pass
        except Closed as end:
            await self.close(end.code, end.reason)
        finally:
            self._writer.cancel()

    def _check_query(self) -> None:
        if self._request.query.get("v", "10") not in {"9", "10"}:
            raise Closed(4012, "Invalid API version")
        if self._request.query.get("encoding", "json") != "json":
            raise Closed(4002, "This gateway speaks JSON only")

    async def end(self) -> None:
        """The client has gone: for good when it said so with 1000 or 1001, else its session waits."""
        if self.session is not None:
            self.session.left_at = self._gateway.world.clock.time()
        if self.session is not None and self._socket.close_code in {1000, 1001} and not self._closed_by_us:
            self._gateway.sessions.pop(self.session.id, None)

    async def close(self, code: int, reason: str) -> None:
        """Send what is queued, then the closing frame."""
        self._closed_by_us = True
        if self._writer is not None:
            self._writer.cancel()
        while not self._outbox.empty():
            await self._send_frame(self._outbox.get_nowait())
        await self._socket.close(code=code, message=reason.encode())

    def abort(self) -> None:
        self._closed_by_us = True
        if self._request.transport is not None:
            self._request.transport.abort()

    def send(self, op: int, data: object, *, sequence: int | None = None, event: str | None = None) -> None:
        """Queue one payload; what was sent first arrives first."""
        if self.silent or self._socket.closed:
            return
        body = {"op": op, "d": data, "s": sequence, "t": event}
        self._outbox.put_nowait(self._packer.pack(json.dumps(body)))

    def dispatch(self, entry: tuple[int, str, Json]) -> None:
        sequence, name, data = entry
        self.send(DISPATCH, data, sequence=sequence, event=name)

    async def _write(self) -> None:
        while True:
            await self._send_frame(await self._outbox.get())

    async def _send_frame(self, frame: str | bytes) -> None:
        # A client that has gone away reads nothing more; its session keeps what it missed.
        with contextlib.suppress(ConnectionError):
            if isinstance(frame, str):
                await self._socket.send_str(frame)
            else:
                await self._socket.send_bytes(frame)

    async def _read_one(self) -> bool:
        try:
            message: WSMessage = await self._socket.receive(timeout=self._gateway.heartbeat_s * 2)
        except TimeoutError:
            raise Closed(4009, "Session timed out") from None
        if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
            return False
        payload = _decoded(message.data)
        self._count()
        self._act(payload)
        return True

    def _count(self) -> None:
        now = self._gateway.world.clock.time()
        self._sent_at.append(now)
        while self._sent_at[0] <= now - 60:
            self._sent_at.popleft()
        if len(self._sent_at) > SENDS_A_MINUTE:
            raise Closed(4008, "You are being rate limited.")

    def _act(self, payload: Json) -> None:
        op, data = payload.get("op"), payload.get("d")
        if op == HEARTBEAT:
            self._gateway.beat(self)
            # discord.py notes the time after it has sent: an answer faster than any network reads as a whole interval late.
            asyncio.get_running_loop().call_later(ACK_DELAY_S, self.send, ACK, None)
        elif op == IDENTIFY:
            self._identify(data)
        elif op == RESUME:
            self._resume(data)
        elif op in {PRESENCE, VOICE, MEMBERS_REQUEST}:
            if self.session is None:
                raise Closed(4003, "Not authenticated.")
            if op == PRESENCE and isinstance(data, dict):
                self.session.application.presence = data
            if op == MEMBERS_REQUEST:
                self._send_members(self.session, data)
        else:
            raise Closed(4001, "Unknown opcode.")

    def _identify(self, data: object) -> None:
        if self.session is not None:
            raise Closed(4005, "Already authenticated.")
        if not isinstance(data, dict) or not isinstance(data.get("properties"), dict):
            raise Closed(4002, "Error while decoding payload.")
        application = self._gateway.world.application_by_token(str(data.get("token", "")).removeprefix("Bot "))
        if application is None:
            raise Closed(4004, "Authentication failed.")
        if self._gateway.refusals:
            raise Closed(self._gateway.refusals.pop(0), "refused by a test")
        intents = data.get("intents")
        if isinstance(intents, bool) or not isinstance(intents, int) or intents & ~ALL_INTENTS:
            raise Closed(4013, "Invalid intent(s).")
        allowed = {
            MEMBERS: application.members_intent,
            PRESENCES: application.presences_intent,
            MESSAGE_CONTENT: application.message_content,
        }
        if any(intents & intent and not switched_on for intent, switched_on in allowed.items()):
            raise Closed(4014, "Disallowed intent(s).")
        self.session = Session(self._gateway.world, application, intents, _shard(data.get("shard")))
        self._gateway.sessions[self.session.id] = self.session
        application.presence = data.get("presence")
        self.dispatch(self.session.add("READY", self.session.ready()))
        self._gateway.world.events.emit(Event(READY, {}, application_id=application.id))
        for guild in self._gateway.world.guilds_of(application.id):
            view = self.session.view(Event("GUILD_CREATE", {}, guild))
            if view is not None:
                self.dispatch(self.session.add("GUILD_CREATE", view))

    def _resume(self, data: object) -> None:
        if self.session is not None:
            raise Closed(4005, "Already authenticated.")
        if not isinstance(data, dict) or not isinstance(data.get("seq"), int | None):
            raise Closed(4002, "Error while decoding payload.")
        application = self._gateway.world.application_by_token(str(data.get("token", "")).removeprefix("Bot "))
        if application is None:
            raise Closed(4004, "Authentication failed.")
        self._gateway.forget_old()
        session = self._gateway.sessions.get(str(data.get("session_id")))
        missed = None if session is None or session.application is not application else session.since(data.get("seq") or 0)
        if session is None or missed is None:
            resumable = False
            self.send(INVALID_SESSION, resumable)
            return
        for other in self._gateway.connections:
            if other.session is session:
                other.session = None
        self.session = session
        session.left_at = None
        for entry in missed:
            self.dispatch(entry)
        self.dispatch(session.add("RESUMED", {"_trace": ["[]"]}))

    def _send_members(self, session: Session, data: object) -> None:
        """GUILD_MEMBERS_CHUNK: everybody without a query needs the members intent."""
        if not isinstance(data, dict):
            raise Closed(4002, "Error while decoding payload.")
        world = self._gateway.world
        guild = world.guilds.get(int(data.get("guild_id") or 0))
        if guild is None or session.application.id not in guild.members:
            return
        query, wanted = data.get("query"), data.get("user_ids")
        members = list(guild.members.values())
        if wanted is not None:
            ids = {str(item) for item in (wanted if isinstance(wanted, list) else [wanted])}
            members = [member for member in members if str(member.user.id) in ids]
        elif query:
            members = [member for member in members if member.user.name.startswith(str(query))]
        elif not session.intents & MEMBERS:
            return
        chunk: Json = {
            "guild_id": str(guild.id),
            "members": [wire.member_json(member) for member in members],
            "chunk_index": 0,
            "chunk_count": 1,
            "not_found": [],
        }
        if data.get("nonce") is not None:
            chunk["nonce"] = data["nonce"]
        self.dispatch(session.add("GUILD_MEMBERS_CHUNK", chunk))


def _decoded(data: str | bytes) -> Json:
    """A client's frame, TEXT or BINARY."""
    if len(data) > MOST_PAYLOAD_BYTES:
        raise Closed(4002, "Payload too large.")
    try:
        payload = json.loads(data)
    except ValueError:
        raise Closed(4002, "Error while decoding payload.") from None
    if not isinstance(payload, dict):
        raise Closed(4002, "Error while decoding payload.")
    return payload


def _shard(value: object) -> tuple[int, int]:
    if value is None:
        return 0, 1
    if isinstance(value, list) and len(value) == 2 and all(isinstance(item, int) for item in value) and 0 <= value[0] < value[1]:
        return value[0], value[1]
    raise Closed(4010, "Invalid shard.")
