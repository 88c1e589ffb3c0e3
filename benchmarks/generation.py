"""Speaking: the transformers pipeline, `generate`, PEFT with mixed batches, CTranslate2 and Mynah.

`seconds` is the median of one call, `p99_seconds` its 99th of 100 (of few calls nearly the slowest). On the 124M shape every text is forced
to 60 tokens; on nano a taught character ends its texts by itself. Mynah's adapters are on and unmerged; the rivals but PEFT get a whole
model of the one character, which a bot would need for each. Contestants take turns, and a turn is one call that is not timed and then
some that are, as many for everybody: each is measured as a server in use, and not as one that has slept while the others spoke.
"""

import argparse
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import speakers
from benchmarks.characters import adapters, merged, trained
from benchmarks.child import Job, Work, ask_once, children
from benchmarks.line import Line, Row, installed, known, machine, median, p99, ratio, show, tell
from benchmarks.material import BaseFolder, Place, gpt2, nano, place
from bot.cores import usable_cores

PIPELINE, GENERATE, PEFT, CTRANSLATE2, OURS = (
    "transformers pipeline",
    "transformers generate",
    "PEFT mixed batch",
    "CTranslate2 int8",
    "Mynah",
)
_WORK: dict[str, Work] = {
    PIPELINE: speakers.pipeline,
    GENERATE: speakers.generate,
    PEFT: speakers.peft_mixed,
    CTRANSLATE2: speakers.ctranslate2,
    OURS: speakers.ours,
}


@dataclass(frozen=True)
class Workload:
    """What is asked for in one call."""

    rows: int
    characters: int
    forced: bool
    calls: int
    """By default."""
    who: tuple[str, ...]

    @property
    def name(self) -> str:
        """For tables."""
        texts = "1 text" if self.rows == 1 else f"{self.rows} texts"
        return f"{texts} of {self.characters} characters" if self.characters > 1 else texts


_ALONE = (PIPELINE, GENERATE, CTRANSLATE2, OURS)
_FORCED = (
    Workload(1, 1, forced=True, calls=20, who=_ALONE),
    Workload(5, 1, forced=True, calls=15, who=_ALONE),
    Workload(16, 16, forced=True, calls=8, who=(PEFT, OURS)),
)
_STOPPING = (Workload(1, 1, forced=False, calls=60, who=_ALONE), Workload(5, 1, forced=False, calls=60, who=_ALONE))
_TOKENS = 60
_TURN = 5
"""Timed calls in a turn, at most."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it."""
    with place(__doc__, arguments, _add) as here:
        packages = {PEFT: "peft", CTRANSLATE2: "ctranslate2"}
        able = [name for name in _WORK if name not in packages or installed(name, packages[name], here.notes)]
        rows = []
        for base, workloads in ((gpt2(here), _FORCED), (nano(here), _STOPPING)):
            rows += _rows_on(here, base, workloads, [name for name in able if name in here.options.only])
        show(Line(benchmark="generation", machine=machine(_threads(here)), rows=rows, ratios=known(_ratios(rows)), notes=here.notes))


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=float, default=1.0, metavar="TIMES", help="so many times the usual number of calls")
    parser.add_argument("--only", nargs="+", choices=tuple(_WORK), default=tuple(_WORK), metavar="CONTESTANT")


def _threads(here: Place) -> int:
    return 1 if here.tiny else usable_cores()


def _rows_on(here: Place, base: BaseFolder, workloads: Sequence[Workload], able: list[str]) -> list[Row]:
    folders = adapters(here, base, 16) if any(w.characters > 1 for w in workloads) else [trained(here, base)]
    job: Job = {
        "base": str(base.folder), "adapters": [str(folder) for folder in folders], "threads": _threads(here),
        "copies": str(here.work / f"packed-{base.folder.name}"),
        "merged": str(merged(here, base, folders[0])), "converted": str(here.work / f"converted-{base.folder.name}"),
    }  # fmt: skip
    converted = ask_once("the conversion", speakers.convert, job, fork=here.tiny) if CTRANSLATE2 in able else {}
    answers: dict[tuple[Workload, str], list[dict[str, Any]]] = defaultdict(list)
    peaks: dict[str, float] = {}
    with children({name: (_WORK[name], job) for name in able if any(name in w.who for w in workloads)}, fork=here.tiny) as started:
        for workload in workloads:
            who = [name for name in workload.who if name in started]
            calls = 1 if here.tiny else max(1, round(workload.calls * here.options.calls))
            turns = math.ceil(calls / _TURN)
            request = {"rows": workload.rows, "characters": workload.characters, "forced": workload.forced}
            for _ in range(turns):
                for name in who:
                    answer = started[name].ask(calls=math.ceil(calls / turns), tokens=4 if here.tiny else _TOKENS, **request)
                    answers[workload, name] += answer["calls"]
                    peaks[name] = answer["peak_rss_mb"]
            for name in who:
                tell(f"{base.name}, {workload.name}, {name}: {median([a['seconds'] for a in answers[workload, name]])} s")
    took = converted.get("convert_seconds")
    return [_row(base, load, who, calls, peak_rss_mb=peaks[who], convert_seconds=took) for (load, who), calls in answers.items()]


def _row(
    base: BaseFolder, workload: Workload, who: str, answers: list[dict[str, Any]], *, peak_rss_mb: float, convert_seconds: float | None
) -> Row:
    took = [answer["seconds"] for answer in answers]
    tokens = sum(answer["tokens"] for answer in answers)
    return Row(
        who=who, base=base.label, workload=workload.name, forced=workload.forced, calls=len(answers), seconds=median(took),
        p99_seconds=p99(took), tokens_per_second=round(tokens / sum(took), 2), tokens_per_call=round(tokens / len(answers), 1),
        ms_per_token=median([1000 * a["seconds"] / max(a["tokens"], 1) for a in answers]), peak_rss_mb=peak_rss_mb,
        convert_seconds=convert_seconds if who == CTRANSLATE2 else None,
    )  # fmt: skip


def _ratios(rows: list[Row]) -> dict[str, float | None]:
    """Mynah beside each rival: seconds of forced calls, and milliseconds for each token where texts end by themselves."""
    found: dict[str, float | None] = {}
    cells = {(str(row.base), str(more["workload"]), row.who): (row, more) for row in rows if (more := row.model_extra)}
    for (base, workload, who), (row, more) in cells.items():
        if who == OURS or (base, workload, OURS) not in cells:
            continue
        own, own_more = cells[base, workload, OURS]
        name = f"{base.split(' (')[0]}, {workload}: {OURS} / {who}"
        if more["forced"]:
            found[name] = ratio(row.seconds, own.seconds)
            found[f"{name}, p99"] = ratio(more["p99_seconds"], own_more["p99_seconds"])
        else:
            found[f"{name}, time per token"] = ratio(more["ms_per_token"], own_more["ms_per_token"])
    return found


if __name__ == "__main__":
    main()
