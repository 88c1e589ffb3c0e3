"""What the rows say about a Discord user, and about what was made of an account."""

from typing import Any

from storage.database import Database

_ABOUT: dict[str, str] = {
    "consents": "SELECT * FROM consents WHERE user_id = ?1 ORDER BY id",
    "characters": "SELECT id, guild_id, handle, name, created_at FROM characters WHERE created_by = ?1 ORDER BY id",
    "jobs": """SELECT id, guild_id, channel_id, handle, file_name, base_name, state, reason, created_at, finished_at
               FROM jobs WHERE user_id = ?1 ORDER BY id""",
    "requests": """SELECT id, guild_id, channel_id, handle, basis, state, created_at, ended_at FROM requests WHERE user_id = ?1
                   ORDER BY id""",
    "decided_requests": "SELECT id, guild_id, handle, state, ended_at FROM requests WHERE decided_by = ?1 ORDER BY id",
    "schedules": """SELECT id, guild_id, channel_id, character_id, cron, zone, prompt, created_at FROM schedules WHERE created_by = ?1
                    ORDER BY id""",
    "posts": """SELECT id, kind, guild_id, channel_id, message_id, state, prompt, seed, text, why, created_at, sent_at FROM posts
                WHERE created_by = ?1 ORDER BY id""",
    "told_alone": "SELECT id, kind, message, state, created_at FROM posts WHERE recipient_id = ?1 ORDER BY id",
    "reports": "SELECT id, guild_id, channel_id, handle, post_id, reason, created_at FROM reports WHERE user_id = ?1 ORDER BY id",
    "opt_outs": "SELECT digest, created_at FROM opt_outs WHERE user_id = ?1 ORDER BY created_at",
    "forgotten": "SELECT id, guild_id, statement, receipt, created_at, finished_at FROM erasures WHERE user_id = ?1 ORDER BY id",
    "server_settings": "SELECT guild_id, moderation_channel, approval, set_at FROM guilds WHERE set_by = ?1",
    "job_history": "SELECT job_id, at, event, detail FROM job_events WHERE detail = 'user ' || ?1 ORDER BY id",
}
"""Where a user's id stands."""
_MADE: dict[str, str] = {
    "characters": """SELECT id, guild_id, handle, name, avatar_url, created_at FROM characters
                     WHERE instr('+' || handle || '+', '+' || ?1 || '+') ORDER BY id""",
    "corpora": """SELECT corpora.* FROM corpora JOIN characters ON characters.id = character_id
                  WHERE instr('+' || handle || '+', '+' || ?1 || '+') ORDER BY corpora.id""",
    "models": """SELECT models.id, character_id, version, base_name, recipe, corpus_id, heldout_base, heldout_model, samples,
                 evaluation, models.created_at FROM models JOIN characters ON characters.id = character_id
                 WHERE instr('+' || handle || '+', '+' || ?1 || '+') ORDER BY models.id""",
    "posts": """SELECT posts.id, posts.guild_id, channel_id, message_id, state, text, posts.created_at FROM posts
                JOIN characters ON characters.id = character_id
                WHERE kind IN ('say', 'schedule') AND instr('+' || characters.handle || '+', '+' || ?1 || '+') ORDER BY posts.id""",
}
"""What was made of an account that they declared their own."""


Rows = list[dict[str, Any]]


async def about_user(database: Database, user_id: int) -> dict[str, Rows]:
    """Every row with their id, by what it is."""
    return {name: await _rows(database, statement, user_id) for name, statement in _ABOUT.items()}


async def own_accounts(database: Database, user_id: int) -> list[str]:
    """The accounts that a user has declared their own."""
    statement = "SELECT DISTINCT handle FROM consents WHERE user_id = ?1 AND basis = 'own' ORDER BY handle"
    return [row["handle"] for row in await _rows(database, statement, user_id)]


async def made_of(database: Database, handle: str) -> dict[str, Rows]:
    """Characters, corpora, models and posts of an account, alone or in a mash-up."""
    return {name: await _rows(database, statement, handle) for name, statement in _MADE.items()}


async def _rows(database: Database, statement: str, value: int | str) -> Rows:
    return [dict(row) for row in await database.fetch_all(statement, (value,))]
