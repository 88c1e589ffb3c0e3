"""From exec to the first token of a character, as a whole process, by turns. What is on the disk is in the cache of the system already.

`seconds` is the median. CTranslate2 starts from a model converted before, and Mynah from the packed copy of the base that its first start
there has made, once for all characters; what either takes stands in rows of its own. The others start from what they store.
"""

import argparse
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence

from benchmarks import speakers
from benchmarks.characters import adapters, merged
from benchmarks.child import ask_once
from benchmarks.first_token import CONTESTANTS
from benchmarks.line import Line, Row, installed, known, machine, median, ratio, show, tell
from benchmarks.material import BaseFolder, Place, bytes_in, gpt2, nano, place
from bot.executor.process import SPEAKING

TRANSFORMERS, PIPELINE, CTRANSLATE2, OURS = CONTESTANTS
FIRST, CONVERSION = "Mynah, first start, which makes the copy", "CTranslate2, conversion"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it."""
    with place(__doc__, arguments, _add) as here:
        rows: list[Row] = []
        ratios: dict[str, float | None] = {}
        who = [TRANSFORMERS, OURS] if here.tiny else list(CONTESTANTS)
        if CTRANSLATE2 in who and not installed(CTRANSLATE2, "ctranslate2", here.notes):
            who.remove(CTRANSLATE2)
        here.notes.append(f"{OURS} starts from the packed copy of its base, which an earlier start made: see the row of the first start")
        for base in [gpt2(here)] if here.tiny else [gpt2(here), nano(here)]:
            of_base = _rows_on(here, base, who)
            rows += of_base.values()
            own = of_base[OURS].seconds
            ratios |= {f"{base.name}: {OURS} / {name}": ratio(of_base[name].seconds, own) for name in who if name != OURS}
        show(Line(benchmark="cold_start", machine=machine(1 if here.tiny else None), rows=rows, ratios=known(ratios), notes=here.notes))


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=5)


def _rows_on(here: Place, base: BaseFolder, who: list[str]) -> dict[str, Row]:
    adapter = adapters(here, base, 1)[0]
    model, converted = str(merged(here, base, adapter)), str(here.work / f"converted-{base.folder.name}")
    once: dict[str, Row] = {}
    if CTRANSLATE2 in who:
        made = ask_once("the conversion", speakers.convert, {"merged": model, "converted": converted}, fork=here.tiny)
        once[CONVERSION] = Row(who=CONVERSION, base=base.label, conversion_seconds=made["convert_seconds"], peak_rss_mb=made["peak_rss_mb"])
    copies = here.work / f"packed-{base.folder.name}"
    places = {OURS: (str(base.folder), str(adapter), str(copies)), CTRANSLATE2: (model, converted)}
    took: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for turn in range(1 if here.tiny else here.options.runs + 1):
        for name in who:
            timed = _start(name, *places.get(name, (model,)))
            if name == OURS and not turn:
                once[FIRST] = Row(who=FIRST, base=base.label, conversion_seconds=round(timed[0], 2), peak_rss_mb=timed[1])
            if turn or here.tiny:  # the first round brings the files into the cache
                took[name].append(timed)
    if copies.is_dir():
        once[FIRST] = once[FIRST].model_copy(update={"saved_bytes": bytes_in(copies)})
    for name, runs in took.items():
        tell(f"{base.name}, {name}: {median([seconds for seconds, _ in runs])} s")
    return {
        name: Row(
            who=name, base=base.label, seconds=median([s for s, _ in runs]), slowest=max(s for s, _ in runs), runs=len(runs),
            peak_rss_mb=median([mb for _, mb in runs], 1),
        )
        for name, runs in took.items()
    } | once  # fmt: skip


def _start(who: str, *places: str) -> tuple[float, float]:
    """Seconds until the first token, and the most memory the process held."""
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.first_token", who, *places],
        env={**os.environ, **(SPEAKING if who == OURS else {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018  # asked for
        process.stdout.readline()
        seconds = time.monotonic() - began
        memory, errors = process.stdout.read(), process.stderr.read()
    if process.returncode:
        raise SystemExit(f"{who} failed:\n{errors[-2000:]}")
    return seconds, float(memory)


if __name__ == "__main__":
    main()
