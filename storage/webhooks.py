"""The webhook through which characters post in a channel."""

from dataclasses import dataclass, field
from datetime import datetime

from storage.database import Database, Transaction
from storage.times import to_text


@dataclass(frozen=True)
class Webhook:
    channel_id: int
    webhook_id: int
    token: str = field(repr=False)
    """A secret: it lets its holder post."""


class WebhookStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, channel_id: int) -> Webhook | None:
        row = await self._database.fetch_one("SELECT channel_id, webhook_id, token FROM webhooks WHERE channel_id = ?", (channel_id,))
        return None if row is None else Webhook(**dict(row))

    async def put(self, tx: Transaction, webhook: Webhook, *, now: datetime) -> None:
        """Keep it, in place of the channel's former one."""
        await tx.execute(
            "INSERT OR REPLACE INTO webhooks (channel_id, webhook_id, token, created_at) VALUES (?, ?, ?, ?)",
            (webhook.channel_id, webhook.webhook_id, webhook.token, to_text(now)),
        )

    async def delete(self, tx: Transaction, channel_id: int) -> None:
        await tx.execute("DELETE FROM webhooks WHERE channel_id = ?", (channel_id,))
