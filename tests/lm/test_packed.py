"""The packed copy of a base: the same to the last bit, used where it is whole and of these files, and never in the way."""

import json
import logging
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from bot.bases import packed_file
from bot.lm.adapter import Adapter
from bot.lm.base import load_base
from bot.lm.decoder import likelihoods
from bot.lm.generation import Speaker
from bot.lm.kernels import BOUNDARY, Matrix, address, are_usable
from bot.lm.loading import load_speaker
from bot.lm.packed import can_be_packed, read_packed
from bot.lm.packing import pack
from bot.lm.quantised import resident
from bot.lm.resident import Resident
from bot.lm.spelling import write_alphabet
from tests.lm.architectures import make_model
from tests.lm.conftest import ARCHITECTURES

Tiny = Callable[[str], Path]
pytestmark = pytest.mark.skipif(not are_usable(), reason="the kernels were not built, or this processor has no AVX2")


@pytest.fixture
def base(tiny: Tiny, tmp_path: Path) -> str:
    """A base of its own, which may be changed."""
    return str(shutil.copytree(tiny("gpt2"), tmp_path / "base"))


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    return tmp_path / "packed"


def character(base: str, folder: Path) -> Path:
    """One whose numbers are all over the place."""
    loaded, generator = load_base(base, dtype=torch.float32), torch.Generator().manual_seed(3)
    adapter = Adapter.fresh(loaded.network, rank=4, embedding_rank=2, generator=generator)
    for tensor in adapter.state().values():
        tensor.normal_(std=0.2, generator=generator)
    adapter.save(folder, loaded.network, base_name="base")
    write_alphabet(folder, ["é’🦉"])
    return folder


def scored(base: Resident[Any]) -> list[float]:
    ids = [base.tokenizer.start, *base.tokenizer.encode("The heron waits by the canal."), base.tokenizer.end]
    return likelihoods(base, [(ids, 1)])


def loaded(base: str, copies: Path) -> Resident[Any]:
    """As a speaker loads it, in one process."""
    found = read_packed(base, copies)
    if found is None:
        pack(base, copies)
        found = read_packed(base, copies)
    assert found is not None
    return found


class Reading:
    """Counts how often the weights of a base are read from its own files."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        monkeypatch.setattr("bot.lm.base.load_file", self)

    def __call__(self, path: Path) -> dict[str, torch.Tensor]:
        self.count += 1
        return load_file(path)


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, "nano"])
def test_texts_and_scores_are_the_same_to_the_last_bit(
    tiny: Tiny, copies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str
) -> None:
    base = "nano" if architecture == "nano" else str(tiny(architecture))
    model = character(base, tmp_path / "model")
    plain = resident(load_base(base, dtype=torch.float32))
    reading = Reading(monkeypatch)
    made, mapped = loaded(base, copies), loaded(base, copies)
    assert reading.count == 1, "the second start reads the copy alone"
    texts = [Speaker(one).say(model, "The heron", range(6)) for one in (plain, made, mapped)]
    assert texts[0] == texts[1] == texts[2]
    assert scored(plain) == scored(made) == scored(mapped)
    assert (mapped.parameters, mapped.name, mapped.context) == (plain.parameters, plain.name, plain.context)


def test_a_copy_is_a_safetensors_file_without_a_matrix_in_floats(base: str, copies: Path) -> None:
    loaded(base, copies)
    assert [file.name for file in copies.iterdir()] == [packed_file(base, copies).name], "nothing half written stays"
    found = load_file(packed_file(base, copies))
    network = load_base(base).network
    assert {name.removeprefix("weights.") for name in found if name.startswith("weights.")} == {*network.linears, network.head}
    assert all(tensor.dtype == torch.int8 for name, tensor in found.items() if name.startswith("weights."))
    assert found["embedding"].dtype == torch.float16
    assert not {f"rest.{name}.weight" for name in (*network.linears, network.head, network.embedding)} & set(found)


def test_weights_begin_where_the_kernels_want_them(base: str, copies: Path) -> None:
    loaded(base, copies)
    matrices = [product for product in loaded(base, copies).products.values() if isinstance(product, Matrix)]
    assert [address(matrix.weights) % BOUNDARY for matrix in matrices] == [0] * 9


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def _turn_a_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-5000] ^= 1
    file.write_bytes(data)


def _turn_a_bit_at_the_end(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def _lose_a_page(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-8192:-4096] = bytes(4096)
    file.write_bytes(data)


def _of_another_format(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b'"format": "1"', b'"format": "0"'))


def _of_other_kernels(file: Path) -> None:
    data = file.read_bytes()
    at = data.index(b'"kernels": "') + 12
    file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


@pytest.mark.parametrize(
    "damage",
    [
        _cut,
        _turn_a_bit,
        _turn_a_bit_at_the_end,
        _lose_a_page,
        _of_another_format,
        _of_other_kernels,
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"no such thing" * 100),
        lambda file: file.write_bytes((2).to_bytes(8, "little") + b"[]" + bytes(100)),
        lambda file: file.write_bytes((2).to_bytes(8, "little") + b"{}" + bytes(100)),
        lambda file: file.write_bytes(b"\xff" * 200),
    ],
)
def test_what_is_no_sound_copy_is_made_anew(
    base: str, copies: Path, damage: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = scored(loaded(base, copies))
    file = packed_file(base, copies)
    whole = file.read_bytes()
    damage(file)
    assert file.read_bytes() != whole
    reading = Reading(monkeypatch)
    assert scored(loaded(base, copies)) == expected
    assert (reading.count, file.read_bytes()) == (1, whole)


def test_the_last_few_bytes_count_too(base: str, copies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a copy is no whole number of 64 bits long."""
    make_model("gpt2", vocab_size=345, n_embd=33, n_head=3).save_pretrained(base)
    expected = scored(loaded(base, copies))
    file = packed_file(base, copies)
    assert file.stat().st_size % 8
    _turn_a_bit_at_the_end(file)
    reading = Reading(monkeypatch)
    assert scored(loaded(base, copies)) == expected
    assert reading.count == 1


def test_another_base_in_the_same_folder_gets_a_copy_of_its_own(base: str, copies: Path, tiny: Tiny) -> None:
    before = scored(loaded(base, copies))
    weights = Path(base) / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-4000:-2000] = data[-2000:]
    stamp = weights.stat()
    weights.write_bytes(data)
    os.utime(weights, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))
    found = scored(loaded(base, copies))
    assert found == scored(resident(load_base(base, dtype=torch.float32)))
    assert found != before
    assert len(list(copies.iterdir())) == 1


def test_without_room_or_a_folder_it_speaks_all_the_same_and_one_line_says_so(
    base: str, copies: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = character(base, tmp_path / "model")
    expected = Speaker(resident(load_base(base, dtype=torch.float32))).say(model, "The heron", [1, 2])
    copies.write_text("no folder")
    with caplog.at_level(logging.WARNING):
        assert load_speaker(base, copies).say(model, "The heron", [1, 2]) == expected
    (record,) = (record.getMessage() for record in caplog.records if "could be kept" in record.getMessage())
    assert record.startswith(f"no packed copy of the base {base} could be kept, so each start takes longer: ")
    assert str(copies) in record


def test_half_of_the_room_is_left_to_what_cannot_be_made_again(base: str, copies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(OSError, match="should have twice as much left"):
        pack(base, copies)
    assert list(copies.iterdir()) == []


def test_a_disk_that_fills_up_meanwhile_leaves_nothing(base: str, copies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        pack(base, copies)
    assert list(copies.iterdir()) == []


def test_two_may_make_it_at_once(base: str, copies: Path) -> None:
    expected = scored(resident(load_base(base, dtype=torch.float32)))
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: loaded(base, copies), range(4)))
    assert [scored(one) for one in made] == [expected] * 4
    assert scored(loaded(base, copies)) == expected
    assert len(list(copies.iterdir())) == 1


def test_a_copy_in_use_may_be_replaced(base: str, copies: Path) -> None:
    loaded(base, copies)
    used = loaded(base, copies)
    expected = scored(used)
    packed_file(base, copies).unlink()
    loaded(base, copies)
    assert scored(used) == expected


def test_a_base_that_transformers_computes_has_none(tiny: Tiny, copies: Path) -> None:
    base = str(tiny("gpt_neox"))
    assert not can_be_packed(base)
    pack(base, copies)
    load_speaker(base, copies)
    assert not copies.exists()


def test_a_speaker_is_loaded_from_it(base: str, copies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, file = Reading(monkeypatch), packed_file(base, copies)
    load_speaker(base, copies)
    first = file.stat()
    load_speaker(base, copies)
    assert file.stat() == first
    (Path(base) / "config.json").write_text(json.dumps(json.loads((Path(base) / "config.json").read_text()) | {"n_positions": 33}))
    load_speaker(base, copies)
    assert file.stat().st_mtime_ns > first.st_mtime_ns, "whatever of the base has changed"
    assert reading.count == 0, "never in this process"
