"""Rows and ratios as Markdown tables."""

import re
from collections.abc import Mapping, Sequence

from benchmarks.line import Row

_COLUMNS = {
    "who": "",
    "tweets": "tweets",
    "workload": "texts",
    "characters": "characters",
    "tokens_per_second": "tokens/s",
    "seconds": "s",
    "p99_seconds": "p99, s",
    "ms_per_token": "ms/token",
    "heldout_loss": "held-out loss",
    "seconds_to_huggingtweets_loss": "s to huggingtweets' loss",
    "epochs": "epochs",
    "share_of_bf16_peak": "share of bf16 peak",
    "load_p50_ms": "load p50, ms",
    "load_p99_ms": "load p99, ms",
    "switch_p50_ms": "switch p50, ms",
    "switch_p99_ms": "switch p99, ms",
    "rss_per_adapter_mb": "MB in memory each",
    "peak_rss_mb": "peak memory, MB",
    "saved_bytes": "saved, MB",
    "convert_seconds": "conversion, s",
    "conversion_seconds": "made once, s",
    "ack_p50_ms": "acknowledged p50, ms",
    "ack_p99_ms": "p99, ms",
    "ack_max_ms": "max, ms",
    "heartbeat_p99_ms": "heartbeat late p99, ms",
    "heartbeat_max_ms": "heartbeat late max, ms",
    "runs": "runs",
    "calls": "calls",
    "extrapolated": "extrapolated",
}
"""Field → heading, in order."""
_TARGETS = (
    (r"^(gpt2|GPT-2 124M), 1600 tweets: Mynah / huggingtweets \(.*tokens per second$", "≥ 7.5"),
    (r"1600 tweets: Mynah / huggingtweets \(.*to its held-out loss$", "≥ 12"),
    (r"^(gpt2|GPT-2 124M), 1600 tweets: Mynah fast / huggingtweets \(.*tokens per second$", "≥ 12"),
    (r"^(gpt2|GPT-2 124M), 1600 tweets: Mynah / huggingtweets \+ medium, tokens per second$", "≥ 5"),
    (r": Mynah, share of the bf16 matmul peak$", "≥ 0.55"),
    (r"^(gpt2|GPT-2 124M), 5 texts: Mynah / transformers pipeline$", "≥ 8"),
    (r"^(gpt2|GPT-2 124M), 1 text: Mynah / transformers pipeline$", "≥ 6"),
    (r"16 texts of 16 characters: Mynah / PEFT mixed batch$", "≥ 8"),
    (r"^(gpt2|GPT-2 124M): Mynah / transformers$", "≥ 3"),
    (r"^p99 of /say while training / idle$", "≤ 1.3"),
)
"""Which ratio should reach what (issue 3)."""


def row_tables(groups: Mapping[str, Sequence[Row]]) -> list[str]:
    """One table for each base."""
    return [f"**{base}**\n\n{_table(rows)}" if base else _table(rows) for base, rows in groups.items()]


def ratio_table(ratios: Mapping[str, float]) -> str:
    """Every ratio, and what it should be."""
    lines = ["| ratio | × | target |", "|---|---:|---:|"]
    for name, value in ratios.items():
        target = next((least for pattern, least in _TARGETS if re.search(pattern, name)), "")
        lines.append(f"| {name} | {value:.2f} | {target} |")
    return "\n".join(lines) if ratios else ""


def _table(rows: Sequence[Row]) -> str:
    values = [row.model_dump() for row in rows]
    columns = [name for name in _COLUMNS if any(v.get(name) not in (None, False) for v in values)]
    head = f"| {' | '.join(_COLUMNS[name] for name in columns)} |"
    line = f"|{'|'.join('---' if name in ('who', 'workload') else '---:' for name in columns)}|"
    return "\n".join([head, line, *(f"| {' | '.join(_cell(name, v.get(name)) for name in columns)} |" for v in values)])


def _cell(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return "yes"
    if name == "saved_bytes" and isinstance(value, int):
        return f"{value / 1e6:.1f}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if name != "heldout_loss" else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
