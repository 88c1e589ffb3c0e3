"""The faults that Mynah is tested under, by number, and what its tests promise: the table in docs/reliability.md.

A test says `@pytest.mark.fault(5)`, with several numbers where it covers several; the first sentence of its docstring is the promise.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- The table is written by scripts/make_docs.py from the tests. -->", "<!-- Here it ends. -->"
FAULTS = {
    1: "the bot dies at any moment (kill -9)",
    2: "the process that trains dies",
    3: "the bot dies while a character is trained",
    4: "the bot is asked to stop (SIGTERM), also as a container's first process",
    5: "memory runs out",
    6: "a training hangs",
    7: "a training writes rubbish",
    8: "the disk is full",
    9: "another program holds the database",
    10: "the database is damaged",
    11: "the bot dies while it brings the database to a new version",
    12: "the database is of a newer Mynah",
    13: "a checkpoint is damaged",
    14: "the clock jumps",
    15: "daylight saving, time zones, leap days",
    16: "the bot is away for days",
    17: "a second bot is started on the same folder",
    18: "Discord delivers a command or a click twice",
    19: "Discord fails before or after it has posted",
    20: "Discord limits, or cuts the connection",
    21: "the channel is deleted or closed to the bot",
    22: "X, or another source of tweets, limits, refuses or fails",
    23: "the channel's history cannot be read",
    24: "a job that ends its process each time",
    25: "a job is cancelled, whatever it is doing",
    26: "an archive made to fill memory or disk",
    27: "names made to lead out of a folder",
    28: "files that carry a program",
    29: "generated text that pings, misleads, copies or insults",
    30: "a node of the cluster is cut off",
    31: "the head of the cluster dies",
    32: "a backup is taken at work, and restored",
    33: "a model is deleted or replaced while it speaks",
    34: "secrets in what is logged or shown",
}


@dataclass(frozen=True)
class Promise:
    """One test of a fault."""

    number: int
    sentence: str
    """Empty where the test says none."""
    path: str
    """Of the test's file, in the repository."""
    test: str


def promises() -> list[Promise]:
    """What the tests promise, by number and then in the order of the files."""
    found = [promise for path in sorted((ROOT / "tests").rglob("test_*.py")) for promise in _of_file(path)]
    return sorted(found, key=lambda promise: promise.number)


def _of_file(path: Path) -> Iterator[Promise]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            sentence = " ".join((ast.get_docstring(node) or "").split()).partition(". ")[0].rstrip(".")
            for number in sorted(set(_numbers(node))):
                yield Promise(number, sentence, path.relative_to(ROOT).as_posix(), node.name)


def _numbers(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[int]:
    """Of `pytest.mark.fault(…)` in its decorators, single parameters included."""
    for decorator in node.decorator_list:
        for call in ast.walk(decorator):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.fault":
                yield from (int(ast.literal_eval(argument)) for argument in call.args)


def table() -> str:
    """The table, in Markdown."""
    rows = ["| # | fault | what is promised | test |", "|---|---|---|---|"]
    known = promises()
    for number, title in FAULTS.items():
        head = f"{number} | {title}"
        for promise in (promise for promise in known if promise.number == number):
            file = promise.path.removeprefix("tests/")
            rows.append(f"| {head} | {promise.sentence.replace('|', chr(92) + '|')}. | [{file}](../{promise.path}) |")
            head = " | "
    return "\n".join(rows)


def reliability() -> str:
    """The text of docs/reliability.md: as it stands there, with the table anew."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.split(END)[1]}"
