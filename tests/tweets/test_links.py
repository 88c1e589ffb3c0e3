"""Links go, and no hole stays."""

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from bot.tweets.links import remove_links

A = "https://t.co/abc"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"herons: {A} and {A} so tall", "herons: so tall"),
        (f"herons: {A} so tall", "herons: so tall"),
        (f"two {A} {A} in a row", "two in a row"),
        (f"{A} first", "first"),
        (f"last {A}", "last"),
        (f"Read more: {A}", "Read more"),
        (f"Read more → {A}", "Read more"),
        (f"The herons are back at the weir! Read more: {A}", "The herons are back at the weir!"),
        (f"The herons are back. Take a look → {A}", "The herons are back."),
        (f"Herons are back\nFotos: {A}", "Herons are back\nFotos"),
        (f"The herons are all back\nFotos: {A}", "The herons are all back"),
        (f"The herons are back. Take a closer look: {A}", "The herons are back. Take a closer look"),
        (f"The herons are back. Well done {A}", "The herons are back. Well done"),
        (f"A walk along the weir with Dr. Heron: {A}", "A walk along the weir with Dr. Heron"),
        (f"We open the weir at 5 p.m. sharp: {A}", "We open the weir at 5 p.m. sharp"),
        (f"Back! Watch: {A}", "Back! Watch"),
        (f"A title - {A}", "A title"),
        (f"A title | {A} | A paper", "A title | A paper"),
        (f"A title - {A} - a paper", "A title - a paper"),
        (f"{A} - a title", "a title"),
        (f"{A}, wow", "wow"),
        (f"see {A}, then go", "see, then go"),
        (f"Read it at {A}.", "Read it."),
        (f"Read it at: {A}", "Read it"),
        (f"Open until 5 p.m. at {A}. {A}", "Open until 5 p.m."),
        (f"Watch live at {A} today", "Watch live today"),
        (f"A title ({A}) here", "A title here"),
        (f"A title (via {A})", "A title"),
        (f"A title (more: {A})", "A title (more)"),
        (f'he said "{A}" to me', "he said to me"),
        (f'"go and see {A}" she said', '"go and see" she said'),
        (f'he said "look" {A} "wow"', 'he said "look" "wow"'),
        (f"good {A} :)", "good :)"),
        (f"sad :( {A}", "sad :("),
        (f"詳細は「{A}」をご覧", "詳細はをご覧"),
        (f"ありがとう{A}。", "ありがとう。"),
        (f"one:\n{A}\n{A}\ntwo", "one:\ntwo"),
        ("see https://en.example.org/wiki/Wren_(bird) now", "see now"),
        ("see HTTP://EXAMPLE.ORG/a?b=c&d=e#f now", "see now"),
        ("t.co/abc and pic.twitter.com/abc", ""),
        ("cut https://t.c…", "cut"),
        ("http(https://t.co/a)://b", ""),
    ],
)
def test_what_stays(text: str, left: str) -> None:
    assert remove_links(text) == left


@pytest.mark.parametrize(
    "text", ["use https please", "not.co/abc", "at via on -", "What are you looking at", "a (b) c", "well: -", "", " a\n"]
)
def test_text_without_links_is_left_as_it_is(text: str) -> None:
    assert remove_links(text) == text


words = st.sampled_from(
    [
        "word",
        "at",
        "via",
        "and",
        ":",
        "-",
        "(",
        ")",
        '"',
        "…",
        ".",
        ",",
        "\n",
        " ",
        "  ",
        "「",
        "」",
        "は",
        "http",
        "https:",
        "://x",
        "s:",
        "t.co/a",
        A,
        "www.a.org",
    ]
)
texts = st.lists(words, max_size=12).map("".join) | st.text(max_size=60)


@given(texts)
@example("http https:://x")
def test_no_link_stays_and_once_is_enough(text: str) -> None:
    left = remove_links(text)
    assert not regex.search("(?i)https?:", left)
    assert remove_links(left) == left
    assert len(left) <= len(text)


@given(st.lists(st.sampled_from(["one", "two", "three", A, f"({A})", f"{A},", f"{A}."]), min_size=1, max_size=8))
def test_a_link_leaves_no_hole_among_words(tokens: list[str]) -> None:
    left = remove_links(" ".join(tokens))
    assert not regex.search(r"  |\( ?\)| [,.]|^[,. ]| $", left)
    assert [word.strip(",.") for word in left.split()] == [word for word in tokens if "/" not in word]
