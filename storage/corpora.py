"""Corpora: what was read for one training. The texts lie in corpora/<id>.jsonl."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from storage.database import Database, Transaction
from storage.times import from_text, to_text


@dataclass(frozen=True)
class Share:
    """What one account gave to a corpus."""

    handle: str
    downloaded: int
    retweets: int
    short: int
    kept: int
    language: str | None
    """ISO 639 code; None = not plain."""
    repeats: int
    """How often its texts are taught in an epoch."""


@dataclass(frozen=True)
class Corpus:
    """The columns are explained in the migration."""

    id: int
    character_id: int
    file_name: str
    downloaded: int
    retweets: int
    short: int
    kept: int
    duplicates: int
    cut: int
    characters: int
    first_tweet_at: datetime | None
    last_tweet_at: datetime | None
    dataset_sha256: str
    warning: str | None
    created_at: datetime
    language: str | None
    shares: tuple[Share, ...]

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> "Corpus":
        times = {name: from_text(row[name]) for name in ("first_tweet_at", "last_tweet_at", "created_at")}
        shares = tuple(Share(**share) for share in json.loads(row["shares"]))
        return cls(**{**dict(row), **times, "shares": shares})


class CorpusStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(
        self,
        tx: Transaction,
        *,
        character_id: int,
        file_name: str,
        downloaded: int,
        retweets: int,
        short: int,
        kept: int,
        duplicates: int,
        cut: int,
        characters: int,
        first_tweet_at: datetime | None,
        last_tweet_at: datetime | None,
        dataset_sha256: str,
        now: datetime,
        warning: str | None = None,
        language: str | None = None,
        shares: Sequence[Share] = (),
    ) -> int:
        """Add one and give its id.

        Raises:
            sqlite3.IntegrityError: when kept is not downloaded - retweets - short.
        """
        row = await tx.fetch_all(
            """INSERT INTO corpora (character_id, file_name, downloaded, retweets, short, kept, duplicates, cut, characters,
                                    first_tweet_at, last_tweet_at, dataset_sha256, warning, created_at, language, shares)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id""",
            (
                character_id,
                file_name,
                downloaded,
                retweets,
                short,
                kept,
                duplicates,
                cut,
                characters,
                first_tweet_at and to_text(first_tweet_at),
                last_tweet_at and to_text(last_tweet_at),
                dataset_sha256,
                warning,
                to_text(now),
                language,
                json.dumps([asdict(share) for share in shares]),
            ),
        )
        return int(row[0]["id"])

    async def get(self, corpus_id: int) -> Corpus | None:
        row = await self._database.fetch_one("SELECT * FROM corpora WHERE id = ?", (corpus_id,))
        return None if row is None else Corpus.from_row(row)

    async def ids(self) -> set[int]:
        return {row["id"] for row in await self._database.fetch_all("SELECT id FROM corpora")}
