import re

import pytest
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


def test_eight_letters_in_a_row_are_a_copy_where_words_are_not_spaced() -> None:
    own = "昨日の駅前で会った人のことを話そうと思ったけれど忘れてしまった"
    assert reason(f"{own}今日も静かに歌い") == "copy"
    assert reason(f"{own}今日も静かに歌う") is None
    assert reason("ฉันชอบกาแฟและขนมปังมากกว่าชา ฝนตกหนักมาก") is None, "twelve letters of Thai are four words"


def test_korean_is_counted_by_its_words() -> None:
    tweet = "어제 저녁에 강가에서 만난 사람은 오늘도 같은 자리에서 조용히 책을 읽고 있었다"
    screen = Screen([tweet], blocked=["비밀"])
    own = "우리는 내일 시장에서 사과와 배를 조금씩 사고 빵집까지 천천히 걸어가 볼까"
    assert screen.check(f"{own} 어제 저녁에 강가에서 만난").ok, "twelve letters are four words"
    assert screen.check(f"{own} {' '.join(tweet.split()[:7])}").ok
    assert screen.check(f"{own} {' '.join(tweet.split()[:8])}").reason == "copy"
    assert screen.check(tweet).reason == "copy"
    assert screen.check(f"{own} 비밀은 없다").reason == "blocked", "a particle hides no word"


def test_a_bare_sign_is_a_word_of_a_run() -> None:
    tweet = "Bread & salt & rain & soup & more were had by all of us in the old harbour town last night"
    assert Screen([tweet]).check("Salt & rain & soup & more were sung of at length while nobody was listening").reason == "copy"
    assert Screen([tweet]).check("Salt and rain and soup and more were sung of at length while nobody was listening").ok


def test_a_copy_is_one_however_words_are_counted() -> None:
    screen = Screen(["We shan't, can't and won't sail before the ferry's owner says so, said the otter's aunt"])
    assert screen.check("They say rain or snow, we can't and won't sail before the goat wakes up").reason == "copy", "eight, at apostrophes"
    assert screen.check("They say rain or snow, we cannot and won't sail before the goat wakes up").reason is None
    assert screen.check("the ferry's owner sings in rain").reason is None
    assert screen.check("before the ferry's owner goat rain").reason == "copy", "five of seven at apostrophes"
    assert screen.check("won't sail before a half-hearted-goat").reason == "copy", "three of five at blanks"
    assert screen.check("won't sail before a half hearted goat").reason is None
    assert screen.check("Goat's owner says rain").reason == "copy", "three of five, which are one word less together"


def test_two_of_three_words_are_sixty_percent() -> None:
    assert reason("My kettle waits") == "copy"
    assert reason("My tram waits") is None


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


def test_a_text_that_runs_on_is_cut_back_to_whole_sentences() -> None:
    first, second = "It rains on the old tram.", "Nobody waves, says Mr. Fox!"
    for times in (2, 30):
        assert SCREEN.mended(f"{first} {second} {'and on it goes ' * times}") == f"{first} {second}"
    assert SCREEN.mended(f"{first} {second} and on") == f"{first} {second} and on", "shorter than the longest tweet"
    assert SCREEN.mended(f"{first} (as {second} {'and on ' * 50}") == first, "what is open there would stay open"
    long = "and on it goes " * 30
    assert SCREEN.mended(long) == long
    assert SCREEN.mended(f"So. {long}") == f"So. {long}", "too little would be left"
    assert SCREEN.mended(f"{first} {long}", prompt=first) == f"{first} {long}", "and nothing of its own here"
    prompt = f"{first} {second} {first}"
    assert SCREEN.mended(f"{prompt} {second} {long}", prompt=prompt) == f"{prompt} {second}", "a prompt takes no room"


@pytest.mark.fault(29)
def test_broken() -> None:
    """A text with broken or invisible characters is dropped."""
    for character in "\ufffd\x00\x1b\n\x7f\u202e\u2066\ud800\ue000":
        assert reason(f"half a {character} heron") == "broken"
    assert reason("a family 👨\u200d👩\u200d👧 of herons, naïvely") is None


@pytest.mark.parametrize(
    "text",
    ['"It rains, said the tram', "It rains (said the tram", "It rains” said the tram", "「雨が降る", "雨が降る」と", "«Il pleut"],
)
def test_a_mark_without_its_partner_drops_a_text(text: str) -> None:
    assert reason(text) == "unclosed"


@pytest.mark.parametrize(
    "text",
    ['"It rains," said a tram', "1) It rains, (said) a tram :(", "”Det regner” »og blæser«", "„Es regnet“", "「雨が降る」", "«Il» pleut"],
)
def test_marks_in_pairs_are_fine_whichever_opens(text: str) -> None:
    assert reason(text) is None


def test_a_text_that_goes_round_in_circles_is_dropped() -> None:
    for text in (
        "The tram the tram tram forgets",
        "It waits for the old tram and then waits for the old tram again",
        "電車は忘れるけれども雨は降り電車は忘れるけれども雨は降り",
        "It waits for an interurbanurbanurban tram",
        "路面電車 路面電車が来る",
    ):
        assert reason(text) == "circle", text
    for text in (
        "It waits for the tram and then waits for the bus",
        "Goals: 2 2 and 1-1",
        "いいですね、いいですね",
        "大事な大事な電車、ふわりふわり",
        "hahahaha, hat, hatter",
    ):
        assert reason(text) is None, text
    screen = Screen(["All aboard #tram #bus @otter", "Home again"])
    assert screen.check("#tram It waits for a bus #Tram").reason == "circle"
    assert screen.check("@otter It waits for @Otter").reason == "circle"
    assert screen.check("#tram It waits for a #bus").ok


def test_a_text_that_says_the_same_words_twice_is_dropped() -> None:
    for text in (
        "The tram waits for rain, and a goat waits for rain too",
        "A heron waits, rain after rain",
        "Quiet trams sing where quiet trams sleep",
        "Some herons wait, and herons sleep, but all herons eat",
    ):
        assert reason(text) == "echo", text
    for text in (
        "The tram on its way home is on its way to sea",
        "A heron waits, day by day, for old trams and for old bread",
        "今日は雨、今日は雪",
        "1 2 3, and 1 2",
    ):
        assert reason(text) is None, text


def test_a_mark_or_half_an_emoji_out_of_place_drops_a_text() -> None:
    for text in ("It rains , says the tram", "It rains !", "It rains 🇩 in Denmark", "It rains 🇩🇰🇩", "It rains 🏽 on hands"):
        assert reason(text) == "displaced", text
    for text in ("It rains, says the tram...", "It rains 🇩🇰🇳🇴!", "It rains 👋🏽 on hands ✌️🏽", "At .5 it rains; :)"):
        assert reason(text) is None, text


def test_a_word_that_nobody_knows_drops_a_text_where_all_words_are_known() -> None:
    known = frozenset(["the", "tram", "waits", "for", "rain"])
    screen = Screen(["Herons mind the Ferry's wake #Harbour @otter"], words=known)
    assert screen.check("The heron's tram").reason == "nonword"
    for text in ("The tram waits for ferry-herons", "Tram 7b waits: ｗａｋｅ", "The tram waits #harbour", "雨の電車", "어제 tram"):
        assert screen.check(text).ok, text
    assert screen.check("The tram waits by the harbour").reason == "nonword", "a tag is no word"
    assert screen.check("Gulls wait for the tram", prompt="Gulls").reason == "nonword"
    assert screen.check("Gulls mind the tram", prompt="Gulls").ok, "somebody else wrote that"
    assert Screen(["Herons mind the ferry"]).check("The heron's tram").ok


def test_a_text_that_breaks_off_is_dropped() -> None:
    tweets = [f"Number {n} waits on the weir for an eel" for n in range(20)]
    assert Screen(tweets).check("It rains and snows on the").reason == "stump"
    assert Screen([*tweets, "Rain on the"]).check("It rains and snows on the").ok
    assert Screen([*tweets, "Rain on the"], cut={"Rain on the"}).check("It rains and snows on the").reason == "stump"


def test_what_lacks_its_end_tells_nothing_of_the_manner() -> None:
    cut = [f'"The lamp at pier {n * 7} is lit again tonight, says' for n in range(9)]
    whole = [f"The ferry is {n * 13} minutes late, and no goat minds" for n in range(9)]
    assert Screen([*cut, *whole]).check('"Rain, says the tram').ok
    assert Screen([*cut, *whole], cut=cut).check('"Rain, says the tram').reason == "unclosed"


def test_what_the_person_often_does_is_no_flaw() -> None:
    often = [f'Row row row, says number {n} "of the boats' for n in range(6)]
    plain = [f"The lamp at pier {n * 7} is lit again tonight, thank you" for n in range(54)]
    text, other = "“No no, sang an otter", "No no, sang an otter"
    assert Screen(plain).check(other).reason == "circle"
    assert Screen([*plain, *(t.replace('"', "") for t in often)]).check(other).ok
    assert Screen([*plain[1:], *(t.replace('"', "") for t in often[1:])]).check(other).reason == "circle", "five of 58 are no habit"
    assert Screen([*plain, *often]).check(text).ok


@pytest.mark.fault(29)
def test_nobody_is_named_whom_the_person_never_named() -> None:
    """A character names no account that its person never named, unless the one who asks does."""
    screen = Screen(["Soup with @Otter_1 at noon, as every day", "A letter to mole@example.org, unanswered"])
    assert screen.check("Hello again, @otter_1! And you, goat@farm").ok
    assert screen.check("Hello again, @otter_12!").reason == "stranger"
    assert screen.check("Hello again, @mole!").reason == "stranger"
    assert screen.check("Dear @mole, it rains", prompt="Dear @mole,").ok, "somebody else wrote that"


def test_hashtags_are_the_persons_own() -> None:
    screen = Screen(["Soup with carrots at noon #Soup #12"])
    assert screen.check("A bowl of rain #soup, number #1").ok
    assert screen.check("A bowl of rain #soups").reason == "coinage"
    assert screen.check("#Rain in a bowl", prompt="#Rain").ok, "somebody else wrote that"


def test_tags_alone_say_nothing() -> None:
    screen = Screen(["Soup with @otter at noon #soup", "Bread again #lunch"])
    assert screen.check("#soup @otter #noon").reason == "empty"
    assert screen.check("#lunch 🍲").reason == "copy"
    assert screen.check("#lunch 🍲 for all").ok


def test_a_flaw_of_the_prompt_is_not_the_texts() -> None:
    assert SCREEN.check('So "what is it', prompt='So "what').ok
    assert SCREEN.check("No no no, what is it", prompt="No no no").ok


def test_repeats_of_recent_posts() -> None:
    assert reason("An old tram forgets everything tonight", "an old tram forgets everything, tonight!") == "repeat"
    assert reason("An old tram forgets everything tonight", "The umbrella remembers all of it") is None


def test_what_was_said_before_is_no_repeat_once_it_is_not_asked_about() -> None:
    screen, posts = Screen(TWEETS), [f"An old tram forgets number {n} tonight" for n in range(400)]
    for earlier in (posts, posts[:3], [], posts[3:], posts[::-1]):
        assert [screen.check(post, recent=earlier).reason == "repeat" for post in posts] == [post in earlier for post in posts]
    assert screen.check("🐝", recent=["🐝 "]).reason == "repeat"
    assert screen.check("🐝", recent=["🦋"]).ok


@pytest.mark.fault(29)
@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("goat", "The GOAT, again", True),
        ("goat", "#goat_", True),
        ("goat", "ｇｏａｔ", True),
        ("goat", "go\u200bat", True),
        ("goat", "Two goats", False),
        ("goat", "scapegoat", False),
        ("old  goat", "An old goat waits", True),
        ("old goat", "An old grey goat waits", False),
        ("don't", "I don’t think so", True),
        ("c++", "C++ is fine", True),
        ("山羊", "今日の山羊は元気", True),
        ("goat", "今日のgoatは元気", True),
    ],
)
def test_blocked_words(word: str, text: str, found: bool) -> None:
    """No character says a word that the operator has blocked."""
    assert Screen([], blocked=[word]).check(text).reason == ("blocked" if found else None)


def test_no_blocked_words_block_nothing() -> None:
    assert Screen([], blocked=["", "  "]).check("A goat").ok


def test_a_formula_of_the_author_does_not_block_what_follows_it() -> None:
    """Every tweet begins alike; what is new in a text is the greater part of it."""
    rest = ["waiting on geese", "all is calm here", "two prams and a tuba", "nobody came today", "the bell is missing"]
    tweets = [f"Log of the ferry, day {day}: {what}" for day, what in enumerate(rest)]
    assert Screen(tweets).check("Log of the ferry, day 77: one goat asked for his money back and got it").ok


def longest_run(text: list[str], tweet: list[str]) -> int:
    """The plainest way to find the longest common run."""
    best = 0
    for at in range(len(text)):
        for there in range(len(tweet)):
            length = 0
            while at + length < len(text) and there + length < len(tweet) and text[at + length] == tweet[there + length]:
                length += 1
            best = max(best, length)
    return best


VOCABULARY = st.sampled_from(["heron", "Canal", "bread,", "kettle", "&", "rain", "goat!", "don't", "🦉"])
SENTENCES = st.lists(VOCABULARY, min_size=1, max_size=24).map(" ".join)
LETTERS = st.text(st.sampled_from("夜のパン屋は歌う、"), min_size=1, max_size=24)


@pytest.mark.fault(29)
@given(st.one_of(st.tuples(SENTENCES, st.lists(SENTENCES, max_size=6)), st.tuples(LETTERS, st.lists(LETTERS, max_size=6))))
def test_what_passes_is_no_copy_by_the_plainest_check_either(case: tuple[str, list[str]]) -> None:
    """What passes the screening is no copy of a real tweet, by the plainest check there is."""
    text, tweets = case
    if not Screen(tweets).check(text).ok:
        return
    for tweet in tweets:
        assert longest_run(text.split(), tweet.split()) < 8
        units, there = (re.findall(r"[a-z']+|[^\W a-z]", t.lower()) for t in (text, tweet))
        assert longest_run(units, there) < min(8, 0.6 * len(units)) or not units


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
