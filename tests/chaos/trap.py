"""Inside a process under test: count the moments at which a crash could matter, and die by SIGKILL at the one that was asked for.

Moments are: before each statement that writes to SQLite and after each commit, before each change of a file and after each rename, before
each request leaves and after its answer has come; requests to a source of tweets among them. It needs no tracer and no preloaded library.
"""

import functools
import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

READS = ("SELECT", "PRAGMA")
FILE_CALLS = ("fsync", "rename", "replace", "unlink", "rmdir", "mkdir")
AFTERWARDS = ("rename", "replace")
"""What others can see the moment it has happened."""


class Trap:
    """Counts; at moment `at` the process `victim()` is killed. `note` says where that was."""

    def __init__(self, at: int, note: Path, *, armed: bool = True, victim: Callable[[], int] = os.getpid) -> None:
        self._at, self._note, self._victim = at, note, victim
        self.armed = armed
        self._count = 0
        self._lock = threading.Lock()

    def reach(self, seam: str, what: str) -> None:
        """This moment has come."""
        if not self.armed:
            return
        with self._lock:
            self._count += 1
            if self._count != self._at:
                return
            self._note.write_text(f"{seam}\t{what}\n", encoding="utf-8")
            victim = self._victim()
            os.kill(victim, signal.SIGKILL)
            if victim != os.getpid():
                os.kill(os.getpid(), signal.SIGKILL)  # dies with it, as the kernel would have it a moment later

    def watch_files(self, root: Path) -> None:
        """Changes of files below a folder are moments."""
        for name in FILE_CALLS:
            setattr(os, name, self._watched(name, getattr(os, name), str(root)))

    def _watched(self, name: str, call: Callable[..., Any], root: str) -> Callable[..., Any]:
        @functools.wraps(call)
        def watched(*arguments: Any, **named: Any) -> Any:
            path = _path(arguments[0], named.get("dir_fd"))
            if not path.startswith(root):
                return call(*arguments, **named)
            short = _short(path[len(root) :])
            self.reach("file", f"before {name} {short}")
            done = call(*arguments, **named)
            if name in AFTERWARDS:
                self.reach("file", f"after {name} {short}")
            return done

        return watched

    def watch_database(self) -> None:
        """Writing statements and commits are moments, on every connection opened from now on."""
        trap = self

        class Watched(sqlite3.Connection):
            def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
                if not sql.lstrip().upper().startswith(READS):
                    trap.reach("database", f"before {' '.join(sql.split()[:3])}")
                return super().execute(sql, *parameters)

            def commit(self) -> None:
                written = self.in_transaction
                if written:
                    trap.reach("database", "before COMMIT")
                super().commit()
                if written:
                    trap.reach("database", "after COMMIT")

        connect: Callable[..., sqlite3.Connection] = sqlite3.connect

        def watched(*arguments: Any, **named: Any) -> sqlite3.Connection:
            return connect(*arguments, **{"factory": Watched, **named})

        sqlite3.connect = watched  # type: ignore[assignment]  # the copy in sqlite3.dbapi2 stays as it was

    def watch_requests(self) -> None:
        """Requests and their answers are moments. The websocket's handshake is a request as well."""
        import aiohttp  # noqa: PLC0415  # the worker has no need of it, and it takes its time

        request = aiohttp.ClientSession._request

        async def watched(session: Any, method: str, url: Any, **named: Any) -> Any:
            short = f"{method} {_short(str(url).partition('/api/v10')[2].partition('?')[0])}"
            self.reach("request", f"before {short}")
            response = await request(session, method, url, **named)
            self.reach("request", f"after {short}")
            return response

        aiohttp.ClientSession._request = watched  # type: ignore[assignment, method-assign]

    def watch_source(self, source: type[Any]) -> None:
        """What a source of tweets is asked for, and its answers, are moments."""
        for name in ("profile", "page"):
            setattr(source, name, self._watched_question(name, getattr(source, name)))

    def _watched_question(self, name: str, question: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(question)
        async def watched(*arguments: Any, **named: Any) -> Any:
            self.reach("source", f"before {name}")
            answer = await question(*arguments, **named)
            self.reach("source", f"after {name}")
            return answer

        return watched

    def watch_interactions(self) -> None:
        """The arrival of an interaction is a moment, and arms the trap."""
        from discord.state import ConnectionState  # noqa: PLC0415  # the worker has no need of it

        parse = ConnectionState.parse_interaction_create

        def watched(state: ConnectionState[Any], data: Any) -> None:
            self.armed = True
            self.reach("interaction", "before its handling")
            parse(state, data)

        ConnectionState.parse_interaction_create = watched  # type: ignore[assignment, method-assign]


def _path(where: Any, folder: int | None) -> str:
    if isinstance(where, int):
        return str(Path(f"/proc/self/fd/{where}").readlink())
    path = os.fspath(where)
    if folder is not None:
        path = str(Path(f"/proc/self/fd/{folder}").readlink() / os.fsdecode(path))
    return os.fsdecode(path)


def _short(path: str) -> str:
    """Without what differs from run to run."""
    return "/".join("*" if len(part) > 15 and any(c.isdigit() for c in part) else part for part in path.split("/"))
