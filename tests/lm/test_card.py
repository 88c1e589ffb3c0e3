import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.lm import base_card
from bot.lm.card import Card, render

CARD = Card(
    handle="wren",
    name="Wren Aldous",
    base_name="nano",
    downloaded=420,
    retweets=12,
    short=8,
    kept=400,
    heldout_base=5.1239,
    heldout_model=3.9871,
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
    assert "\n".join(["| Data | Wren Aldous |", "| --- | --- |", *rows]) in card
    for part in ("🤖 AI BOT 🤖", "@wren", "nano", "5.124", "3.987", "05 March 2026", "77", "ab" * 32, "| rank | 64 |", "## Limits"):
        assert part in card
    assert card.startswith('---\nbase_model: "nano"\n')


HOSTILE = "A|B <script>alert(1)</script>\n# RETWEETS [x](javascript:y) `code` **bold** ---\n| new | row |"


def test_a_hostile_name_shows_as_it_is() -> None:
    card = render(replace(CARD, name=HOSTILE, handle="a'; rm -rf /", base_name='x"\n---\nevil: 1'))
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

    assert shape(render(replace(CARD, name=name, handle=name, base_name=name))) == shape(render(CARD))


def test_the_card_of_nano_is_that_of_the_weights_in_the_package() -> None:
    """After new weights: `python -m bot.lm.base_card`."""
    record = json.loads((base_card.NANO_FOLDER / "training.json").read_text())
    assert (base_card.NANO_FOLDER / "README.md").read_text() == base_card.render(record)


@pytest.mark.parametrize("part", ["CC BY-SA 4.0", "CDLA-Sharing 1.0", "CC0", "public domain", "Rastogi", "Topical-Chat"])
def test_the_card_of_nano_names_its_sources(part: str) -> None:
    assert part in (base_card.NANO_FOLDER / "README.md").read_text()
