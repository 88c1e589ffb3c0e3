"""The kernels in C against torch, on each level: every sum is the same but for the last bits, and none depends on rows beside it,
on threads or on the level.
"""

import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from bot.lm.arithmetic import Array
from bot.lm.kernels import ACTIVATIONS, Matrix, activate, address, are_usable, attend, levels, norm, use_threads
from bot.lm.quantised import Quantised, can_quantise
from tests.lm.conftest import use_level

pytestmark = [
    pytest.mark.skipif(not are_usable(), reason="the kernels were not built, or this processor has no AVX2"),
    pytest.mark.usefixtures("level"),
]

THREADS = (1, 2, 3)


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    yield
    use_threads(torch.get_num_threads())


def made(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def close(found: Array, expected: Tensor, atol: float) -> bool:
    return np.allclose(found, expected.numpy(), atol=atol)


class Pairs:
    """For each row A `[rank, inputs]`, B `[outputs, rank]` and a bias `[outputs]`, and the table that a kernel reads."""

    def __init__(self, ranks: list[int], inputs: int, outputs: int) -> None:
        self.each = [(made(rank, inputs).half(), made(outputs, rank).half(), made(outputs).half()) for rank in ranks]
        self.table = np.array(
            [[a.data_ptr(), b.data_ptr(), bias.data_ptr(), rank] for rank, (a, b, bias) in zip(ranks, self.each, strict=True)]
        )

    def added(self, x: Tensor) -> Tensor:
        return torch.stack([b.float() @ (a.float() @ row) + bias.float() for row, (a, b, bias) in zip(x, self.each, strict=True)])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.integers(1, 150), st.lists(st.sampled_from([0, 1, 2, 4, 7, 16, 19, 64]), min_size=1, max_size=9))
def test_a_layer_with_every_rows_own_pair(inputs: int, outputs: int, ranks: list[int]) -> None:
    weights, bias, x = made(outputs, inputs), made(outputs), made(len(ranks), inputs)
    matrix, pairs = Matrix.pack(weights.numpy(), bias.numpy()), Pairs(ranks, inputs, outputs)
    plain = matrix(x.numpy())
    if can_quantise():
        assert close(plain, Quantised(weights, bias)(x), 1e-3 * inputs**0.5), "the same 8 bits as torch makes of it"
    found = matrix(x.numpy(), address(pairs.table))
    assert close(found - plain, pairs.added(x), 1e-3 * inputs**0.5)


def test_a_row_depends_neither_on_rows_beside_it_nor_on_threads() -> None:
    matrix, pairs = Matrix.pack(made(300, 130).numpy(), None), Pairs([16, 0, 3, 16, 64, 8, 16, 1, 2], 130, 300)
    x = made(9, 130).numpy()
    use_threads(1)
    expected = matrix(x, address(pairs.table))
    for threads in THREADS:
        use_threads(threads)
        for first, last in ((0, 1), (3, 5), (2, 9), (0, 9)):
            assert np.array_equal(matrix(x[first:last], address(pairs.table[first:last])), expected[first:last])


@pytest.mark.parametrize("inputs", [2, 31, 36, 64, 130])
def test_the_largest_sums_are_exact(inputs: int) -> None:
    """Of bytes that are all 255 but for one zero, and weights that are all 127 or all -127."""
    weights = torch.tensor([1.0, -1.0]).repeat(35)[:, None].repeat(1, inputs)
    x = torch.ones(5, inputs)
    x[:, -1] = 0
    assert close(Matrix.pack(weights.numpy(), None)(x.numpy()), x @ weights.T, 1e-4)


@pytest.mark.parametrize(("heads", "key_heads", "width"), [(12, 12, 64), (6, 2, 24), (3, 1, 8), (2, 2, 5)])
def test_attention_over_each_rows_own_length(heads: int, key_heads: int, width: int) -> None:
    lengths, slots = [0, 17, 4, 40, 15], [3, 0, 6, 1, 2]
    cache = made(2, 8, key_heads, 48, width).half()
    qkv = made(5, (heads + 2 * key_heads) * width)  # as one layer gives all three
    q, k, v = (part.view(5, -1, width) for part in torch.split(qkv, [heads * width, key_heads * width, key_heads * width], -1))
    expected = cache.clone()
    for row, (slot, length) in enumerate(zip(slots, lengths, strict=True)):
        expected[0, slot, :, length], expected[1, slot, :, length] = k[row], v[row]
    for threads in THREADS:
        use_threads(threads)
        found = attend(q.numpy(), k.numpy(), v.numpy(), cache=cache.numpy(), slots=np.array(slots), lengths=np.array(lengths))
        for row, (slot, length) in enumerate(zip(slots, lengths, strict=True)):
            known = expected[:, slot : slot + 1, :, : length + 1].float()
            one = functional.scaled_dot_product_attention(q[row, None, :, None], known[0], known[1], enable_gqa=True)
            assert close(found[row], one.flatten(), 2e-6)
    assert torch.equal(cache, expected), "the new keys and values, and nothing else"


def test_a_far_off_key_gets_no_share() -> None:
    cache = np.zeros((2, 1, 1, 4, 16), dtype=np.float16)
    cache[0, 0, 0, 0], cache[1, 0, 0, 0] = 1e3, 7.0
    q = np.full((1, 1, 16), 1e3, dtype=np.float32)
    out = attend(q, -q, np.zeros_like(q), cache=cache, slots=np.array([0]), lengths=np.array([1]))
    assert np.allclose(out, 7.0)


def test_embeddings_get_what_the_outputs_pair_makes_of_them() -> None:
    matrix, pairs, ids = Matrix.pack(made(50, 40).numpy(), None), Pairs([16, 0, 5], 40, 50), [49, 3, 0]
    embedded = made(3, 40)
    expected = embedded + torch.stack([b[token].float() @ a.float() for token, (a, b, _) in zip(ids, pairs.each, strict=True)])
    found = embedded.numpy().copy()
    matrix.embed(np.array(ids), found, address(pairs.table))
    assert close(found, expected, 1e-4)


def test_addresses_are_64_bits_wide() -> None:
    assert ctypes.sizeof(ctypes.c_void_p) == ctypes.sizeof(ctypes.c_int64), "the tables hold them as whole numbers of 64 bits"


@pytest.mark.parametrize(("outputs", "inputs"), [(1, 1), (64, 4), (100, 37), (130, 64)])
def test_a_matrix_may_lie_the_other_way_round(outputs: int, inputs: int) -> None:
    weights, x = made(outputs, inputs).numpy(), made(3, inputs).numpy()
    assert np.array_equal(Matrix.pack(weights, None)(x), Matrix.pack(np.asfortranarray(weights), None)(x))


def test_weights_that_begin_anywhere_are_refused() -> None:
    matrix = Matrix.pack(made(64, 8).numpy(), None)
    room = np.zeros(matrix.weights.size + 128, dtype=np.int8)
    astray: NDArray[np.int8] = room[-address(room) % 64 + 1 :][: matrix.weights.size].reshape(matrix.weights.shape)
    with pytest.raises(ValueError, match="multiple of 64 bytes"):
        Matrix(astray, matrix.numbers, 64, 8)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70), st.integers(1, 4), st.floats(-50, 50), st.floats(-2, 2), st.sampled_from([1e-6, 1e-5, 0.1]))
def test_norms_are_those_of_torch(width: int, rows: int, middle: float, size: float, epsilon: float) -> None:
    x, weight, bias = made(rows, width) * 10**size + middle, made(width), made(width + 1)[1:]
    exact, tolerance = x.double(), 1e-3 if abs(middle) > 10 ** (size + 1) else 1e-5
    layer = functional.layer_norm(exact, (width,), weight.double(), bias.double(), epsilon)
    assert close(norm(x.numpy(), weight.numpy(), bias.numpy(), epsilon), layer, tolerance * (1 + float(layer.abs().max())))
    rms = functional.rms_norm(exact, (width,), weight.double(), epsilon)
    assert close(norm(x.numpy(), weight.numpy(), None, epsilon), rms, 1e-5 * (1 + float(rms.abs().max())))


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("threads", THREADS)
def test_activations_are_those_of_torch(name: str, threads: int) -> None:
    x = torch.cat([torch.linspace(-30, 30, 20_001), torch.tensor([-1e30, -0.0, 0.0, 1e-30, 1e5])])
    exact = {"relu": functional.relu, "silu": functional.silu}.get(name, lambda x: functional.gelu(x, approximate="tanh"))(x.double())
    use_threads(threads)
    np.testing.assert_allclose(activate(name, x.numpy().copy()), exact.numpy(), rtol=2e-6, atol=2e-6)


def everything(width: int, rows: int) -> list[NDArray[Any]]:
    """What every kernel makes of some numbers."""
    outputs = 3 * width + 1
    x, x2 = made(rows, width).numpy(), made(rows, 3 * width).numpy()
    pairs = Pairs([(16, 3, 64, 0)[row % 4] for row in range(rows)], width, outputs)
    matrix = Matrix.pack(made(outputs, width).numpy(), made(outputs).numpy())
    embedded, cache = x.copy(), made(2, rows, 1, 40, width).half().numpy()
    matrix.embed(np.arange(rows), embedded, address(pairs.table))
    q, k, v = (x2[:, None, part * width : (part + 1) * width] for part in range(3))
    attended = attend(q, k, v, cache=cache, slots=np.arange(rows), lengths=np.arange(rows) * 4)
    norms = [norm(x, x[0], bias, 1e-5) for bias in (x[-1], None)]
    activated = [activate(name, 9 * x2) for name in ACTIVATIONS]
    return [matrix.weights, matrix.numbers, matrix(x), matrix(x, address(pairs.table)), embedded, attended, cache, *norms, *activated]


@pytest.mark.parametrize(("width", "rows"), [(1, 1), (15, 2), (16, 3), (64, 9), (77, 10), (131, 4)])
def test_every_level_gives_the_same_to_the_last_bit(level: str, width: int, rows: int) -> None:
    expected = everything(width, rows)
    for other in levels():
        use_level(other)
        assert all(np.array_equal(*both) for both in zip(everything(width, rows), expected, strict=True))
    use_level(level)
