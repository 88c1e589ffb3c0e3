import pytest

from bot.errors import BadInput
from bot.lm.recipe import Recipe, default_recipe, with_overrides

NANO, GPT2 = 7_000_000, 124_000_000


def test_a_small_base_learns_at_a_high_rank_and_its_embedding_too() -> None:
    small, large = default_recipe(NANO, 40_000, 1_400), default_recipe(GPT2, 40_000, 1_400)
    assert small.rank > large.rank
    assert small.embedding_rank > large.embedding_rank == 0


@pytest.mark.parametrize(("tokens_per_tweet", "batch"), [(5, 16), (16, 8), (32, 4), (360, 4)])
def test_steps_see_about_as_many_tokens_whatever_the_tweets_length(tokens_per_tweet: int, batch: int) -> None:
    for tweets in (100, 3_000):
        assert default_recipe(NANO, tokens_per_tweet * tweets, tweets).batch_tweets == batch


def test_overrides() -> None:
    assert with_overrides(Recipe(), {"epochs": 1}) == Recipe(epochs=1)
    with pytest.raises(BadInput, match="no speed, volume"):
        with_overrides(Recipe(), {"volume": 1, "speed": 11})
