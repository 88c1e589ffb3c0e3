"""The kernels in C against torch: every sum is the same but for the last bits, and none depends on rows beside it or on threads."""

import ctypes
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from bot.lm.kernels import Matrix, are_usable, attend
from bot.lm.quantised import Quantised

pytestmark = pytest.mark.skipif(not are_usable(), reason="the kernels were not built, or this processor has no AVX-512 VNNI")

THREADS = (1, 2, 3)


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def made(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


class Pairs:
    """For each row A `[rank, inputs]`, B `[outputs, rank]` and a bias `[outputs]`, and the table that a kernel reads."""

    def __init__(self, ranks: list[int], inputs: int, outputs: int) -> None:
        self.each = [(made(rank, inputs).half(), made(outputs, rank).half(), made(outputs).half()) for rank in ranks]
        self.table = torch.tensor(
            [[a.data_ptr(), b.data_ptr(), bias.data_ptr(), rank] for rank, (a, b, bias) in zip(ranks, self.each, strict=True)]
        )

    def added(self, x: Tensor) -> Tensor:
        return torch.stack([b.float() @ (a.float() @ row) + bias.float() for row, (a, b, bias) in zip(x, self.each, strict=True)])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.integers(1, 150), st.lists(st.sampled_from([0, 1, 2, 4, 7, 16, 19, 64]), min_size=1, max_size=9))
def test_a_layer_with_every_rows_own_pair(inputs: int, outputs: int, ranks: list[int]) -> None:
    weights, bias, x = made(outputs, inputs), made(outputs), made(len(ranks), inputs)
    matrix, pairs = Matrix.pack(weights, bias), Pairs(ranks, inputs, outputs)
    plain = matrix(x)
    assert torch.allclose(plain, Quantised(weights, bias)(x), atol=1e-3 * inputs**0.5), "the same 8 bits as torch makes of it"
    found = matrix(x, pairs.table.data_ptr())
    assert torch.allclose(found - plain, pairs.added(x), atol=1e-3 * inputs**0.5)


def test_a_row_depends_neither_on_rows_beside_it_nor_on_threads() -> None:
    matrix, pairs, x = Matrix.pack(made(300, 130), None), Pairs([16, 0, 3, 16, 64, 8, 16, 1, 2], 130, 300), made(9, 130)
    torch.set_num_threads(1)
    expected = matrix(x, pairs.table.data_ptr())
    for threads in THREADS:
        torch.set_num_threads(threads)
        for first, last in ((0, 1), (3, 5), (2, 9), (0, 9)):
            assert torch.equal(matrix(x[first:last], pairs.table[first:last].data_ptr()), expected[first:last])


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
        torch.set_num_threads(threads)
        found = attend(q, k, v, cache=cache, slots=torch.tensor(slots), lengths=torch.tensor(lengths))
        for row, (slot, length) in enumerate(zip(slots, lengths, strict=True)):
            known = expected[:, slot : slot + 1, :, : length + 1].float()
            one = functional.scaled_dot_product_attention(q[row, None, :, None], known[0], known[1], enable_gqa=True)
            assert torch.allclose(found[row], one.flatten(), atol=2e-6)
    assert torch.equal(cache, expected), "the new keys and values, and nothing else"


def test_a_far_off_key_gets_no_share() -> None:
    cache = torch.zeros(2, 1, 1, 4, 16, dtype=torch.float16)
    cache[0, 0, 0, 0], cache[1, 0, 0, 0] = 1e3, 7.0
    q = torch.full((1, 1, 16), 1e3)
    out = attend(q, -q, torch.zeros_like(q), cache=cache, slots=torch.tensor([0]), lengths=torch.tensor([1]))
    assert torch.allclose(out, torch.full((1, 16), 7.0))


def test_embeddings_get_what_the_outputs_pair_makes_of_them() -> None:
    matrix, pairs, ids = Matrix.pack(made(50, 40), None), Pairs([16, 0, 5], 40, 50), torch.tensor([49, 3, 0])
    embedded = made(3, 40)
    expected = embedded + torch.stack([b[token].float() @ a.float() for token, (a, b, _) in zip(ids.tolist(), pairs.each, strict=True)])
    matrix.embed(ids, embedded, pairs.table.data_ptr())
    assert torch.allclose(embedded, expected, atol=1e-4)


def test_addresses_are_64_bits_wide() -> None:
    assert ctypes.sizeof(ctypes.c_void_p) == ctypes.sizeof(ctypes.c_int64), "the tables hold them as whole numbers of 64 bits"


@pytest.mark.parametrize(("outputs", "inputs"), [(1, 1), (64, 4), (100, 37), (130, 64)])
def test_a_matrix_may_lie_the_other_way_round(outputs: int, inputs: int) -> None:
    weights, x = made(outputs, inputs), made(3, inputs)
    assert torch.equal(Matrix.pack(weights, None)(x), Matrix.pack(weights.T.contiguous().T, None)(x))
