"""Fetcher: brings the tweets of a job whose accounts are not files, from their sources into the job's files, before its worker starts.

A page is on the disk before the next is asked for, so that after a crash, a limit or a stop it goes on where it was and nothing is paid
for twice. When all is there, it is merged with what the character was taught before: an account is read from its newest known post on.
"""

import asyncio
import errno
import os
import shutil
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from bot.clock import Clock
from bot.errors import NotNow, SourceError, Spent, TooLittleText
from bot.executor.contract import Progress
from bot.privacy import Privacy
from bot.registry import CUT_SHORT, Registry
from bot.spending import PAID, Spending
from bot.tweets.journal import Journal
from bot.tweets.source import Page, Profile, Source
from storage.database import Database
from storage.jobs import Job, JobStore
from storage.trainings import Material

TRIES = 12
"""So often in a row a source may ask to be left alone, or not answer. Without a time of its own that is about six hours."""
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
"""After the first of these, and at most: doubled with each."""
MOST_WAIT = timedelta(days=1)
"""A source that names a later time is asked again by then all the same: clocks are wrong more often than limits are so long."""
MARGIN = timedelta(seconds=5)
"""So long after the time that a source names, since its clock is not ours."""
PAGE = 100
"""Posts that a page of X may have."""
EMPTY = 20
"""After so many pages without a post the last one has come, whatever the source says."""
ROOM = 32 << 20
"""Bytes that must be free before a page is asked for: one that is paid for has to be kept."""
SHARE = 0.05
"""Of the whole job's progress, as much as reading a file has."""

T = TypeVar("T")
Tell = Callable[[Progress], None]

log = structlog.get_logger("mynah.fetching")


class _GivenUp(SourceError):
    """The source was not to be had, however often it was asked."""


@dataclass
class _Errand:
    """One account that is to be fetched."""

    job: Job
    material: Material
    journal: Journal
    source: Source

    @property
    def is_paid(self) -> bool:
        return self.material.source == "x"

    @property
    def profile(self) -> Profile:
        if self.journal.profile is None:
            raise RuntimeError(f"{self.material.file_name} was not looked up")
        return self.journal.profile

    @property
    def expected(self) -> int:
        """Posts that are still to come, at most."""
        posts = self.source.depth if self.profile.posts is None else min(self.profile.posts, self.source.depth)
        return max(0, posts - self.journal.read)


@dataclass(frozen=True)
class _Known:
    """What a character was taught of an account before."""

    tweets: int
    newest: str
    """Id of the newest: only later ones need to be read."""
    was_fetched: bool
    """From the same source, so that nothing older is missing."""


class Fetcher:
    """Fetches."""

    def __init__(
        self, *, database: Database, home: Path, privacy: Privacy, spending: Spending, clock: Clock, make: Callable[[str], Source]
    ) -> None:
        """Build it.

        Args:
            database: where jobs, characters and their corpora are.
            home: MYNAH_HOME, absolute.
            privacy: says whose tweets may be learned from.
            spending: counts what X charges.
            clock: the time.
            make: a source by its name, to be closed by whoever asks for it.
        """
        self._database, self._home, self._privacy, self._spending = database, home, privacy, spending
        self._clock, self._make = clock, make
        self._jobs, self._registry = JobStore(database), Registry(database=database, home=home)

    async def settle(self, jobs: Sequence[Job]) -> None:
        """At the start: count what a crash has left uncounted of what these jobs have read."""
        for job in jobs:
            for material in job.materials:
                if material.source == "x":
                    await self._count(job, material, await asyncio.to_thread(Journal, job.path_of(material), material.handle))

    async def fetch(self, job: Job, tell: Tell) -> Job:
        """Bring what is still missing, and give the job back with what the sources have told of the accounts.

        May be cancelled at any moment, and called again.

        Raises:
            NotNow: the job has to wait, until `until`.
            SourceError: the tweets cannot be had.
            NotAllowed: the account has opted out under another name.
            OSError: there is no room on the disk.
        """
        async with AsyncExitStack() as stack:
            errands = [errand for material in job.materials if (errand := await self._errand(stack, job, material))]
            for errand in errands:
                await self._look_up(errand)
            await self._afford(errands)
            for number, errand in enumerate(errands):
                await self._read(errand, partial(_tell_of, tell, number, len(errands)))
            return await _to_the_end(self._keep(job, errands)) if errands else job

    async def _errand(self, stack: AsyncExitStack, job: Job, material: Material) -> _Errand | None:
        """None: there is nothing to do."""
        if material.source == "file":
            return None
        journal = await asyncio.to_thread(Journal, job.path_of(material), material.handle)
        if journal.is_written and not journal.exists:
            return None
        await self._count(job, material, journal)  # when the database could not be written, something may have been left out
        source = self._make(material.source)
        stack.push_async_callback(source.close)
        return _Errand(job, material, journal, source)

    async def _look_up(self, errand: _Errand) -> None:
        if errand.journal.profile is not None:
            return
        if errand.is_paid:
            await self._spending.check(0, accounts=1)
        await asyncio.to_thread(self._check_room)
        known = await self._known(errand)
        profile = await self._ask(errand, errand.source.profile(errand.material.handle))
        if profile.handle and profile.handle.lower() != errand.material.handle:
            await self._privacy.check([profile.handle])  # an account may have several names, and has opted out under this one
        await _to_the_end(self._begin(errand, profile, known))

    async def _begin(self, errand: _Errand, profile: Profile, known: _Known | None) -> None:
        """What a file held is no reason to leave the rest unread, unless it is most of what the source has."""
        most = errand.source.depth if profile.posts is None else min(profile.posts, errand.source.depth)
        is_most = known is not None and (known.was_fetched or profile.posts is None or 2 * known.tweets >= most)
        await asyncio.to_thread(errand.journal.begin, profile, known.newest if known and is_most else None)
        await self._count(errand.job, errand.material, errand.journal)

    async def _known(self, errand: _Errand) -> _Known | None:
        """What the character was taught of the account last, set aside to be taught again; None: nothing that is told from new posts."""
        last = await self._registry.last_corpus(errand.job)
        if last is None:
            return None
        corpus, made_of = last
        kept = asyncio.to_thread(errand.journal.keep_known, corpus, digits=errand.material.source != "bluesky")
        tweets, newest = await _to_the_end(kept)
        if newest is None:
            await asyncio.to_thread(errand.journal.drop_known)
            return None
        theirs = (errand.material.handle, errand.material.source)
        return _Known(tweets, newest, was_fetched=any((material.handle, material.source) == theirs for material in made_of))

    async def _afford(self, errands: Sequence[_Errand]) -> None:
        """All of it together must be within the budget; of what is only brought up to date nobody knows how much it is."""
        expected = sum(errand.expected for errand in errands if errand.is_paid and not errand.journal.ended and not errand.journal.since)
        if expected:
            await self._spending.check(expected)

    async def _read(self, errand: _Errand, tell: Callable[[float], None]) -> None:
        journal, expected = errand.journal, max(1, errand.expected + errand.journal.read)
        while not journal.ended:
            tell(min(1.0, journal.read / expected))
            try:
                page = await self._page(errand)
            except (Spent, _GivenUp) as error:
                if not journal.read:
                    raise
                await asyncio.to_thread(journal.cut_short, _cut_short(errand, error))
            else:
                await _to_the_end(self._take(errand, page))

    async def _page(self, errand: _Errand) -> Page:
        await asyncio.to_thread(self._check_room)
        if errand.is_paid:
            await self._spending.check(min(PAGE, errand.source.depth - errand.journal.read))
        journal = errand.journal
        page = await self._ask(errand, errand.source.page(errand.profile, cursor=journal.cursor, since=journal.since))
        before = journal.pages[1 - EMPTY :]
        is_last = (
            journal.read + page.read >= errand.source.depth
            or journal.turns(page)
            or (len(before) == EMPTY - 1 and not any(before) and not page.read)
        )
        return replace(page, cursor=None) if is_last else page

    async def _take(self, errand: _Errand, page: Page) -> None:
        await asyncio.to_thread(errand.journal.add, page)
        await self._count(errand.job, errand.material, errand.journal)

    async def _count(self, job: Job, material: Material, journal: Journal) -> None:
        """Count what was read at X, each thing once, also what was left uncounted by a crash."""
        if material.source != "x" or journal.profile is None:
            return
        paid = {event.detail for event in await self._jobs.events(job.id) if event.event == PAID}
        if (what := f"@{material.handle}: the account") not in paid:
            await self._spending.charge(job.id, what, accounts=1)
        for number, posts in enumerate(journal.pages, start=1):
            if (what := f"@{material.handle}: page {number}") not in paid:
                await self._spending.charge(job.id, what, posts=posts)

    async def _keep(self, job: Job, errands: Sequence[_Errand]) -> Job:
        """Write the files, and what was learned of the accounts."""
        for errand in errands:
            if not await asyncio.to_thread(errand.journal.write):
                raise TooLittleText(f"{errand.material.file_name} has no posts that can be read, so there is nothing to learn from.")
        told = {errand.material: _told(errand) for errand in errands}
        materials = [told.get(material, material) for material in job.materials]
        size = await asyncio.to_thread(lambda: sum(job.path_of(material).stat().st_size for material in materials))
        async with self._database.transaction() as tx:
            await self._jobs.set_materials(tx, job.id, materials, size)
            for errand in errands:
                if errand.journal.note:
                    await self._jobs.record(tx, job.id, CUT_SHORT, errand.journal.note, self._clock.now())
        for errand in errands:
            log.info("fetched", job=job.id, what=errand.material.file_name, posts=errand.journal.read, since=errand.journal.since)
            await asyncio.to_thread(errand.journal.clear)
        return replace(job, materials=tuple(materials), source_bytes=size)

    async def _ask(self, errand: _Errand, question: Awaitable[T]) -> T:
        """A source that has to be left alone is asked again later, and not for ever."""
        try:
            return await question
        except NotNow as error:
            tries = await _to_the_end(self._put_off(errand.journal))
            if tries < TRIES:
                raise type(error)(str(error), until=self._again_at(error.until, tries)) from error
            raise _GivenUp(f"It was tried {tries} times. The last time: {error}") from error

    async def _put_off(self, journal: Journal) -> int:
        await asyncio.to_thread(journal.put_off)
        return journal.tries

    def _again_at(self, until: datetime | None, tries: int) -> datetime:
        now = self._clock.now()
        if until is None:
            return now + min(FIRST_WAIT * (1 << (tries - 1)), LONGEST_WAIT)
        return min(max(until + MARGIN, now + FIRST_WAIT), now + MOST_WAIT)

    def _check_room(self) -> None:
        if shutil.disk_usage(self._home).free < ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _tell_of(tell: Tell, done: int, errands: int, share: float) -> None:
    """`share` of the errand after those that are done."""
    tell(Progress("fetching", round(SHARE * (done + share) / errands, 4)))


def _told(errand: _Errand) -> Material:
    return replace(errand.material, name=errand.profile.name, avatar_url=errand.profile.avatar_url)


def _cut_short(errand: _Errand, error: Exception) -> str:
    return f"Only the newest {errand.journal.read:,} posts of {errand.material.file_name} were read. {error}"


async def _to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Do it to the end even if this task is cancelled meanwhile, and be cancelled then.

    So what was paid for is kept, and nothing is written after whoever cancelled has cleared up.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
