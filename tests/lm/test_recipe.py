from dataclasses import replace

import pytest

from bot.errors import BadInput
from bot.lm.recipe import FOREIGN, Recipe, Taught, default_recipe, with_overrides

NANO, GPT2 = 7_000_000, 124_000_000


def english(tokens: int, tweets: int) -> Taught:
    return Taught(tweets, tokens, 4 * tokens)


MANY = english(40_000, 1_400)


def test_a_small_base_learns_at_a_high_rank_and_its_embedding_too() -> None:
    small, large = default_recipe(NANO, 6, MANY), default_recipe(GPT2, 12, MANY)
    assert small.rank > large.rank
    assert small.embedding_rank > large.embedding_rank == 0


@pytest.mark.parametrize(("tokens_per_tweet", "batch"), [(5, 16), (16, 8), (32, 4), (360, 4)])
def test_steps_see_about_as_many_tokens_whatever_the_tweets_length(tokens_per_tweet: int, batch: int) -> None:
    for tweets in (100, 3_000):
        assert default_recipe(NANO, 6, english(tokens_per_tweet * tweets, tweets)).batch_tweets == batch


@pytest.mark.parametrize(("tweets", "batch"), [(100, 4), (300, 6), (400, 8), (3_000, 8)])
def test_a_larger_base_sees_more_in_a_step_but_an_epoch_keeps_fifty(tweets: int, batch: int) -> None:
    assert default_recipe(GPT2, 12, english(32 * tweets, tweets)).batch_tweets == batch
    assert default_recipe(GPT2, 12, english(5 * tweets, tweets)).batch_tweets == 16, "short tweets make no more of them"


def test_a_small_base_goes_through_few_tweets_more_often() -> None:
    assert default_recipe(NANO, 6, english(30 * 100, 100)).epochs > default_recipe(NANO, 6, english(30 * 300, 300)).epochs
    assert default_recipe(GPT2, 12, english(30 * 100, 100)).epochs == default_recipe(GPT2, 12, english(30 * 300, 300)).epochs


@pytest.mark.parametrize("tweets", [95, 500, 2_700])
def test_a_small_base_goes_through_a_language_that_it_must_learn_more_often_and_with_all_it_has(tweets: int) -> None:
    known, foreign, spelt = (Taught(tweets, tokens * tweets, 100 * tweets) for tokens in (35, 50, 98))
    assert default_recipe(NANO, 6, known).learning_rate < default_recipe(NANO, 6, foreign).learning_rate
    recipes = [default_recipe(NANO, 6, taught) for taught in (known, foreign, spelt)]
    assert recipes[0].epochs < recipes[1].epochs < recipes[2].epochs
    assert recipes[0].patience < recipes[1].patience == recipes[2].patience
    for taught, recipe in zip((foreign, spelt), recipes[1:], strict=True):
        assert default_recipe(NANO, 6, taught, preset="fast") == recipe
        assert taught.spelling > FOREIGN
    assert default_recipe(GPT2, 12, spelt).epochs == default_recipe(GPT2, 12, known).epochs


def test_overrides() -> None:
    assert with_overrides(Recipe(), {"epochs": 1}) == Recipe(epochs=1)
    with pytest.raises(BadInput, match="no speed, volume"):
        with_overrides(Recipe(), {"volume": 1, "speed": 11})


@pytest.mark.parametrize(("layers", "first"), [(1, 0), (2, 1), (6, 4), (12, 8), (16, 11)])
def test_fast_trains_the_top_third_of_the_layers_and_no_embedding(layers: int, first: int) -> None:
    for parameters in (NANO, GPT2):
        usual = default_recipe(parameters, layers, MANY)
        fast = default_recipe(parameters, layers, MANY, preset="fast")
        assert fast == replace(usual, first_layer=first, embedding_rank=0)


def test_a_gpu_sees_more_tweets_at_once_but_an_epoch_keeps_its_steps() -> None:
    few, many = (default_recipe(GPT2, 12, english(30 * tweets, tweets), on_gpu=True).batch_tweets for tweets in (400, 30_000))
    assert (few, many) == (400 // 20, round(3072 / 30))
    assert default_recipe(GPT2, 12, english(30 * 40, 40), on_gpu=True) == default_recipe(GPT2, 12, english(30 * 40, 40))
