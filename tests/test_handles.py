"""Account names as people write them."""

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import BadInput
from bot.handles import LONGEST, mash_up, normalise, split
from bot.wording import called, persona_name, tweeting

STORED = re.compile(r"[a-z0-9_.@+-]{1,80}")
"""What the buttons' ids carry."""
ACCOUNT = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,12}[a-z0-9_])?(@[a-z0-9]{1,5}\.[a-z]{2,3})?", fullmatch=True)


@pytest.mark.parametrize(
    ("typed", "handle"),
    [
        ("@NASA", "nasa"),
        ("  nasa ", "nasa"),
        ("x.com/nasa", "nasa"),
        ("https://x.com/NASA?lang=en", "nasa"),
        ("https://twitter.com/nasa/status/1", "nasa"),
        ("https://mobile.twitter.com/@nasa/", "nasa"),
        ("alice.bsky.social", "alice.bsky.social"),
        ("@Alice.bsky.social", "alice.bsky.social"),
        ("https://bsky.app/profile/alice.bsky.social/post/3k", "alice.bsky.social"),
        ("alice@example.social", "alice@example.social"),
        ("@Alice@Example.social", "alice@example.social"),
        ("https://example.social/@alice", "alice@example.social"),
        ("https://example.social/@alice/1234", "alice@example.social"),
        ("https://example.social/users/alice", "alice@example.social"),
        ("https://example.social/@alice@elsewhere.org", "alice@elsewhere.org"),
        ("sensanders+NASA", "nasa+sensanders"),
        ("@c + @b@example.social + x.com/a", "a+b@example.social+c"),
    ],
)
def test_the_ways_to_name_an_account(typed: str, handle: str) -> None:
    assert normalise(typed) == handle
    assert normalise(handle) == handle


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "@",
        "+",
        "a+",
        "a..b",
        "../x",
        "a/b",
        "a b",
        "-a",
        "ä",
        "x" * 64,
        "@@a",
        "a@b",
        "a@",
        "a@b@c.d",
        "a@-.x",
        "a@.x",
        "https://e.org/a",
    ],
)
def test_what_is_no_handle_is_refused_in_a_sentence(typed: str) -> None:
    with pytest.raises(BadInput, match=r"^.{20,250}$"):
        normalise(typed)


@pytest.mark.parametrize(
    ("typed", "reason"), [("a+a", "different"), ("a+b+c+d", "3 at most"), ("a" * 40 + "+" + "b" * 40, "81 characters")]
)
def test_what_is_no_mash_up(typed: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        normalise(typed)


@given(st.text(max_size=100))
def test_whatever_is_typed_is_safe_or_refused(typed: str) -> None:
    with suppress(BadInput):
        assert STORED.fullmatch(normalise(typed))


@given(st.lists(ACCOUNT, min_size=1, max_size=3, unique=True))
def test_a_mash_up_is_the_same_in_any_order(accounts: list[str]) -> None:
    handle = mash_up(accounts)
    assert handle == mash_up(reversed(accounts)) == normalise(handle) == normalise("+".join(f"@{name}" for name in accounts))
    assert split(handle) == tuple(sorted(accounts))
    assert len(handle) <= LONGEST


@pytest.mark.parametrize(
    ("handle", "words", "learned", "signed"),
    [
        ("nasa", "@nasa", "@nasa tweets", "N (AI)"),
        ("nasa+sensanders", "@nasa and @sensanders", "@nasa and @sensanders tweet", "N (AI cyborg)"),
        ("a+b+c", "@a, @b and @c", "@a, @b and @c tweet", "N (AI cyborg)"),
    ],
)
def test_how_they_are_called(handle: str, words: str, learned: str, signed: str) -> None:
    assert called(handle) == words
    assert tweeting(handle) == learned
    assert persona_name("N", handle) == signed


def test_a_mash_up_without_a_name_is_called_by_its_handles() -> None:
    assert persona_name(" ", "nasa+sensanders") == "nasa & sensanders (AI cyborg)"
