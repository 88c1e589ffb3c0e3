"""Each benchmark runs on a toy and prints one line of the promised form, and the page shows it. What the figures are is not looked at."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.line import Line, Machine, Row, p99
from benchmarks.report import BEGIN, CHART, END, keep, kept, render
from benchmarks.trainers import EPOCHS, shuffled_blocks

ROOT = Path(__file__).parents[1]
SOME = {
    "training": ["--bases", "gpt2", "--only", "huggingtweets (HF Trainer)", "Mynah"],
    "generation": ["--only", "transformers generate", "CTranslate2 int8", "Mynah"],
}
MACHINE = Machine(cpu="a processor", cores=2, threads=2, isa=["avx2"], memory_gb=8, python="3.11.9", packages={"torch": "2"})


def run(benchmark: str, *arguments: str) -> Line:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", f"benchmarks.{benchmark}", "--tiny", *arguments]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("\n") == 1, "a benchmark prints one line"
    return Line.model_validate_json(ended.stdout)


@pytest.mark.parametrize("benchmark", ["training", "generation", "registry", "while_training", "cold_start", "reading", "latency"])
def test_benchmark_prints_its_line_and_the_page_shows_it(benchmark: str, tmp_path: Path) -> None:
    if benchmark == "training":
        pytest.importorskip("accelerate", reason="the HF Trainer needs accelerate")
    line = run(benchmark, *SOME.get(benchmark, []))
    assert line.benchmark == benchmark
    assert line.rows
    assert line.ratios or not importlib.util.find_spec("peft")
    keep(line, tmp_path / "results")
    render(kept(tmp_path / "results"), tmp_path / "performance.md")
    page = (tmp_path / "performance.md").read_text(encoding="utf-8")
    assert all(f"| {row.who} |" in page for row in line.rows)
    assert all(name in page for name in line.ratios)


def test_whole_runs_are_scored_by_one_scorer() -> None:
    pytest.importorskip("accelerate", reason="the HF Trainer needs accelerate")
    pytest.importorskip("peft", reason="the scorer reads adapters with PEFT")
    line = run("training", "--bases", "nano", "--only", "huggingtweets (HF Trainer)", "Mynah fast")
    losses = {row.who: row.heldout_loss for row in line.rows}
    untrained = losses.pop("base, untrained")
    assert untrained is not None
    assert len(losses) == 2
    assert all(loss is not None and loss < untrained for loss in losses.values())


def test_page_keeps_what_others_wrote_and_shows_the_newest_run_only(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the chart is drawn with matplotlib")
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    ratios = {"GPT-2 124M, 1 text: Mynah / transformers pipeline": 6.5}
    for tokens in (111.0, 222.0):
        rows = [Row(who="Mynah", base="nano", tokens_per_second=tokens)]
        keep(Line(benchmark="generation", machine=MACHINE, rows=rows, ratios=ratios), tmp_path / "results")
    render(kept(tmp_path / "results"), page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "111" not in text
    assert "222" in text
    assert "6.50 | ≥ 6 |" in text
    assert "Mynah / transformers pipeline" in (tmp_path / CHART).read_text(encoding="utf-8")


def test_page_without_a_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "performance.md").write_text("nothing\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="no place"):
        render([], tmp_path / "performance.md")


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=12), min_size=1, max_size=20), st.integers(1, 16), st.integers())
def test_blocks_are_the_shuffled_epochs_without_the_last_part(tweets: list[list[int]], block: int, seed: int) -> None:
    blocks = shuffled_blocks(tweets, 0, block, seed)
    stream = [token for one in blocks for token in one]
    whole = 1 + EPOCHS * sum(len(tweet) + 1 for tweet in tweets)
    assert all(len(one) == block for one in blocks)
    assert len(stream) == whole // block * block
    assert stream[:1] in ([], [0])
    assert stream.count(0) <= 1 + EPOCHS * len(tweets)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200))
def test_p99_lies_among_the_values(values: list[float]) -> None:
    assert min(values) - 1e-3 <= p99(values) <= max(values) + 1e-3
