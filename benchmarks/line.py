"""The one JSON line that a benchmark prints, and the machine it ran on."""

import importlib.metadata
import importlib.util
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, FiniteFloat

from bot.cores import usable_cores

_ISA = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


class Machine(BaseModel):
    """What a figure depends on, and nothing that names the machine."""

    model_config = ConfigDict(extra="forbid")

    cpu: str
    cores: int
    threads: int
    """Of each contestant."""
    isa: list[str]
    memory_gb: float
    python: str
    packages: dict[str, str]


class Row(BaseModel):
    """What one contestant did. Fields that a benchmark measures besides stand beside these."""

    model_config = ConfigDict(extra="allow")

    who: str
    base: str | None = None
    """The model, and whose weights it has."""
    tokens_per_second: FiniteFloat | None = None
    """Padding is not counted."""
    seconds: FiniteFloat | None = None
    """What a person waits: the benchmark's own docstring says from when to when."""
    heldout_loss: FiniteFloat | None = None
    """Nats per target, by the one scorer (`benchmarks.scoring`)."""
    peak_rss_mb: FiniteFloat | None = None
    saved_bytes: int | None = None


class Line(BaseModel):
    """What a benchmark prints."""

    model_config = ConfigDict(extra="forbid")

    benchmark: str
    machine: Machine
    rows: list[Row]
    ratios: dict[str, FiniteFloat]
    """How many times better than the rival named, but where the name says otherwise."""
    notes: list[str] = []
    """What a reader must know: weights, data, rivals that were left out."""


def machine(threads: int | None = None) -> Machine:
    """This machine."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8") if sys.platform == "linux" else ""
    fields = dict(line.split(":", 1) for line in info.split("\n\n", 1)[0].splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    flags = fields.get("flags", "").split()
    wanted = ("torch", "transformers", "peft", "accelerate", "ctranslate2")
    return Machine(
        cpu=fields.get("model name", platform.processor() or platform.machine()),
        cores=usable_cores(),
        threads=threads or usable_cores(),
        isa=[name for name in _ISA if name in flags],
        memory_gb=round(_memory() / 1e9, 1),
        python=platform.python_version(),
        packages={name: importlib.metadata.version(name) for name in wanted if importlib.util.find_spec(name)},
    )


def show(line: Line) -> None:
    """Print it."""
    print(line.model_dump_json(), flush=True)


def tell(sentence: str) -> None:
    """Say on standard error how far things are: standard output has the line alone."""
    print(sentence, file=sys.stderr, flush=True)


def installed(who: str, package: str, notes: list[str]) -> bool:
    """Whether a rival can run; where not, the line says so."""
    if importlib.util.find_spec(package):
        return True
    notes.append(f"left out: {who}, because {package} is not installed")
    tell(notes[-1])
    return False


def median(values: Sequence[float], digits: int = 4) -> float:
    """The median, rounded."""
    return round(statistics.median(values), digits)


def p99(values: Sequence[float], digits: int = 4) -> float:
    """The value that 99 of 100 stay below, between neighbours by their distance; of few values nearly the largest."""
    if len(values) < 2:
        return round(values[0], digits)
    return round(statistics.quantiles(values, n=100, method="inclusive")[98], digits)


def ratio(top: float | None, bottom: float | None) -> float | None:
    """How many times, where both were measured."""
    return round(top / bottom, 3) if top is not None and bottom else None


def known(ratios: dict[str, float | None]) -> dict[str, float]:
    """Those that could be measured."""
    return {name: value for name, value in ratios.items() if value is not None}


def _memory() -> float:
    import psutil

    size: Any = psutil.virtual_memory().total
    return float(size)
