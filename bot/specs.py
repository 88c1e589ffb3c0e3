"""What a worker is told of a job: its spec, with what people have said about the accounts."""

import asyncio
from pathlib import Path
from typing import Any, cast

from bot.bases import choose_base
from bot.config import Settings
from bot.executor.contract import Preset, SpecSource, TrainSpec
from bot.privacy import Privacy
from bot.registry import Registry
from storage.database import Database
from storage.jobs import Job, JobStore
from storage.privacy import PrivacyStore

HALF_BATCH = {"batch_tweets": 2}
"""For a training that was killed twice, probably because memory ran out: half of the fewest that a recipe takes by itself."""


class Specs:
    """Writes specs."""

    def __init__(self, *, database: Database, home: Path, settings: Settings, privacy: Privacy) -> None:
        self._home, self._settings, self._privacy = home, settings, privacy
        self._jobs, self._consents = JobStore(database), PrivacyStore(database)
        self._registry = Registry(database=database, home=home)

    async def write(self, job: Job) -> TrainSpec:
        """The spec of the job's newest attempt, whose tweets are all here.

        Raises:
            BadInput: its base for other languages is gone.
        """
        killed = sum(event.event == "attempt killed" for event in await self._jobs.events(job.id))
        recipe: dict[str, Any] = dict(HALF_BATCH) if killed >= 2 else {}
        salts, opted_out = await self._privacy.digests()
        return TrainSpec(
            job=job.id,
            attempt=job.attempt,
            handle=job.handle,
            sources=await self._sources(job),
            base=job.base,
            base_name=job.base_name,
            seed=job.seed,
            recipe=recipe,
            threads=self._settings.train_threads,
            preset=cast("Preset", job.preset),
            others=await self._registry.other_datasets(job.handles),
            blocked=self._settings.blocked,
            opted_out=opted_out,
            salts=salts,
            multilingual=await asyncio.to_thread(choose_base, job.multilingual, self._home) if job.multilingual else None,
        )

    async def _sources(self, job: Job) -> tuple[SpecSource, ...]:
        """In the order of the character's handle; entitled by what was said first."""
        said = {consent.handle: consent.basis for consent in reversed(await self._consents.consents(job.id))}
        return tuple(
            SpecSource(material.handle, str(job.path_of(material)), material.file_name, said.get(material.handle, "operator"))
            for material in sorted(job.materials, key=lambda material: material.handle)
        )
