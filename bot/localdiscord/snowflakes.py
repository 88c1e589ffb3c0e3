"""Discord's ids, with the time inside, and secrets of the shapes that clients expect."""

import base64
import secrets

from bot.localdiscord.clock import WorldClock

EPOCH_MS = 1_420_070_400_000
"""2015-01-01 in milliseconds: where Discord's time begins."""


class Snowflakes:
    """Makes ids: unique, rising, and carrying the World's time."""

    def __init__(self, clock: WorldClock) -> None:
        self._clock = clock
        self._last_ms = 0
        self._step = 0

    def make(self) -> int:
        now_ms = int(self._clock.time() * 1000) - EPOCH_MS
        if now_ms > self._last_ms:
            self._last_ms, self._step = now_ms, 0
        elif self._step < 0xFFF:
            self._step += 1
        else:
            self._last_ms, self._step = self._last_ms + 1, 0
        return self._last_ms << 22 | 1 << 17 | self._step


def bot_token(application_id: int) -> str:
    """A bot's token: base64(application id).x.y, as Discord's look."""
    name = base64.urlsafe_b64encode(str(application_id).encode()).decode().rstrip("=")
    return f"{name}.{secrets.token_urlsafe(4)[:6]}.{secrets.token_urlsafe(28)[:38]}"


def webhook_token() -> str:
    return secrets.token_urlsafe(51)


def interaction_token(interaction_id: int) -> str:
    inner = f"interaction:{interaction_id}:{secrets.token_urlsafe(72)}"
    return base64.urlsafe_b64encode(inner.encode()).decode().rstrip("=")
