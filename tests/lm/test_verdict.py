from dataclasses import replace

import pytest

from bot.lm.verdict import LEAST_GAIN, Evaluation, verdict

FINE = Evaluation(
    texts=200,
    heldout_base=4.9,
    heldout_model=3.9,
    taught_model=3.0,
    bits_base=1.9,
    bits_model=1.5,
    copied=0.05,
    copied_shown=0.0,
    copied_real=0.02,
    distinct=0.7,
    distinct_real=0.8,
    repeated=0.01,
    repeated_real=0.0,
    accounts=4,
    author=0.9,
    author_real=0.95,
)


def test_a_fine_model_needs_no_words() -> None:
    assert verdict(FINE) is None
    assert 0.94 < FINE.likeness < 0.95


@pytest.mark.parametrize(
    ("copied", "taught", "memorises"),
    [
        (0.21, 3.0, False),
        (0.23, 3.0, True),  # a fifth more than the author's own
        (0.08, 3.0, False),
        (0.08, 2.3, True),  # fewer, but its loss says the same
        (0.05, 0.5, False),  # a loss that does not show in its texts
    ],
)
def test_copies_make_a_model_that_memorises(copied: float, taught: float, memorises: bool) -> None:
    made = replace(FINE, copied=copied, taught_model=taught)
    assert made.memorises == memorises
    assert (verdict(made) is not None) == memorises


def test_an_author_who_says_the_same_again_and_again_may_be_said_again() -> None:
    assert not replace(FINE, copied=0.3, copied_real=0.26).memorises


def test_the_sentence_has_the_numbers() -> None:
    told = verdict(replace(FINE, copied=0.43, taught_model=1.9))
    assert told is not None
    for part in ("memorises: 43% of its texts", "new tweets 2% do", "loss is 1.90", "3.90 on others"):
        assert part in told


def test_a_model_no_better_than_its_base_is_marked() -> None:
    assert not replace(FINE, heldout_model=4.9 - 1.1 * LEAST_GAIN).no_better
    for loss in (4.9 - 0.9 * LEAST_GAIN, 4.9, 5.3):
        made = replace(FINE, heldout_model=loss, taught_model=4.8)
        assert made.no_better
        told = verdict(made)
        assert told is not None
        assert f"no better than its base: its loss on tweets held out is {loss:.3f} nats per token, the base's 4.900" in told


def test_without_a_contest_there_is_no_likeness() -> None:
    assert replace(FINE, accounts=0, author=0.0, author_real=0.0).likeness == 0.0
