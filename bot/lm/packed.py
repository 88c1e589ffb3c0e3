"""The packed copy of a base: its matrices as the kernels read them, in one safetensors file that later starts map into memory.

Made when a base is first spoken on (`packing.py`), since reading and packing it takes longer than all else. A copy holds nothing but what
the base's own files say, and can be deleted at any time. One that is damaged, or was made of other files or by other kernels, is made anew.
Architectures that transformers computes have none.
"""

import errno
import json
import logging
import mmap
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot.bases import base_folder, packed_file, read_json
from bot.lm.arithmetic import Array
from bot.lm.arrays import Arrays
from bot.lm.kernels import BOUNDARY, Matrix, library_digest, packed_shapes
from bot.lm.native import native
from bot.lm.network import StoredNetwork, context_of, network_class
from bot.lm.resident import Described, Resident
from bot.lm.tokenizer import load_tokenizer

FORMAT = "1"
"""To be raised whenever what is written below means something else."""
_TYPES = {"I8": np.int8, "F32": np.float32, "F16": np.float16}
_NAMES = {np.dtype(dtype): name for name, dtype in _TYPES.items()}
_WEIGHTS, _NUMBERS, _REST, _EMBEDDING = "weights.", "numbers.", "rest.", "embedding"

log = logging.getLogger("mynah.packed")


def read_packed(base: str, folder: Path) -> Resident[Array] | None:
    """The base of this name, as `load_base` takes it, ready to speak, from its copy in this folder; None where there is none that is sound.

    Raises:
        BadInput: as `load_base`.
    """
    file, marks = packed_file(base, folder), _marks(base_folder(base))
    try:
        return _read(file, base, marks)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("the packed copy of the base %s is made anew: %s", base, error)
        return None


def write_packed(base: Resident[Array], folder: Path) -> None:
    """Keep the copy of a base, if it is one that can have a copy.

    Raises:
        OSError: the disk has no room, or cannot be written to.
    """
    if isinstance(base.network, StoredNetwork):
        marks = _marks(base_folder(base.name)) | {"parameters": str(base.parameters)}
        _write(packed_file(base.name, folder), _pieces(base, base.network), marks)


def can_be_packed(base: str) -> bool:
    """Whether a base is one that can have a copy.

    Raises:
        BadInput: as `load_base`.
    """
    return network_class(read_json(base_folder(base) / "config.json"), Arrays()) is not None


def _marks(source: Path) -> dict[str, str]:
    """What a copy of the base in this folder must have been made of, and by."""
    files = sorted([*source.glob("*.safetensors"), *source.glob("*.safetensors.index.json"), source / "config.json"])
    made_of = [(file.name, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
    return {"format": FORMAT, "made_of": json.dumps(made_of), "kernels": library_digest()}


def _pieces(base: Resident[Array], network: StoredNetwork[Array]) -> dict[str, NDArray[Any]]:
    """Everything by name, in an order in which each begins at a multiple of its own width: the sizes of the weights are multiples of 64."""
    matrices = {name: product for name, product in base.products.items() if isinstance(product, Matrix)}
    weights = {_WEIGHTS + name: matrix.weights for name, matrix in matrices.items()}
    numbers = {_NUMBERS + name: matrix.numbers for name, matrix in matrices.items()}
    return {**weights, **numbers, **{_REST + name: array for name, array in network.weights.items()}, _EMBEDDING: base.embedding}


def _write(file: Path, pieces: Mapping[str, NDArray[Any]], marks: Mapping[str, str]) -> None:
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
                out.write(np.ascontiguousarray(piece).data)
            out.flush()
            total = _sum(_mapped(unfinished), start)
            out.seek(0)
            out.write(_header(pieces, {**marks, "sum": _told(total)}))  # as long as before
            out.flush()
            os.fsync(out.fileno())
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def _header(pieces: Mapping[str, NDArray[Any]], marks: Mapping[str, str]) -> bytes:
    """How a safetensors file begins; filled with spaces up to the boundary."""
    entries: dict[str, object] = {"__metadata__": dict(marks)}
    at = 0
    for name, piece in pieces.items():
        entries[name] = {"dtype": _NAMES[piece.dtype], "shape": list(piece.shape), "data_offsets": [at, at + piece.nbytes]}
        at += piece.nbytes
    text = json.dumps(entries).encode()
    text += b" " * (-(8 + len(text)) % BOUNDARY)
    return len(text).to_bytes(8, "little") + text


def _read(file: Path, base: str, marks: Mapping[str, str]) -> Resident[Array]:
    """The base from its copy.

    Raises:
        FileNotFoundError: there is none.
        OSError, ValueError, KeyError, TypeError, AttributeError: it is damaged, or no copy of these files.
    """
    whole = _mapped(file)
    start = 8 + int.from_bytes(whole[:8].tobytes(), "little")
    entries = json.loads(whole[8:start].tobytes())
    found = entries.pop("__metadata__")
    if any(found[name] != mark for name, mark in marks.items()):
        raise ValueError("it was made of other files, or by another Mynah")
    if found["sum"] != _told(_sum(whole, start)):
        raise ValueError("it is damaged")
    pieces = {name: _piece(whole[start:], entry) for name, entry in entries.items()}
    source, arrays = base_folder(base), Arrays()
    config = read_json(source / "config.json")
    described = network_class(config, arrays)
    if described is None:
        raise ValueError("its architecture is not described here")
    network = described(config, {name.removeprefix(_REST): piece for name, piece in pieces.items() if name.startswith(_REST)}, arrays)
    sizes = {**network.linears, network.head: (network.shape.width, network.shape.vocabulary)}
    matrices = {name: _matrix(pieces, name, outputs, inputs) for name, (inputs, outputs) in sizes.items()}
    embedding = pieces[_EMBEDDING].reshape(network.shape.vocabulary, network.shape.width)
    told = Described(base, load_tokenizer(source), context_of(config), int(found["parameters"]))
    return native(told, network, matrices, embedding)


def _mapped(file: Path) -> NDArray[np.uint8]:
    """Its bytes, which lie where the system keeps files and can be dropped there."""
    with file.open("rb") as opened:
        if os.fstat(opened.fileno()).st_size < BOUNDARY:
            raise ValueError("it is cut off")
        return np.frombuffer(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ), dtype=np.uint8)


def _sum(whole: NDArray[np.uint8], start: int) -> int:
    """Of all numbers of 64 bits from there on, and of the last few bytes: as quick as memory is, and it fetches what is needed at once."""
    middle = start + (len(whole) - start) // 8 * 8
    return int(whole[start:middle].view(np.uint64).sum()) + int(whole[middle:].sum())


def _told(total: int) -> str:
    """Always of the same length."""
    return f"{total % 2**64:020d}"


def _piece(data: NDArray[np.uint8], entry: Mapping[str, Any]) -> NDArray[Any]:
    begin, end = entry["data_offsets"]
    return data[begin:end].view(_TYPES[entry["dtype"]]).reshape(entry["shape"])


def _matrix(pieces: Mapping[str, NDArray[Any]], name: str, outputs: int, inputs: int) -> Matrix:
    weights, numbers = packed_shapes(outputs, inputs)
    return Matrix(pieces[_WEIGHTS + name].reshape(weights), pieces[_NUMBERS + name].reshape(numbers), outputs, inputs)
