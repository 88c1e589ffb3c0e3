"""A finished attempt becomes a model once, whole, whatever is killed when; and nothing is left lying about."""

import asyncio
import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot import registry
from bot.bases import packed_file, packed_folder
from bot.executor import files
from bot.executor.contract import Attempt, Outcome, Result
from storage.characters import CharacterStore
from storage.corpora import CorpusStore
from storage.facts import FactStore
from storage.jobs import Job
from storage.models import Model, ModelStore
from storage.requests import RequestStore
from storage.restoring import ASIDE
from tests.contracts.fake_executor import RESULT, FakeExecutor, hang, succeed, work
from tests.desk import Desk, at_work, cut_off, desk
from tests.fake_source import FakeSource, posts
from tests.records import training_of


class Killed(BaseException):
    """The process ends here."""


async def only_model(one: Desk) -> Model:
    (character,) = await CharacterStore(one.database).list_all()
    (model,) = await ModelStore(one.database).list(character.id)
    assert character.active_model_id == model.id
    return model


def published(one: Desk, model: Model) -> None:
    """The model's folder holds exactly what its row lists, and the corpus is kept; nothing else lies in the home."""
    folder = one.home / "models" / str(model.character_id) / f"v{model.version}"
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()} == model.files
    listed = {(folder / name).relative_to(one.home).as_posix() for name in model.files}
    assert one.files() == listed | {f"corpora/{model.corpus_id}.jsonl"}


async def test_success_publishes_files_and_rows_together(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        job = await one.train()
        model = await only_model(one)
        published(one, model)
        assert (job.state, job.model_id) == ("succeeded", model.id)
        assert (model.version, model.base, model.steps, model.samples, model.job_id) == (1, "nano", 40, RESULT.samples, job.id)
        assert (model.heldout_base, model.heldout_model, model.seconds, model.recipe) == (4.5, 3.5, 12.5, {"rank": 16})
        assert model.evaluation == RESULT.evaluation
        character = await CharacterStore(one.database).get(model.character_id)
        assert character is not None
        assert (character.guild_id, character.handle, character.name, character.created_by) == (7, "heron", "Grey Heron", 9)
        corpus = await CorpusStore(one.database).get(model.corpus_id)
        assert corpus is not None
        assert (corpus.kept, corpus.cut, corpus.warning, corpus.file_name) == (7, 1, RESULT.warning, "heron.zip")
        assert corpus.last_tweet_at == datetime(2021, 1, 1, tzinfo=UTC)
        (post,) = await one.results()
        assert (post.dedupe_key, post.model_id, post.character_id) == (f"job:{job.id}:result", model.id, character.id)
        assert one.told[-1] == ("succeeded", None)


async def test_what_the_worker_found_out_is_kept(tmp_path: Path) -> None:
    def japanese(attempt: Attempt) -> Outcome:
        result = replace(work(attempt), language="ja", base="/bases/qwen", base_name="Qwen/Qwen3-0.6B-Base")
        files.write_result(attempt.folder, result)
        return Outcome("succeeded", result)

    async with desk(tmp_path, japanese) as one:
        job = await one.train()
        model = await only_model(one)
        assert (job.base, model.base, model.base_name) == ("nano", "/bases/qwen", "Qwen/Qwen3-0.6B-Base")
        corpus = await CorpusStore(one.database).get(model.corpus_id)
        assert corpus is not None
        assert corpus.language == "ja"


async def test_a_mash_up_has_the_handles_of_its_parts_and_the_face_of_none(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        one.sources["x"] = FakeSource(posts(3), profile_posts=3)
        queued = await one.ask_source("x", ("heron", "wren"))
        assert (await one.runner.run_one(queued.job.id)).state == "succeeded"
        (character,) = await CharacterStore(one.database).list_all()
        assert (character.handle, character.handles, character.avatar_url) == ("heron+wren", ("heron", "wren"), None)
        assert not any(name.startswith("uploads/") for name in one.files())


async def test_a_new_version_speaks_again_where_the_old_one_may_not_and_keeps_the_picture(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        await one.train()
        async with one.database.transaction() as tx:
            await tx.execute("UPDATE characters SET silenced = 'A part of it was forgotten.', avatar_url = 'https://example.org/h.jpg'")
        await one.train()
        (character,) = await CharacterStore(one.database).list_all()
        assert (character.silenced, character.avatar_url) == (None, "https://example.org/h.jpg")


async def test_a_new_model_is_not_told_from_those_that_learned_from_the_same_account(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        one.sources["x"] = FakeSource(posts(3), profile_posts=3)
        await one.train(handle="gull")
        await one.train(handle="heron")
        queued = await one.ask_source("x", ("heron", "wren"))
        await one.runner.run_one(queued.job.id)
        await one.train(handle="wren")
        assert [len(spec.others) for spec in one.executor.started] == [0, 1, 1, 2]


async def test_training_again_makes_the_next_version(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        await one.train()
        job = await one.train()
        (character,) = await CharacterStore(one.database).list_all()
        newest, oldest = await ModelStore(one.database).list(character.id)
        assert (newest.version, oldest.version) == (2, 1)
        assert character.active_model_id == newest.id == job.model_id
        assert (one.home / "models" / str(character.id) / "v1").is_dir()


async def test_a_file_given_at_the_shell_stays_and_nobody_is_told(tmp_path: Path) -> None:
    mine = tmp_path / "mine.jsonl"
    mine.write_text("tweets")
    (tmp_path / "home").mkdir()
    async with desk(tmp_path / "home") as one:
        assert (await one.train(path=mine, guild_id=0)).state == "succeeded"
        assert mine.exists()
        assert await one.results() == []


def damaged(attempt: Attempt) -> Outcome:
    outcome = succeed(attempt)
    (attempt.folder / files.MODEL / files.DATASET).write_text("not what was written")
    return outcome


def missing(attempt: Attempt) -> Outcome:
    outcome = succeed(attempt)
    (attempt.folder / files.MODEL / files.DATASET).unlink()
    return outcome


def outside(attempt: Attempt) -> Outcome:
    (attempt.folder / "secret").write_text("x")
    return Outcome("succeeded", replace(work(attempt), files={"../secret": hashlib.sha256(b"x").hexdigest()}))


def incomplete(attempt: Attempt) -> Outcome:
    return Outcome("succeeded", replace(work(attempt), heldout_model=None))


def empty(attempt: Attempt) -> Outcome:
    return Outcome("succeeded", replace(work(attempt), files={}))


@pytest.mark.parametrize("plan", [damaged, missing, outside, incomplete, empty])
async def test_what_is_not_as_it_was_written_is_not_published(tmp_path: Path, plan: Any) -> None:
    async with desk(tmp_path, plan, plan, plan) as one:
        job = await one.train()
        assert (job.state, job.attempt) == ("failed", 3)
        assert await CharacterStore(one.database).list_all() == []
        assert one.files() == set()


async def test_a_job_that_is_cancelled_while_it_is_published_leaves_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        queued = await one.ask()
        publish = one.runner._registry.publish

        async def too_late(job: Job, result: Result, *, now: datetime) -> None:
            await one.queue.cancel(job.id, guild_id=7, by=9)
            await publish(job, result, now=now)

        one.runner._registry.publish = too_late  # type: ignore[method-assign]  # the moment that is tried
        job = await one.runner.run_one(queued.job.id)
        assert job.state == "cancelled"
        assert await CharacterStore(one.database).list_all() == []
        assert await one.results() == []
        assert one.files() == set()


async def test_after_a_crash_the_job_goes_on_uncharged(tmp_path: Path) -> None:
    async with desk(tmp_path, hang) as one:
        job = (await one.ask()).job
        task = asyncio.create_task(one.runner.run())
        await one.executor.running.wait()
        one.runner._executor = FakeExecutor()  # its worker died with the bot: nobody is left to save
        await cut_off(task)
    async with desk(tmp_path) as two:
        assert (await two.job(job.id)).state == "running"
        await two.runner.recover()
        back = await two.job(job.id)
        assert (back.state, back.charged, back.attempt) == ("queued", 0, 1)
        assert await two.history(back) == ["queued", "claimed", "given back"]
        async with at_work(two):
            await two.reaches(job.id, "succeeded")
        published(two, await only_model(two))


async def crash(one: Desk, queued_id: int) -> None:
    with pytest.raises(Killed):
        await one.runner.run_one(queued_id)


def killing(*_: object, **__: object) -> None:
    raise Killed


@pytest.mark.parametrize(
    "at",
    ["before the copy", "in the transaction, before the rename", "after the rename", "after the commit"],
)
async def test_a_crash_at_any_point_of_publishing_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    rename = registry._rename

    def rename_and_die(staged: Path, target: Path) -> None:
        rename(staged, target)
        raise Killed

    async with desk(tmp_path) as one:
        job = (await one.ask()).job
        with monkeypatch.context() as patch:
            match at:
                case "before the copy":
                    patch.setattr(registry, "_copy_checked", killing)
                case "in the transaction, before the rename":
                    patch.setattr(registry, "_rename", killing)
                case "after the rename":
                    patch.setattr(registry, "_rename", rename_and_die)
                case _:
                    patch.setattr(one.runner._registry, "clear", killing)
            await crash(one, job.id)
    async with desk(tmp_path) as two:
        await two.runner.recover()
        async with at_work(two):
            await two.reaches(job.id, "succeeded")
            model = await only_model(two)
        published(two, model)
        assert two.executor.started == [], "it is published, not trained again"
        assert len(await two.results()) == 1
    async with desk(tmp_path) as three:
        await three.runner.recover()
        published(three, model)


async def test_a_result_that_is_found_may_be_cancelled_before_it_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with desk(tmp_path) as one:
        job = (await one.ask()).job
        with monkeypatch.context() as patch:
            patch.setattr(registry, "_copy_checked", killing)
            await crash(one, job.id)
    async with desk(tmp_path) as two:
        await two.runner.recover()
        await two.queue.cancel(job.id, guild_id=7, by=9)
        other = await two.ask("wren")
        async with at_work(two):
            await two.reaches(other.job.id, "succeeded")
        assert two.executor.cancelled == [two.attempt(job).name], "on a cluster its worker may still run"
        assert (await two.job(job.id)).state == "cancelled"
        assert (await only_model(two)).job_id == other.job.id


async def test_the_sweep_removes_what_belongs_to_nothing_and_only_that(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        await one.train()
        waiting = await one.ask("wren")
        kept = Path(waiting.job.source_path).relative_to(tmp_path).as_posix()
        async with one.database.transaction() as tx:
            asked = training_of("gull", one.upload("gull.zip"))
            await RequestStore(one.database).insert(
                tx, guild_id=7, channel_id=8, user_id=9, training=asked, basis=None, dedupe_key="interaction:gull", now=one.clock.now()
            )
        before = one.files()
        for path in ("models/1/v2/x", "models/9/v1/x", "models/.new-4/x", "corpora/77.jsonl", "jobs/55/a1/spec.json", "uploads/old/x.zip"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text("left behind")
        (tmp_path / "bases" / "gpt2").mkdir(parents=True)
        (tmp_path / "bases" / "gpt2" / "config.json").write_text("{}")
        await one.runner.recover()
        assert one.files() == before | {"bases/gpt2/config.json"}
        assert kept in one.files()
        assert not (tmp_path / "models" / "9").exists()


@pytest.mark.parametrize("aside", [None, "replaced"])
async def test_the_sweep_removes_packed_copies_of_bases_that_no_model_has(tmp_path: Path, aside: str | None) -> None:
    async with desk(tmp_path) as one:
        await one.train()
        model = await only_model(one)
        folder = packed_folder(tmp_path)
        folder.mkdir()
        used, unused, half = packed_file(model.base, folder), packed_file("/gone", folder), folder / ".xyz.tmp"
        for file in (used, unused, half):
            file.write_text("a copy")
        if aside:
            async with one.database.transaction() as tx:
                await FactStore(one.database).put(tx, ASIDE, aside)
        await one.runner.recover()
        assert list(folder.iterdir()) == [used]
        assert not (tmp_path / "replaced").exists(), "they can be made again, so none is set aside"
