"""Invented rows for tests that need none of the rest."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from storage.characters import Character
from storage.corpora import Corpus
from storage.jobs import Job
from storage.models import Model
from storage.posts import Post
from storage.requests import Request
from storage.schedules import Schedule
from storage.trainings import Material, Training

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def character(**changes: Any) -> Character:
    made = Character(
        id=3,
        guild_id=7,
        handle="heron",
        name="Heron",
        active_model_id=5,
        created_by=42,
        created_at=NOON,
        handles=("heron",),
        avatar_url=None,
        silenced=None,
    )
    return replace(made, **changes)


def corpus(**changes: Any) -> Corpus:
    made = Corpus(
        id=1,
        character_id=3,
        file_name="heron.zip",
        downloaded=2450,
        retweets=12,
        short=112,
        kept=2326,
        duplicates=4,
        cut=9,
        characters=180_000,
        first_tweet_at=datetime(2020, 1, 1, tzinfo=UTC),
        last_tweet_at=NOON,
        dataset_sha256="0" * 64,
        warning=None,
        created_at=NOON,
        language=None,
        shares=(),
    )
    return replace(made, **changes)


def model(**changes: Any) -> Model:
    made = Model(
        id=5,
        character_id=3,
        version=2,
        base="nano",
        base_name="nano",
        recipe={"rank": 16, "learning_rate": 0.001},
        corpus_id=1,
        job_id=12,
        heldout_base=4.912,
        heldout_model=4.034,
        steps=300,
        seconds=95.0,
        files={},
        samples=(),
        created_at=NOON,
        evaluation={},
    )
    return replace(made, **changes)


def job(**changes: Any) -> Job:
    made = Job(
        id=12,
        guild_id=7,
        channel_id=8,
        user_id=42,
        handle="heron",
        source_path="uploads/x/heron.zip",
        file_name="heron.zip",
        base="nano",
        base_name="nano",
        seed=1,
        state="queued",
        dedupe_key="interaction:1",
        attempt=0,
        charged=0,
        max_attempts=3,
        owner=None,
        progress=None,
        reason=None,
        message_id=None,
        model_id=None,
        created_at=NOON,
        started_at=None,
        waiting_since=None,
        finished_at=None,
        preset="default",
        priority=0,
        source_bytes=None,
        materials=(Material("heron", "file", "heron.zip", "heron.zip"),),
        multilingual=None,
        retry_at=None,
    )
    return replace(made, **changes)


def training_of(handle: str, path: Path, **changes: Any) -> Training:
    """A training on one file."""
    made = Training(handle, (Material(handle, "file", path.name, path.name),), str(path), "nano", "nano", seed=1)
    return replace(made, **changes)


def request(**changes: Any) -> Request:
    made = Request(
        id=3,
        guild_id=7,
        channel_id=8,
        user_id=9,
        handle="heron",
        training=training_of("heron", Path("heron.zip")),
        basis=None,
        state="asked",
        dedupe_key="interaction:1",
        decided_by=None,
        created_at=NOON,
        ended_at=None,
    )
    return replace(made, **changes)


def post(**changes: Any) -> Post:
    made = Post(
        id=9,
        dedupe_key="interaction:1:0",
        kind="say",
        guild_id=7,
        channel_id=8,
        state="sent",
        message=None,
        nonce="0" * 25,
        character_id=3,
        model_id=5,
        job_id=None,
        schedule_id=None,
        prompt="The pond",
        seed=77,
        text="The pond is mine",
        why=None,
        message_id=99,
        error=None,
        created_by=42,
        created_at=NOON,
        sending_at=NOON,
        sent_at=NOON,
        recipient_id=None,
        about_id=None,
    )
    return replace(made, **changes)


def schedule(**changes: Any) -> Schedule:
    made = Schedule(
        id=4,
        guild_id=7,
        channel_id=8,
        character_id=3,
        cron="0 9 * * *",
        zone="Europe/Paris",
        prompt="",
        policy="once",
        grace_s=600,
        next_at=NOON,
        created_by=42,
        created_at=NOON,
        jitter_s=0,
        quiet=None,
    )
    return replace(made, **changes)
