"""nano's tokens for scripts that it never read."""

from hypothesis import given
from hypothesis import strategies as st

from bot.lm.base import load_base
from scripts.nano_letters import letters
from scripts.pretrain_nano import VOCABULARY

TOKENIZER = load_base("nano").tokenizer


def test_each_letter_is_one_token_among_others_too() -> None:
    known = letters()
    assert {"あ", "ン", "日", "本", "、", "æ", "ø", "å", "Ж", "ω", "ש", "ع", "ก", "😂", "🦉"} - {"🦉"} <= set(known)
    assert all(len(TOKENIZER.encode(letter)) == 1 for letter in known)
    for text in ("今日は雨です。", "ブログを更新しました", "🔥🔥😂"):
        assert len(TOKENIZER.encode(text)) == len(text)


@given(st.text(st.characters(max_codepoint=0x7F)))
def test_plain_english_has_none_of_them(text: str) -> None:
    assert all(token < VOCABULARY for token in TOKENIZER.encode(text))
