"""Which candidates become posts, with the real screen and a voice that can be foretold."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import GenerationError
from bot.executor.choosing import TRIES, Said, candidate_seed
from bot.executor.choosing import choose as choosing
from bot.executor.saying import SayReply, SayRequest
from bot.lm.screening import Screen

REAL = "The heron at the weir has not moved since the first bus went by this morning"
SCREEN = Screen([REAL])
Say = Callable[[Sequence[int]], list[str]]


def request(seeds: tuple[int, ...] | None, count: int = 1, recent: tuple[str, ...] = (), candidates: int = 4) -> SayRequest:
    return SayRequest("model", "nano", "", seeds, count, recent, candidates)


def choose(wanted: SayRequest, screen: Screen, say: Say, draw: Callable[[], int]) -> SayReply:
    """Drive the choosing with a voice that says all at once; a text's score is its length."""
    going = choosing(wanted, screen, draw)
    said: list[Said] | None = None
    while True:
        try:
            seeds = next(going) if said is None else going.send(said)
        except StopIteration as end:
            reply: SayReply = end.value
            return reply
        said = [(text, float(len(text))) for text in say(seeds)]


def voice(good: Callable[[int], bool]) -> Say:
    """Says a text of its own for each seed that is good, and the real tweet for the others."""
    return lambda seeds: [f"text number {seed} of mine" if good(seed) else REAL for seed in seeds]


def never() -> int:
    raise AssertionError("no seed was to be drawn")


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5), st.integers(1, 8), st.integers(2, 5))
def test_a_reported_seed_gives_the_same_text_again(wanted: list[int], candidates: int, one_in: int) -> None:
    say = voice(lambda seed: seed % one_in == 0)
    try:
        reply = choose(request(tuple(wanted), len(wanted), candidates=candidates), SCREEN, say, never)
    except GenerationError:
        return
    assert len({post.text for post in reply.posts}) == len(wanted)
    for post in reply.posts:
        again = choose(request((post.seed,)), SCREEN, say, never).posts[0]
        assert (again.text, again.seed, again.tried) == (post.text, post.seed, ())


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5, unique=True))
def test_the_batch_size_changes_nothing(wanted: list[int]) -> None:
    say = voice(lambda seed: seed % 3 == 0)
    results = []
    for candidates in (1, 4, 32):
        try:
            results.append(str(choose(request(tuple(wanted), len(wanted), candidates=candidates), SCREEN, say, never)))
        except GenerationError as error:
            results.append(str(error))
    assert len(set(results)) == 1


def test_what_was_dropped_is_told_in_order() -> None:
    good = candidate_seed(7, 2)
    post = choose(request((7,)), SCREEN, voice(lambda seed: seed == good), never).posts[0]
    assert post.seed == good
    assert [(t.seed, t.text, t.reason) for t in post.tried] == [(7, REAL, "copy"), (candidate_seed(7, 1), REAL, "copy")]


def test_the_same_seed_twice_gives_two_texts() -> None:
    posts = choose(request((3, 3), 2), SCREEN, voice(lambda _: True), never).posts
    assert posts[0].text != posts[1].text
    assert posts[1].tried[0].reason == "repeat"


def test_a_text_with_a_blocked_word_is_dropped() -> None:
    screen, good = Screen([REAL], blocked=("Teapot",)), candidate_seed(7, 1)
    post = choose(request((7,)), screen, lambda seeds: ["a cup" if seed == good else "a teapot, again" for seed in seeds], never).posts[0]
    assert (post.text, post.seed) == ("a cup", good)
    assert [(t.seed, t.text, t.reason) for t in post.tried] == [(7, "a teapot, again", "blocked")]
    with pytest.raises(GenerationError, match=r"None of 32 texts could be used \(32 with a blocked word\)"):
        choose(request((7,)), screen, lambda seeds: ["a teapot, again" for _ in seeds], never)


def test_recent_posts_are_not_said_again() -> None:
    seeds = iter([5])
    post = choose(request(None, candidates=1, recent=("text number 5 of mine",)), SCREEN, voice(lambda _: True), lambda: next(seeds)).posts[
        0
    ]
    assert post.seed == candidate_seed(5, 1)


def test_the_prompt_may_name_anybody() -> None:
    good = SayRequest("model", "nano", "Dear @mole,", (5,), 1)
    assert choose(good, SCREEN, lambda seeds: ["Dear @mole, it rains" for _ in seeds], never).posts[0].tried == ()
    post = choose(
        request((5,)), SCREEN, lambda seeds: ["Dear @mole, it rains" if seed == 5 else "Dear all" for seed in seeds], never
    ).posts[0]
    assert (post.text, [tried.reason for tried in post.tried]) == ("Dear all", ["stranger"])


def test_a_poor_text_is_better_than_none() -> None:
    def say(seeds: Sequence[int]) -> list[str]:
        return [REAL if n % 2 else f"So so, {seed} said the eel" for n, seed in enumerate(seeds)]

    asked = choose(request((1,)), SCREEN, say, never).posts[0]
    assert (asked.text, asked.seed) == ("So so, 1 said the eel", 1), "the first"
    assert [tried.reason for tried in asked.tried] == ["copy", *["circle", "copy"] * 15]
    free = choose(request(None, 2), SCREEN, say, iter([1, 2]).__next__).posts
    assert len({post.text for post in free}) == 2
    with pytest.raises(GenerationError, match="32 going round in circles"):
        choose(request((1, 1), 2), SCREEN, lambda seeds: ["So so said the eel" for _ in seeds], never)


def test_without_a_usable_text_the_numbers_are_told() -> None:
    asked: list[int] = []

    def say(seeds: Sequence[int]) -> list[str]:
        asked.extend(seeds)
        return [REAL if n % 2 else "x " * 200 for n in range(len(seeds))]

    with pytest.raises(GenerationError, match=r"None of 32 texts could be used .*16 too close to a real tweet"):
        choose(request((1,)), SCREEN, say, never)
    assert len(asked) == len(set(asked)) == TRIES


def test_without_a_seed_the_best_of_what_passes_is_taken() -> None:
    texts = {
        candidate_seed(5, 0): "a short one",
        candidate_seed(5, 1): REAL,
        candidate_seed(5, 2): "quite a bit longer",
        candidate_seed(5, 3): "longer",
    }
    post = choose(request(None), SCREEN, lambda seeds: [texts[seed] for seed in seeds], lambda: 5).posts[0]
    assert (post.text, post.seed, post.score) == ("quite a bit longer", candidate_seed(5, 2), 18.0)
    assert [t.reason for t in post.tried] == ["copy"], "those that were ranked lower were not dropped"
    assert choose(request((5,)), SCREEN, lambda seeds: [texts[seed] for seed in seeds], never).posts[0].text == "a short one"


def test_a_text_that_runs_on_is_posted_as_far_as_it_is_whole() -> None:
    text = f"It rains on the old tram, says the eel. {'And it goes on, ' * 30}"
    for wanted in (request((5,)), request(None)):
        post = choose(wanted, SCREEN, lambda seeds: [text for _ in seeds], lambda: 5).posts[0]
        assert (post.text, post.seed, post.tried) == ("It rains on the old tram, says the eel.", 5, ())


def test_where_every_text_is_flawed_the_mildest_flaw_is_taken() -> None:
    texts = ["So so, said the longest of all the eels", "Hello again @mole, said the very longest of all the eels", "Rain after rain"]
    for wanted in (request((5,)), request(None)):
        post = choose(wanted, SCREEN, lambda seeds: [texts[n % 3] for n, _ in enumerate(seeds)], lambda: 5).posts[0]
        assert post.text == "Rain after rain"
