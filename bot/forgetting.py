"""Forgetting: everything of an account, or of a Discord user, deleted: rows, files, copies, and what was posted. Knows no Discord.

    1. the ledger     says that it is forgotten, of whatever database lies here
    2. the database   one transaction: all rows go, and what is left to do is written down. From here on nothing of it can be posted or
                      kept: whatever is being trained or said of it finds no row to go to
    3. what runs      its trainings are stopped, and the process that speaks begins anew
    4. the disk       models, tweets, uploads, folders of jobs, exports
    5. what is left   the database's file is written anew; so are the copies and backups that lie in MYNAH_HOME
    6. messages       are deleted at Discord, in the background (`bot/erasing.py`)

Killed anywhere after 1, the next opening of the database does the rest. The same after an older backup has taken the database's place.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from bot.cleansing import Cleansed, cleanse, remove
from bot.clock import Clock
from bot.exports import note_export, remove_exports
from bot.forgotten import Receipt
from bot.ledger import Entries, ErasureEntry
from bot.privacy import Privacy, one_account
from bot.sought import USER, Sought, hashed, target
from storage.database import Database, Transaction
from storage.erased import Found, from_todo, to_todo
from storage.erasing import forget, named, through
from storage.errors import StorageProblem
from storage.holdings import own_accounts
from storage.privacy import Erasure, ErasureStore, PrivacyStore, Statement
from storage.times import from_text, to_text

__all__ = ["Forgetting", "Receipt", "note_export"]

STOP_S = 90.0
"""How long a training may take to end, in seconds."""
AGAIN_S = 300.0
"""After so long what could not be done is tried again, in seconds."""

log = structlog.get_logger("mynah.forgetting")


async def _nothing() -> None:
    """Where no process speaks."""


class Forgetting:
    """Forgets, and sees to it that it is done."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        privacy: Privacy,
        renew: Callable[[], Awaitable[None]] = _nothing,
        wake_eraser: Callable[[], None] = lambda: None,
    ) -> None:
        """Build it; nothing runs yet.

        Args:
            database: of which it is deleted, and beside which the files lie.
            clock: the time.
            privacy: its ledger says what is forgotten; its `halt` stops trainings.
            renew: lets the process that speaks begin anew, without what it keeps of characters.
            wake_eraser: called when there are messages to be deleted.
        """
        self._database, self._clock, self._privacy = database, clock, privacy
        self._renew, self._wake_eraser = renew, wake_eraser
        self._home = database.path.parent
        self._store, self._erasures = PrivacyStore(database), ErasureStore(database)
        self._turn = asyncio.Lock()
        self._names: dict[str, str] = {}
        """Names of digests, as long as this runs."""

    async def forget(self, handle: str, *, guild_id: int, user_id: int, statement: Statement) -> Receipt:
        """Forget an account: everywhere, or in this server only where its managers ask for it. When this returns it is done, but for
        messages.

        Raises:
            BadInput: it is no account's handle.
            StorageError, StorageProblem: there is no room, or the database is held; nothing was forgotten.
        """
        handle = one_account(handle)
        return await self._forget([handle], f"@{handle}", guild_id=guild_id, user_id=user_id, statement=statement)

    async def forget_user(self, user_id: int, *, guild_id: int) -> Receipt:
        """Forget a Discord user who asks for it, and the accounts that they declared their own.

        Raises:
            StorageError, StorageProblem: as `forget`.
        """
        own = await own_accounts(self._database, user_id)
        return await self._forget([*own, f"{USER}{user_id}"], "you", guild_id=guild_id, user_id=0, statement="own")

    async def receipt(self, erasure_id: int, name: str = "what was forgotten") -> Receipt | None:
        """How far it has come by now; None: nothing has that number."""
        found = await self._erasures.get(erasure_id)
        return None if found is None else await self._told([found], name, Cleansed())

    async def settle(self) -> None:
        """When the database has just been opened: forget again what an older one does not know of, and finish what was begun.

        Raises:
            StorageError, StorageProblem: the ledger is damaged, or the rows cannot be deleted.
        """
        async with self._turn:
            kept, there = await self._privacy.ledger.read(), await self._privacy.ledger.in_database()
            if kept.less(there) != Entries():
                await self._forget_again(kept.less(there))
            elif there.less(kept) != Entries():  # a database that came without its ledger
                await self._privacy.ledger.copy()
            await self._erasures.look_again()
            await self._finish_begun()

    async def run(self) -> None:
        """Finish what could not be finished at once, for ever."""
        while True:
            await asyncio.sleep(AGAIN_S)
            async with self._turn:
                await self._finish_begun()

    async def _finish_begun(self) -> None:
        try:
            await self._finish(await self._erasures.unfinished())
        except StorageProblem as problem:
            log.error("what was forgotten could not be written down as done: it is tried again", reason=str(problem))  # noqa: TRY400 -- foreseen

    async def _forget(self, names_: Sequence[str], called: str, *, guild_id: int, user_id: int, statement: Statement) -> Receipt:
        async with self._turn:
            salt = await self._store.salt()
            self._names |= {await asyncio.to_thread(hashed, name, salt): name for name in names_}
            known = {name: digest for digest, name in self._names.items()}
            at = to_text(self._clock.now())
            entries = {name: ErasureEntry(known[name], guild_id, user_id, statement, at) for name in names_}
            async with self._privacy.ledger.writing(Entries(erasures=tuple(entries.values()))), self._database.transaction() as tx:
                ids = [await self._delete(tx, entry, name) for name, entry in entries.items()]
            log.info("forgotten", erasures=ids, guild=guild_id, by=user_id, statement=statement)
            self._wake_eraser()
            done = await self._finish(await self._read(ids))
            return await self._told(await self._read(ids), called, done)

    async def _forget_again(self, missing: Entries) -> None:
        """Who it was is found by trying the digest of every name that the database has."""
        there = await through(self._database.fetch_all, named())
        salts = [*missing.salts, *await self._store.salts()]
        users = there.users if any(erasure.digest.startswith(USER) for erasure in missing.erasures) else ()
        tries = [(name, salt) for salt in salts for name in (*there.handles, *(f"{USER}{user}" for user in users))]
        digests = await asyncio.gather(*(asyncio.to_thread(hashed, name, salt) for name, salt in tries))  # on all cores
        known = {tried: name for tried, (name, _) in zip(digests, tries, strict=True)}
        async with self._privacy.ledger.writing(missing), self._database.transaction() as tx:
            await self._store.add_salts(tx, missing.salts)
            for erasure in missing.erasures:
                await self._delete(tx, erasure, known.get(erasure.digest))
            ended = [await self._privacy.opt_out_again(tx, entry, known.get(entry.digest)) for entry in missing.opt_outs]
        for jobs, uploads in ended:
            await self._privacy.clear(jobs, uploads)
        log.warning("the database is older than what was forgotten: forgotten again", erasures=len(missing.erasures), opt_outs=len(ended))

    async def _read(self, ids: Sequence[int]) -> list[Erasure]:
        found = [await self._erasures.get(number) for number in ids]
        return [erasure for erasure in found if erasure is not None]

    async def _delete(self, tx: Transaction, entry: ErasureEntry, name: str | None) -> int:
        """The rows, where there are any; gives the id under which the rest is written down."""
        erasure_id = await self._erasures.insert(
            tx,
            digest=entry.digest,
            guild_id=entry.guild_id,
            user_id=entry.user_id,
            statement=entry.statement,
            now=from_text(entry.created_at),
        )
        found = Found()
        if name is not None:
            who = target(name, guild_id=entry.guild_id, statement=entry.statement)
            found = await through(tx.fetch_all, forget(who, erasure_id=erasure_id))
        await self._erasures.add_messages(tx, erasure_id, found.messages)
        await self._erasures.write(tx, erasure_id, receipt=found.numbers, todo=to_todo(found))
        return erasure_id

    async def _finish(self, begun: Sequence[Erasure]) -> Cleansed:
        """Everything after the rows, as far as it can be done now. May be repeated."""
        done, numbers = Cleansed(), {"exports": 0}
        if not begun:
            return done
        todo = Found()
        for erasure in begun:
            todo.add(from_todo(erasure.todo or {}))
        sought = Sought(begun, await self._store.salts(), self._names)
        try:
            stopped = await self._stop(todo)
            await asyncio.to_thread(remove, self._home, todo)
            await self._renew()
            numbers["exports"], left = await asyncio.to_thread(remove_exports, self._home, sought.has)
            await self._database.compact()
            done = await asyncio.to_thread(cleanse, self._home, sought.targets, todo)
            done.unclean += left
            done.again = done.again or stopped
            await asyncio.to_thread(remove, self._home, done.found)
        except (StorageProblem, OSError) as problem:
            log.error("not all that was forgotten is gone from the disk: it is tried again", reason=str(problem))  # noqa: TRY400 -- foreseen
            done.again = str(problem)
        await self._write_down(begun, done, todo, numbers | {"copies": done.copies, "unclean": len(done.unclean)})
        return done

    async def _stop(self, todo: Found) -> str | None:
        """Stop the trainings; a sentence when one has not ended in time."""
        try:
            async with asyncio.timeout(STOP_S):
                await self._privacy.halt(sorted(todo.jobs))
        except TimeoutError:  # a cluster that cannot be reached; the worker stops when it sees that its folder is gone
            return f"A training of it was told to stop and has not ended within {STOP_S:.0f} seconds."
        return None

    async def _write_down(self, begun: Sequence[Erasure], done: Cleansed, todo: Found, numbers: dict[str, int]) -> None:
        """How far it has come: what is left to do, and what was found in copies, belongs to the first."""
        async with self._database.transaction() as tx:
            for erasure in begun:
                more = numbers if erasure is begun[0] else {}
                receipt = {**erasure.receipt, **{key: erasure.receipt.get(key, 0) + number for key, number in more.items()}}
                await self._erasures.write(tx, erasure.id, receipt=receipt, todo=to_todo(todo) if done.again else None)
            await self._erasures.add_messages(tx, begun[0].id, done.found.messages)
            await self._erasures.finish(tx, self._clock.now())
        self._wake_eraser()

    async def _told(self, begun: Sequence[Erasure], name: str, done: Cleansed) -> Receipt:
        numbers: dict[str, int] = {}
        counts = {"due": 0, "gone": 0, "unreachable": 0}
        for erasure in begun:
            for key, number in erasure.receipt.items():
                numbers[key] = numbers.get(key, 0) + number
            for key, number in (await self._erasures.counts(erasure.id)).items():
                counts[key] += number
        unclean = tuple(str(path) for path in done.unclean)
        return Receipt(begun[0].id, name, numbers, **counts, unclean=unclean, again=done.again)
