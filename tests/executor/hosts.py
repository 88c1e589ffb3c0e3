"""Two hosts on one machine: network namespaces, with a line from here, the bot's host, to the head, and one from the head to the node."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Literal

from tests.executor.cluster import Host

_RANGE = IPv4Address("198.18.0.0")
"""From here on lie 131,072 addresses for tests of networks, which nothing outside has."""
_MAKE = """
netns add {head}
netns add {node}
-n {head} link set lo up
-n {node} link set lo up
-n {head} addr add {head_ip} dev lo
link add {port} type veth peer name to-bot netns {head}
addr add {bot_ip} peer {head_ip} dev {port}
link set {port} up
-n {head} addr add {head_ip} peer {bot_ip} dev to-bot
-n {head} link set to-bot up
-n {head} link add to-node type veth peer name to-head netns {node}
-n {head} addr add {head_ip} peer {node_ip} dev to-node
-n {head} link set to-node up
-n {node} addr add {node_ip} peer {head_ip} dev to-head
-n {node} link set to-head up
"""
"""The head's address is on its loopback as well: it can talk to itself whatever is cut."""


class Hosts:
    """How to have them, and how to be rid of them. The number of this process is in their names and addresses: others may have theirs."""

    def __init__(self) -> None:
        head, node = (f"mynah-{os.getpid()}-{part}" for part in ("head", "node"))
        bot_ip, head_ip, node_ip = (str(_RANGE + os.getpid() % 0x8000 * 4 + number) for number in range(3))
        port = f"mynah{os.getpid()}"
        self.head, self.node = Host(head_ip, ("ip", "netns", "exec", head)), Host(node_ip, ("ip", "netns", "exec", node))
        lines = _MAKE.format(head=head, node=node, port=port, bot_ip=bot_ip, head_ip=head_ip, node_ip=node_ip)
        self.make = [["ip", *line.split()] for line in lines.split("\n") if line]
        self.undo = [["ip", "link", "del", port], ["ip", "netns", "del", head], ["ip", "netns", "del", node]]
        self._switch = ("ip", "-n", head, "link", "set")

    @contextlib.contextmanager
    def cut(self, line: Literal["to-bot", "to-node"]) -> Iterator[None]:
        """Pull a line out of the head, for a while."""
        subprocess.run([*self._switch, line, "down"], check=True)
        try:
            yield
        finally:
            subprocess.run([*self._switch, line, "up"], check=True)
