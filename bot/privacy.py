"""Privacy: whose tweets may be learned from, what people said about that, and what is held about them. Knows no Discord.

Nothing is fetched, queued or trained of an account that has opted out, in any server; its characters fall silent. What was made of an
account goes by `bot/forgetting.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from bot import holdings
from bot.clock import Clock
from bot.digests import digest
from bot.errors import BadInput, NotAllowed, NotFound
from bot.handles import JOINT, normalise, split
from bot.ledger import Entries, Ledger, OptOutEntry
from bot.registry import Registry
from bot.uploads import Uploads
from storage.characters import Character, CharacterStore
from storage.database import Database, Transaction
from storage.jobs import Job, JobStore
from storage.privacy import OptOut, PrivacyStore, Report
from storage.requests import RequestStore
from storage.times import from_text, to_text
from storage.trainings import Basis

OPERATOR = 0
"""The user id of what is asked for at the shell."""
LONGEST_REASON = 1000
"""Characters of a report's reason that are kept."""

log = structlog.get_logger("mynah.privacy")

Halt = Callable[[Sequence[int]], Awaitable[None]]


@dataclass(frozen=True)
class OptedOut:
    """What an opt-out did."""

    handle: str
    characters: int
    """Characters that are silent from now on."""
    jobs: int
    """Trainings that were cancelled."""
    requests: int
    """Trainings that were asked for and not yet begun, and are dropped."""
    already: bool
    """It had opted out before; whoever said so then can take it back."""


async def _nothing_runs(_: Sequence[int]) -> None:
    """Where there is no runner."""


def silence(handle: str) -> str:
    """Why a character of this account may not speak."""
    return f"@{handle} has opted out of Mynah, so nothing may be said in its style, here or in any server."


def one_account(handle: str) -> str:
    """The handle, normalised.

    Raises:
        BadInput: it is none, or a mash-up's.
    """
    plain = normalise(handle)
    if JOINT in plain:
        raise BadInput(f"@{plain} is a mash-up of {len(split(plain))} accounts: name one of them.")
    return plain


class Privacy:
    """What people have said about their accounts."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._store = PrivacyStore(database)
        self._characters, self._jobs, self._requests = CharacterStore(database), JobStore(database), RequestStore(database)
        home = database.path.parent
        self._registry, self._uploads = Registry(database=database, home=home), Uploads(home)
        self.ledger = Ledger(database)
        self.halt: Halt = _nothing_runs
        """Stops attempts at these jobs, whose rows have ended or are gone, and returns when nothing of them runs; set by the queue."""

    async def check(self, handles: Sequence[str]) -> None:
        """Refuse a training of an account that has opted out.

        Raises:
            NotAllowed: naming it, and what its owner may do.
        """
        for handle in handles:
            if await self._find(handle) is not None:
                raise NotAllowed(
                    f"@{handle} has opted out: Mynah learns nothing from it, in any server. Only whoever said so can take that back, "
                    "with /privacy opt-in, or the operator of this bot."
                )

    async def record(
        self,
        tx: Transaction,
        *,
        handles: Sequence[str],
        basis: Basis,
        guild_id: int,
        channel_id: int,
        user_id: int,
        job_id: int | None,
        now: datetime,
    ) -> None:
        """Keep what entitles somebody to a training of these accounts."""
        for handle in handles:
            await self._store.record(
                tx, handle=handle, basis=basis, guild_id=guild_id, channel_id=channel_id, user_id=user_id, job_id=job_id, now=now
            )

    async def digests(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """For a worker, which finds account names that nobody else has seen: the salts, and the digests of all who have opted out."""
        known = tuple(opt_out.digest for opt_out in await self._store.opt_outs())
        return (tuple(await self._store.salts()) if known else ()), known

    async def opt_out(self, handle: str, *, guild_id: int, user_id: int) -> OptedOut:
        """Let nobody learn from an account any more, or speak in its style, in every server at once. Anybody may ask for it.

        Raises:
            BadInput: it is no account's handle.
        """
        handle, now = one_account(handle), self._clock.now()
        found = await self._find(handle)
        hashed = found.digest if found else await asyncio.to_thread(digest, handle, await self._store.salt())
        async with self.ledger.writing(Entries(opt_outs=(OptOutEntry(hashed, user_id, to_text(now)),))), self._database.transaction() as tx:
            new = await self._store.add_opt_out(tx, hashed, user_id=user_id, now=now)
            silenced, jobs, uploads = await self.shut(tx, handle, by=user_id, now=now)
        await self.clear(jobs, uploads)
        log.info("opted out", digest=hashed[:8], guild=guild_id, by=user_id, characters=silenced, jobs=len(jobs))
        return OptedOut(handle, silenced, len(jobs), len(uploads), already=not new)

    async def opt_in(self, handle: str, user_id: int) -> None:
        """Take an opt-out back; its characters may speak again.

        Raises:
            NotFound: it has not opted out.
            NotAllowed: somebody else said so.
        """
        handle = one_account(handle)
        found = await self._find(handle)
        if found is None:
            raise NotFound(f"@{handle} has not opted out, so there is nothing to take back.")
        if user_id not in (OPERATOR, found.user_id):
            raise NotAllowed(f"Only whoever opted @{handle} out can take that back, or the operator of this bot.")
        others = {c.id: await self._other_silence(c, handle) for c in await self._silenced(handle)}
        async with self.ledger.writing(), self._database.transaction() as tx:
            await self._store.remove_opt_out(tx, found.digest)
            for character_id, sentence in others.items():
                await self._store.set_silence(tx, character_id, sentence)
        log.info("opted in", digest=found.digest[:8], by=user_id)

    async def report(
        self, *, guild_id: int, channel_id: int, user_id: int, reason: str, handle: str | None = None, post_id: int | None = None
    ) -> Report:
        """Keep what a member tells the managers about a character or a post.

        Raises:
            BadInput: there is no reason.
        """
        told = reason.strip()[:LONGEST_REASON]
        if not told:
            raise BadInput("A report needs a reason: say in a few words what is wrong.")
        async with self._database.transaction() as tx:
            return await self._store.report(
                tx,
                guild_id=guild_id,
                channel_id=channel_id,
                user_id=user_id,
                handle=handle,
                post_id=post_id,
                reason=told,
                now=self._clock.now(),
            )

    async def my_data(self, user_id: int) -> bytes:
        """Everything that is held about a Discord user, and the tweets of the accounts that they declared their own, as JSON."""
        return await holdings.of_user(self._database, user_id, now=self._clock.now())

    async def _find(self, handle: str) -> OptOut | None:
        """The opt-out of an account, whichever salt it was made with."""
        if not await self._store.opt_outs():
            return None
        for salt in await self._store.salts():
            found = await self._store.opt_out(await asyncio.to_thread(digest, handle, salt))
            if found is not None:
                return found
        return None

    async def opt_out_again(self, tx: Transaction, entry: OptOutEntry, handle: str | None) -> tuple[list[Job], list[Path]]:
        """Let an older database know of it; `handle` where it names the account. What is to be cleared afterwards."""
        await self._store.add_opt_out(tx, entry.digest, user_id=entry.user_id, now=from_text(entry.created_at))
        if handle is None:
            return [], []
        _, jobs, uploads = await self.shut(tx, handle, by=entry.user_id, now=self._clock.now())
        return jobs, uploads

    async def shut(self, tx: Transaction, handle: str, *, by: int, now: datetime) -> tuple[int, list[Job], list[Path]]:
        """Let nothing go on: characters silenced, jobs cancelled, and what was uploaded for requests; then `clear` the latter two."""
        silenced = await self._store.silence(tx, handle, silence(handle))
        return silenced, await self._cancel_jobs(tx, handle, by=by, now=now), await self._withdraw(tx, handle, now)

    async def clear(self, jobs: Sequence[Job], uploads: Sequence[Path]) -> None:
        """Stop what `shut` has ended, and remove its files."""
        await self.halt([job.id for job in jobs])
        for job in jobs:
            await self._registry.clear(job)
        for path in uploads:
            await asyncio.to_thread(self._uploads.discard, path)

    async def _silenced(self, handle: str) -> list[Character]:
        """Characters that are silent for this account."""
        return [c for c in await self._characters.list_all() if handle in split(c.handle) and c.silenced == silence(handle)]

    async def _other_silence(self, character: Character, handle: str) -> str | None:
        """Why it has to stay silent, for another of its accounts."""
        others = [other for other in split(character.handle) if other != handle and await self._find(other) is not None]
        return silence(others[0]) if others else None

    async def _cancel_jobs(self, tx: Transaction, handle: str, *, by: int, now: datetime) -> list[Job]:
        open_jobs = [job for state in ("running", "queued", "waiting") for job in await self._jobs.in_state(state)]
        theirs = [job for job in open_jobs if handle in split(job.handle)]
        for job in theirs:
            await self._jobs.finish(tx, job.id, state="cancelled", now=now, attempt=job.attempt, reason=silence(handle))
            await self._jobs.record(tx, job.id, "cancelled", f"opt-out by user {by}", now)
        return [job for job in [await self._jobs.get(job.id) for job in theirs] if job is not None]

    async def _withdraw(self, tx: Transaction, handle: str, now: datetime) -> list[Path]:
        """Drop what was asked for and has not begun; what was uploaded for it."""
        theirs = [request for request in await self._requests.open() if handle in split(request.handle)]
        for request in theirs:
            await self._requests.end(tx, request.id, "withdrawn", now=now)
        return [Path(request.training.source_path) for request in theirs]
