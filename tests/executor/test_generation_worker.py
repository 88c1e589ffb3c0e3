"""The worker's two parts: which bases stay in memory, and what comes of requests that are worked on at once."""

import shutil
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from bot.errors import BadInput
from bot.executor import files
from bot.executor.choosing import candidate_seed
from bot.executor.generation_worker import Bases, Worker
from bot.executor.saying import Answer, Question, SayRequest
from bot.lm.adapter import Adapter
from bot.lm.base import Base, load_base
from bot.lm.generation import Speaker
from bot.lm.likeness import Index
from bot.lm.quantised import resident
from bot.lm.screening import AT_ONCE
from bot.lm.spelling import write_alphabet
from bot.tweets.cleaning import Kept
from bot.tweets.dataset import Dataset, write_dataset
from tests.lm.conftest import make_base


class Idler:
    """Stands for a speaker, of which only this is looked at."""

    def __init__(self) -> None:
        self.busy = False


class Cellar:
    """Loads idlers."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.now = 0.0
        self.bases = Bases(idle_s=60, load=self.load, clock=lambda: self.now)

    def load(self, base: str) -> Speaker:
        self.loaded.append(base)
        return cast("Speaker", Idler())

    def get(self, base: str) -> Any:
        return self.bases.get(base)


def test_a_base_that_nobody_speaks_on_is_unloaded() -> None:
    cellar = Cellar()
    cellar.get("nano")
    cellar.now = 50
    assert cellar.bases.unload_idle() == 10
    cellar.get("nano")
    cellar.now = 100
    assert cellar.bases.unload_idle() == 10
    assert cellar.loaded == ["nano"]
    cellar.now = 110
    assert cellar.bases.unload_idle() is None
    cellar.get("nano")
    assert cellar.loaded == ["nano", "nano"]


def test_a_base_that_is_spoken_on_stays() -> None:
    cellar = Cellar()
    cellar.get("nano").busy = True
    cellar.now = 100
    cellar.bases.unload_idle()
    assert [speaker.busy for speaker in cellar.bases.busy()] == [True]


def test_the_base_that_was_used_longest_ago_makes_room() -> None:
    cellar = Cellar()
    for cellar.now, base in enumerate(("a", "b", "a", "c", "a", "b")):
        cellar.get(base)
    assert cellar.loaded == ["a", "b", "c", "b"]


def test_what_cannot_be_answered_is_refused_and_the_worker_goes_on() -> None:
    def load(base: str) -> Speaker:
        raise BadInput(f"no {base} here") if base == "lost" else OSError("disk")

    told: list[Answer] = []
    worker = Worker(Bases(idle_s=1, load=load), told.append)
    for number, base in enumerate(("lost", "broken")):
        worker.ask(Question(number, SayRequest("", base, "", None, 1)))
    assert [(answer.number, answer.reply) for answer in told] == [(0, None), (1, None)]
    assert "no lost here" in str(told[0].error)
    assert "could not speak (OSError)" in str(told[1].error)
    assert not worker.busy


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return load_base(str(make_base(tmp_path_factory.mktemp("base"), "gpt2")), dtype=torch.float32)


@pytest.fixture
def model(base: Base, tmp_path: Path) -> str:
    """A character that says a dozen letters or so, with spaces in between."""
    adapter = Adapter.fresh(base.network, rank=1, embedding_rank=0, generator=torch.Generator().manual_seed(0))
    for text, weight in {"abcdefghijklmnopqrstuvwxyz": 1000.0, " ": 1001.0}.items():
        adapter.bias[[base.tokenizer.encode(letter)[0] for letter in text]] = weight
    adapter.bias[base.tokenizer.end] = 1001.0
    adapter.save(tmp_path, base.network, base_name="tiny")
    write_alphabet(tmp_path, [])
    write_dataset(tmp_path / files.DATASET, Dataset((Kept("Nobody was on the stairs."),), (), ""))
    return str(tmp_path)


class Desk:
    """A worker on one base, driven by hand."""

    def __init__(self, base: Base) -> None:
        self.told: list[Answer] = []
        speaker = Speaker(resident(base))
        self.worker = Worker(Bases(idle_s=60, load=lambda _: speaker), self.told.append)

    def steps_to(self, answers: int) -> int:
        """How many steps it took until so many were told."""
        steps = 0
        while len(self.told) < answers:
            self.worker.step()
            steps += 1
        return steps


def asked(model: str, prompt: str, count: int, blocked: tuple[str, ...] = ()) -> SayRequest:
    return SayRequest(model, "tiny", prompt, tuple(range(count)), count, blocked=blocked)


def test_a_blocked_word_is_blocked_for_who_asked_for_that_alone(base: Base, model: str) -> None:
    desk = Desk(base)
    for number, blocked in enumerate(((), ("teapot",), ("kettle",), ("teapot", "kettle"))):
        desk.worker.ask(Question(number, asked(model, "The teapot -", 1, blocked)))
    desk.steps_to(4)
    told = {answer.number: answer for answer in desk.told}
    assert [told[number].reply is not None for number in range(4)] == [True, False, True, False]
    assert "(32 with a blocked word)" in str(told[1].error)
    assert told[1].error == told[3].error


@pytest.mark.parametrize("name", ["nano", "tiny"])
def test_only_nano_says_no_word_that_it_has_not_read(base: Base, model: str, name: str) -> None:
    desk = Desk(base)
    desk.worker.ask(Question(1, SayRequest(model, name, "Well", (1, 2, 3), 3)))
    desk.steps_to(1)
    reply = desk.told[0].reply
    assert reply is not None
    assert any(tried.reason == "nonword" for post in reply.posts for tried in post.tried) == (name == "nano")


def test_of_several_candidates_the_one_is_taken_that_is_most_the_character_s_own(
    base: Base, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    speaker, draw = Speaker(resident(base)), 0
    while True:  # until the first would not be taken without scores too
        seeds = [candidate_seed(draw, number) for number in range(4)]
        telling = speaker.begin(model, "Well", seeds, judged=True)
        while not telling.done:
            speaker.step()
        scores = speaker.scores(telling.told)
        best = scores.index(max(scores))
        if best > 0:
            break
        draw += 1
    monkeypatch.setattr("secrets.randbits", lambda _: draw)
    desk = Desk(base)
    desk.worker.ask(Question(1, SayRequest(model, "tiny", "Well", None, 1, candidates=4)))
    desk.steps_to(1)
    assert desk.told[0].reply is not None
    (post,) = desk.told[0].reply.posts
    assert (post.seed, post.text, post.tried) == (seeds[best], telling.told[best].text, ())
    assert post.score == pytest.approx(scores[best])


def test_who_has_thousands_of_tweets_holds_up_nobody(base: Base, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two tokens of the others only a few of them are read."""
    large = shutil.copytree(model, tmp_path / "large")
    tweets = tuple(Kept(f"Nobody was on the stairs at {number} o'clock.") for number in range(500))
    write_dataset(large / files.DATASET, Dataset(tweets, (), ""))
    read, add = 0, Index.add

    def counted(index: Index, text: str) -> int:
        nonlocal read
        read += 1
        return add(index, text)

    monkeypatch.setattr(Index, "add", counted)
    desk = Desk(base)
    desk.worker.ask(Question(1, asked(model, "Well", 1)))
    desk.worker.ask(Question(2, asked(str(large), "Well", 1)))
    most = 0
    while len(desk.told) < 2:
        before = read
        desk.worker.step()
        most = max(most, read - before)
    assert [answer.number for answer in desk.told] == [1, 2]
    assert read >= 1000, "each is in two indexes"
    assert most <= 2 * AT_ONCE + 2


def test_a_short_request_is_answered_as_soon_as_alone_while_a_long_one_runs(base: Base, model: str) -> None:
    short, alone = Question(2, asked(model, "Well", 1)), Desk(base)
    alone.worker.ask(short)
    steps = alone.steps_to(1)
    desk = Desk(base)
    desk.worker.ask(Question(1, asked(model, "", 20)))
    desk.worker.step()
    desk.worker.ask(short)
    assert desk.steps_to(1) == steps
    assert desk.told == alone.told
    desk.steps_to(2)
    assert not desk.worker.busy
    long = desk.told[1]
    assert long.number == 1
    assert long.reply is not None
    assert len({post.text for post in long.reply.posts}) == 20
