"""Accounts that write other scripts, or mostly emoji: what nano says after them is whole characters of theirs."""

import random
from pathlib import Path

import pytest
import regex

from bot.lm.base import Base, load_base
from bot.lm.generation import Speaker
from bot.lm.quantised import resident
from bot.lm.recipe import Recipe
from bot.lm.screening import is_broken
from bot.lm.training import train
from bot.tweets.cleaning import Kept, clean_text
from bot.tweets.dataset import mix

WORDS = {
    "ja": [
        "今日は",
        "電車が",
        "また",
        "遅れました。",
        "とても",
        "寒い",
        "お茶を",
        "飲みます🍵",
        "駅で",
        "猫を",
        "見かけた！",
        "ガタンゴトン",
    ],
    "es": ["El niño", "mañana", "¿qué", "será", "la cigüeña", "corazón", "¡vámonos!", "años", "después", "el pingüino"],
    "emoji": ["🎉🎉", "👩‍👩‍👧", "❤️", "🏳️‍🌈", "👍🏽", "🇨🇱", "so", "happy", "today", "🚂💨", "7️⃣", "yes!!"],
}
OWN = {"ja": r"[\p{Han}\p{Hiragana}\p{Katakana}]", "es": r"[áéíóúñü¿¡]", "emoji": r"\p{Extended_Pictographic}"}


@pytest.fixture(scope="module")
def nano() -> Base:
    return load_base("nano")


@pytest.mark.parametrize("account", WORDS)
def test_nothing_but_whole_characters(nano: Base, tmp_path: Path, account: str) -> None:
    dice = random.Random(5)
    texts = {(" " * (account != "ja")).join(dice.choices(WORDS[account], k=7)) for _ in range(80)}
    made = mix([[_kept(text) for text in sorted(texts)]], seed=1).dataset
    train(
        nano,
        made,
        Recipe(rank=16, embedding_rank=16, learning_rate=4e-3, bias_rate=2e-2, epochs=3),
        out=tmp_path / "model",
        checkpoints=tmp_path / "checkpoints",
        seed=1,
        report=lambda _: None,
        should_stop=lambda: False,
    )
    said = Speaker(resident(nano)).say(tmp_path / "model", "", range(24))
    written = set("".join(kept.text for kept in made.train))
    for text in said:
        assert text.encode().decode() == text
        assert not is_broken(text), text
        assert {letter for letter in text if not letter.isascii()} <= written
    assert sum(regex.search(OWN[account], text) is not None for text in said) >= 12, said


def _kept(text: str) -> Kept:
    cleaned, cut = clean_text(text)
    assert cleaned == text
    return Kept(cleaned, cut)
