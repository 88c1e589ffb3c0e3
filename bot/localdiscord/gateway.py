"""The gateway: every websocket that bots hold open, and every session, connected or away."""

import time
from dataclasses import dataclass

from aiohttp import WSCloseCode, web

from bot.localdiscord.connection import INVALID_SESSION, RECONNECT, Connection
from bot.localdiscord.events import Event
from bot.localdiscord.record import keep
from bot.localdiscord.sessions import Session
from bot.localdiscord.world import World

RESUME_SECONDS = 300.0
"""How long a session waits for a client that is away, by the World's clock."""


@dataclass(frozen=True)
class Heartbeat:
    """One that a client sent."""

    at: float
    """By `time.monotonic`."""
    waited_s: float
    """Since HELLO or the one before."""


class Gateway:
    """Every connection and session."""

    def __init__(self, world: World, *, heartbeat_s: float = 41.25) -> None:
        """`heartbeat_s`: how often clients are told to send heartbeats, in seconds."""
        self.world = world
        self.heartbeat_s = heartbeat_s
        self.sessions: dict[str, Session] = {}
        self.connections: list[Connection] = []
        self.heartbeats: list[Heartbeat] = []
        """When each came, the oldest forgotten first."""
        self.refusals: list[int] = []
        """Closing codes, by order, of the next identifies: each ends its connection in place of READY."""
        self._stop = world.events.listen(self._hear)

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """One websocket, from HELLO to its end."""
        socket = web.WebSocketResponse(max_msg_size=1 << 20, timeout=1.0)
        await socket.prepare(request)
        connection = Connection(self, socket, request)
        self.connections.append(connection)
        try:
            await connection.live()
        finally:
            self.connections.remove(connection)
            await connection.end()
        return socket

    def connected(self, application_id: int) -> bool:
        """Whether this bot is identified and listening."""
        return any(item.session is not None and item.session.application.id == application_id for item in self.connections)

    def forget_old(self) -> None:
        """Drop the sessions whose clients have been away too long."""
        now = self.world.clock.time()
        for session in tuple(self.sessions.values()):
            if session.left_at is not None and now - session.left_at > RESUME_SECONDS:
                del self.sessions[session.id]

    async def drop(self, code: int = 4000) -> None:
        """Close every connection with this code. The sessions can be resumed."""
        for connection in tuple(self.connections):
            await connection.close(code, "dropped by a test")

    def abort(self) -> None:
        """Break every connection without a closing frame, as when a cable is pulled."""
        for connection in tuple(self.connections):
            connection.abort()

    def reconnect(self) -> None:
        """Ask every client to reconnect and resume (op 7)."""
        for connection in tuple(self.connections):
            connection.send(RECONNECT, None)

    def invalidate(self, *, resumable: bool = False) -> None:
        """Tell every client that its session is invalid (op 9)."""
        for connection in tuple(self.connections):
            if connection.session is not None and not resumable:
                self.sessions.pop(connection.session.id, None)
            connection.send(INVALID_SESSION, resumable)

    def silence(self) -> None:
        """Make every connection a zombie: open, and never heard from again."""
        for connection in self.connections:
            connection.silent = True

    async def close(self) -> None:
        """Go away: no more events, every connection closed."""
        self._stop()
        for connection in tuple(self.connections):
            await connection.close(WSCloseCode.GOING_AWAY, "shutting down")

    def beat(self, connection: Connection) -> None:
        """A connection's heartbeat has come."""
        now = time.monotonic()
        keep(self.heartbeats, Heartbeat(now, now - connection.heard_at))
        connection.heard_at = now

    def _hear(self, event: Event) -> None:
        self.forget_old()
        for session in tuple(self.sessions.values()):
            data = session.view(event)
            if data is None:
                continue
            entry = session.add(event.name, data)
            for connection in self.connections:
                if connection.session is session:
                    connection.dispatch(entry)
