import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.bases import NANO_FOLDER
from bot.lm import base_card
from bot.lm.card import Card, render
from bot.lm.verdict import Evaluation
from bot.tweets.cleaning import Counts
from bot.tweets.dataset import Part

EVALUATION = Evaluation(
    texts=200,
    heldout_base=5.1239,
    heldout_model=3.9871,
    taught_model=3.1462,
    bits_base=1.9871,
    bits_model=1.5521,
    copied=0.0349,
    copied_shown=0.0,
    copied_real=0.0613,
    distinct=0.7134,
    distinct_real=0.8027,
    repeated=0.0152,
    repeated_real=0.0051,
    accounts=5,
    author=0.9025,
    author_real=0.95,
)
CARD = Card(
    handle="wren",
    name="Wren Aldous",
    base_name="nano",
    accounts=(Part("wren", "Wren Aldous", Counts(420, 12, 8, 400, 0, 0, 40_000), "ja"),),
    evaluation=EVALUATION,
    steps=135,
    seconds=41.7,
    seed=77,
    dataset_sha256="ab" * 32,
    trained_at=datetime(2026, 3, 5, tzinfo=UTC),
    recipe={"rank": 64, "learning_rate": 0.003},
)


def test_the_card_tells_what_there_is_to_tell() -> None:
    card = render(CARD)
    rows = ["| Tweets downloaded | 420 |", "| Retweets | 12 |", "| Short tweets | 8 |", "| Tweets kept | 400 |"]
    rows.append("| Language | Japanese |")
    assert "\n".join(["| Data | Wren Aldous |", "| --- | --- |", *rows]) in card
    for part in ("🤖 AI BOT 🤖", "@wren", "nano", "5.124", "3.987", "05 March 2026", "77", "ab" * 32, "| rank | 64 |", "## Limits"):
        assert part in card
    assert card.startswith('---\nbase_model: "nano"\nlanguage: ["ja"]\n')
    assert "CYBORG" not in card


FINCH = Part("finch", None, Counts(90, 5, 5, 80, 0, 0, 7_000), None, 3)
MASH_UP = replace(
    CARD, handle="finch+wren", name="finch & Wren Aldous", accounts=(FINCH, *CARD.accounts), notes=("finch.zip names @fink.",)
)


def test_a_mash_up_has_a_column_for_each_account() -> None:
    card = render(MASH_UP)
    table = """
| Data | finch | Wren Aldous |
| --- | --- | --- |
| Tweets downloaded | 90 | 420 |
| Retweets | 5 | 12 |
| Short tweets | 5 | 8 |
| Tweets kept | 80 | 400 |
| Language | not plain | Japanese |
| Times taught in an epoch | 3 | 1 |

finch.zip names \\@fink.
"""
    assert table in card
    for part in (
        "🤖 AI CYBORG 🤖",
        "<div>@finch &amp; @wren</div>",
        "finch &amp; Wren Aldous wrote none\nof them and vouch for",
        "mynah say finch+wren ",
    ):
        assert part in card
    assert "AI BOT" not in card


def test_the_card_tells_how_good_the_model_is() -> None:
    card = render(CARD)
    evaluation = card.split("## Evaluation")[1].split("## Use")[0]
    for row in (
        "| the base | 5.124 | 1.987 |",
        "| this model | 3.987 | 1.552 |",
        "| copies of a tweet | 3.5% | 6.1% |",
        "| copies among what passes the screen | 0.0% | |",
        "| different pairs of words (distinct-2) | 71.3% | 80.3% |",
        "| near-repeats of each other | 1.5% | 0.5% |",
        "| taken for the author's | 90.2% | 95.0% |",
    ):
        assert f"\n{row}\n" in evaluation
    assert "its loss is 3.146 nats" in evaluation
    assert "What 200 of its texts" in evaluation
    assert "5 accounts apart" in evaluation
    assert "95% of what real tweets do" in evaluation
    assert "Beware" not in card


def test_a_model_that_should_not_be_trusted_says_so_first() -> None:
    card = render(replace(CARD, evaluation=replace(EVALUATION, copied=0.43, heldout_model=5.12)))
    warning = card.split("</div>\n\n")[1].split("\n\n")[0]
    assert warning.startswith("> **Beware.** This model memorises: 43% of its texts copy a tweet")
    assert "no better than its base: its loss on tweets held out is 5.120 nats per token, the base's 5.124" in warning


def test_without_a_contest_the_card_says_so() -> None:
    card = render(replace(CARD, evaluation=replace(EVALUATION, accounts=0, author=0.0, author_real=0.0)))
    assert "| taken for the author's | | |" in card
    assert "There were no texts that a classifier could have told apart." in card


HOSTILE = "A|B <script>alert(1)</script>\n# RETWEETS [x](javascript:y) `code` **bold** ---\n| new | row |"


def test_a_hostile_name_shows_as_it_is() -> None:
    account = replace(CARD.accounts[0], name=HOSTILE, handle="a'; rm -rf /")
    card = render(replace(CARD, name=HOSTILE, handle="a'; rm -rf /", base_name='x"\n---\nevil: 1', accounts=(account,)))
    assert "<script>" not in card
    markdown = card.split("</div>\n\n")[1]
    assert "[x](" not in markdown
    assert "**bold**" not in markdown
    assert r"| Data | A\|B &lt;script&gt;" in card
    assert "mynah say armrf --prompt" in card
    assert card.count("\n---\n") == 1
    assert "\nevil" not in card
    assert "\n# RETWEETS" not in card


@given(st.text(max_size=40))
def test_no_name_changes_the_shape_of_the_card(name: str) -> None:
    def shape(card: str) -> list[str]:
        return [line[:3] for line in card.splitlines() if line.startswith(("#", "|", "---", "```"))]

    account = replace(CARD.accounts[0], name=name, handle=name)
    assert shape(render(replace(CARD, name=name, handle=name, base_name=name, accounts=(account,)))) == shape(render(CARD))


def test_the_card_of_nano_is_that_of_the_weights_in_the_package() -> None:
    """After new weights: `python -m bot.lm.base_card`."""
    record = json.loads((NANO_FOLDER / "training.json").read_text())
    assert (NANO_FOLDER / "README.md").read_text() == base_card.render(record)


@pytest.mark.parametrize("part", ["CC BY-SA 4.0", "CDLA-Sharing 1.0", "CC0", "public domain", "Rastogi", "Topical-Chat"])
def test_the_card_of_nano_names_its_sources(part: str) -> None:
    assert part in (NANO_FOLDER / "README.md").read_text()
