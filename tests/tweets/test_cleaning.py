"""Each rule of cleaning, and the count table."""

from datetime import UTC, datetime

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from bot.tweets.cleaning import (
    Kept,
    clean,
    clean_text,
    count_words,
    drop_invisible,
    is_retweet,
    is_short,
    mend_cut,
    one_line,
    unescape,
)
from bot.tweets.source import Tweet

A = "https://t.co/abc"


def at(day: int) -> datetime:
    return datetime(2023, 5, day, tzinfo=UTC)


def test_count_table() -> None:
    cut = "the heron stood in our pond and would not leave for any money " * 3
    cleaned = clean(
        [
            Tweet("The pond has a heron again", created_at=at(3)),
            Tweet("RT @finch: the pond is closed", created_at=at(9)),
            Tweet("somebody else said this", is_retweet=True),
            Tweet(f"ok then {A}", created_at=at(8)),
            Tweet(f"the POND has a heron   again {A}", created_at=at(2)),
            Tweet(f"{cut[:135]}whi…", created_at=at(4)),
            Tweet("The kettle &amp; the cat"),
        ]
    )
    counts = cleaned.counts
    assert (counts.downloaded, counts.retweets, counts.short, counts.kept) == (7, 2, 1, 4)
    assert (counts.duplicates, counts.cut) == (1, 1)
    assert [one.text for one in cleaned.kept] == ["The pond has a heron again", cut[:135].rpartition(" ")[0], "The kettle & the cat"]
    assert [one.cut for one in cleaned.kept] == [False, True, False]
    assert counts.characters == sum(len(one.text) for one in cleaned.kept)
    assert (cleaned.first_at, cleaned.last_at) == (at(3), at(4))


def test_nothing() -> None:
    cleaned = clean([])
    assert cleaned.kept == ()
    assert cleaned.first_at is None
    assert cleaned.counts.kept == 0


@pytest.mark.parametrize(
    ("tweet", "expected"),
    [
        (Tweet("RT @finch: hello"), True),
        (Tweet("  RT @finch hello"), True),
        (Tweet("hello", is_retweet=True), True),
        (Tweet("RT if you like ponds"), False),
        (Tweet("so true RT @finch: hello"), False),
    ],
)
def test_retweets(tweet: Tweet, expected: bool) -> None:
    assert is_retweet(tweet) is expected


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a &amp; b &lt;3 &gt; c", "a & b <3 > c"),
        ("it&#39;s &quot;so&quot; &#x27;x&#X27;", "it's \"so\" 'x'"),
        ("caf&eacute; &hearts; &nbsp;", "café ♥ \xa0"),
        ("&amp;lt; is double", "&lt; is double"),
        ("AT&T, Q&A, a&copy2, &; &nonsense; &notit; &#; &#x;", "AT&T, Q&A, a&copy2, &; &nonsense; &notit; &#; &#x;"),
    ],
)
def test_entities_are_decoded_once(text: str, left: str) -> None:
    assert unescape(text) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a\u202eb\u2066c\u200ed\ufeffe\u200bf\u00adg\x00h\x1bi\x7fj\x9bk\ufffdl\ud83dm", "abcdefghijklm"),
        ("tab\t line\n stay", "tab\t line\n stay"),
        ("👩\u200d🚀 ❤️ می\u200cخواهم", "👩\u200d🚀 ❤️ می\u200cخواهم"),
    ],
)
def test_invisible_letters(text: str, left: str) -> None:
    assert drop_invisible(text) == left


@pytest.mark.parametrize(
    ("text", "truncated", "left"),
    [
        (f"{'x' * 115} so it goes on for a whi…", False, f"{'x' * 115} so it goes on for a "),
        (f"{'x' * 80} so it goes on for a whi…", False, None),
        (f"short but told… {A}", True, "short but "),
        (f"a person's own pause… {A}", False, None),
        ("a person's own pause…", False, None),
        (f"{'x' * 90} a few wor… {A}", False, f"{'x' * 90} a few "),
        (f"{'x' * 90} a few … {A}", False, f"{'x' * 90} a few "),
        (f"{'word ' * 54}wor… {A}", False, "word " * 54),
        (f"{'word ' * 54}words…", False, "word " * 54),
        (f"{'と' * 139}…", False, "と" * 139),
        (f"{'x' * 120} http…", True, f"{'x' * 120} "),
        ("no pause at all", True, None),
        (f"{'x ' * 70}...", False, None),
    ],
)
def test_cut_by_the_api(text: str, truncated: bool, left: str | None) -> None:
    assert mend_cut(text, truncated=truncated) == ((text, False) if left is None else (left, True))


def test_what_a_source_gives_whole_keeps_its_own_dots() -> None:
    text = f"{'so it goes on for a while ' * 5}and so on…"
    assert 136 <= len(text) <= 150
    assert clean([Tweet(text)]).kept[0].cut
    [kept] = clean([Tweet(text, whole=True)]).kept
    assert (kept.text, kept.cut) == (text, False)


def test_cut_text_ends_without_its_dots() -> None:
    assert clean_text(f"so it goes on… and on and on… {A}", truncated=True) == ("so it goes on… and on and", True)
    assert clean_text(f"so it goes on… on… {A}", truncated=True) == ("so it goes on", True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("one two three", 3),
        ("@a cheers!", 1),
        ("@a @b you are kind!", 3),
        (f"good pond {A}", 2),
        (f"Book now at {A}!", 4),
        ("Lost without #ponds!", 3),
        ("😎 @a", 1),
        ("\uff20a hello", 1),
        ("今朝は池でサギを見ました。とても静かでした", 10),
        ("今朝は", 1),
        ("草", 1),
        ("@a ありがとう", 2),
        ("@aさん、ありがとうございました", 6),
        ("안녕하세요 여러분", 4),
        ("ㅋㅋㅋㅋㅋㅋㅋㅋ", 1),
        ("今天很冷，我不想出门", 4),
        ("ขอบคุณมากครับ", 3),
        ("ขอบคุณ", 1),
        ("NASA の 発表", 3),
    ],
)
def test_words(text: str, words: int) -> None:
    assert count_words(text) == words
    assert is_short(text) is (words < 3)


# Halves of letters too: JSON can hold them.
letters = st.characters(exclude_categories=()) | st.sampled_from("  \n\t&;#@…:/.()\"'-は草ก")
pieces = st.sampled_from([A, "&amp;", "&lt;", "&#39;", "RT @a", "@a", "#b", "word", "http", "…", " ", "\n", "\u202e", "ありがとう"])
texts = st.text(letters, max_size=200) | st.lists(pieces | st.text(letters, max_size=8), max_size=40).map(" ".join)


@given(texts, st.booleans())
def test_what_is_taught_can_be_taught(text: str, truncated: bool) -> None:
    left, cut = clean_text(text, truncated=truncated)
    assert left == one_line(left)
    assert not regex.search("(?i)https?:", left)
    assert drop_invisible(left) == left
    left.encode()
    if not cut and "…" not in left and "&" not in left and left:
        again, _ = clean_text(left)
        assert again in {left, ""}


@given(texts)
def test_rules_that_change_nothing_the_second_time(text: str) -> None:
    assert drop_invisible(drop_invisible(text)) == drop_invisible(text)
    assert one_line(one_line(text)) == one_line(text)
    assert "  " not in one_line(text)


@given(st.text(max_size=80))
def test_escaping_is_undone_once(text: str) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;").replace("'", "&#39;")
    assert unescape(escaped) == text
    assert unescape(escaped.replace("&", "&amp;")) == escaped


@given(st.lists(st.builds(Tweet, text=texts, is_retweet=st.booleans(), truncated=st.booleans()), max_size=20))
def test_counts_add_up(tweets: list[Tweet]) -> None:
    cleaned = clean(tweets)
    counts = cleaned.counts
    assert counts.downloaded == len(tweets)
    assert counts.kept == counts.downloaded - counts.retweets - counts.short
    assert len(cleaned.kept) == counts.kept - counts.duplicates
    assert counts.cut <= counts.kept
    assert len({one.text.casefold() for one in cleaned.kept}) == len(cleaned.kept)
    assert all(one.text for one in cleaned.kept)
    assert clean(tweets) == cleaned


@given(st.lists(st.text("ab ", min_size=5, max_size=9), max_size=20))
def test_order_of_the_source_is_kept(written: list[str]) -> None:
    texts = [f"{one.strip() or 'x'} two three" for one in written]
    assert clean(map(Tweet, texts)).kept == tuple(Kept(one) for one in dict.fromkeys(map(one_line, texts)))
