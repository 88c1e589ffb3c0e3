"""Characters: who can speak, what they say, and why they said it. Knows no Discord and no torch."""

import builtins
import shutil
from dataclasses import asdict
from pathlib import Path

import structlog

from bot import cards, messages
from bot.answers import Deleted, Info, Why
from bot.clock import Clock
from bot.errors import BadInput, MynahError, NotAllowed, NotFound
from bot.executor.generator import Generator
from bot.executor.saying import SayRequest, Spoken
from bot.handles import normalise
from bot.wording import called
from storage.characters import Character, CharacterStore
from storage.corpora import CorpusStore
from storage.database import Database, Transaction
from storage.jobs import JobStore
from storage.models import Model, ModelStore
from storage.posts import Post, PostStore
from storage.schedules import ScheduleStore

MAX_COUNT = 5
"""Posts that one request may ask for."""
NOT_AGAIN = 1_000
"""A character's newest posts, none of which it says again."""

log = structlog.get_logger("mynah.characters")


def check_voice(character: Character) -> None:
    """See that the character may speak.

    Raises:
        NotAllowed: it may not; says why.
    """
    if character.silenced is not None:
        raise NotAllowed(character.silenced)


class Characters:
    """Everything that a server does with its characters but train them."""

    def __init__(self, *, database: Database, generator: Generator, home: Path, clock: Clock, blocked: tuple[str, ...] = ()) -> None:
        self._database = database
        self._generator = generator
        self._home = home
        self._clock = clock
        self._blocked = blocked
        self._characters = CharacterStore(database)
        self._models = ModelStore(database)
        self._corpora = CorpusStore(database)
        self._posts = PostStore(database)
        self._jobs = JobStore(database)
        self._schedules = ScheduleStore(database)

    async def list(self, guild_id: int) -> list[Character]:
        """Those a server can speak to: its own and the shell's, by handle."""
        return [c for c in await self._characters.list(guild_id) if c.active_model_id is not None]

    async def resolve(self, guild_id: int, handle: str) -> Character:
        """The character of that handle.

        Raises:
            NotFound: naming those that exist.
        """
        character = await self._characters.find(guild_id, normalise(handle))
        if character is not None:
            return character
        known = ", ".join(called(c.handle) for c in (await self.list(guild_id))[:10])
        hint = f"There are: {known}." if known else "There is none yet: train one with /train."
        raise NotFound(f"There is no character {called(normalise(handle))} here. {hint}")

    async def with_voice(self, guild_id: int, handle: str) -> Character:
        """The character of that handle, which may speak.

        Raises:
            NotFound: as `resolve`.
            NotAllowed: it is silenced.
        """
        character = await self.resolve(guild_id, handle)
        check_voice(character)
        return character

    async def info(self, guild_id: int, handle: str) -> Info:
        """Everything about one character."""
        return await self._info(await self.resolve(guild_id, handle))

    async def _info(self, character: Character) -> Info:
        versions = await self._models.list(character.id)
        model = next((m for m in versions if m.id == character.active_model_id), None)
        corpus = await self._corpora.get(model.corpus_id) if model else None
        return Info(character, model, corpus, len(versions))

    async def list_all(self) -> builtins.list[Info]:
        """Every trained character of every server, for the shell."""
        return [await self._info(c) for c in await self._characters.list_all() if c.active_model_id is not None]

    def folder(self, model: Model) -> Path:
        """Where a model's files lie."""
        return self._home / "models" / str(model.character_id) / f"v{model.version}"

    async def speak(
        self, character: Character, *, prompt: str, count: int, seed: int | None, recent: tuple[str, ...] = ()
    ) -> tuple[Model, tuple[Spoken, ...]]:
        """Let a character speak, keeping nothing. With a seed, post n has the seed `seed + n` and `recent` does not count.

        Raises:
            BadInput: the count or the seed is out of range.
            NotAllowed: it is silenced.
            NotFound: no model is trained yet.
            GenerationError: nothing sayable came out, with the numbers.
        """
        check_voice(character)
        if not 1 <= count <= MAX_COUNT:
            raise BadInput(f"{count} posts are not possible: ask for 1 to {MAX_COUNT}.")
        if seed is not None and not 0 <= seed <= 2**32 - 1:
            raise BadInput(f"The seed {seed} is not possible: it is a whole number from 0 to {2**32 - 1}.")
        model = await self._models.get(character.active_model_id) if character.active_model_id else None
        if model is None:
            raise NotFound(f"{called(character.handle)} cannot speak yet: its training has not ended. /jobs list shows how far it is.")
        reply = await self._generator.say(
            SayRequest(
                model=str(self.folder(model)),
                base=model.base,
                prompt=prompt,
                seeds=None if seed is None else tuple((seed + n) % 2**32 for n in range(count)),
                count=count,
                recent=() if seed is not None else recent,
                blocked=self._blocked,
            )
        )
        return model, reply.posts

    async def say(
        self, *, guild_id: int, channel_id: int, user_id: int, handle: str, prompt: str, count: int, seed: int | None, dedupe_key: str
    ) -> builtins.list[Post]:
        """Let a character speak and put its posts in the outbox, in order.

        Raises:
            NotAllowed, NotFound, BadInput, GenerationError: as `speak`.
        """
        character = await self.resolve(guild_id, handle)
        recent = tuple(await self._posts.recent_texts(character.id, NOT_AGAIN))
        model, spoken = await self.speak(character, prompt=prompt, count=count, seed=seed, recent=recent)
        posts = []
        async with self._database.transaction() as tx:
            await self._check_still(character)
            for number, said in enumerate(spoken):
                key = f"{dedupe_key}:{number}"
                new = await self._posts.insert(
                    tx,
                    dedupe_key=key,
                    kind="say",
                    guild_id=guild_id,
                    channel_id=channel_id,
                    created_by=user_id,
                    now=self._clock.now(),
                    state="due",
                )
                posts.append(
                    await self._fill(tx, new, character=character, model=model, prompt=prompt, said=said)
                    if new
                    else await self._posts.by_dedupe_key(key)
                )
        return [post for post in posts if post is not None]

    async def again(self, post_id: int, *, guild_id: int, channel_id: int, user_id: int, dedupe_key: str) -> Post:
        """Say something new from the same beginning as an earlier post."""
        post, character, _ = await self._spoken_post(post_id, guild_id)
        said = await self.say(
            guild_id=guild_id,
            channel_id=channel_id,
            user_id=user_id,
            handle=character.handle,
            prompt=post.prompt or "",
            count=1,
            seed=None,
            dedupe_key=dedupe_key,
        )
        return said[0]

    async def why(self, post_id: int, *, guild_id: int) -> Why:
        """Where a post comes from.

        Raises:
            NotFound: no such post here, or its character is gone.
        """
        post, character, model = await self._spoken_post(post_id, guild_id)
        why = post.why or {}
        dropped = tuple((str(text), str(reason)) for text, reason in why.get("dropped", ()))
        return Why(post, character, model, why.get("nearest"), float(why.get("overlap", 0.0)), dropped)

    async def fill_due(self, post: Post) -> Post | None:
        """Make a due post ready to send: a slot is spoken now, a result is written out. None when that cannot be."""
        if post.kind == "result":
            return await self._fill_result(post)
        try:
            return await self._fill_slot(post)
        except MynahError as error:
            log.warning("a scheduled post was not made", post=post.id, schedule=post.schedule_id, reason=str(error))
            async with self._database.transaction() as tx:
                await self._posts.mark_failed(tx, post.id, str(error))
            return None

    async def delete(self, guild_id: int, handle: str) -> Deleted:
        """Remove a character with its models, tweets and schedules, and cancel what is still queued for it.

        Raises:
            NotFound: no such character, or it belongs to the shell and not to this server.
        """
        character = await self.resolve(guild_id, handle)
        if character.guild_id != guild_id:
            raise NotFound(
                f"{called(character.handle)} was trained at the shell and is shared by every server: only the operator can delete it."
            )
        running = await self._jobs.find_open(guild_id, character.handle)
        if running is not None:
            raise BadInput(f"{called(character.handle)} is being trained (job {running.id}): cancel that first with /jobs cancel.")
        models = await self._models.list(character.id)
        schedules = [s for s in await self._schedules.list(guild_id) if s.character_id == character.id]
        async with self._database.transaction() as tx:
            await self._characters.delete(tx, character.id)
        for model in models:
            (self._home / "corpora" / f"{model.corpus_id}.jsonl").unlink(missing_ok=True)
        shutil.rmtree(self._home / "models" / str(character.id), ignore_errors=True)
        return Deleted(character.handle, character.name, len(models), len(schedules))

    async def _spoken_post(self, post_id: int, guild_id: int) -> tuple[Post, Character, Model]:
        post = await self._posts.get(post_id)
        if post is None or post.guild_id != guild_id:
            raise NotFound(f"There is no post {post_id} here.")
        character = await self._characters.get(post.character_id) if post.character_id else None
        model = await self._models.get(post.model_id) if post.model_id else None
        if character is None or model is None:
            raise NotFound("The character that said this has been deleted, and what is known about the post with it.")
        return post, character, model

    async def _check_still(self, character: Character) -> None:
        """Whether it may still be heard: somebody may have forgotten or silenced it while it was thinking."""
        current = await self._characters.get(character.id)
        if current is None:
            raise NotFound(f"{called(character.handle)} has just been deleted.")
        check_voice(current)

    async def _fill(self, tx: Transaction, post: Post, *, character: Character, model: Model, prompt: str, said: Spoken) -> Post | None:
        await self._posts.fill(
            tx,
            post.id,
            message=asdict(
                messages.spoken(
                    name=character.name, handle=character.handle, text=said.text, post_id=post.id, avatar_url=character.avatar_url
                )
            ),
            character_id=character.id,
            model_id=model.id,
            prompt=prompt,
            seed=said.seed,
            text=said.text,
            why={"nearest": said.nearest, "overlap": said.overlap, "dropped": [(tried.text, tried.reason) for tried in said.tried]},
        )
        return await self._posts.get(post.id)

    async def _fill_slot(self, post: Post) -> Post | None:
        character = await self._characters.get(post.character_id) if post.character_id else None
        if character is None:
            raise NotFound("The character of this schedule has been deleted.")
        recent = tuple(await self._posts.recent_texts(character.id, NOT_AGAIN))
        model, spoken = await self.speak(character, prompt=post.prompt or "", count=1, seed=None, recent=recent)
        async with self._database.transaction() as tx:
            await self._check_still(character)
            return await self._fill(tx, post, character=character, model=model, prompt=post.prompt or "", said=spoken[0])

    async def _fill_result(self, post: Post) -> Post | None:
        """Write out how a training ended."""
        job = await self._jobs.get(post.job_id) if post.job_id else None
        model = await self._models.get(job.model_id) if job and job.model_id else None
        character = await self._characters.get(model.character_id) if model else None
        corpus = await self._corpora.get(model.corpus_id) if model else None
        async with self._database.transaction() as tx:
            if job is None:
                await self._posts.mark_failed(tx, post.id, "The job it tells of is gone.")
                return None
            if model and character and corpus:
                message = cards.trained(job, character, model, corpus, samples=model.samples, warning=corpus.warning)
            else:
                message = messages.failed(job)
            await self._posts.fill(
                tx,
                post.id,
                message=asdict(message),
                character_id=character.id if character else None,
                model_id=model.id if model else None,
                prompt=None,
                seed=None,
                text=None,
                why=None,
            )
            return await self._posts.get(post.id)
