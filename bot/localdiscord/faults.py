"""Faults that a test may ask the REST side for. `world.faults` is looked through at one place, in rest/server.py."""

import re
from dataclasses import dataclass
from enum import Enum, auto


class Harm(Enum):
    """What goes wrong."""

    RATE_LIMITED = auto()
    """429 with Via and JSON, as Discord's own limit answers."""
    RATE_LIMITED_EVERYWHERE = auto()
    """429 with Via and JSON, as Discord's limit on everything a bot asks for answers."""
    BANNED = auto()
    """429 without Via, as Cloudflare answers."""
    ERROR_BEFORE = auto()
    """500 and nothing happened."""
    ERROR_AFTER = auto()
    """500 although it happened."""
    UNAVAILABLE = auto()
    """503 and nothing happened."""
    DROP_BEFORE = auto()
    """The connection breaks and nothing happened."""
    DROP_AFTER = auto()
    """The connection breaks although it happened."""
    DELAY = auto()
    """The answer comes late."""


@dataclass
class Fault:
    """One harm for the next requests that match."""

    harm: Harm
    method: str = "*"
    path: str = ""
    """A regular expression searched for in the path."""
    times: int = 1
    seconds: float = 1.0
    """How long a delay lasts, or `retry_after` of a rate limit."""

    def matches(self, method: str, path: str) -> bool:
        return self.times > 0 and self.method in {"*", method} and re.search(self.path, path) is not None


def take(faults: list[Fault], method: str, path: str) -> Fault | None:
    """The first fault that matches, used up by one."""
    for fault in faults:
        if fault.matches(method, path):
            fault.times -= 1
            return fault
    return None
