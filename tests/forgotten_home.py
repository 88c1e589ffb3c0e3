"""A home full of what was learned from heron, and from heron with others: in every table, folder, copy and backup that there is."""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from bot.app import open_database
from bot.backups import DATABASE, back_up
from bot.executor import files
from bot.executor.contract import Attempt, Outcome
from bot.exports import note_export
from bot.messages import spoken
from bot.privacy import Privacy
from bot.restores import stage
from storage.characters import CharacterStore
from storage.copies import copy_daily, named
from storage.migrate import MIGRATIONS
from storage.posts import PostStore
from storage.requests import RequestStore
from storage.schedules import ScheduleStore
from tests.clock import ManualClock
from tests.contracts.fake_executor import succeed
from tests.desk import NOON, Desk, desk
from tests.records import training_of

CLOCK = ManualClock(NOON)
MARK = "sentence of "
"""Begins every text of an account, before its name."""
GUILD, ALICE, BOB, CHANNEL = 7, 9, 10, 8


def sentence(handle: str, number: int = 0) -> str:
    return f"A {MARK}@{handle}, the {number}th: the pond is colder than it looks, isn’t it?"


def traces(home: Path, handle: str) -> list[str]:
    """Where a text of the account is found, byte by byte."""
    mark = f"{MARK}@{handle},".encode()
    return [str(path.relative_to(home)) for path in sorted(home.rglob("*")) if path.is_file() and mark in path.read_bytes()]


def found(home: Path, pattern: str) -> list[Path]:
    return sorted(home.glob(pattern))


def taught(*handles: str) -> Callable[[Attempt], Outcome]:
    """A plan of the executor: a training that leaves the texts everywhere a training leaves any."""

    def plan(attempt: Attempt) -> Outcome:
        texts = [sentence(handle, number) for handle in handles for number in range(40)]
        lines = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
        outcome = succeed(attempt)
        assert outcome.result is not None
        (attempt.folder / files.CORPUS).write_text(lines, "utf-8")
        (attempt.folder / files.LOG).write_text(lines, "utf-8")
        (attempt.folder.parent / "checkpoints").mkdir(exist_ok=True)
        (attempt.folder.parent / "checkpoints" / "one").write_text(lines, "utf-8")
        dataset = attempt.folder / files.MODEL / files.DATASET
        dataset.write_text(lines, "utf-8")
        hashes = {**outcome.result.files, files.DATASET: hashlib.sha256(dataset.read_bytes()).hexdigest()}
        result = replace(outcome.result, samples=tuple(texts[::8]), warning=texts[1], files=hashes)
        files.write_result(attempt.folder, result)
        return Outcome("succeeded", result)

    return plan


async def learn(one: Desk, handle: str, *, guild_id: int = GUILD, user_id: int = ALICE) -> int:
    """Train it; the character's id."""
    one.executor.plans[:] = [taught(*handle.split("+"))]
    upload = one.upload(f"{handle}.txt")
    upload.write_text(sentence(handle), "utf-8")
    await one.train(handle=handle, guild_id=guild_id, user_id=user_id, path=upload)
    character = await CharacterStore(one.database).find(guild_id, handle)
    assert character is not None
    return character.id


async def say(
    one: Desk, character_id: int | None, handle: str, number: int, *, state: str = "sent", kind: str = "say", by: int = ALICE
) -> int:
    """A post in that state; its id. Message ids are 1000 and the post's id."""
    text, posts = sentence(handle, number), PostStore(one.database)
    async with one.database.transaction() as tx:
        post = await posts.insert(
            tx,
            dedupe_key=f"interaction:said:{handle}:{number}:{state}:{character_id}",
            kind=kind,  # type: ignore[arg-type]  # one of them
            guild_id=GUILD,
            channel_id=CHANNEL,
            created_by=by,
            now=NOON,
            message={},
            character_id=character_id,
            prompt=text,
            text=text,
            why={"nearest": text, "overlap": 0.5, "dropped": [(text, "copy")]},
        )
        assert post is not None
        message = spoken(name=handle, handle=handle, text=text, post_id=post.id)
        await tx.execute(
            "UPDATE posts SET state = ?, message = ?, message_id = ?, sending_at = created_at, error = ? WHERE id = ?",
            (state, json.dumps(message.to_dict(), ensure_ascii=False), 1000 + post.id if state == "sent" else None, text, post.id),
        )
    return post.id


async def fill(home: Path) -> None:
    """All of it; nobody has the home open afterwards."""
    await (await open_database(home, CLOCK)).close()
    async with desk(home) as one:
        await _fill_rows(one)
    copy_daily(home / DATABASE, NOON)
    _old_copy(home)
    made = back_up(home, None, CLOCK)
    (home / "mine").mkdir()
    shutil.copy(made.path, home / "mine" / "also.tar")
    aside = stage(home, made.path, CLOCK)
    await (await open_database(home, CLOCK)).close()
    async with desk(home) as one:
        await learn(one, "heron")
        await learn(one, "heron+wren")
        await one.runner.recover()
    copy_daily(home / DATABASE, NOON + timedelta(days=1))
    (aside / "corpora").mkdir(exist_ok=True)
    (aside / "corpora" / "77.jsonl").write_text(sentence("heron"), "utf-8")  # which nobody names
    (home / "backups" / ".left.1.tmp").write_text(sentence("heron"), "utf-8")
    (home / ".restore-999999999").mkdir()
    (home / ".restore-999999999" / DATABASE).write_text(sentence("heron"), "utf-8")
    export = home / "export"
    note_export(home, "heron", export)
    export.mkdir()
    (export / "README.md").write_text(sentence("heron"), "utf-8")


def copied(full: Path, home: Path) -> Path:
    """A copy of such a home, where nothing knows that it was elsewhere."""
    shutil.copytree(full, home)
    for path in [*home.glob("*.sqlite3"), *home.glob("replaced-*/*.sqlite3"), *home.glob("backups/*.db")]:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE jobs SET source_path = replace(source_path, ?, ?)", (str(full), str(home)))
            connection.execute("INSERT OR REPLACE INTO facts VALUES ('home', ?)", (str(home),))
            connection.commit()
    notes = home / "exports.jsonl"
    notes.write_text(notes.read_text().replace(str(full), str(home)))
    return home


async def _fill_rows(one: Desk) -> None:
    heron, wren = await learn(one, "heron"), await learn(one, "wren")
    mashed, three = await learn(one, "heron+wren"), await learn(one, "heron+rook+wren")
    await learn(one, "heron", guild_id=12)
    gone = await learn(one, "heron", guild_id=11)
    for number in range(30):
        await say(one, heron, "heron", number)
        await say(one, wren, "wren", number)
    for state in ("due", "pending", "failed", "deleted"):
        await say(one, heron, "heron", 50, state=state)
    asked = await say(one, heron, "heron", 60, state="failed")
    for character_id, handle in ((mashed, "heron"), (three, "heron"), (gone, "heron")):
        await say(one, character_id, handle, 70, by=BOB)
    async with one.database.transaction() as tx:
        await CharacterStore(one.database).delete(tx, gone)
        await tx.execute("UPDATE posts SET about_id = ? WHERE dedupe_key LIKE '%:49:%'", (asked,))
        question: dict[str, object] = {"content": sentence("heron"), "buttons": [], "persona": None}
        await PostStore(one.database).insert(
            tx, dedupe_key="q", kind="question", guild_id=GUILD, channel_id=0, created_by=0, now=NOON, message=question,
            recipient_id=ALICE, about_id=asked,
        )  # fmt: skip
        await tx.execute("UPDATE posts SET state = 'sent', message_id = 4242 WHERE dedupe_key = 'q'")
        for character_id in (heron, three, wren):
            await ScheduleStore(one.database).insert(
                tx, guild_id=GUILD, channel_id=CHANNEL, character_id=character_id, cron="0 9 * * *", zone="UTC",
                prompt=sentence("heron") if character_id == heron else "", policy="once", grace_s=900,
                next_at=NOON + timedelta(days=30), created_by=ALICE, now=NOON,
            )  # fmt: skip
    privacy = Privacy(database=one.database, clock=CLOCK)
    for handle in ("heron", "wren"):
        async with one.database.transaction() as tx:
            await privacy.record(
                tx, handles=[handle], basis="own", guild_id=GUILD, channel_id=CHANNEL, user_id=ALICE if handle == "heron" else BOB,
                job_id=1, now=NOON,
            )  # fmt: skip
    await privacy.report(guild_id=GUILD, channel_id=CHANNEL, user_id=BOB, reason=sentence("heron"), handle="heron")
    await privacy.report(guild_id=GUILD, channel_id=CHANNEL, user_id=BOB, reason=sentence("heron"), post_id=asked)
    one.executor.plans[:] = []
    for handle, guild in (("heron", 13), ("wren", 13)):
        upload = one.upload("more.txt")
        upload.write_text(sentence(handle), "utf-8")
        await one.ask(handle, guild_id=guild, path=upload)
    upload = one.upload("asked.txt")
    upload.write_text(sentence("heron"), "utf-8")
    async with one.database.transaction() as tx:
        await RequestStore(one.database).insert(
            tx, guild_id=GUILD, channel_id=CHANNEL, user_id=ALICE, training=training_of("heron", upload), basis="own",
            dedupe_key="interaction:request", now=NOON,
        )  # fmt: skip


def _old_copy(home: Path) -> None:
    """A copy of before there were other schemas: the first."""
    path = named(home / DATABASE, NOON, "before-0002")
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.executescript(next(MIGRATIONS.glob("0001_*")).read_text("utf-8"))
        old.execute("PRAGMA user_version = 1")
        old.execute("INSERT INTO characters VALUES (1, 7, 'heron', 'Heron', NULL, 9, ?)", (NOON.isoformat(),))
        old.execute("INSERT INTO characters VALUES (2, 7, 'wren', 'Wren', NULL, 9, ?)", (NOON.isoformat(),))
        for number, handle in ((1, "heron"), (2, "wren")):
            text = sentence(handle)
            old.execute(
                """INSERT INTO posts (dedupe_key, kind, guild_id, channel_id, state, message, nonce, character_id, text, created_by,
                                      created_at)
                   VALUES (?1, 'say', 7, 8, 'failed', json_object('content', ?2), '', ?3, ?2, 9, ?4)""",
                (f"k{number}", text, number, NOON.isoformat()),
            )
