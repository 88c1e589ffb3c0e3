"""What characters say beside what their people wrote, counted from outside: the table of docs/performance.md, "What characters write".

`python -m scripts.listen nasa=MODEL_FOLDER …` lets each character say a thousand posts as `/say` does (five at a time, the best of four
candidates each, the newest thousand not again) and prints one line of a Markdown table for each, numbers only. `--texts FOLDER` keeps the
posts for reading. The characters named are each other's rivals before the classifier.

Copies and flaws are found by code that shares nothing with the screen, since it is there to check on it.
"""

import argparse
import json
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import regex

AT_ONCE, NOT_AGAIN = 5, 1000
"""Posts of a request, and earlier posts that are not said again: those of `/say`."""
RUN, SHARE, SAME = 8, 0.6, 0.8
"""Words in a row, and shares of the words, that make a copy of a tweet, and a repeat of an earlier post."""
JUDGED = 200
"""Posts that the classifier is asked about."""
_UNIT = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}]|[\w--[\p{Han}\p{Hiragana}\p{Katakana}]]+", regex.V1)
_NAMED = regex.compile(r"(?<!\w)@\w+")
_END = regex.compile(r"[.!?…。！？][^\p{L}\p{N}]*\Z")

Gram = tuple[str, ...]

COUNTED: dict[str, Callable[[str], bool]] = {
    "open": lambda text: text.count('"') % 2 == 1 or text.count("(") > text.count(")") or text.count("「") != text.count("」"),
    "circles": lambda text: regex.search(r"\b(\p{L}+)\W+\1\b", text, regex.I) is not None or _again(units(text)),
    "link": lambda text: regex.search(r"(?i)https?:|t\.co/|www\.", text) is not None,
    "entity": lambda text: regex.search(r"&#?\w+;", text) is not None,
    "end": lambda text: _END.search(text) is not None,
    "#": lambda text: regex.search(r"(?<!\w)#\w", text) is not None,
    "@": lambda text: _NAMED.search(text) is not None,
    "emoji": lambda text: regex.search(r"\p{Emoji_Presentation}", text) is not None,
}
COLUMNS = ("posts", "copies", "repeats", "stranger", *COUNTED, "length", "distinct-2", "author")


@dataclass(frozen=True)
class Account:
    """A character, and what its person wrote."""

    name: str
    folder: Path
    taught: list[str]
    heldout: list[str]

    @property
    def tweets(self) -> list[str]:
        return [*self.taught, *self.heldout]


def units(text: str) -> list[str]:
    """Words without marks and case; letters of Chinese and Japanese."""
    return _UNIT.findall(unicodedata.normalize("NFKC", text).casefold())


def copies(texts: Sequence[str], tweets: Sequence[str]) -> list[str]:
    """Those of the texts that copy one of the tweets."""
    runs = {run for tweet in tweets for run in _grams(units(tweet), RUN)}
    wholes = [f" {' '.join(units(tweet))} " for tweet in tweets]
    grams = [_grams(units(tweet), 3) for tweet in tweets]
    return [text for text in texts if _is_copy(units(text), runs, wholes, grams)]


def repeats(texts: Sequence[str]) -> int:
    """How many texts say what one before them says."""
    grams = [_grams(units(text), 3) for text in texts]
    return sum(_most_shared(units(text), grams[:at]) >= SAME for at, text in enumerate(texts))


def strangers(texts: Sequence[str], tweets: Sequence[str]) -> int:
    """How many texts name an account that no tweet names."""
    known = {name.casefold() for tweet in tweets for name in _NAMED.findall(tweet)}
    return sum(any(name.casefold() not in known for name in _NAMED.findall(text)) for text in texts)


def _is_copy(words: list[str], runs: set[Gram], wholes: Sequence[str], grams: Sequence[set[Gram]]) -> bool:
    if len(words) < RUN and any(f" {' '.join(words)} " in whole for whole in wholes):
        return True
    return not _grams(words, RUN).isdisjoint(runs) or _most_shared(words, grams) >= SHARE


def _most_shared(words: list[str], grams: Sequence[set[Gram]]) -> float:
    """The largest share of the words that stands in runs of three which one text has too."""
    mine = _grams(words, 3)
    return max((_covered(words, known) for known in grams if not known.isdisjoint(mine)), default=0.0)


def _covered(words: list[str], known: set[Gram]) -> float:
    starts = [at for at in range(len(words) - 2) if tuple(words[at : at + 3]) in known]
    return len({at + n for at in starts for n in range(3)}) / len(words)


def _grams(words: Sequence[str], length: int) -> set[Gram]:
    return {tuple(words[at : at + length]) for at in range(len(words) - length + 1)}


def _again(words: Sequence[str]) -> bool:
    """Whether six words, or twelve letters of Chinese or Japanese, stand there twice."""
    length = 12 if words and regex.search(r"[\p{Hiragana}\p{Katakana}]", "".join(words)) else 6
    return len(_grams(words, length)) < len(words) - length + 1


def said(account: Account, count: int) -> Iterator[str]:
    """Posts as `/say` would put into a channel, one request after another."""
    from bot.executor.generation_worker import Bases, Worker
    from bot.executor.saying import Answer, Question, SayRequest
    from bot.lm.loading import load_speaker

    answers: list[Answer] = []
    recent: list[str] = []
    with tempfile.TemporaryDirectory() as copies:
        worker = Worker(Bases(idle_s=3600, load=lambda base: load_speaker(base, Path(copies))), answers.append)
        for number in range(count // AT_ONCE):
            request = SayRequest(str(account.folder), "nano", "", seeds=None, count=AT_ONCE, recent=tuple(recent[:NOT_AGAIN]))
            worker.ask(Question(number, request))
            while worker.busy:
                worker.step()
            reply = answers.pop().reply
            posts = [post.text for post in reply.posts] if reply else []
            recent = [*posts, *recent]
            yield from posts


def figures(account: Account, posts: Sequence[str], rivals: Sequence[Account]) -> list[str]:
    """One cell for each of the columns: of the posts, and after a slash of real tweets."""
    from bot.lm.author import contest, spread
    from bot.lm.evaluation import distinct_pairs

    found = contest(account.taught, [rival.taught for rival in rivals], real=account.heldout, generated=spread(posts, JUDGED))
    real = spread(account.tweets, len(posts))
    pairs = min(sum(max(0, len(units(text)) - 1) for text in texts) for texts in (posts, real))
    return [
        str(len(posts)),
        str(len(copies(posts, account.tweets))),
        str(repeats(posts)),
        f"{strangers(posts, account.tweets)} / {strangers(account.heldout, account.taught) / len(account.heldout):.0%}",
        *(f"{_share(posts, is_so)} / {_share(account.tweets, is_so)}" for is_so in COUNTED.values()),
        f"{median(map(len, posts)):.0f} / {median(map(len, account.tweets)):.0f}",
        f"{distinct_pairs(posts, pairs):.2f} / {distinct_pairs(real, pairs):.2f}",
        f"{found.generated:.0%} / {found.real:.0%} = {found.generated / found.real:.2f}" if found else "",
    ]


def _share(texts: Sequence[str], is_so: Callable[[str], bool]) -> str:
    return f"{sum(map(is_so, texts)) / len(texts):.1%}"


def read(named: Sequence[str]) -> list[Account]:
    """The characters of `NAME=FOLDER`."""
    from bot.executor.files import DATASET
    from bot.tweets.dataset import read_dataset

    accounts = []
    for one in named:
        name, folder = one.split("=", 1)
        dataset = read_dataset(Path(folder) / DATASET)
        accounts.append(Account(name, Path(folder), *([kept.text for kept in side] for side in (dataset.train, dataset.heldout))))
    return accounts


def main() -> None:
    """Let them speak, and print the table."""
    parser = argparse.ArgumentParser(description="Count what characters say beside what their people wrote.")
    parser.add_argument("characters", nargs="+", metavar="NAME=FOLDER", help="models trained on nano")
    parser.add_argument("--posts", type=int, default=1000)
    parser.add_argument("--texts", type=Path, help="folder that keeps the posts; those that lie there are counted again")
    options = parser.parse_args()
    accounts = read(options.characters)
    print(f"| character | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}")
    for account in accounts:
        kept = options.texts / f"{account.name}.json" if options.texts else None
        posts = json.loads(kept.read_text("utf-8")) if kept and kept.exists() else list(said(account, options.posts))
        if kept:
            kept.write_text(json.dumps(posts, ensure_ascii=False), "utf-8")
        print(f"| {account.name} | {' | '.join(figures(account, posts, [a for a in accounts if a is not account]))} |", flush=True)


if __name__ == "__main__":
    main()
