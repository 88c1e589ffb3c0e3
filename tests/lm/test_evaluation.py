import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bot.lm import evaluation
from bot.lm.adapter import Adapter
from bot.lm.base import load_base
from bot.lm.evaluation import Losses, copied_plainly, distinct_pairs, generate, judge, measure, samples_of
from bot.lm.recipe import Recipe
from bot.lm.screening import Screen
from bot.lm.spelling import write_alphabet
from bot.lm.training import Trained
from bot.lm.verdict import verdict
from bot.tweets.cleaning import Kept
from bot.tweets.dataset import Dataset, split
from tests.lm.test_author import BAKER, FERRY, NIGHT, PILOT, TRAIN, tweets

LOSSES = Losses(base=5.0, model=4.0, taught=3.5, tokens_per_byte=0.3)


def dataset_of(texts: Sequence[str]) -> Dataset:
    return split([Kept(text) for text in texts], seed=1)


OWN = dataset_of(tweets(FERRY, 80))
RIVALS = [tweets(BAKER), tweets(PILOT)]


def test_a_model_in_the_manner_of_its_author_is_fine() -> None:
    judged = judge(OWN, LOSSES, tweets((*FERRY, "lantern", "eel", "tide", "plank"), 40, seed=9), RIVALS).evaluation
    assert verdict(judged) is None
    assert (judged.texts, judged.accounts) == (40, 3)
    assert judged.likeness > 0.85
    assert judged.copied < 0.2
    assert judged.copied_shown == 0


def test_a_model_that_recites_is_marked() -> None:
    texts = [kept.text for kept in OWN.train[:20]] + tweets((*FERRY, "lantern", "eel", "tide", "plank"), 20, seed=9)
    found = judge(OWN, LOSSES, texts, RIVALS)
    assert found.evaluation.copied >= 0.5
    assert found.evaluation.copied_shown == 0, "the screen drops them all"
    assert not {*found.samples} & {kept.text for kept in OWN.train}
    assert "memorises" in (verdict(found.evaluation) or "")


def test_a_model_of_which_nothing_passes_is_judged_all_the_same() -> None:
    found = judge(OWN, LOSSES, [kept.text for kept in OWN.train[:20]], RIVALS)
    assert (found.evaluation.copied, found.evaluation.accounts, found.samples) == (1.0, 0, ())
    assert "100% of its texts" in (verdict(found.evaluation) or "")


def test_a_model_no_better_than_its_base_is_marked() -> None:
    same = Losses(base=4.001, model=4.0, taught=3.9, tokens_per_byte=0.3)
    assert "no better than its base" in (verdict(judge(OWN, same, tweets(PILOT, 20, seed=4), RIVALS).evaluation) or "")


def test_a_model_that_speaks_like_somebody_else_has_no_likeness() -> None:
    judged = judge(OWN, LOSSES, tweets(PILOT, 20, seed=4), RIVALS).evaluation
    assert judged.author < 0.1
    assert judged.author_real > 0.9


def test_a_model_that_says_one_thing_shows_no_variety() -> None:
    judged = judge(OWN, LOSSES, ["the eel laughs at the wet lantern"] * 20, RIVALS).evaluation
    assert judged.repeated == 1.0
    assert judged.distinct < 0.1 < judged.distinct_real
    assert judged.repeated_real < 0.2


def test_japanese_is_judged_by_its_letters() -> None:
    own = dataset_of(tweets(NIGHT, 60, between="、"))
    recited = judge(own, LOSSES, [kept.text for kept in own.train[:20]], [tweets(TRAIN, between="、")]).evaluation
    assert recited.copied == 1.0
    other = ["砂浜で貝を拾う", "風が強い夜の猫", "駅で食べたパン", "白い雲と古い歌", "朝に時計を見る"]
    spoken = judge(own, LOSSES, other, [tweets(TRAIN, between="、")]).evaluation
    assert spoken.copied == 0.0
    assert spoken.distinct > 0.8


def test_bits_per_byte() -> None:
    assert math.isclose(LOSSES.bits(4.0), 4.0 * 0.3 / math.log(2))


def test_blocked_words_are_in_no_sample() -> None:
    texts = ["An eel laughs", "The lantern waits for rain", "Nobody sings tonight"]
    assert judge(OWN, LOSSES, texts, RIVALS).samples == tuple(texts)
    assert judge(OWN, LOSSES, texts, RIVALS, ["lantern"]).samples == (texts[0], texts[2])


def test_samples_are_screened_as_posts_are() -> None:
    texts = ["Nobody sings tonight. " + "and so on " * 40, '"An eel laughs', "The lantern waits for rain"]
    whole = [Kept(f"The gull at lock {n} has no opinion") for n in range(9)]
    cut = Dataset((*whole, *(Kept(f'"The gull at gate {n} says', cut=True) for n in range(9))), (), "")
    assert judge(cut, LOSSES, texts, RIVALS).samples == ("Nobody sings tonight.", texts[2])
    known = frozenset(["nobody", "sings", "tonight"])
    assert judge(cut, LOSSES, texts, RIVALS, words=known).samples == ("Nobody sings tonight.",)


def test_samples_are_unlike_each_other() -> None:
    texts = [
        "One old eel laughs",
        "one old eel laughs!",
        "",
        "The lantern waits for rain",
        *(f"Number {n} of {n * 7} lamps" for n in range(9)),
    ]
    samples = samples_of(texts, Screen([]))
    assert samples[:2] == (texts[0], texts[3])
    assert len(samples) == 5


@given(st.lists(st.sampled_from(["heron", "rain", "goat", "tram"]), min_size=8, max_size=20), st.data())
def test_the_plain_check_finds_eight_words_and_whole_texts(words: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(words) - 8))
    tweet = " ".join(words)
    run = " ".join(["so", *words[at : at + 8], "then"])
    part = " ".join(words[at : at + 3]).upper()
    assert list(copied_plainly([run, part, "so it goes", "夜のパン屋は静かだ"], [tweet, "昔々夜のパン屋は静かに"])) == [
        True,
        True,
        False,
        True,
    ]


def test_pairs_are_compared_over_equal_numbers() -> None:
    assert distinct_pairs(["a b c d", "a b"], 4) == 3 / 4
    assert distinct_pairs(["a b c d", "a b"], 3) == 1.0
    assert distinct_pairs([], 3) == 0.0


class Clock:
    """Each look at it takes ten seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 10.0
        return self.now


def say(seeds: Sequence[int]) -> list[str]:
    return [str(seed) for seed in seeds]


def test_all_texts_are_generated_where_there_is_time() -> None:
    shares: list[float] = []
    assert generate(say, 50, 1e9, shares.append) == [str(n) for n in range(1, 51)]
    assert shares == [0.0, 0.8]


def test_a_slow_base_generates_fewer_and_never_too_few() -> None:
    assert len(generate(say, 200, 25.0, lambda _: None, monotonic=Clock())) == 120
    assert len(generate(say, 200, 0.0, lambda _: None, monotonic=Clock())) == 40


def test_it_may_be_stopped_between_the_texts() -> None:
    def stop(share: float) -> None:
        if share >= 0.5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        generate(say, 80, 1e9, stop)


def test_the_losses_are_measured(tiny: Callable[[], Path], dataset: Dataset, tmp_path: Path) -> None:
    base = load_base(str(tiny()), dtype=torch.float32)
    Adapter.fresh(base.network, rank=2, embedding_rank=0, generator=torch.Generator().manual_seed(1)).save(
        tmp_path, base.network, base_name="tiny"
    )
    trained = Trained(heldout_base=6.0, heldout_model=5.0, steps=3, seconds=1.0, recipe=Recipe(), heldout_tokens=300, heldout_bytes=1000)
    found = measure(base, tmp_path, dataset, trained)
    assert (found.base, found.model) == (6.0, 5.0)
    vocabulary = base.network.shape.vocabulary
    assert abs(found.taught - math.log(vocabulary)) < 0.2, "random weights guess blindly"
    assert found.tokens_per_byte == 0.3


def test_the_base_alone_speaks_too(tiny: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a bias that lets the model say one letter only, its texts and its base's differ."""
    monkeypatch.setattr(evaluation, "TEXTS", 3)
    monkeypatch.setattr(evaluation, "BASE_TEXTS", 2)
    base = load_base(str(tiny()), dtype=torch.float32)
    adapter = Adapter.fresh(base.network, rank=2, embedding_rank=0, generator=torch.Generator().manual_seed(1))
    adapter.bias[base.tokenizer.encode("a")[0]] = 100.0
    adapter.save(tmp_path, base.network, base_name="tiny")
    write_alphabet(tmp_path, ["abc"])
    shares: list[float] = []
    texts, of_base = evaluation.speak(str(tiny()), tmp_path, shares.append)
    assert (len(texts), len(of_base)) == (3, 2)
    assert all(set(text) == {"a"} for text in texts)
    assert not any(set(text) == {"a"} for text in of_base)
    assert shares == sorted(shares)
