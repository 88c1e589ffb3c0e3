"""What a database holds of an account or of a Discord user, and its deletion: the same in the database in use and in its copies.

They are steps that yield a statement and are given its rows, so that they run inside a `Transaction` and on a plain connection alike. They
work on every schema there ever was.
"""

import hashlib
import json
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Generator, Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, TypeVar

from storage import copies
from storage.erased import Found, Named, Target, from_todo

T = TypeVar("T")
Row = sqlite3.Row
Steps = Generator[tuple[str, Sequence[object]], list[Row], T]
Schema = Mapping[str, Collection[str]]
"""Tables and their columns."""

PARTED = "A part of what this character learned from was forgotten: train it again."
"""Why a mash-up is silent that has lost one of its accounts."""
_ACCOUNT = "instr('+' || handle || '+', '+' || ?1 || '+') > 0 AND (?2 IS NULL OR guild_id = ?2)"
_LISTED = "IN (SELECT value FROM json_each(?1))"
_BEARING = ("say", "schedule")
"""Kinds of posts whose buttons name the post."""
_ON_THEIR_WAY = "(state IN ('sending', 'unknown') OR state = 'sent' AND message_id IS NULL)"
_HANDLES = ("characters", "jobs", "posts", "consents", "requests", "reports")
_USERS = {
    "characters": ("created_by",),
    "jobs": ("user_id",),
    "schedules": ("created_by",),
    "posts": ("created_by", "recipient_id"),
    "consents": ("user_id",),
    "requests": ("user_id", "decided_by"),
    "reports": ("user_id",),
    "guilds": ("set_by",),
    "opt_outs": ("user_id",),
    "erasures": ("user_id",),
}
"""Where the names of accounts and the ids of users stand."""


async def through(fetch_all: Callable[[str, Sequence[object]], Awaitable[list[Row]]], steps: Steps[T]) -> T:
    """Run steps by the `fetch_all` of a transaction, or of a database where they only read."""
    try:
        asked = next(steps)
        while True:
            asked = steps.send(await fetch_all(*asked))
    except StopIteration as end:
        done: T = end.value
        return done


def on(connection: sqlite3.Connection, steps: Steps[T]) -> T:
    """Run steps on a connection that gives `sqlite3.Row`s."""
    try:
        asked = next(steps)
        while True:
            asked = steps.send(connection.execute(*asked).fetchall())
    except StopIteration as end:
        done: T = end.value
        return done


def named() -> Steps[Named]:
    """Every account and every Discord user that a database names."""
    schema = yield from _schema()
    handles: set[str] = set()
    users: set[int] = set()
    for table in _HANDLES:
        if "handle" in schema.get(table, ()):
            rows = yield f"SELECT DISTINCT handle FROM {table} WHERE handle IS NOT NULL", ()  # noqa: S608 -- names of ours
            handles.update(name for row in rows for name in row["handle"].split("+"))
    for table, columns in _USERS.items():
        for column in (column for column in columns if column in schema.get(table, ())):
            rows = yield f"SELECT DISTINCT {column} AS id FROM {table} WHERE {column} <> 0", ()  # noqa: S608 -- names of ours
            users.update(row["id"] for row in rows)
    known = (yield "SELECT digest, created_at FROM erasures", ()) if "erasures" in schema else []
    return Named(frozenset(handles), frozenset(users), frozenset((row["digest"], row["created_at"]) for row in known))


def clean(file: Path, wanted: Callable[[Named], Sequence[Target]]) -> Found | None:
    """Delete from a copy those that are wanted of those that it names; None: nothing of them is inside.

    Raises:
        StorageProblem, OSError: as `copies.changed`.
    """
    there, rest = copies.look(file, lambda connection: (on(connection, named()), on(connection, left_over(delete=False))))
    targets = wanted(there)
    if not targets and rest == Found():
        return None

    def change(connection: sqlite3.Connection) -> Found:
        found = on(connection, left_over(delete=True))
        for target in targets:
            found.add(on(connection, forget(target, erasure_id=None)))
        return found

    return copies.changed(file, change)


def forget(target: Target, *, erasure_id: int | None) -> Steps[Found]:
    """Delete everything of an account or a user.

    `erasure_id` is that of the row in the database in use, where messages may be on their way: such a post stays, without its words, until
    it is known what became of it. None: in a copy, from which nothing is sent.
    """
    schema = yield from _schema()
    found = Found()
    if target.handle is not None:
        yield from _account(found, schema, target.handle, target.guild_id, erasure_id)
    if target.user_id is not None:
        yield from _user(found, schema, target.user_id, erasure_id)
    return found


def left_over(*, delete: bool) -> Steps[Found]:
    """What was still to be removed and deleted when a database was replaced; with `delete` it does not say so any more."""
    schema = yield from _schema()
    found = Found()
    if "erasures" not in schema:
        return found
    for row in (yield "SELECT todo FROM erasures WHERE todo IS NOT NULL", ()):
        found.add(from_todo(json.loads(row["todo"])))
    due = yield "SELECT channel_id, message_id, recipient_id FROM erasure_messages WHERE state = 'due'", ()
    found.messages.update((row["channel_id"], row["message_id"], row["recipient_id"]) for row in due)
    if delete:
        yield "UPDATE erasures SET todo = NULL", ()
        yield "DELETE FROM erasure_messages WHERE state = 'due'", ()
    return found


def _schema() -> Steps[Schema]:
    rows = yield (
        """SELECT tables.name AS name, columns.name AS column FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns
           WHERE tables.type = 'table'""",
        (),
    )
    schema: dict[str, set[str]] = {}
    for row in rows:
        schema.setdefault(row["name"], set()).add(row["column"])
    return schema


def _account(found: Found, schema: Schema, handle: str, guild_id: int | None, erasure_id: int | None) -> Steps[None]:
    who = (handle, guild_id)
    characters = yield f"SELECT id, guild_id, handle FROM characters WHERE {_ACCOUNT}", who  # noqa: S608 -- no input
    jobs = yield f"SELECT id FROM jobs WHERE {_ACCOUNT}", who  # noqa: S608 -- no input
    ids = [row["id"] for row in characters]
    yield from _note_files(found, ids, [row["id"] for row in jobs])
    posts = yield from _posts_of_account(schema, who, ids, found.jobs)
    if "reports" in schema:
        posts |= yield from _reports(found, who, posts)
    yield from _posts(found, schema, posts, erasure_id)
    stay: set[int] = set()
    for row in characters:
        stay |= yield from _retired(row, handle)
    gone = [number for number in ids if number not in stay]
    found.characters += len(gone)
    found.retired += len(stay)
    schedules = yield f"SELECT count(*) AS n FROM schedules WHERE character_id {_LISTED}", (json.dumps(gone),)  # noqa: S608 -- no input
    found.schedules += schedules[0]["n"]
    yield f"DELETE FROM characters WHERE id {_LISTED}", (json.dumps(gone),)  # noqa: S608 -- no input
    yield f"DELETE FROM jobs WHERE id {_LISTED}", (json.dumps(sorted(found.jobs)),)  # noqa: S608 -- no input
    if "requests" in schema:
        rows = yield f"DELETE FROM requests WHERE {_ACCOUNT} RETURNING *", who  # noqa: S608 -- no input
        _note_requests(found, rows)
        found.consents += len((yield f"DELETE FROM consents WHERE {_ACCOUNT} RETURNING id", who))  # noqa: S608 -- no input


def _reports(found: Found, who: tuple[str, int | None], posts: Collection[int]) -> Steps[set[int]]:
    """Delete what was reported of an account or of its posts; the posts that told of it."""
    rows = yield (
        f"DELETE FROM reports WHERE {_ACCOUNT} OR post_id IN (SELECT value FROM json_each(?3)) RETURNING id",  # noqa: S608 -- no input
        (*who, json.dumps(sorted(posts))),
    )
    found.reports += len(rows)
    return (yield from _posts_named("report:", [row["id"] for row in rows]))


def _user(found: Found, schema: Schema, user_id: int, erasure_id: int | None) -> Steps[None]:
    who = (user_id,)
    jobs = yield "SELECT id FROM jobs WHERE user_id = ? AND id NOT IN (SELECT job_id FROM models)", who
    yield from _note_files(found, [], [row["id"] for row in jobs])
    yield from _posts(found, schema, (yield from _posts_of_user(schema, user_id)), erasure_id)
    yield f"DELETE FROM jobs WHERE id {_LISTED}", (json.dumps(sorted(found.jobs)),)  # noqa: S608 -- no input
    found.schedules += len((yield "DELETE FROM schedules WHERE created_by = ? RETURNING id", who))
    yield "UPDATE jobs SET user_id = 0 WHERE user_id = ?", who
    yield "UPDATE job_events SET detail = 'somebody' WHERE detail IN ('user ' || ?1, 'opt-out by user ' || ?1)", who
    yield "UPDATE characters SET created_by = 0 WHERE created_by = ?", who
    if "requests" in schema:
        _note_requests(found, (yield "DELETE FROM requests WHERE user_id = ? RETURNING *", who))
        found.consents += len((yield "DELETE FROM consents WHERE user_id = ? RETURNING id", who))
        found.reports += len((yield "DELETE FROM reports WHERE user_id = ? RETURNING id", who))
        yield "UPDATE requests SET decided_by = NULL WHERE decided_by = ?", who
        yield "UPDATE guilds SET set_by = 0 WHERE set_by = ?", who
        yield "UPDATE opt_outs SET user_id = 0 WHERE user_id = ?", who
        yield "UPDATE erasures SET user_id = 0 WHERE user_id = ?", who


def _note_files(found: Found, characters: Sequence[int], jobs: Sequence[int]) -> Steps[None]:
    """What lies on the disk of these, and the messages that show how the jobs go."""
    found.jobs.update(jobs)
    listed = (json.dumps(list(characters)),)
    models = yield f"SELECT character_id, version, job_id FROM models WHERE character_id {_LISTED}", listed  # noqa: S608 -- no input
    found.models.update((row["character_id"], row["version"]) for row in models)
    found.jobs.update(row["job_id"] for row in models)
    corpora = yield f"SELECT id FROM corpora WHERE character_id {_LISTED}", listed  # noqa: S608 -- no input
    found.corpora.update(row["id"] for row in corpora)
    named = yield f"SELECT channel_id, message_id, source_path FROM jobs WHERE id {_LISTED}", (json.dumps(sorted(found.jobs)),)  # noqa: S608
    found.messages.update((row["channel_id"], row["message_id"], None) for row in named if row["message_id"] is not None)
    _note_uploads(found, (row["source_path"] for row in named))


def _note_requests(found: Found, rows: Sequence[Row]) -> None:
    """What was uploaded for them, and the messages that ask about them; which of a schema before 0005 are not known."""
    found.requests += len(rows)
    asking = [dict(row) for row in rows]
    found.messages.update((row["channel_id"], row["message_id"], None) for row in asking if row.get("message_id") is not None)
    _note_uploads(found, (json.loads(row["training"])["source_path"] for row in rows))


def _note_uploads(found: Found, sources: Iterable[str]) -> None:
    for source in map(PurePath, sources):
        if source.parent.parent.name == "uploads":
            found.uploads.add(source.parent.name)


def _posts_of_account(schema: Schema, who: tuple[str, int | None], characters: Sequence[int], jobs: Collection[int]) -> Steps[set[int]]:
    """What they said, what tells of their trainings, and what asks or tells about either."""
    rows = yield (
        """SELECT id FROM posts WHERE character_id IN (SELECT value FROM json_each(?1)) OR job_id IN (SELECT value FROM json_each(?2))
           OR model_id IN (SELECT id FROM models WHERE character_id IN (SELECT value FROM json_each(?1)))""",
        (json.dumps(list(characters)), json.dumps(sorted(jobs))),
    )
    ids = {row["id"] for row in rows}
    if "handle" in schema["posts"]:
        rows = yield f"SELECT id FROM posts WHERE {_ACCOUNT}", who  # noqa: S608 -- no input
        ids.update(row["id"] for row in rows)
        rows = yield f"SELECT id FROM requests WHERE {_ACCOUNT}", who  # noqa: S608 -- no input
        ids |= yield from _posts_named("request:", [row["id"] for row in rows])
    return (yield from _with_those_about(schema, ids))


def _posts_named(key: str, numbers: list[int]) -> Steps[set[int]]:
    """Those whose dedupe key begins with `key` and one of the numbers."""
    rows = yield (
        """SELECT id FROM posts WHERE substr(dedupe_key, 1, length(?2)) = ?2
           AND CAST(substr(dedupe_key, length(?2) + 1) AS INTEGER) IN (SELECT value FROM json_each(?1))""",
        (json.dumps(numbers), key),
    )
    return {row["id"] for row in rows}


def _posts_of_user(schema: Schema, user_id: int) -> Steps[set[int]]:
    """What they called for, what they were told alone, and what names them."""
    alone = "OR recipient_id = ?1" if "recipient_id" in schema["posts"] else ""
    rows = yield (
        f"""SELECT id FROM posts WHERE created_by = ?1 {alone} OR instr(message, '<@' || ?1 || '>') > 0
            OR job_id IN (SELECT id FROM jobs WHERE user_id = ?1)""",  # noqa: S608 -- no input
        (user_id,),
    )
    return (yield from _with_those_about(schema, {row["id"] for row in rows}))


def _with_those_about(schema: Schema, ids: set[int]) -> Steps[set[int]]:
    """Questions and notices quote the post that they are about."""
    newest = ids if "about_id" in schema["posts"] else set()
    while newest:
        rows = yield f"SELECT id FROM posts WHERE about_id {_LISTED}", (json.dumps(sorted(newest)),)  # noqa: S608 -- no input
        newest = {row["id"] for row in rows} - ids
        ids |= newest
    return ids


def _posts(found: Found, schema: Schema, ids: set[int], erasure_id: int | None) -> Steps[None]:
    listed = (json.dumps(sorted(ids)),)
    recipient = "recipient_id" if "recipient_id" in schema["posts"] else "NULL"
    rows = yield (
        f"""SELECT channel_id, message_id, {recipient} AS recipient_id FROM posts
            WHERE id {_LISTED} AND message_id IS NOT NULL AND state <> 'deleted'""",  # noqa: S608 -- no input
        listed,
    )
    found.messages.update((row["channel_id"], row["message_id"], row["recipient_id"]) for row in rows)
    found.posts += len(ids)
    if erasure_id is not None:
        found.on_their_way += yield from _without_words(listed[0], erasure_id)
    yield f"DELETE FROM posts WHERE id {_LISTED}" + (" AND erasure_id IS NULL" if erasure_id is not None else ""), listed  # noqa: S608


def _without_words(listed: str, erasure_id: int) -> Steps[int]:
    """What may stand in its channel under an id that nobody knows yet is looked for there, and then deleted; how many those are."""
    rows = yield f"SELECT id, kind, message FROM posts WHERE id {_LISTED} AND {_ON_THEIR_WAY}", (listed,)  # noqa: S608 -- no input
    for row in rows:
        yield (
            """UPDATE posts SET erasure_id = ?, message = ?, state = 'sending', sending_at = coalesce(sending_at, created_at),
                character_id = NULL, model_id = NULL, job_id = NULL, schedule_id = NULL, about_id = NULL, prompt = NULL, seed = NULL,
                text = NULL, why = NULL, error = NULL, handle = NULL, created_by = 0, dedupe_key = 'forgotten:' || id WHERE id = ?""",
            (erasure_id, json.dumps(_wordless(row["kind"], json.loads(row["message"] or "{}"))), row["id"]),
        )
    return len(rows)


def _wordless(kind: str, message: Mapping[str, Any]) -> dict[str, Any]:
    """A message by which it is known again: what a character says by its buttons, which name the post; all else by its fingerprint."""
    if kind in _BEARING:
        return {"content": "", "buttons": message.get("buttons", []), "persona": {"name": "Mynah"} if message.get("persona") else None}
    return {"content": fingerprint(message.get("content", "")), "buttons": [], "persona": None}


def fingerprint(content: str) -> str:
    """What a message's words are compared by that nobody keeps any more; Discord may change the space between them."""
    return hashlib.sha256(" ".join(content.split()).encode()).hexdigest()


def _retired(character: Row, handle: str) -> Steps[set[int]]:
    """Leave a mash-up to its other accounts, where there are two and no such character is there yet: its id, or nothing if it has to go."""
    left = [name for name in character["handle"].split("+") if name != handle]
    joined = "+".join(left)
    taken = yield "SELECT id FROM characters WHERE guild_id = ? AND handle = ?", (character["guild_id"], joined)
    if len(left) < 2 or taken:
        return set()
    yield (
        """UPDATE characters SET handle = ?, handles = ?, name = ?, avatar_url = NULL, active_model_id = NULL, silenced = ?
           WHERE id = ?""",
        (joined, json.dumps(left), " & ".join(left), PARTED, character["id"]),
    )
    yield "DELETE FROM models WHERE character_id = ?", (character["id"],)
    yield "DELETE FROM corpora WHERE character_id = ?", (character["id"],)
    return {character["id"]}
