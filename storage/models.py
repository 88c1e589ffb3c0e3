"""The registry: every trained model, by character and version. Its files lie in models/<character_id>/v<version>."""

import builtins
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage.database import Database, Transaction
from storage.times import from_text, to_text


@dataclass(frozen=True)
class Model:
    id: int
    character_id: int
    version: int
    base: str
    """`nano`, or the folder of the base."""
    base_name: str
    recipe: dict[str, Any]
    corpus_id: int
    job_id: int
    heldout_base: float
    """Nats per token."""
    heldout_model: float
    """Nats per token."""
    steps: int
    seconds: float
    files: dict[str, str]
    """File name → SHA-256."""
    samples: tuple[str, ...]
    created_at: datetime
    evaluation: dict[str, Any]
    """Figures of how good it is; empty where none were made."""

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> "Model":
        parsed = {
            "recipe": json.loads(row["recipe"]),
            "files": json.loads(row["files"]),
            "samples": tuple(json.loads(row["samples"])),
            "evaluation": json.loads(row["evaluation"]),
            "created_at": from_text(row["created_at"]),
        }
        return cls(**{**dict(row), **parsed})


class ModelStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def next_version(self, tx: Transaction, character_id: int) -> int:
        rows = await tx.fetch_all("SELECT coalesce(max(version), 0) + 1 AS next FROM models WHERE character_id = ?", (character_id,))
        return int(rows[0]["next"])

    async def insert(
        self,
        tx: Transaction,
        *,
        character_id: int,
        version: int,
        base: str,
        base_name: str,
        recipe: Mapping[str, object],
        corpus_id: int,
        job_id: int,
        heldout_base: float,
        heldout_model: float,
        steps: int,
        seconds: float,
        files: Mapping[str, str],
        now: datetime,
        samples: Sequence[str] = (),
        evaluation: Mapping[str, object] | None = None,
    ) -> int:
        """Add one and give its id.

        Raises:
            sqlite3.IntegrityError: when the character has that version.
        """
        row = await tx.fetch_all(
            """INSERT INTO models (character_id, version, base, base_name, recipe, corpus_id, job_id, heldout_base, heldout_model,
                                   steps, seconds, files, samples, created_at, evaluation)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id""",
            (
                character_id,
                version,
                base,
                base_name,
                json.dumps(dict(recipe), ensure_ascii=False),
                corpus_id,
                job_id,
                heldout_base,
                heldout_model,
                steps,
                seconds,
                json.dumps(dict(files), ensure_ascii=False),
                json.dumps(list(samples), ensure_ascii=False),
                to_text(now),
                json.dumps(dict(evaluation or {}), ensure_ascii=False),
            ),
        )
        return int(row[0]["id"])

    async def get(self, model_id: int) -> Model | None:
        row = await self._database.fetch_one("SELECT * FROM models WHERE id = ?", (model_id,))
        return None if row is None else Model.from_row(row)

    async def list(self, character_id: int) -> list[Model]:
        """Newest first."""
        rows = await self._database.fetch_all("SELECT * FROM models WHERE character_id = ? ORDER BY version DESC", (character_id,))
        return [Model.from_row(row) for row in rows]

    async def of_others(self, handles: Sequence[str], *, limit: int) -> builtins.list[Model]:
        """The newest model of each character that learned from none of these accounts, whichever server's, newest first."""
        rows = await self._database.fetch_all(
            """SELECT * FROM models WHERE id IN (
                   SELECT max(models.id) FROM models JOIN characters ON characters.id = character_id
                   WHERE NOT EXISTS (SELECT 1 FROM json_each(handles) WHERE value IN (SELECT value FROM json_each(?))) GROUP BY handle)
               ORDER BY id DESC LIMIT ?""",
            (json.dumps(list(handles)), limit),
        )
        return [Model.from_row(row) for row in rows]

    async def bases(self) -> set[str]:
        """Whatever a model says that it was trained on."""
        return {row["base"] for row in await self._database.fetch_all("SELECT DISTINCT base FROM models")}

    async def ids(self) -> set[tuple[int, int]]:
        """Character and version of each: the folders that may lie in models/."""
        rows = await self._database.fetch_all("SELECT character_id, version FROM models")
        return {(row["character_id"], row["version"]) for row in rows}
