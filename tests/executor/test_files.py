"""The files of an attempt."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.executor import files
from bot.executor.contract import Progress, Result, SpecSource, TrainSpec
from bot.executor.fence import Fence, Superseded
from bot.tweets.cleaning import Counts
from bot.tweets.dataset import Part


def test_spec_and_result_come_back_as_they_were(tmp_path: Path) -> None:
    sources = (SpecSource("heron", "/in/heron.jsonl", "@heron on X", "own"), SpecSource("wren", "/in/tweets.zip", "tweets.zip", "agreed"))
    spec = TrainSpec(
        3, 2, "heron+wren", sources, "nano", "nano", seed=5, recipe={"epochs": 1}, threads=2, opted_out=("ab",), multilingual=("/b", "b")
    )
    files.write_spec(tmp_path, spec)
    assert files.read_spec(tmp_path) == spec
    counts = Counts(9, 2, 1, 6, 1, 1, 300)
    parts = (Part("wren", None, counts, "ja", 3),)
    result = Result(counts=counts, parts=parts, samples=("a “quote”\u2028", "b"), files={"a": "0" * 64}, heldout_base=4.5)
    files.write_result(tmp_path, result)
    assert files.read_result(tmp_path) == result


LINES = st.lists(
    st.one_of(
        st.binary(max_size=200).filter(lambda b: b"\n" not in b),
        st.builds(Progress, st.just("training"), st.floats(0, 1)).map(lambda p: json.dumps(asdict(p)).encode()),
    ),
    max_size=30,
)


@given(LINES, st.binary(max_size=50).filter(lambda b: b"\n" not in b))
def test_the_newest_whole_progress_is_found_among_anything(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], torn: bytes
) -> None:
    folder = tmp_path_factory.mktemp("attempt")
    content = b"".join(line + b"\n" for line in lines) + torn
    (folder / "progress.jsonl").write_bytes(content)
    size, progress = files.newest_progress(folder)
    assert size == len(content)
    ours = [line for line in lines if b'"stage": "training"' in line]
    assert progress == (Progress(**json.loads(ours[-1])) if ours else None)


def test_no_progress_yet(tmp_path: Path) -> None:
    assert files.newest_progress(tmp_path) == (0, None)


def test_the_last_line_of_the_log(tmp_path: Path) -> None:
    assert files.last_line(tmp_path) == ""
    (tmp_path / "worker.log").write_bytes(b"Traceback\n" + b"x" * 9000 + b"\nRuntimeError: \xff no\n\n")
    assert files.last_line(tmp_path) == "RuntimeError: \ufffd no"


def test_the_fence_shuts_out_earlier_attempts_only(tmp_path: Path) -> None:
    fence = Fence(tmp_path)
    fence.check(1)
    fence.raise_to(2)
    fence.check(2)
    fence.check(3)
    with pytest.raises(Superseded):
        fence.check(1)


@pytest.mark.fault(30)
def test_a_job_that_is_gone_shuts_out_its_worker(tmp_path: Path) -> None:
    """A worker whose job was cancelled while it could not be reached stops when it sees that the job is gone."""
    fence = Fence(tmp_path / "7")
    with pytest.raises(Superseded):
        fence.check(1)
