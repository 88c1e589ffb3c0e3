"""Holdings: what Mynah has about a Discord user, as one JSON file for them. Knows no Discord."""

import asyncio
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from storage.database import Database
from storage.holdings import about_user, made_of, own_accounts


async def of_user(database: Database, user_id: int, *, now: datetime) -> bytes:
    """Everything with their id, and what was read and made of the accounts that they declared their own.

    JSON, UTF-8. Of a mash-up the tweets are theirs only where they name the account: those of the others are left out.
    """
    held: dict[str, Any] = {"discord_user": user_id, "made_at": now.isoformat()}
    held |= await about_user(database, user_id)
    held["own_accounts"] = [await _account(database, handle) for handle in await own_accounts(database, user_id)]
    return await asyncio.to_thread(_as_json, held)


async def _account(database: Database, handle: str) -> dict[str, Any]:
    made: dict[str, Any] = {"handle": handle}
    made |= await made_of(database, handle)
    alone = {row["id"] for row in made["characters"] if row["handle"] == handle}
    files = {row["id"]: row["character_id"] in alone for row in made["corpora"]}
    made["tweets"] = await asyncio.to_thread(_tweets, database.path.parent / "corpora", files, handle)
    return made


def _tweets(folder: Path, corpora: dict[int, bool], handle: str) -> list[dict[str, Any]]:
    """The lines of the corpora, each once; of one that several accounts share only those that name this one."""
    seen: dict[str, dict[str, Any]] = {}
    for number, alone in corpora.items():
        for line in _lines(folder / f"{number}.jsonl"):
            tweet: dict[str, Any] = json.loads(line)
            if alone or tweet.get("author_handle") == handle:
                seen[json.dumps(tweet, sort_keys=True)] = tweet
    return list(seen.values())


def _lines(file: Path) -> Iterator[str]:
    if file.is_file():
        with file.open(encoding="utf-8") as lines:
            yield from (line for line in lines if line.strip())


def _as_json(held: dict[str, Any]) -> bytes:
    return json.dumps(held, ensure_ascii=False, indent=1).encode("utf-8", "replace")
