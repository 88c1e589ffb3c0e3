"""The packed copy of a base: its matrices as the kernels read them, in one safetensors file that later starts map into memory.

Made when a base is first spoken on, since packing it takes longer than reading it. A copy holds nothing but what the base's own files say,
and can be deleted at any time. One that is damaged, or was made of other files or by other kernels, is made anew. Architectures that
transformers computes have none.
"""

import errno
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bot.bases import packed_file
from bot.lm.base import base_folder, load_base
from bot.lm.kernels import BOUNDARY, Matrix, library_digest, packed_shapes
from bot.lm.network import StoredNetwork
from bot.lm.quantised import Packed, Resident

FORMAT = "1"
"""To be raised whenever what is written below means something else."""
_TYPES = {"I8": torch.int8, "F32": torch.float32, "F16": torch.float16}
_NAMES = {dtype: name for name, dtype in _TYPES.items()}
_WEIGHTS, _NUMBERS, _REST, _EMBEDDING = "weights.", "numbers.", "rest.", "embedding"

log = logging.getLogger("mynah.packed")


def load_packed(base: str, folder: Path) -> Resident:
    """The base of this name, as `load_base` takes it, ready to speak: from its copy in this folder, which is made where there is none.

    That no copy can be made is logged, and no error.

    Raises:
        BadInput: as `load_base`.
    """
    file, marks = packed_file(base, folder), _marks(base_folder(base))
    try:
        return _read(file, base, marks)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        log.warning("the packed copy of the base %s is made anew: %s", base, error)
    with torch.inference_mode():
        made = Resident(load_base(base, dtype=torch.float32))
    packed, network = made.packed, made.network
    if packed is not None and isinstance(network, StoredNetwork):
        try:
            _write(file, _pieces(packed, network), marks | {"parameters": str(made.parameters)})
        except OSError as error:
            log.warning("no packed copy of the base %s could be kept, so each start takes longer: %s", base, error)
    return made


def _marks(source: Path) -> dict[str, str]:
    """What a copy of the base in this folder must have been made of, and by."""
    files = sorted([*source.glob("*.safetensors"), *source.glob("*.safetensors.index.json"), source / "config.json"])
    made_of = [(file.name, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
    return {"format": FORMAT, "made_of": json.dumps(made_of), "kernels": library_digest()}


def _pieces(packed: Packed, network: StoredNetwork) -> dict[str, Tensor]:
    """Everything by name, in an order in which each begins at a multiple of its own width: the sizes of the weights are multiples of 64."""
    weights = {_WEIGHTS + name: matrix.weights for name, matrix in packed.matrices.items()}
    numbers = {_NUMBERS + name: matrix.numbers for name, matrix in packed.matrices.items()}
    return {**weights, **numbers, **{_REST + name: tensor for name, tensor in network.weights.items()}, _EMBEDDING: packed.embedding}


def _write(file: Path, pieces: Mapping[str, Tensor], marks: Mapping[str, str]) -> None:
    """Write them; nothing stands under this name until it is whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    size = sum(piece.nbytes for piece in pieces.values())
    if shutil.disk_usage(file.parent).free < 2 * size:  # the rest is for what cannot be made again
        raise OSError(errno.ENOSPC, f"it takes {size / 1e6:.0f} MB, and the disk should have twice as much left")
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=file.parent)
    unfinished = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as out:
            start = out.write(_header(pieces, {**marks, "sum": _told(0)}))
            for piece in pieces.values():
                out.write(piece.contiguous().numpy().data)
            out.flush()
            total = _sum(_mapped(unfinished), start)
            out.seek(0)
            out.write(_header(pieces, {**marks, "sum": _told(total)}))  # as long as before
            out.flush()
            os.fsync(out.fileno())
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def _header(pieces: Mapping[str, Tensor], marks: Mapping[str, str]) -> bytes:
    """How a safetensors file begins; filled with spaces up to the boundary."""
    entries: dict[str, object] = {"__metadata__": dict(marks)}
    at = 0
    for name, piece in pieces.items():
        entries[name] = {"dtype": _NAMES[piece.dtype], "shape": list(piece.shape), "data_offsets": [at, at + piece.nbytes]}
        at += piece.nbytes
    text = json.dumps(entries).encode()
    text += b" " * (-(8 + len(text)) % BOUNDARY)
    return len(text).to_bytes(8, "little") + text


def _read(file: Path, base: str, marks: Mapping[str, str]) -> Resident:
    """The base from its copy.

    Raises:
        FileNotFoundError: there is none.
        OSError, ValueError, KeyError, TypeError, RuntimeError: it is damaged, or no copy of these files.
    """
    whole = _mapped(file)
    start = 8 + int.from_bytes(whole[:8].numpy().tobytes(), "little")
    entries = dict(json.loads(whole[8:start].numpy().tobytes()))
    found = entries.pop("__metadata__")
    if any(found[name] != mark for name, mark in marks.items()):
        raise ValueError("it was made of other files, or by another Mynah")
    if found["sum"] != _told(_sum(whole, start)):
        raise ValueError("it is damaged")
    pieces = {name: _piece(whole[start:], entry) for name, entry in entries.items()}
    rest = {name.removeprefix(_REST): piece for name, piece in pieces.items() if name.startswith(_REST)}
    bare = replace(load_base(base, dtype=torch.float32, rest=rest), parameters=int(found["parameters"]))
    network = bare.network
    sizes = {**network.linears, network.head: (network.shape.width, network.shape.vocabulary)}
    matrices = {name: _matrix(pieces, name, outputs, inputs) for name, (inputs, outputs) in sizes.items()}
    embedding = pieces[_EMBEDDING].view(network.shape.vocabulary, network.shape.width)
    return Resident(bare, quantised=True, packed=Packed(matrices, embedding))


def _mapped(file: Path) -> Tensor:
    """Its bytes, of which none is read before it is looked at."""
    size = file.stat().st_size
    if size < BOUNDARY:
        raise ValueError("it is cut off")
    return torch.from_file(str(file), shared=False, size=size, dtype=torch.uint8)


def _sum(whole: Tensor, start: int) -> int:
    """Of all numbers of 64 bits from there on, and of the last few bytes: as quick as memory is, and it fetches what is needed at once."""
    middle = start + (len(whole) - start) // 8 * 8
    return int(whole[start:middle].view(torch.int64).sum()) + int(whole[middle:].sum())


def _told(total: int) -> str:
    """Always of the same length."""
    return f"{total % 2**64:020d}"


def _piece(data: Tensor, entry: Mapping[str, Any]) -> Tensor:
    begin, end = entry["data_offsets"]
    return data[begin:end].view(_TYPES[entry["dtype"]]).view(entry["shape"])


def _matrix(pieces: Mapping[str, Tensor], name: str, outputs: int, inputs: int) -> Matrix:
    weights, numbers = packed_shapes(outputs, inputs)
    return Matrix(pieces[_WEIGHTS + name].view(weights), pieces[_NUMBERS + name].view(numbers), outputs, inputs)
