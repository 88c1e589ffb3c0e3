"""Training a character: huggingtweets' recipe with the HF Trainer, PEFT with the HF Trainer, and Mynah.

`seconds` is from the start of the contestant, imports included, to the saved model; `tokens_per_second` is of training steps, evaluations
left out. On nano every contestant trains to the end, and the one
scorer gives its held-out loss. On the 124M shape a run of huggingtweets' recipe takes half an hour, so windows are timed by turns and the
whole is extrapolated from them; `--full` runs that too.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from benchmarks import trainers
from benchmarks.child import Child, Job, Work, ask_once, children
from benchmarks.line import Line, Row, installed, known, machine, median, ratio, show, tell
from benchmarks.material import BaseFolder, Place, dataset_file, gpt2, nano, place
from benchmarks.scoring import score

SIZES = (400, 1600, 3200)
WINDOW_SIZE = 1600
HUGGINGTWEETS, MEDIUM, PEFT, OURS, FAST, SHIPPED = (
    "huggingtweets (HF Trainer)",
    "huggingtweets + medium",
    "PEFT LoRA16 (HF Trainer)",
    "Mynah",
    "Mynah fast",
    "Mynah, default epochs",
)
_NO_STOP = {"patience": 10**6}
_SAME_EPOCHS = {"epochs": trainers.EPOCHS}
_CONTESTANTS: dict[str, tuple[Work, Job]] = {
    HUGGINGTWEETS: (trainers.huggingtweets, {}),
    MEDIUM: (trainers.huggingtweets, {"medium": True}),
    PEFT: (trainers.peft_trainer, {}),
    OURS: (trainers.ours, {"overrides": _SAME_EPOCHS}),
    FAST: (trainers.ours, {"overrides": _SAME_EPOCHS, "preset": "fast"}),
    SHIPPED: (trainers.ours, {"overrides": {}}),
}
_WINDOWED = (HUGGINGTWEETS, MEDIUM, PEFT, OURS, FAST)
_TINY_SIZES = (60,)

Answers = dict[str, list[dict[str, Any]]]
"""Contestant → its answers, in order."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it."""
    with place(__doc__, arguments, _add) as here:
        who = [name for name in here.options.only if name != PEFT or installed(PEFT, "peft", here.notes)]
        peak = _matrix_peak(here)
        rows: list[Row] = []
        ratios: dict[str, float | None] = {}
        for name in here.options.bases:
            base = nano(here) if name == "nano" else gpt2(here)
            whole = name == "nano" or here.options.full
            of_base = _full_rows(here, base, who) if whole else _window_rows(here, base, [n for n in who if n in _WINDOWED], peak)
            rows += of_base
            for size in sorted({int(row.model_extra["tweets"]) for row in of_base if row.model_extra}):
                same = {row.who: row for row in of_base if row.model_extra and row.model_extra["tweets"] == size}
                ratios |= _ratios(f"{base.name}, {size} tweets", same)
        here.notes.append(f"bf16 matmul peak: {peak / 1e9:.0f} GFLOP/s")
        show(Line(benchmark="training", machine=machine(1 if here.tiny else None), rows=rows, ratios=known(ratios), notes=here.notes))


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--full", action="store_true", help="train to the end on the 124M base too: hours")
    parser.add_argument("--bases", nargs="+", choices=("nano", "gpt2"), default=["nano", "gpt2"])
    parser.add_argument("--only", nargs="+", choices=tuple(_CONTESTANTS), default=tuple(_CONTESTANTS), metavar="CONTESTANT")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, metavar="TWEETS")
    parser.add_argument("--rounds", type=int, help="repetitions; default 3 of windows, of whole runs 3 at 400 tweets and 1 above")
    parser.add_argument("--window-seconds", type=float, default=20.0, help="of training, for each rate")


def _matrix_peak(here: Place) -> float:
    size = 64 if here.tiny else 4096
    return float(ask_once("the matrix peak", trainers.matrix_peak, {"size": size}, fork=here.tiny)["flops_per_second"])


def _job(here: Place, base: BaseFolder, who: str, size: int, turn: int) -> Job:
    slug = f"{base.name}-{size}-{turn}-{list(_CONTESTANTS).index(who)}".replace(" ", "-")
    dataset = dataset_file(here, 60 if here.tiny else size)
    return {
        "base": str(base.folder), "dataset": str(dataset), "out": str(here.work / slug), "seed": turn, **_CONTESTANTS[who][1],
    }  # fmt: skip


def _full_rows(here: Place, base: BaseFolder, who: list[str]) -> list[Row]:
    rows: list[Row] = []
    for size in _TINY_SIZES if here.tiny else here.options.sizes:
        rounds = here.options.rounds or (3 if size <= SIZES[0] and not here.tiny else 1)
        answers: Answers = defaultdict(list)
        scorer = {"base": str(base.folder), "dataset": str(dataset_file(here, size))}
        with children({"the scorer": (score, scorer)}, fork=here.tiny) as started:
            for turn in range(rounds):
                for name in who:
                    job = _job(here, base, name, size, turn)
                    answer = ask_once(name, _CONTESTANTS[name][0], job, fork=here.tiny)
                    answers[name].append(answer | _score(started["the scorer"], job["out"]))
                    tell(f"{base.name}, {size} tweets, {name}: {answer['seconds']:.0f} s, held out {answers[name][-1]['heldout_loss']}")
            rows.append(Row(who="base, untrained", base=base.label, tweets=size, **_score(started["the scorer"], None)))
        goal = median([a["heldout_loss"] for a in answers[HUGGINGTWEETS]])
        rows += [_full_row(base, size, name, answers[name], goal) for name in who]
    return rows


def _score(scorer: Child, model: str | None) -> dict[str, Any]:
    return {"heldout_loss": scorer.ask(model=model)["heldout_loss"]}


def _full_row(base: BaseFolder, size: int, who: str, answers: list[dict[str, Any]], goal: float) -> Row:
    reached = [_reached(answer["curve"], goal) for answer in answers]
    if who == HUGGINGTWEETS:
        reached = [answer["seconds"] for answer in answers]
    met = [seconds for seconds in reached if seconds is not None]
    middle = {
        name: median([a[name] for a in answers])
        for name in ("tokens_per_second", "seconds", "heldout_loss", "peak_rss_mb", "cpu_seconds", "train_seconds")
    }
    return Row(
        who=who, base=base.label, tweets=size, mode="whole runs", runs=len(answers), saved_bytes=answers[0]["saved_bytes"],
        epochs=answers[0]["epochs"], dtype=answers[0]["dtype"],
        seconds_to_huggingtweets_loss=median(met) if len(met) == len(answers) else None, **middle,
    )  # fmt: skip


def _reached(curve: list[tuple[float, float]], goal: float) -> float | None:
    """Seconds until the contestant's own look at the held-out tweets first saw this loss; None where it looks not, or never saw it."""
    return next((seconds for seconds, loss in curve if loss <= goal), None)


def _window_rows(here: Place, base: BaseFolder, who: list[str], peak: float) -> list[Row]:
    """Rates by turns; the whole of each size is what was set up, its tokens at that rate, and what saving took."""
    jobs = {}
    for name in who:
        job = _job(here, base, name, WINDOW_SIZE, 0) | {"window_s": 0.0 if here.tiny else here.options.window_seconds}
        if "overrides" in job:
            job["overrides"] = job["overrides"] | _NO_STOP
        jobs[name] = (_CONTESTANTS[name][0], job)
    windows: Answers = defaultdict(list)
    with children(jobs, fork=here.tiny) as started:
        for turn in range(here.options.rounds or (2 if here.tiny else 3)):
            for name, child in started.items():
                windows[name].append(child.ask())
                tell(f"{base.name}, round {turn + 1}, {name}: {windows[name][-1]['tokens_per_second']:.0f} tokens/s")
        last = {name: child.ask(finish=True) for name, child in started.items()}
    tokens = _tokens(base, here)
    sizes = _TINY_SIZES if here.tiny else here.options.sizes
    return [_window_row(base, size, name, windows[name], last=last[name], tokens=tokens[size], peak=peak) for size in sizes for name in who]


def _window_row(base: BaseFolder, size: int, who: str, windows: list[dict[str, Any]], *, last: Job, tokens: int, peak: float) -> Row:
    rates = [window["tokens_per_second"] for window in windows]
    rate, flops = median(rates, 2), last.get("flops_per_token")
    loaded = last.get("loaded_seconds", last["setup_seconds"])
    prepared = (last["setup_seconds"] - loaded) * size / WINDOW_SIZE
    trained = tokens * sum(window["seconds"] for window in windows) / sum(window["tokens"] for window in windows)
    return Row(
        who=who, base=base.label, tweets=size, mode="windows", extrapolated=True, tokens_per_second=rate, slowest=min(rates),
        fastest=max(rates), seconds=round(loaded + prepared + trained + last["save_seconds"], 1), peak_rss_mb=last["peak_rss_mb"],
        cpu_seconds=last["cpu_seconds"], saved_bytes=last["saved_bytes"], epochs=last["epochs"], dtype=last["dtype"],
        mflop_per_token=round(flops / 1e6, 1) if flops else None, share_of_bf16_peak=ratio(rate * flops, peak) if flops else None,
    )  # fmt: skip


def _tokens(base: BaseFolder, here: Place) -> dict[int, int]:
    """Tokens that four epochs of each size have, end-of-text included."""
    from tokenizers import Tokenizer

    from bot.tweets.dataset import read_dataset

    tokenizer = Tokenizer.from_file(str(base.folder / "tokenizer.json"))
    found = {}
    for size in _TINY_SIZES if here.tiny else here.options.sizes:
        texts = [tweet.text for tweet in read_dataset(dataset_file(here, size)).train]
        found[size] = trainers.EPOCHS * sum(len(tokenizer.encode(text).ids) + 1 for text in texts)
    return found


def _ratios(prefix: str, rows: dict[str, Row]) -> dict[str, float | None]:
    """How the contestants stand to each other, where both ran."""
    found: dict[str, float | None] = {}
    for own in (OURS, FAST, SHIPPED):
        for rival in (HUGGINGTWEETS, MEDIUM, PEFT):
            if own not in rows or rival not in rows:
                continue
            name = f"{prefix}: {own} / {rival}"
            found[f"{name}, tokens per second"] = ratio(rows[own].tokens_per_second, rows[rival].tokens_per_second)
            found[f"{name}, end to end"] = ratio(rows[rival].seconds, rows[own].seconds)
        if own in rows:
            more = rows[own].model_extra or {}
            reached, share = more.get("seconds_to_huggingtweets_loss"), more.get("share_of_bf16_peak")
            found[f"{prefix}: {own} / {HUGGINGTWEETS}, to its held-out loss"] = ratio(rows[HUGGINGTWEETS].seconds, reached)
            found[f"{prefix}: {own}, share of the bf16 matmul peak"] = share
    return found


if __name__ == "__main__":
    main()
