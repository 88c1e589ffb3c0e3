"""Registry: turns a finished attempt into a model that can speak, and keeps MYNAH_HOME free of what belongs to nothing.

models/<character>/v<version>/   a model's files, as its row lists them
corpora/<corpus>.jsonl           the tweets that it was taught from
packed/<base>.safetensors        a base as it lies in memory, so that speaking starts sooner
"""

import asyncio
import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog

from bot.bases import packed_file, packed_folder
from bot.errors import TrainingError
from bot.executor import files
from bot.executor.contract import Attempt, Result
from bot.tweets.cleaning import Counts
from bot.tweets.dataset import Part
from bot.uploads import Uploads
from storage.characters import SHELL, CharacterStore
from storage.copies import to_disk
from storage.corpora import CorpusStore, Share
from storage.database import Database, Transaction
from storage.facts import FactStore
from storage.jobs import Job, JobStore
from storage.models import ModelStore
from storage.posts import PostStore
from storage.requests import RequestStore
from storage.restoring import ASIDE
from storage.trainings import Material

OTHERS = 8
"""Accounts that a new model's texts are told apart from."""

CUT_SHORT = "cut short"
"""In a job's history: not all that there is could be read; the sentence says why."""

log = structlog.get_logger("mynah.registry")


class Superseded(Exception):
    """The job was cancelled, or a newer attempt runs: this one's result must not appear."""


class Registry:
    """The models, and the folders that go with rows."""

    def __init__(self, *, database: Database, home: Path) -> None:
        self._database = database
        self._characters, self._corpora, self._models = CharacterStore(database), CorpusStore(database), ModelStore(database)
        self._jobs, self._posts, self._facts = JobStore(database), PostStore(database), FactStore(database)
        self._requests = RequestStore(database)
        self._home = home
        self._uploads = Uploads(home)

    def attempt(self, job: Job) -> Attempt:
        """The job's newest attempt."""
        return Attempt(job.id, job.attempt, self._job_folder(job.id) / f"a{job.attempt}")

    async def publish(self, job: Job, result: Result, *, now: datetime) -> None:
        """Make the result the version of its character that speaks: files and rows, all or nothing.

        Raises:
            Superseded: it must not appear.
            TrainingError: files are missing or are not what the worker wrote.
            OSError: they cannot be copied.
        """
        made = self.attempt(job).folder / files.MODEL
        # A copy, so that after a crash before the commit the attempt is whole, and is published at the next start.
        staged = self._home / "models" / f".new-{job.id}"
        try:
            await asyncio.to_thread(_copy_checked, made, staged, result.files)
            async with self._database.transaction() as tx:
                character_id, version = await self._insert(tx, job, result, now)
                _rename(staged, self._model_folder(character_id, version))
        finally:
            await asyncio.to_thread(shutil.rmtree, staged, ignore_errors=True)

    async def other_datasets(self, handles: Sequence[str]) -> tuple[str, ...]:
        """Files of what the newest models of other accounts were taught, one of each character."""
        models = await self._models.of_others(handles, limit=OTHERS)
        paths = [self._model_folder(model.character_id, model.version) / files.DATASET for model in models]
        return tuple(str(path) for path in paths if path.is_file())

    async def last_corpus(self, job: Job) -> tuple[Path, tuple[Material, ...]] | None:
        """What the job's character was taught last, and what that was made of; None: nothing yet."""
        character = await self._characters.find(job.guild_id, job.handle)
        if character is None or character.guild_id != job.guild_id:
            return None
        models = await self._models.list(character.id)
        if not models:
            return None
        corpus, made_by = self._home / "corpora" / f"{models[0].corpus_id}.jsonl", await self._jobs.get(models[0].job_id)
        return (corpus, made_by.materials if made_by else ()) if corpus.is_file() else None

    async def notes(self, job: Job) -> str | None:
        """Sentences that people should read about what the job was given to learn from."""
        told = dict.fromkeys(event.detail for event in await self._jobs.events(job.id) if event.event == CUT_SHORT and event.detail)
        return " ".join(told) or None

    async def clear(self, job: Job) -> None:
        """After a job's end: keep the tweets of one that succeeded; remove its folder and its upload. May be repeated."""
        model = await self._models.get(job.model_id) if job.model_id is not None else None
        corpus = self._home / "corpora" / f"{model.corpus_id}.jsonl" if model else None
        await asyncio.to_thread(self._clear_files, job, corpus)

    async def sweep(self) -> None:
        """At the start: remove what a crash left behind, and finish clearing up after jobs that have ended.

        At the first start after a restore nothing is removed: what no row refers to may be worth more than the rows, and is set aside.
        """
        aside = await self._facts.get(ASIDE)
        away = _Away(self._home, aside)
        for folder in _numbered(self._home / "jobs"):
            job = await self._jobs.get(int(folder.name))
            if job is None:
                await asyncio.to_thread(away.put, folder)
            elif not job.is_open:
                await self.clear(job)
        open_jobs = [job for state in ("queued", "running", "waiting") for job in await self._jobs.in_state(state)]
        keep = {self._model_folder(*key) for key in await self._models.ids()}
        keep |= {self._home / "corpora" / f"{number}.jsonl" for number in await self._corpora.ids()}
        keep |= {job.path_of(material).parent for job in open_jobs for material in job.materials}
        keep |= {Path(request.training.source_path).parent for request in await self._requests.open()}
        await asyncio.to_thread(self._remove_others, keep, away)
        await asyncio.to_thread(self._remove_packed, await self._models.bases())
        if aside is not None:
            async with self._database.transaction() as tx:
                await self._facts.delete(tx, ASIDE)

    async def _insert(self, tx: Transaction, job: Job, result: Result, now: datetime) -> tuple[int, int]:
        """All the rows; gives character id and version."""
        current = await self._jobs.get(job.id)
        if current is None or (current.state, current.attempt) != ("running", job.attempt):
            raise Superseded
        counts, heldout_base, heldout_model, steps, seconds, sha256 = _complete(result)
        job = await self._jobs.get(job.id) or job  # its sources have told more since it was claimed
        character = await self._characters.ensure(
            tx, guild_id=job.guild_id, handle=job.handle, name=job.handle, created_by=job.user_id, now=now
        )
        corpus_id = await self._corpora.insert(
            tx,
            character_id=character.id,
            file_name=job.file_name,
            downloaded=counts.downloaded,
            retweets=counts.retweets,
            short=counts.short,
            kept=counts.kept,
            duplicates=counts.duplicates,
            cut=counts.cut,
            characters=counts.characters,
            first_tweet_at=_moment(result.first_tweet_at),
            last_tweet_at=_moment(result.last_tweet_at),
            dataset_sha256=sha256,
            warning=" ".join(filter(None, (result.warning, await self.notes(job)))) or None,
            language=result.language,
            shares=[_share(part) for part in result.parts],
            now=now,
        )
        version = await self._models.next_version(tx, character.id)
        model_id = await self._models.insert(
            tx,
            character_id=character.id,
            version=version,
            base=result.base or job.base,
            base_name=result.base_name or job.base_name,
            recipe=result.recipe,
            corpus_id=corpus_id,
            job_id=job.id,
            heldout_base=heldout_base,
            heldout_model=heldout_model,
            steps=steps,
            seconds=seconds,
            files=result.files,
            samples=result.samples,
            evaluation=result.evaluation,
            now=now,
        )
        await self._characters.activate(tx, character.id, model_id, name=result.profile_name or None, avatar_url=_picture(job))
        await self._end(tx, job, now, character_id=character.id, model_id=model_id)
        return character.id, version

    async def _end(self, tx: Transaction, job: Job, now: datetime, *, character_id: int, model_id: int) -> None:
        if not await self._jobs.finish(tx, job.id, state="succeeded", now=now, attempt=job.attempt, model_id=model_id):
            raise Superseded
        await self._jobs.record(tx, job.id, "succeeded", None, now)
        await promise_result(self._posts, tx, job, now, character_id=character_id, model_id=model_id)

    def _clear_files(self, job: Job, corpus: Path | None) -> None:
        read = self.attempt(job).folder / files.CORPUS
        if corpus is not None and read.exists():
            corpus.parent.mkdir(parents=True, exist_ok=True)
            read.replace(corpus)
            to_disk(corpus)
        for material in job.materials:
            self._uploads.discard(job.path_of(material))
        if self._job_folder(job.id).exists():
            shutil.rmtree(self._job_folder(job.id))

    def _remove_others(self, keep: set[Path], away: "_Away") -> None:
        found = [*self._home.glob("models/*/v*"), *self._home.glob("models/.new-*")]
        found += [*self._home.glob("corpora/*"), *self._home.glob("uploads/*")]
        for path in found:
            if path not in keep:
                away.put(path)
        for folder in self._home.glob("models/*"):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def _remove_packed(self, bases: set[str]) -> None:
        """Copies of bases that no model has, and what was left half written. Never set aside: they can be made again."""
        folder = packed_folder(self._home)
        keep = {packed_file(base, folder) for base in bases}
        for path in folder.glob("*"):
            if path not in keep and path.is_file():
                path.unlink(missing_ok=True)
                log.info("removed what belongs to nothing", path=str(path.relative_to(self._home)))

    def _job_folder(self, job_id: int) -> Path:
        return self._home / "jobs" / str(job_id)

    def _model_folder(self, character_id: int, version: int) -> Path:
        return self._home / "models" / str(character_id) / f"v{version}"


class _Away:
    """Where things go that no row refers to: out of the world, or after a restore into a folder of their own."""

    def __init__(self, home: Path, aside: str | None) -> None:
        self._home, self._aside = home, aside and home / aside

    def put(self, path: Path) -> None:
        inside = path.relative_to(self._home)
        kept = self._aside and self._aside / inside
        if kept and not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            path.rename(kept)
        else:
            path.unlink() if path.is_symlink() or path.is_file() else shutil.rmtree(path)
        log.info("set aside what belongs to nothing" if kept else "removed what belongs to nothing", path=str(inside))


async def promise_result(
    posts: PostStore, tx: Transaction, job: Job, now: datetime, *, character_id: int | None = None, model_id: int | None = None
) -> None:
    """The channel is told how the job ended; the words are found later. A job of the shell has no channel."""
    if job.guild_id == SHELL:
        return
    await posts.insert(
        tx,
        dedupe_key=f"job:{job.id}:result",
        kind="result",
        guild_id=job.guild_id,
        channel_id=job.channel_id,
        created_by=0,
        now=now,
        state="due",
        character_id=character_id,
        model_id=model_id,
        job_id=job.id,
    )


def _share(part: Part) -> Share:
    counts = part.counts
    return Share(part.handle, counts.downloaded, counts.retweets, counts.short, counts.kept, part.language, part.repeats)


def _picture(job: Job) -> str | None:
    """Of the account; a mash-up has none, since the face of one would stand beside the words of another."""
    return job.materials[0].avatar_url if len(job.materials) == 1 else None


def _complete(result: Result) -> tuple[Counts, float, float, int, float, str]:
    if (
        result.counts is None
        or result.heldout_base is None
        or result.heldout_model is None
        or result.steps is None
        or result.seconds is None
        or result.dataset_sha256 is None
    ):
        raise TrainingError("The training ended without telling everything that the registry keeps.")
    return result.counts, result.heldout_base, result.heldout_model, result.steps, result.seconds, result.dataset_sha256


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _copy_checked(made: Path, staged: Path, hashes: Mapping[str, str]) -> None:
    """Copy exactly the listed files, each with the listed content, safely onto the disk."""
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    for name, sha256 in hashes.items():
        source, target = made / name, staged / name
        if not source.is_file() or source.is_symlink() or Path(name).name != name:
            raise TrainingError(f"The trained model has no file {name}.")
        shutil.copyfile(source, target)
        with target.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise TrainingError(f"The trained model's file {name} is not as it was written.")
            os.fsync(file.fileno())
    if not hashes:
        raise TrainingError("The training left no model.")
    to_disk(staged)


def _rename(staged: Path, target: Path) -> None:
    """Inside the transaction that gives the folder its row: whatever stands there has none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.rmtree(target)
    staged.rename(target)
    to_disk(target.parent)


def _numbered(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*") if path.name.isdigit() and path.is_dir()]
