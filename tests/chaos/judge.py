"""Looking at what is left, from outside: what stands in the channel, the rows, the files, the processes."""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from bot.backups import DATABASE
from tests.chaos.source import IDS, answers
from tests.chaos.town import Home

CARD = "can speak now"
ON_ITS_WAY = ("source\tafter", "file\tbefore mkdir")
"""Moments at which an answer has come and nothing of it can be on the disk."""


@dataclass
class Verdict:
    """What was found, and what was wrong with it."""

    points: int = 0
    kills: int = 0
    jobs: int = 0
    posts: int = 0
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    where: Counter[str] = field(default_factory=Counter)
    """Points by the seam that they were at."""

    def add(self, other: "Verdict", label: str) -> None:
        """Take in what was found at one point."""
        self.points += other.points
        self.kills += other.kills
        self.jobs += other.jobs
        self.posts += other.posts
        self.where += other.where
        for mine, theirs in ((self.lost, other.lost), (self.twice, other.twice), (self.bad, other.bad)):
            mine += [f"{label}: {what}" for what in theirs]

    @property
    def clean(self) -> bool:
        return not (self.lost or self.twice or self.bad)

    def line(self) -> str:
        """The last line of the run."""
        return json.dumps(
            {
                "points": self.points,
                "kills": self.kills,
                "jobs": self.jobs,
                "posts": self.posts,
                "lost": len(self.lost),
                "twice": len(self.twice),
                "bad_states": len(self.bad),
            }
        )


def judge(
    home: Home, *, asked: Collection[str] = (), perhaps: Collection[str] = (), trained: Collection[str] = (), fetched: str | None = None
) -> Verdict:
    """Look at a home whose bot was stopped in good order.

    Args:
        home: which.
        asked: beginnings of posts that were promised: each stands in the channel once. The due slots of the home join them.
        perhaps: beginnings of posts that nobody was promised: each stands there once or not at all.
        trained: handles that were promised a training.
        fetched: the moment of the one death, where their tweets came from a source.
    """
    verdict = Verdict()
    with closing(sqlite3.connect(home.data / DATABASE)) as connection:
        connection.row_factory = sqlite3.Row
        integrity = connection.execute("PRAGMA integrity_check").fetchone()[0]
        if integrity != "ok":
            verdict.bad.append(f"integrity_check: {integrity}")
        _judge_jobs(home, connection, verdict, trained)
        _judge_posts(home, connection, verdict)
        _judge_files(home, connection, verdict)
        if fetched is not None:
            _judge_fetched(home, connection, verdict, fetched)
    spoken = [message.content for message in home.messages() if message.is_webhook]
    for beginning in [*asked, *home.slots]:
        _count(verdict, f"post “{beginning}”", sum(text.startswith(f"{beginning} ") for text in spoken), promised=True)
    for beginning in perhaps:
        _count(verdict, f"post “{beginning}”", sum(text.startswith(f"{beginning} ") for text in spoken), promised=False)
    return verdict


def _count(verdict: Verdict, what: str, count: int, *, promised: bool) -> None:
    if count == 0 and promised:
        verdict.lost.append(f"{what} never came")
    if count > 1:
        verdict.twice.append(f"{what} came {count} times")


def _judge_jobs(home: Home, connection: sqlite3.Connection, verdict: Verdict, trained: Collection[str]) -> None:
    """Every job has succeeded, has one model with its files as they were written, and one card in the channel."""
    cards = [message.content for message in home.messages() if CARD in message.content]
    jobs = connection.execute("SELECT * FROM jobs WHERE guild_id = ?", (home.guild.id,)).fetchall()
    verdict.jobs += len(jobs)
    for handle in trained:
        if not any(job["handle"] == handle for job in jobs):
            verdict.lost.append(f"the training of @{handle}")
    for job in jobs:
        if job["state"] != "succeeded":
            verdict.bad.append(f"job {job['id']} is {job['state']}: {job['reason']}")
            continue
        models = connection.execute("SELECT * FROM models WHERE job_id = ?", (job["id"],)).fetchall()
        if len(models) != 1:
            verdict.bad.append(f"job {job['id']} has {len(models)} models")
            continue
        [model] = models
        told = f"@{job['handle']}, version {model['version']}\n"
        _count(verdict, f"the card of job {job['id']}", sum(told in card for card in cards), promised=True)
        folder = home.data / "models" / str(model["character_id"]) / f"v{model['version']}"
        for name, sha256 in json.loads(model["files"]).items():
            path = folder / name
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
                verdict.bad.append(f"{path.relative_to(home.data)} is not as it was made")
    if len(cards) > len(jobs):
        verdict.twice.append(f"{len(cards)} cards for {len(jobs)} jobs")


def _judge_posts(home: Home, connection: sqlite3.Connection, verdict: Verdict) -> None:
    """Every post is sent and stands where its row says; nothing stands there without a row."""
    posts = connection.execute("SELECT * FROM posts").fetchall()
    verdict.posts += len(posts)
    for post in posts:
        name = f"post {post['id']} ({post['dedupe_key']})"
        if post["state"] != "sent":
            verdict.bad.append(f"{name} is {post['state']}: {post['error']}")
        elif post["message_id"] not in home.channel.messages:
            verdict.lost.append(f"{name} does not stand where its row says")
    known = {post["message_id"] for post in posts}
    strays = [message for message in home.messages() if (message.is_webhook or CARD in message.content) and message.id not in known]
    verdict.bad += [f"a message without a row: {message.content[:60]!r}" for message in strays]


def _judge_files(home: Home, connection: sqlite3.Connection, verdict: Verdict) -> None:
    """Nothing lies in the home but the database, the models and their corpora."""
    models = connection.execute("SELECT character_id, version, corpus_id, files FROM models").fetchall()
    wanted = {f"models/{m['character_id']}/v{m['version']}/{name}" for m in models for name in json.loads(m["files"])}
    wanted |= {f"corpora/{m['corpus_id']}.jsonl" for m in models}
    found = {path.relative_to(home.data).as_posix() for path in home.data.rglob("*") if path.is_file()}
    found = {name for name in found if not name.startswith((DATABASE, "backups/"))}
    rooms = connection.execute("SELECT training ->> '$.source_path' FROM requests WHERE state = 'asked'").fetchall()
    asked = {Path(room).parent for (room,) in rooms}  # their member is asked something and may still answer
    found = {name for name in found if (home.data / name).parent not in asked}
    verdict.bad += [f"{name} is left over" for name in sorted(found - wanted)]
    verdict.bad += [f"{name} is missing" for name in sorted(wanted - found)]
    for folder in ("jobs", "uploads"):
        verdict.bad += [
            f"{folder}/{path.name} is left over" for path in (home.data / folder).glob("*") if path.is_dir() and path not in asked
        ]


def _judge_fetched(home: Home, connection: sqlite3.Connection, verdict: Verdict, moment: str) -> None:
    """Each post is in the corpus once and was counted once, and nothing was answered twice but what had not reached the disk at all."""
    [corpus] = connection.execute("SELECT id FROM corpora ORDER BY id DESC LIMIT 1").fetchone()
    ids = [json.loads(line)["id"] for line in (home.data / "corpora" / f"{corpus}.jsonl").read_text().splitlines()]
    if ids != IDS:
        verdict.lost.append(f"posts: {ids} are in the corpus")
    counted = connection.execute("SELECT sum(posts), sum(users) FROM spending").fetchone()
    if tuple(counted) != (len(IDS), 1):
        verdict.bad.append(f"{counted[0]} posts and {counted[1]} accounts were counted")
    again = {what: count for what, count in answers(home.answered).items() if count > 1}
    if again and not (moment.startswith(ON_ITS_WAY) and list(again.values()) == [2]):
        verdict.twice.append(f"read from the source: {again}")


def processes_of(data: Path) -> list[int]:
    """The processes that a bot on this home has started and that still run."""
    mark = f"CHAOS_HOME={data}\0".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            environment, state = path.read_bytes(), path.with_name("stat").read_text().rpartition(")")[2].split()[0]
        except OSError:  # gone meanwhile, or somebody else's
            continue
        if mark in environment + b"\0" and state != "Z":
            found.append(int(path.parent.name))
    return found
