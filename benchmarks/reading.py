"""An X archive of 1 GB of tweets, made by multiplying the sample character's: what reading it takes, in time and in memory.

Mynah does all that the worker does before it trains: it counts, cleans, keeps the newest, finds the language, and writes every tweet to the
corpus. The rival does what scripts for such archives do: it parses each part whole and keeps the texts, no more.
"""

import argparse
import json
import time
import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from benchmarks.child import Job, Turn, Work, ask_once
from benchmarks.line import Line, Row, machine, ratio, show, tell
from benchmarks.material import place
from bot import sample
from bot.tweets.files import read_source

OURS, JSON = "Mynah", "json, a part at a time"
_PART_TWEETS = 60_000
"""In one file of the archive, which is then some 100 MB, as X makes them."""
_TWEET_BYTES = 1_800


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it."""
    with place(__doc__, arguments, _add) as here:
        count = 500 if here.tiny else here.options.megabytes * 1_000_000 // _TWEET_BYTES
        archive = here.work / "archive.zip"
        tell(f"making an archive of {count:,} tweets")
        _make(archive, count)
        rows = {}
        contestants: dict[str, Work] = {OURS: ours, JSON: plain}
        for who, work in contestants.items():
            answer = ask_once(who, work, {"archive": str(archive), "corpus": str(here.work / "corpus.jsonl")}, fork=here.tiny)
            if answer["tweets"] != count:
                raise SystemExit(f"{who} counted {answer['tweets']:,} of {count:,} tweets.")
            rows[who] = Row.model_validate({"who": who, **answer})
            tell(f"{who}: {answer}")
        memory = ratio(rows[JSON].peak_rss_mb, rows[OURS].peak_rss_mb)
        note = f"{archive.stat().st_size / 1e6:,.0f} MB packed, {count:,} tweets, no text twice."
        show(
            Line(
                benchmark="reading",
                machine=machine(1),
                rows=list(rows.values()),
                ratios={"peak memory: Mynah / json": memory} if memory else {},
                notes=[*here.notes, note],
            )
        )


def ours(turn: Turn, job: Job) -> None:
    """The worker's way."""
    from bot.executor.contract import SpecSource, TrainSpec
    from bot.executor.material import MaterialReader

    for _ in turn.requests():
        started = time.monotonic()
        source = SpecSource("someone", job["archive"], "archive.zip", "own")
        spec = TrainSpec(1, 1, "someone", (source,), "nano", "nano", seed=1)
        with Path(job["corpus"]).open("w", encoding="utf-8") as corpus:
            material = MaterialReader(spec, corpus, lambda _: None).read()
        turn.end(seconds=round(time.monotonic() - started, 1), tweets=material.counts.downloaded)


def plain(turn: Turn, job: Job) -> None:
    """A script's way."""
    for _ in turn.requests():
        started = time.monotonic()
        texts = []
        with zipfile.ZipFile(job["archive"]) as archive:
            for name in archive.namelist():
                if name.startswith("data/tweets"):
                    text = archive.read(name).decode()
                    texts += [item["tweet"]["full_text"] for item in json.loads(text[text.index("=") + 1 :])]
        turn.end(seconds=round(time.monotonic() - started, 1), tweets=len(texts))


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--megabytes", type=int, default=1000, help="of tweets, unpacked")


def _make(path: Path, count: int) -> None:
    """The archive, part by part."""
    numbered = _numbered()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for part, begin in enumerate(range(0, count, _PART_TWEETS)):
            tweets = islice(numbered, min(_PART_TWEETS, count - begin))
            with archive.open(f"data/tweets-part{part}.js" if part else "data/tweets.js", "w") as file:
                file.write(f"window.YTD.tweets.part{part} = [ ".encode())
                for number, tweet in enumerate(tweets):
                    file.write((", " if number else "").encode() + json.dumps({"tweet": tweet}, indent=2).encode())
                file.write(b" ]")


def _numbered() -> Iterator[dict[str, object]]:
    """The sample's tweets again and again, each time with another number before them, newest first, with all that X says of each."""
    texts = [tweet.text for tweet in read_source(sample.ARCHIVE)[1]]
    newest = datetime(2025, 1, 1, tzinfo=UTC)
    mention = {"name": "Somebody", "screen_name": "somebody", "indices": ["3", "12"], "id_str": "1", "id": "1"}
    url = {"url": "https://t.co/aaaaaaaaaa", "expanded_url": "https://example.test/some/page/of/news", "indices": ["90", "113"]}
    number = 0
    while True:
        for text in texts:
            number += 1
            identity = str(2_000_000_000_000_000_000 - number)
            yield {
                "edit_info": {"initial": {"editTweetIds": [identity], "editsRemaining": "5", "isEditEligible": True}},
                "retweeted": False,
                "source": '<a href="https://example.test" rel="nofollow">Somewhere</a>',
                "entities": {"hashtags": [], "symbols": [], "user_mentions": [mention] * 3, "urls": [url] * 2},
                "display_text_range": ["0", "280"],
                "id_str": identity,
                "id": identity,
                "created_at": f"{newest - timedelta(minutes=number):%a %b %d %H:%M:%S +0000 %Y}",
                "full_text": f"{number} {text}",
                "lang": "en",
            }


if __name__ == "__main__":
    main()
