"""Many characters on one base: what each costs on the disk and in memory, and how long it takes to load one and to change to another.

Mynah with 10, 100 and 1,000 characters, PEFT with 10 and 64, both on the 124M shape and without the time of computing any token. Memory is
that which the process holds more with all characters loaded than with none, shared among them. A switch goes to a character that is loaded
already, in random order.
"""

import argparse
import random
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.characters import adapters
from benchmarks.child import Job, Turn, Work, ask_once, paced
from benchmarks.line import Line, Row, installed, known, machine, median, p99, ratio, show, tell
from benchmarks.material import BaseFolder, Place, bytes_in, gpt2, place
from bot.executor.process import SPEAKING

PEFT, OURS = "PEFT", "Mynah"
_COUNTS = {OURS: (10, 100, 1000), PEFT: (10, 64)}
_TINY_COUNTS = {OURS: (2, 3), PEFT: (2,)}
_MADE = 16
"""Characters with numbers of their own; the others are copies of them, each a file of its own."""
_SWITCHES = 500
_PEFT_SWITCHES = 60


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it."""
    with place(__doc__, arguments, _add) as here:
        base = gpt2(here)
        counts = _TINY_COUNTS if here.tiny else {OURS: tuple(here.options.counts), PEFT: _COUNTS[PEFT]}
        work: dict[str, Work] = {OURS: ours, **({PEFT: peft} if installed(PEFT, "peft", here.notes) else {})}
        folders = _folders(here, base, max(max(counts[who]) for who in work))
        rows = []
        for who, contestant in work.items():
            for count in counts[who]:
                job = {
                    "base": str(base.folder),
                    "copies": str(here.work / "packed"),
                    "folders": [str(folder) for folder in folders[:count]],
                }
                answer = ask_once(f"{who} with {count} characters", contestant, job, fork=here.tiny)
                rows.append(_row(base, who, count, answer, bytes_in(folders[0], ".safetensors")))
                tell(f"{who}, {count} characters: {rows[-1].model_extra}")
        ratios = known(_ratios(rows))
        show(Line(benchmark="registry", machine=machine(1 if here.tiny else None), rows=rows, ratios=ratios, notes=here.notes))


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--counts", nargs="+", type=int, default=_COUNTS[OURS], metavar="CHARACTERS", help="of Mynah")


def _folders(here: Place, base: BaseFolder, count: int) -> list[Path]:
    """So many folders with a character in each."""
    made = adapters(here, base, min(count, _MADE))
    free, needed = shutil.disk_usage(here.work).free, bytes_in(made[0]) * count
    if needed > 0.8 * free:
        raise SystemExit(f"{count} characters take {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free: take fewer with --counts.")
    copies = [here.work / "copies" / f"{number:04}" for number in range(len(made), count)]
    for number, folder in enumerate(copies):
        shutil.copytree(made[number % len(made)], folder)
    return [*made, *copies]


def _row(base: BaseFolder, who: str, count: int, answer: dict[str, Any], saved: int) -> Row:
    return Row(
        who=who, base=base.label, characters=count, saved_bytes=saved, peak_rss_mb=answer["peak_rss_mb"],
        rss_per_adapter_mb=round(answer["grown_mb"] / count, 2),
        load_p50_ms=median(answer["load_ms"]), load_p99_ms=p99(answer["load_ms"]),
        switch_p50_ms=median(answer["switch_ms"]), switch_p99_ms=p99(answer["switch_ms"]),
    )  # fmt: skip


def _ratios(rows: list[Row]) -> dict[str, float | None]:
    """Mynah with the most characters beside PEFT with the most."""
    most = {row.who: row.model_extra or {} for row in rows}
    if PEFT not in most:
        return {}
    name = f"{OURS} with {most[OURS]['characters']} / {PEFT} with {most[PEFT]['characters']} characters"
    fields = {"load": "load_p50_ms", "load p99": "load_p99_ms", "switch": "switch_p50_ms", "switch p99": "switch_p99_ms"}
    return {f"{name}, {what}": ratio(most[PEFT][field], most[OURS][field]) for what, field in fields.items()}


def peft(turn: Turn, job: Job) -> None:
    """`load_adapter` and `set_adapter`."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base: Any = AutoModelForCausalLM.from_pretrained(job["base"], dtype=torch.float32)
    turn.begin()
    before, first = rss_mb(), time.perf_counter()
    model: Any = PeftModel.from_pretrained(base, job["folders"][0], adapter_name="0")
    load_ms = [_since(first)]
    for number, folder in enumerate(job["folders"][1:], start=1):
        first = time.perf_counter()
        model.load_adapter(folder, adapter_name=str(number))
        load_ms.append(_since(first))
    grown, chosen, switch_ms = rss_mb() - before, random.Random(1), []
    for _ in range(_PEFT_SWITCHES):
        name, first = str(chosen.randrange(len(load_ms))), time.perf_counter()
        model.set_adapter(name)
        switch_ms.append(_since(first))
    turn.end(load_ms=load_ms, switch_ms=switch_ms, grown_mb=grown)


@paced(SPEAKING)
def ours(turn: Turn, job: Job) -> None:
    """The store and the rows of characters that `Speaker` has. A switch reads all of a character's numbers once, since they are
    multiplied where they lie.
    """
    import numpy as np

    from bot.lm.company import Row
    from bot.lm.loading import resident_of
    from bot.lm.spelling import Pieces
    from bot.lm.voices import Voices

    base = resident_of(job["base"], Path(job["copies"]))
    company = base.company()
    pieces = Pieces(base.tokenizer.pieces(), base.network.shape.vocabulary)
    folders = [Path(folder) for folder in job["folders"]]
    turn.begin()
    voices, before = Voices(base.name, pieces, [base.tokenizer.end], cached=len(folders)), rss_mb()
    load_ms, switch_ms = [], []
    for folder in folders:
        first = time.perf_counter()
        voices.get(folder)
        load_ms.append(_since(first))
    grown, chosen = rss_mb() - before, random.Random(1)
    for _ in range(_SWITCHES):
        folder, first = chosen.choice(folders), time.perf_counter()
        row = Row(voices.get(folder), 0, 0, 0)
        company.join([row])
        company.gather()
        np.bitwise_or.reduce(row.voice.numbers.view(np.uint16))
        switch_ms.append(_since(first))
        company.leave(row)
    turn.end(load_ms=load_ms, switch_ms=switch_ms, grown_mb=grown)


def rss_mb() -> float:
    """The memory that this process holds now."""
    import psutil

    return float(psutil.Process().memory_info().rss / 2**20)


def _since(began: float) -> float:
    """Milliseconds."""
    return 1000 * (time.perf_counter() - began)


if __name__ == "__main__":
    main()
