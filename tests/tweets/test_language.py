"""Which language a person writes."""

import subprocess
import sys
from pathlib import Path

import pytest

from bot.tweets.cleaning import clean, count_words, is_short
from bot.tweets.files import read_source
from bot.tweets.language import language_of, name_of
from bot.tweets.source import Tweet

TEXTS = {
    "en": "The kettle on platform {n} has opinions about the weather again, and nobody minds 🚂",
    "es": "El tren número {n} llega tarde otra vez y nadie sabe por qué, mañana será otro día 🚂🚂🚂",
    "ja": "今日は{n}番線で電車がまた遅れました。とても寒いのでお茶を飲みます🍵",
    "ko": "오늘은 {n}번 승강장에서 기차가 또 늦었습니다. 너무 추워서 차를 마십니다",
    "de": "Der Zug auf Gleis {n} kommt heute schon wieder zu spät, und niemand weiß warum",
}
EMOJI = "🎉🎉 {n} 🚂🍵 https://t.co/abc{n} @wren #tea"


def texts(language: str, count: int = 40) -> list[str]:
    return [TEXTS[language].format(n=n) for n in range(count)]


@pytest.mark.parametrize("language", TEXTS)
def test_each_is_known(language: str) -> None:
    assert language_of(texts(language)) == language


def test_links_mentions_and_hashtags_are_in_no_language() -> None:
    noise = "@nasa @sensanders #throwbackthursday #weather https://example.org/the/weather/and/the/news "
    assert language_of([noise + text for text in texts("es")]) == "es"


def test_emoji_among_the_words_are_in_no_language() -> None:
    assert language_of([EMOJI.format(n=n) for n in range(500)]) is None
    assert language_of([EMOJI.format(n=n) for n in range(500)] + texts("es")) == "es"


def test_where_it_is_not_plain_none_is_named() -> None:
    assert language_of([]) is None
    assert language_of(texts("de", 9)) is None, "too few"
    assert language_of([*texts("de"), *texts("ja")]) is None, "half and half"
    assert language_of([*texts("de"), *texts("ja", 10)]) == "de", "most of them"


def test_names_of_languages() -> None:
    assert (name_of("ja"), name_of("es"), name_of("xx")) == ("Japanese", "Spanish", "xx")


def test_words_are_counted_as_the_language_parts_them() -> None:
    text = "안녕하세요 여러분"
    assert (count_words(text, "ko"), count_words(text)) == (2, 4)
    assert is_short(text, "ko")
    assert not is_short("오늘은 기차가 늦었습니다", "ko")
    assert not is_short("今日は国会で質問しました", "ja")
    kept = [tweet.text for tweet in clean([Tweet(text)], language=None).kept]
    assert kept == [text]
    assert clean([Tweet(text)], language="ko").counts.short == 1


LANGUAGES = {"nasa": "en", "sensanders": "en", "number10gov": "en", "shiikazuo": "ja", "sixworderbot": "en", "gobiernodechile": "es"}


@pytest.mark.shared
@pytest.mark.parametrize("character", LANGUAGES)
def test_real_accounts(shared: Path, character: str) -> None:
    _, tweets = read_source(shared / "data" / "characters" / f"{character}.jsonl")
    assert language_of(tweet.text for tweet in tweets) == LANGUAGES[character]


def test_the_bot_itself_loads_no_detector() -> None:
    code = "import sys, bot.executor.contract, bot.tweets.language; assert 'py3langid' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
