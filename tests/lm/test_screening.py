from hypothesis import given
from hypothesis import strategies as st

from bot.lm.screening import LONGEST, Screen, is_broken

TWEETS = [
    "The heron by the canal has opinions about bread and none of them are kind today",
    "My kettle sings in the morning, and I answer.",
    "夜のパン屋は今日も静かに歌いながら朝を待っている、誰にも言わずに",
    "ฝนตกหนักมากในเมืองเล็กๆ ริมแม่น้ำวันนี้",
    "Thank you!",
    "🦉🦉🦉",
]
SCREEN = Screen(TWEETS)
PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Co", "Cn")), max_size=80)


def reason(text: str, *recent: str) -> str | None:
    return SCREEN.check(text, recent=recent).reason


def test_a_text_of_its_own_passes() -> None:
    verdict = SCREEN.check("An old tram forgets everything behind platform nine")
    assert verdict.ok
    assert (verdict.reason, verdict.nearest, verdict.overlap) == (None, None, 0.0)


def test_every_training_tweet_is_a_copy_of_itself() -> None:
    for tweet in TWEETS:
        verdict = SCREEN.check(tweet)
        assert (verdict.ok, verdict.reason, verdict.nearest, verdict.overlap) == (False, "copy", tweet, 1.0)


def test_case_punctuation_and_width_hide_no_copy() -> None:
    assert reason("MY KETTLE sings… in the morning and I answer") == "copy"
    assert reason("Ｍｙ ｋｅｔｔｌｅ sings in the morning & I answer!") == "copy"


def test_eight_words_in_a_row_are_a_copy_and_seven_are_not() -> None:
    own = "while seven quiet trams roll past my window and nobody ever waves at them again or sleeps"
    eight = f"{own} the heron by the canal has opinions about"
    seven = f"{own} heron by the canal has opinions about"
    assert reason(eight) == "copy"
    assert reason(seven) is None
    assert SCREEN.check(seven).nearest == TWEETS[0]
    assert 0.2 < SCREEN.check(seven).overlap < 0.4


def test_sixty_percent_from_one_tweet_is_a_copy_even_in_pieces() -> None:
    # Six of ten words in two runs of three; then five of ten.
    assert reason("the heron by umbrella wait has opinions about goat rain") == "copy"
    assert reason("the heron by umbrella wait has opinions goat rain tram") is None


def test_words_from_different_tweets_do_not_add_up() -> None:
    assert reason("the heron by the tram sings in the morning") != "copy"


def test_scripts_without_spaces_are_compared_by_characters() -> None:
    assert reason("夜のパン屋は今日も静かに歌いながら") == "copy"
    assert reason("ฝนตกหนักมากในเมืองเล็กๆ") == "copy"
    assert reason("パン屋の話をしよう、昨日の駅前で会った人のこと") is None


def test_a_fragment_of_two_words_is_a_copy_where_a_tweet_has_it() -> None:
    assert reason("thank you") == "copy"
    assert reason("kettle answer") is None


def test_nothing_to_read_is_empty() -> None:
    for text in ("", "  ", "…", "?!", "\u200b"):
        assert reason(text) == "empty"
    assert reason("🐝") is None


def test_length() -> None:
    assert reason("aé" * (LONGEST // 2)) is None
    assert reason("aé" * (LONGEST // 2) + "a") == "too_long"


def test_broken() -> None:
    for character in "\ufffd\x00\x1b\n\x7f\u202e\u2066\ud800\ue000":
        assert reason(f"half a {character} heron") == "broken"
    assert reason("a family 👨\u200d👩\u200d👧 of herons, naïvely") is None


def test_repeats_of_recent_posts() -> None:
    assert reason("An old tram forgets everything tonight", "an old tram forgets everything, tonight!") == "repeat"
    assert reason("An old tram forgets everything tonight", "The umbrella remembers all of it") is None


@given(st.lists(st.sampled_from(["heron", "canal", "bread", "kettle", "tram", "rain", "goat"]), min_size=8, max_size=30), st.data())
def test_any_run_of_eight_words_is_found(words: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(words) - 8))
    text = " ".join(["alpha", "beta", *words[start : start + 8], "gamma", "delta", *"abcdefghij"])
    assert Screen(["unrelated words only", " ".join(words)]).check(text).reason == "copy"


@given(PLAIN, st.lists(PLAIN, max_size=5))
def test_the_verdict_is_whole(text: str, tweets: list[str]) -> None:
    verdict = Screen(tweets).check(text, recent=tweets[:2])
    assert verdict.ok == (verdict.reason is None)
    assert 0 <= verdict.overlap <= 1
    assert verdict.nearest is None or verdict.nearest in tweets
    if verdict.ok:
        assert text.strip()
        assert len(text) <= LONGEST
        assert not is_broken(text)
        assert text not in tweets
