"""Rate limits, when a World is made with `limits=True`: buckets per route and place, and the bot's global one."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from bot.localdiscord.clock import WorldClock

GLOBAL_PER_SECOND = 50
EXEMPT = "/interactions/"
"""Answers to interactions have no limit."""
PLACES = ("channel_id", "guild_id", "webhook_id")
"""Path parameters that have a bucket each."""


@dataclass
class Bucket:
    """So many requests in so many seconds, from the first one on."""

    limit: int
    seconds: float
    opened_at: float
    used: int = 0

    def take(self, now: float) -> bool:
        if now >= self.opened_at + self.seconds:
            self.opened_at, self.used = now, 0
        if self.used >= self.limit:
            return False
        self.used += 1
        return True


@dataclass(frozen=True)
class Verdict:
    """Whether a request may pass, with what is told in headers."""

    passes: bool
    headers: Mapping[str, str]
    retry_after: float = 0.0
    everywhere: bool = False


def _size(method: str, path: str) -> tuple[int, float]:
    """Requests and seconds. Discord tells no table; these are of the size that bots meet."""
    if "/messages" in path or path.endswith("/{token}"):
        return (5, 5.0) if method == "POST" else (5, 4.0)
    if "commands" in path:
        return 5, 20.0
    return 10, 10.0


class Limits:
    """Counts requests by the World's clock."""

    def __init__(self, clock: WorldClock) -> None:
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    def check(self, who: str, method: str, path: str, params: Mapping[str, str]) -> Verdict:
        """`path` is the route's pattern, `who` the token or address that asks."""
        if path.startswith(EXEMPT):
            return Verdict(passes=True, headers={})
        now = self._clock.time()
        general = self._buckets.setdefault(f"* {who}", Bucket(GLOBAL_PER_SECOND, 1.0, now))
        if not general.take(now):
            wait = general.opened_at + general.seconds - now
            return Verdict(
                passes=False, headers={"X-RateLimit-Global": "true", "X-RateLimit-Scope": "global"}, retry_after=wait, everywhere=True
            )
        place = [params[name] for name in PLACES if name in params]
        limit, seconds = _size(method, path)
        bucket = self._buckets.setdefault(f"{who} {method} {path} {place}", Bucket(limit, seconds, now))
        passes = bucket.take(now)
        wait = bucket.opened_at + bucket.seconds - now
        headers = {
            "X-RateLimit-Limit": str(bucket.limit),
            "X-RateLimit-Remaining": str(bucket.limit - bucket.used),
            "X-RateLimit-Reset": f"{bucket.opened_at + bucket.seconds:.3f}",
            "X-RateLimit-Reset-After": f"{wait:.3f}",
            "X-RateLimit-Bucket": hashlib.sha256(f"{method} {path}".encode()).hexdigest()[:32],
        }
        return Verdict(passes, headers if passes else headers | {"X-RateLimit-Scope": "user"}, 0.0 if passes else wait)
