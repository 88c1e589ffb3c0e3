"""Run the benchmarks, keep the newest line of each, and show them in docs/performance.md: tables and a chart.

python -m benchmarks.report                       all of them
python -m benchmarks.report training cold_start   some
python -m benchmarks.report --render              none: only write the page again from what is kept
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.line import Line, Row, tell
from benchmarks.tables import ratio_table, row_tables

BENCHMARKS = ("training", "generation", "registry", "while_training", "cold_start", "reading", "latency")
_ROOT = Path(__file__).parents[1]
RESULTS = _ROOT / "benchmarks" / "results"
PAGE = _ROOT / "docs" / "performance.md"
CHART = "performance.svg"
BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"
_SKELETON = f"""# Performance

How fast Mynah trains and speaks beside its peers, how well, and how its recipe was chosen.

## Benchmarks

{BEGIN}
{END}

## The recipe, found by search

<!-- sweep:begin -->
<!-- sweep:end -->
"""
_HOW = """The newest run of `make bench`, which writes this part. Rivals and Mynah ran by turns, each in a process of its own, with all
cores; figures are medians. Only tokens that are no padding count. Held-out losses are all measured by plain transformers in 32 bits, tweet
by tweet, in nats per token. Ratios say how many times better Mynah is, unless their names say otherwise."""
_ON_CHART = (
    r", 1600 tweets: Mynah( fast)? / (huggingtweets .*|PEFT .*), tokens per second$",
    r", 1600 tweets: Mynah( fast)? / .*, to its held-out loss$",
    r"^(gpt2|GPT-2 124M), \d+ texts?( of \d+ characters)?: Mynah / [^,]*$",
    r"^(gpt2|GPT-2 124M): Mynah / [^,]*$",
)
"""Ratios that the chart shows."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, keep, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmarks", nargs="*", metavar="BENCHMARK", help=f"of {', '.join(BENCHMARKS)}; default all")
    parser.add_argument("--gpt2", metavar="FOLDER", help="the real gpt2; without it the same shape with random weights")
    parser.add_argument("--render", action="store_true", help="run nothing")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.benchmarks) - set(BENCHMARKS)):
        parser.error(f"there is no benchmark {', '.join(unknown)}: there are {', '.join(BENCHMARKS)}")
    wanted = [] if options.render else options.benchmarks or BENCHMARKS
    more = ["--gpt2", options.gpt2] if options.gpt2 else []
    for name in wanted:
        tell(f"== {name}")
        run = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *more], stdout=subprocess.PIPE, text=True, check=True)
        print(run.stdout, end="", flush=True)
        keep(Line.model_validate_json(run.stdout), RESULTS)
        render(kept(RESULTS), PAGE)
    render(kept(RESULTS), PAGE)


def keep(line: Line, folder: Path) -> None:
    """Store a line; an older one of the same benchmark is replaced."""
    folder.mkdir(exist_ok=True)
    (folder / f"{line.benchmark}.json").write_text(line.model_dump_json(indent=1, exclude_none=True) + "\n", encoding="utf-8")


def kept(folder: Path) -> list[Line]:
    """The stored lines, in the order in which they are shown."""
    found = (folder / f"{name}.json" for name in BENCHMARKS)
    return [Line.model_validate_json(file.read_bytes()) for file in found if file.is_file()]


def render(lines: Sequence[Line], page: Path) -> None:
    """Write the tables between the marks of the page, which is made where there is none, and the chart beside it."""
    text = page.read_text(encoding="utf-8") if page.is_file() else _SKELETON
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{page} has no place for the benchmarks: put {BEGIN} and {END} into it.")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    shown = [_HOW, f"![How many times faster than its peers Mynah is]({CHART})", *(_section(line) for line in lines)]
    middle = "\n\n".join(shown) if lines else "Not run yet: `make bench` writes this part."
    page.write_text(f"{before}{BEGIN}\n\n{middle}\n\n{END}{after}", encoding="utf-8")
    if lines:
        draw({name: value for line in lines for name, value in line.ratios.items() if _is_on_chart(name)}, page.with_name(CHART))


def draw(ratios: dict[str, float], target: Path) -> None:
    """A bar for each ratio."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "mynah", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10}
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(10, 0.8 + 0.34 * max(1, len(ratios))), layout="constrained")
    names = list(reversed(ratios))
    bars = axes.barh(names, [ratios[name] for name in names], color="#3b6ea5", height=0.7)
    axes.bar_label(bars, fmt=lambda value: f"{value:.1f}×", padding=3)
    axes.axvline(1, color="#888888", linewidth=1)
    axes.set_xlabel("times as fast as the peer; at 1 both are equal")
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, metadata={"Date": None})
    plt.close(figure)


def _is_on_chart(name: str) -> bool:
    return any(re.search(pattern, name) for pattern in _ON_CHART)


def _section(line: Line) -> str:
    found = line.machine
    packages = ", ".join(f"{name} {version}" for name, version in found.packages.items())
    wide = ", ".join(found.isa) or "no wide instructions"
    on = f"On {found.cpu}, {found.cores} cores ({wide}), {found.memory_gb:.0f} GB, {found.threads} threads; {packages}."
    notes: Iterable[str] = (f"- {note}" for note in line.notes)
    parts = [f"### `{line.benchmark}`", on, "\n".join(notes), *row_tables(_by_base(line.rows)), ratio_table(line.ratios)]
    return "\n\n".join(part for part in parts if part)


def _by_base(rows: Sequence[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.base or "", []).append(row)
    return groups


if __name__ == "__main__":
    main()
