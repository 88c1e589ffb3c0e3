"""For a child process: the names of the stub servers lead to them on loopback, and no other name or address leads anywhere.

Python imports a module of this name at its start, where its folder is in PYTHONPATH. So the real command runs as it is: nothing in Mynah
lets its servers be others. `SERVERS` in the environment has the stub's port and, between commas, the names; `SSL_CERT_FILE` whom to trust.
"""

import os
import socket
from typing import Any

_PORT, _, _NAMES = os.environ["SERVERS"].partition(" ")
_PUBLIC = ("9.9.9.9", 443)
"""What the names resolve to: an address of the public internet, since Mynah asks strangers at no other."""
_connect = socket.socket.connect


def _resolved(host: object, port: object, *_: Any, **__: Any) -> list[Any]:
    if host not in _NAMES.split(",") or port != _PUBLIC[1]:
        raise socket.gaierror(socket.EAI_NONAME, f"{host}:{port} is none of the stub's")
    return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", _PUBLIC)]


def _connected(self: socket.socket, address: Any) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6):
        if address != _PUBLIC:
            raise ConnectionRefusedError(f"{address} is none of the stub's")
        address = ("127.0.0.1", int(_PORT))
    _connect(self, address)


socket.getaddrinfo = _resolved
socket.socket.connect = _connected  # type: ignore[method-assign,assignment]  # for every socket of this process
