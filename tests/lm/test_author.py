"""Invented authors, told apart."""

from pathlib import Path
from random import Random

import pytest

from bot.lm.author import contest, spread
from bot.tweets import cleaning, dataset
from bot.tweets.files import read_source

FERRY = ("rope", "ferry", "river", "goat", "crossing", "bank", "mist", "fare", "boat", "oar")
BAKER = ("bread", "oven", "dough", "crust", "flour", "rye", "yeast", "loaf", "salt", "crumb")
PILOT = ("cloud", "wing", "runway", "tower", "engine", "radio", "descent", "gate", "crosswind", "fuel")
NIGHT = ("夜のパン屋", "静かな朝", "歌う猫", "古い時計", "白い息")
TRAIN = ("電車が来る", "駅の時刻", "青い線路", "車掌の声", "終点まで")


def tweets(words: tuple[str, ...], count: int = 60, *, seed: int = 1, between: str = " ") -> list[str]:
    dice = Random(seed)
    return [between.join(["the", *dice.choices(words, k=5)] if between else dice.choices(words, k=3)) for _ in range(count)]


def test_texts_in_the_manner_of_the_author_are_taken_for_the_authors() -> None:
    real, good = tweets(FERRY, 20, seed=2), tweets(FERRY, 20, seed=3)
    found = contest(tweets(FERRY), [tweets(BAKER), tweets(PILOT)], real=real, generated=good)
    assert found is not None
    assert found.accounts == 3
    assert found.real > 0.9
    assert found.generated > 0.9


def test_texts_in_the_manner_of_another_are_not() -> None:
    half = tweets(FERRY, 10, seed=3) + tweets(BAKER, 10, seed=3)
    found = contest(tweets(FERRY), [tweets(BAKER), tweets(PILOT)], real=tweets(FERRY, 20, seed=2), generated=half)
    assert found is not None
    assert 0.4 < found.generated < 0.6


def test_scripts_without_spaces_are_told_apart_by_their_letters() -> None:
    half = tweets(NIGHT, 10, seed=3, between="") + tweets(TRAIN, 10, seed=3, between="")
    found = contest(tweets(NIGHT, between=""), [tweets(TRAIN, between="")], real=tweets(NIGHT, 20, seed=2, between=""), generated=half)
    assert found is not None
    assert found.real > 0.9
    assert 0.4 < found.generated < 0.6


def test_a_larger_account_does_not_win_for_being_larger() -> None:
    """Words that both use say nothing; without balance, one in two hundred such texts went to the smaller account."""
    both = ("the", "and", "then", "again", "maybe")
    own, rival = tweets((*FERRY[:2], *both), 30), tweets((*BAKER[:2], *both), 390, seed=2)
    found = contest(own, [rival], real=tweets((*FERRY[:2], *both), 60, seed=5), generated=tweets(both, 200, seed=6))
    assert found is not None
    assert found.real > 0.7
    assert found.generated > 0.05


def test_the_same_account_taught_before_is_no_rival() -> None:
    own = tweets(FERRY)
    found = contest(own, [own[:30] + tweets(FERRY, 30, seed=8), tweets(BAKER)], real=tweets(FERRY, 9, seed=2), generated=own[:9])
    assert found is not None
    assert found.accounts == 2


def test_without_a_rival_or_a_text_there_is_no_contest() -> None:
    own = tweets(FERRY)
    assert contest(own, [], real=own, generated=own) is None
    assert contest(own, [[]], real=own, generated=own) is None
    assert contest(own, [own], real=own, generated=own) is None
    assert contest(own, [tweets(BAKER)], real=[], generated=own) is None
    assert contest(own, [tweets(BAKER)], real=own, generated=[]) is None


def test_spread_takes_from_everywhere() -> None:
    texts = [str(n) for n in range(10)]
    assert spread(texts, 5) == ["0", "2", "4", "6", "8"]
    assert spread(texts, 20) == texts
    assert spread([], 3) == []


@pytest.mark.shared
def test_real_tweets_are_taken_for_their_authors(shared: Path) -> None:
    def read(name: str) -> dataset.Dataset:
        kept = cleaning.clean(read_source(shared / "data" / "characters" / f"{name}.jsonl")[1]).kept
        return dataset.split(kept, seed=1)

    def texts(kept: tuple[cleaning.Kept, ...]) -> list[str]:
        return [one.text for one in kept]

    mine, rivals = read("shiikazuo"), [texts(read(name).train) for name in ("sensanders", "sixworderbot")]
    found = contest(texts(mine.train), rivals, real=texts(mine.heldout), generated=rivals[0][-50:])
    assert found is not None
    assert found.real > 0.9
    assert found.generated < 0.1
