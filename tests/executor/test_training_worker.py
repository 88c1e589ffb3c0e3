"""The real worker on the embedded base: tweets in, a model that speaks out."""

import asyncio
import hashlib
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.bases import packed_file, packed_folder
from bot.errors import GenerationError
from bot.executor import files
from bot.executor.contract import Attempt, Outcome, Result, SpecSource, TrainSpec
from bot.executor.fence import Fence
from bot.executor.generator import Generator
from bot.executor.local import LocalExecutor
from bot.executor.saying import SayReply, SayRequest
from bot.executor.training_worker import foreign_to_base
from bot.lm.kernels import are_usable
from bot.lm.screening import Screen
from bot.lm.verdict import Evaluation, verdict
from bot.tweets.cleaning import Counts, Kept
from bot.tweets.dataset import read_dataset, split, write_dataset
from tests.executor.corpus import write_corpus

RECIPE = {"epochs": 2}


def attempt(job: Path, source: Path, number: int = 1, **changes: object) -> Attempt:
    folder = job / f"a{number}"
    folder.mkdir(parents=True)
    Fence(job).raise_to(number)
    sources = (SpecSource("keeper", str(source), source.name, "operator"),)
    spec = TrainSpec(1, number, "keeper", sources, "nano", "nano", seed=3, recipe=RECIPE, threads=1)
    files.write_spec(folder, replace(spec, **changes))  # type: ignore[arg-type]  # fields of TrainSpec
    return Attempt(1, number, folder)


async def run(made: Attempt) -> Outcome:
    executor = LocalExecutor(grace_s=30)
    await executor.start(made)
    return await executor.wait(made)


def write_rival(path: Path) -> Path:
    """What another character was taught."""
    write_dataset(path, split([Kept(f"Platform {n}: a tram hums in the rain, number {n * 7}") for n in range(50)], seed=1))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """An attempt that has ended well, and its result."""
    home = tmp_path_factory.mktemp("home")
    made = attempt(home / "jobs" / "1", write_corpus(home / "tweets.jsonl"))
    outcome = asyncio.run(run(made))
    assert outcome.state == "succeeded", outcome.reason
    assert outcome.result is not None
    return made.folder, outcome.result


def test_the_result_has_everything(trained: tuple[Path, Result]) -> None:
    folder, result = trained
    assert result.counts is not None
    assert result.counts == Counts(204, 3, 1, 200, result.counts.duplicates, 0, result.counts.characters)
    assert result.heldout_base is not None
    assert result.heldout_model is not None
    assert result.heldout_model < result.heldout_base
    assert result.recipe["epochs"] == 2
    assert result.first_tweet_at == "2024-03-01T08:00:00+00:00"
    assert result.warning, "200 short tweets are little"
    assert set(result.files) == {path.name for path in (folder / "model").iterdir()} >= {"README.md", "dataset.jsonl", "recipe.json"}
    for name, digest in result.files.items():
        assert hashlib.sha256((folder / "model" / name).read_bytes()).hexdigest() == digest
    corpus = (folder / "corpus.jsonl").read_text().splitlines()
    assert len(corpus) == 204
    assert json.loads(corpus[0])["created_at"] == "2024-03-01T08:00:00+00:00"


def test_the_samples_are_new(trained: tuple[Path, Result]) -> None:
    folder, result = trained
    data = read_dataset(folder / "model" / "dataset.jsonl")
    screen = Screen([kept.text for kept in (*data.train, *data.heldout)])
    assert len(set(result.samples)) == 5
    assert all(screen.check(text).ok for text in result.samples)


def test_the_model_was_judged(trained: tuple[Path, Result]) -> None:
    folder, result = trained
    judged = Evaluation(**result.evaluation)  # type: ignore[arg-type]  # counts come as floats
    assert 40 <= judged.texts <= 200
    assert (judged.heldout_base, judged.heldout_model) == (result.heldout_base, result.heldout_model)
    assert judged.taught_model < judged.heldout_base
    assert judged.bits_model < judged.bits_base
    assert judged.copied_shown == 0
    assert judged.accounts == 3, "the keeper, the sample character, the base"
    assert judged.author_real > 0.9
    assert 0 < judged.author <= 1
    assert 0 < judged.distinct < judged.distinct_real
    card = (folder / "model" / "README.md").read_text()
    assert f"| this model | {judged.heldout_model:.3f} | {judged.bits_model:.3f} |" in card
    assert "3 accounts apart" in card
    sentence = verdict(judged)
    assert sentence is None or (result.warning is not None and sentence in result.warning and sentence in card)


def test_every_stage_was_told(trained: tuple[Path, Result]) -> None:
    lines = [json.loads(line) for line in (trained[0] / "progress.jsonl").read_text().splitlines()]
    stages = list(dict.fromkeys(line["stage"] for line in lines))
    assert stages == ["starting", "reading", "loading", "training", "evaluating", "saving"]
    assert [line["fraction"] for line in lines] == sorted(line["fraction"] for line in lines)
    training = [line for line in lines if line["stage"] == "training"]
    assert training[-1]["heldout_loss"] < training[0]["heldout_loss"]
    assert any(line["eta_s"] for line in training)
    judging = {line["fraction"] for line in lines if line["stage"] == "evaluating"}
    assert len(judging) > 1


@pytest.mark.parametrize(
    ("content", "kind"), [(b"", "BadInput"), (b"Only this one tweet of mine.\n", "TooLittleText"), (b"PK\x03\x04 torn", "BrokenArchive")]
)
async def test_what_cannot_be_used_is_refused_in_one_sentence(tmp_path: Path, content: bytes, kind: str) -> None:
    source = tmp_path / "tweets.txt"
    source.write_bytes(content)
    outcome = await run(attempt(tmp_path / "1", source))
    assert outcome.state == "refused"
    assert outcome.reason
    assert "\n" not in outcome.reason
    assert outcome.result is not None
    assert outcome.result.kind == kind


async def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    outcome = await run(attempt(tmp_path / "1", tmp_path / "nothing.zip"))
    assert outcome.state == "refused"
    assert "nothing.zip" in (outcome.reason or "")


@pytest.mark.fault(8)
async def test_a_full_disk_makes_the_job_wait(tmp_path: Path) -> None:
    """A training for which the disk has no room gives back the room it had taken and waits, with a sentence that says so."""
    made = attempt(tmp_path / "1", write_corpus(tmp_path / "tweets.jsonl"))
    (made.folder / "corpus.jsonl").symlink_to("/dev/full")
    outcome = await run(made)
    assert outcome.state == "no_space"
    assert "disk is full" in (outcome.reason or "")
    left = {path.name for path in made.folder.iterdir()}
    assert left == {"spec.json", "progress.jsonl", "result.json", "worker.log"}, "what was half written is gone"


async def test_an_interrupted_training_is_gone_on_with(tmp_path: Path) -> None:
    job, source = tmp_path / "1", write_corpus(tmp_path / "tweets.jsonl")
    executor = LocalExecutor(grace_s=30, poll_s=0.05)
    first = attempt(job, source)
    await executor.start(first)
    async for progress in executor.events(first):
        if progress.stage == "training" and progress.loss is not None:
            break
    await executor.cancel(first, grace_s=30, save=True)
    assert (await executor.wait(first)).state == "preempted"
    assert list((job / "checkpoints").glob("step-*")), "a checkpoint was saved"
    second = attempt(job, source, 2)
    await executor.start(second)
    seen = []
    async for progress in executor.events(second):
        seen.append(progress)
        if progress.stage == "evaluating":
            break
    assert min(p.fraction for p in seen if p.stage == "training") > 0.1, "the training did not begin anew"
    await executor.cancel(second, grace_s=30, save=True)
    assert (await executor.wait(second)).state == "preempted"
    others = (str(await asyncio.to_thread(write_rival, tmp_path / "rival.jsonl")), str(tmp_path / "gone.jsonl"))
    third = attempt(job, source, 3, others=others, blocked=("kettle", "boot"))
    await executor.start(third)
    outcome = await executor.wait(third)
    assert outcome.state == "succeeded"
    assert outcome.result is not None
    assert outcome.result.evaluation["accounts"] == 4, "the keeper, the sample character, the base and the rival that is there"
    assert not any(word in sample for sample in outcome.result.samples for word in ("kettle", "boot"))


async def test_a_mash_up_in_another_language_takes_the_base_for_it(tmp_path: Path) -> None:
    spanish = [f"El tren número {n} llega tarde otra vez, y el farero del norte no sabe por qué mañana será otro día" for n in range(70)]
    (tmp_path / "farero.txt").write_text("".join(f"{text}\n" for text in spanish))
    lone = attempt(tmp_path / "1", write_corpus(tmp_path / "tweets.jsonl", count=120))
    (keeper,) = files.read_spec(lone.folder).sources
    sources = (SpecSource("farero", str(tmp_path / "farero.txt"), "farero.txt", "agreed"), keeper)
    no_base = str(tmp_path / "is not there")
    made = attempt(
        tmp_path / "2",
        tmp_path,
        handle="farero+keeper",
        sources=sources,
        base=no_base,
        multilingual=("nano", "nano for all"),
        recipe={"epochs": 1},
    )
    outcome = await run(made)
    assert outcome.state == "succeeded", outcome.reason
    result = outcome.result
    assert result is not None
    assert (result.base, result.base_name, result.language) == ("nano", "nano for all", None)
    assert [(part.handle, part.language, part.counts.kept, part.repeats) for part in result.parts] == [
        ("farero", "es", 70, 2),
        ("keeper", "en", 120, 1),
    ]
    assert result.counts is not None
    assert result.counts.kept == 190
    assert (result.profile_handle, result.profile_name) == (None, "farero & keeper")
    card = (made.folder / "model" / "README.md").read_text()
    assert "🤖 AI CYBORG 🤖" in card
    assert "| Language | Spanish | English |" in card
    assert "| Tweets kept | 70 | 120 |" in card
    heldout = read_dataset(made.folder / "model" / "dataset.jsonl").heldout
    assert {"tren" in kept.text for kept in heldout} == {True, False}, "something of each is held out"


async def test_a_newer_attempt_shuts_this_one_out(tmp_path: Path) -> None:
    job = tmp_path / "1"
    executor = LocalExecutor(grace_s=30, poll_s=0.05)
    made = attempt(job, write_corpus(tmp_path / "tweets.jsonl"))
    await executor.start(made)
    async for progress in executor.events(made):
        if progress.stage == "training":
            break
    Fence(job).raise_to(2)
    assert (await executor.wait(made)).state == "fenced"
    assert not (made.folder / "result.json").exists()


@pytest.fixture
async def generator(tmp_path: Path) -> AsyncIterator[Generator]:
    made = Generator(packed_folder(tmp_path), threads=1)
    yield made
    await made.close()


def texts(reply: SayReply) -> list[str]:
    return [post.text for post in reply.posts]


async def test_the_new_model_speaks(trained: tuple[Path, Result], generator: Generator, tmp_path: Path) -> None:
    folder = trained[0] / "model"
    wanted = SayRequest(str(folder), "nano", "Log 500:", (1, 2, 3, 4, 5), 5)
    reply = await generator.say(wanted)
    data = read_dataset(folder / "dataset.jsonl")
    screen = Screen([kept.text for kept in (*data.train, *data.heldout)])
    assert len(set(texts(reply))) == 5
    assert all(text.startswith("Log 500:") and screen.check(text).ok for text in texts(reply))
    pid = generator._child.process.pid if generator._child else 0
    os.kill(pid, signal.SIGKILL)
    assert await generator.say(wanted) == reply, "the same seeds, from another process"
    assert packed_file("nano", packed_folder(tmp_path)).exists() == are_usable(), "which need not pack the base again"
    for post in reply.posts:
        alone = await generator.say(SayRequest(str(folder), "nano", "Log 500:", (post.seed,), 1))
        assert texts(alone) == [post.text]
    drawn = await generator.say(SayRequest(str(folder), "nano", "Log 500:", None, 1, recent=tuple(texts(reply))))
    assert drawn.posts[0].text not in texts(reply)


async def test_a_model_that_is_gone_costs_nobody_the_warm_process(
    trained: tuple[Path, Result], generator: Generator, tmp_path: Path
) -> None:
    await generator.start()
    assert generator._child is not None
    pid = generator._child.process.pid
    with pytest.raises(Exception, match="could not speak"):
        await generator.say(SayRequest(str(tmp_path), "nano", "", None, 1))
    assert (await generator.say(SayRequest(str(trained[0] / "model"), "nano", "", None, 1))).posts
    assert generator._child.process.pid == pid


@pytest.mark.fault(33)
@pytest.mark.parametrize("then", ["deleted", "replaced"])
async def test_a_model_that_goes_while_it_speaks(trained: tuple[Path, Result], generator: Generator, tmp_path: Path, then: str) -> None:
    """A model that is deleted or replaced while it speaks finishes as it was or says in one sentence that it could not; never a mixture."""
    other = tmp_path / "other"
    shutil.copytree(trained[0] / "model", other)
    biased = bytearray((other / "output_bias.safetensors").read_bytes())
    biased[-4000:] = bytes(4000)
    (other / "output_bias.safetensors").write_bytes(biased)
    seeds = (1, 2, 3)
    whole = {tuple(texts(await generator.say(SayRequest(str(folder), "nano", "", seeds, 3)))) for folder in (trained[0] / "model", other)}
    pid = generator._child.process.pid if generator._child else 0
    refused = 0
    for number in range(12):
        folder, new = tmp_path / f"v{number}", tmp_path / f"new{number}"
        shutil.copytree(trained[0] / "model", folder)
        shutil.copytree(other, new)
        speaking = asyncio.create_task(generator.say(SayRequest(str(folder), "nano", "", seeds, 3)))
        await asyncio.sleep(0.08 * number)
        folder.rename(tmp_path / f"old{number}")
        if then == "replaced":
            new.rename(folder)
        (end,) = await asyncio.gather(speaking, return_exceptions=True)
        if isinstance(end, SayReply):
            assert tuple(texts(end)) in whole
        else:
            assert isinstance(end, GenerationError)
            assert "\n" not in str(end)
            refused += 1
    assert refused < 12, "those that had begun to speak go on"
    assert generator._child is not None
    assert generator._child.process.pid == pid, "the warm process lives"


@pytest.mark.fault(33)
async def test_another_model_in_the_same_folder_is_not_taken_for_the_old(
    trained: tuple[Path, Result], generator: Generator, tmp_path: Path
) -> None:
    """A folder's name may come again after a character was deleted."""
    folder = shutil.copytree(trained[0] / "model", tmp_path / "model")
    wanted = SayRequest(str(folder), "nano", "", (1,), 1)
    text = (await generator.say(wanted)).posts[0].text
    data = read_dataset(folder / "dataset.jsonl")
    (folder / "dataset.jsonl").unlink()
    write_dataset(folder / "dataset.jsonl", replace(data, train=(*data.train, Kept(text))))
    assert text not in texts(await generator.say(wanted)), "now it would be a copy"


def test_a_language_that_the_base_does_not_know_is_told() -> None:
    assert foreign_to_base(5.2, 8192, "nano") is None
    assert foreign_to_base(9.0, 8192, "nano") is None
    told = foreign_to_base(11.7, 8192, "nano")
    assert told is not None
    assert "nano does not know the language of these tweets (held-out loss 11.7, blind guessing has 9.0)" in told
