from collections.abc import Sequence

import pytest

from bot.lm.ends import Ends, whole_sentences


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("It rains. The tram of Mr. Fox", "It rains."),
        ("It rains in the U.S. and at 3.5 km, No. 1", ""),
        ("It rains! 🌧️ The tram", "It rains! 🌧️"),
        ("It rains!🌧️ The tram", "It rains!🌧️"),
        ('It said "so." Then the', 'It said "so."'),
        ('It said "so. Then the', ""),
        ("It said (so! Well", ""),
        ("So... and then", "So..."),
        ("Since 1927. Then", "Since 1927."),
        ("¿Llueve? Sí, en el", "¿Llueve?"),
        ("雨が降る。電車は", "雨が降る。"),
        ("雨だ！！電車は", "雨だ！！"),
        ("「雨だ！」と電車は", ""),
        ("비가 온다. 그래", "비가 온다."),
        ("बारिश है। यह", "बारिश है।"),
        ("هل تمطر؟ نعم", "هل تمطر؟"),
    ],
)
def test_whole_sentences(text: str, whole: str) -> None:
    assert whole_sentences(text, 280) == whole


def test_no_more_sentences_than_there_is_room_for() -> None:
    assert whole_sentences("It rains. It snows. It", 19) == "It rains. It snows."
    assert whole_sentences("It rains. It snows. It", 18) == "It rains."


def ends_of(tweets: Sequence[str]) -> Ends:
    ends = Ends()
    for tweet in tweets:
        ends.add(tweet)
    return ends


def test_a_text_breaks_off_where_no_tweet_ends() -> None:
    often = [f"The eel at the weir, number {n}, waits" for n in range(20)]
    ends = ends_of([*often, "It rains, says the weir - at last: the", "Who knows:"])
    for text in ("It rains at", "It rains,", "It rains &", "It rains number"):
        assert ends.breaks_off(text), text
    for text in ("It rains on the", "It rains:", "It waits", "It rains at!", "It rains at 🐝", "It rains by", "🐝", ""):
        assert not ends.breaks_off(text), text
    japanese = ends_of(["雨は降る", *["雨は止む"] * 20])
    assert japanese.breaks_off("電車は")
    assert not japanese.breaks_off("電車も止む")
