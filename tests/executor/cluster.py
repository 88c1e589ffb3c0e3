"""A real Ray cluster: a head, and a node with made-up GPUs, which runs the workers. Both on loopback, or each on a host of its own."""

import asyncio
import contextlib
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from bot.executor.ray import RayExecutor
from tests.executor.scene import ROOT, WORKER, until

HEAD, NODE = "127.0.0.2", "127.0.0.3"
_SHORT = {  # Ray takes a minute and more to miss a node or its head; a test need not
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "300",
    "RAY_health_check_timeout_ms": "300",
    "RAY_health_check_failure_threshold": "4",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "4",
}
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_DASHBOARD_DISABLE_WEB_UI": "1",
    "RAY_DISABLE_IMPORT_WARNING": "1",
}


@dataclass(frozen=True)
class Host:
    """Where a part of the cluster is started."""

    ip: str
    enter: tuple[str, ...] = ()
    """What a command begins with that is to run there."""


_LOOPBACK = Host(HEAD), Host(NODE)


class Cluster:
    """Starts, harms and mends it. Whatever it started ends with this process."""

    def __init__(
        self, hosts: tuple[Host, Host] = _LOOPBACK, *, undo: Sequence[Sequence[str]] = (), settings: Mapping[str, str] | None = None
    ) -> None:
        """Build it; nothing runs yet.

        Args:
            hosts: of the head, and of the node.
            undo: commands that are run when everything has ended, however this process did.
            settings: of Ray, for its environment, in place of ours.
        """
        self.head, self.node = hosts
        self.token = secrets.token_hex(16)
        self.folder = Path(tempfile.mkdtemp(prefix="mr-", dir="/tmp"))  # a socket's path may have 107 characters
        self._gcs, self._api = free_port(), free_port()
        self.address = f"http://{self.head.ip}:{self._api}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        environment |= _SHORT | _QUIET | dict(settings or {}) | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        environment["PYTHONPATH"] = str(ROOT)
        command = [sys.executable, "-m", "tests.executor.keeper", str(self.folder), *map(json.dumps, undo)]
        self._keeper = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def start_head(self) -> None:
        api = (f"--dashboard-host={self.head.ip}", f"--dashboard-port={self._api}", f"--ray-client-server-port={free_port()}")
        self._ray(self.head, "--head", f"--port={self._gcs}", f"--temp-dir={self.folder}", "--num-gpus=0", *api)

    def start_node(self) -> None:
        self._ray(self.node, f"--address={self.head.ip}:{self._gcs}", "--num-gpus=8")

    def executor(self, **changes: object) -> RayExecutor:
        """A new one, as a bot that has just started has."""
        given: dict[str, object] = {"address": self.address, "token": self.token, "gpus": 1, "grace_s": 2, "worker": WORKER}
        return RayExecutor(**{**given, "poll_s": 0.1, "settle_s": 0.3, **changes})  # type: ignore[arg-type]  # as the caller says

    def raylet(self, ip: str) -> psutil.Process:
        """The process that is a node of the cluster."""
        return self._find("raylet", f"--node_ip_address={ip}")

    async def kill_head(self) -> None:
        """The host of the head, that is: its node, its memory and its API."""
        node = self.raylet(self.node.ip)
        kept = {node, *node.children(recursive=True)}
        family = [process for process in self._all() if process not in kept and alive(process)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        await until(lambda: not any(alive(process) for process in family))

    async def mend(self) -> None:
        """Bring everything back that a test has killed, with what is left of the old cluster gone."""
        if not self.answers():
            await until(lambda: not self._nodes())
            await asyncio.to_thread(self.start_head)
        if self.node.ip not in self._nodes():
            await asyncio.to_thread(self.start_node)

    async def renew_node(self) -> None:
        """After its line was mended: it learns that it was given up, and ends; then it is started again, as a service manager would."""
        await until(lambda: self.node.ip not in self._nodes(), seconds=60)
        await self.mend()

    def answers(self) -> bool:
        """Whether the head's API does."""
        connection = http.client.HTTPConnection(self.head.ip, self._api, timeout=2)
        try:
            connection.request("GET", "/api/version", headers={"Authorization": f"Bearer {self.token}"})
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def cut_off(self, workers: list[int]) -> list[psutil.Process]:
        """Silence the node: its processes stand still, as if no packet came through, but for the workers themselves."""
        raylet = self.raylet(self.node.ip)
        family = [p for p in (raylet, *raylet.children(recursive=True)) if p.pid not in workers]
        for process in family:
            process.send_signal(signal.SIGSTOP)
        return family

    def stop(self) -> None:
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        self._keeper.stdin.close()
        self._keeper.wait(60)
        self._keeper.stdout.close()

    def _ray(self, host: Host, *arguments: str) -> None:
        same = ("--num-cpus=1", "--object-store-memory=80000000", "--include-log-monitor=false", "--disable-usage-stats")
        ports = ("--min-worker-port=0", "--max-worker-port=0", f"--dashboard-agent-listen-port={free_port()}")
        code, said = self.do(*host.enter, "ray", "start", f"--node-ip-address={host.ip}", *same, *ports, *arguments)
        assert code == 0, said

    def do(self, *command: str) -> tuple[int, str]:
        """Run a command; whatever it leaves running ends with the cluster. Its exit code, and what it said."""
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        self._keeper.stdin.write(json.dumps(command) + "\n")
        self._keeper.stdin.flush()
        code, said = json.loads(self._keeper.stdout.readline())
        return code, said

    def _all(self) -> list[psutil.Process]:
        return psutil.Process(self._keeper.pid).children(recursive=True)

    def _nodes(self) -> list[str]:
        """The addresses of the nodes that live."""
        return [ip for ip in (self.head.ip, self.node.ip) if self._seek("raylet", f"--node_ip_address={ip}")]

    def _seek(self, name: str, word: str) -> list[psutil.Process]:
        found = []
        for process in self._all():
            try:
                if process.name() == name and any(word in argument for argument in process.cmdline()) and alive(process):
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
        return found

    def _find(self, name: str, word: str) -> psutil.Process:
        (found,) = self._seek(name, word)
        return found


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
