"""Small facts about this installation, by key."""

from storage.database import Database, Transaction


class FactStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, key: str) -> str | None:
        row = await self._database.fetch_one("SELECT value FROM facts WHERE key = ?", (key,))
        return None if row is None else str(row["value"])

    async def put(self, tx: Transaction, key: str, value: str) -> None:
        await tx.execute(
            "INSERT INTO facts (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value)
        )

    async def delete(self, tx: Transaction, key: str) -> None:
        await tx.execute("DELETE FROM facts WHERE key = ?", (key,))
