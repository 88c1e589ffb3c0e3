"""The adapter against PEFT on the same weights."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bot.lm.adapter import Adapter
from bot.lm.base import Base, load_base
from bot.lm.batches import Corpus, rows
from bot.lm.forward import total_loss
from bot.lm.network import GPT2
from bot.lm.scoring import losses
from bot.lm.tensors import Tensors
from bot.lm.trainable import Trainable
from bot.tweets.dataset import Dataset
from tests.lm.architectures import DESCRIBED, WRAPPED
from tests.lm.peers import Peer, log_probabilities, stirred

Tiny = Callable[[str], Path]

pytestmark = [
    # PEFT warns of what is meant here: a pair on the tied output layer, and a Linear among GPT-2's Conv1D layers.
    pytest.mark.filterwarnings("ignore:.*fan_in_fan_out"),
    pytest.mark.filterwarnings("ignore:.*tied"),
    # PEFT still calls a method that transformers will drop.
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing"),
]


def ours(base: Base, adapter: Adapter, dataset: Dataset) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss over the held-out tweets, packed, and its gradients."""
    trainable = Trainable(adapter, base.dtype, learning_rate=1.0, bias_rate=1.0)
    loss = total_loss(
        base.network, trainable.pairs, trainable.bias, Corpus(rows(base, dataset.heldout), base.dtype, base.device).batch(range(15))
    )
    torch.autograd.backward(loss)
    trainable.gather()
    return loss, trainable.gradients()


@pytest.mark.parametrize("architecture", [*DESCRIBED, *WRAPPED])
@pytest.mark.parametrize(("embedding_rank", "first_layer"), [(0, 0), (3, 0), (0, 1)])
def test_loss_and_all_gradients_are_those_of_peft(
    tiny: Tiny, dataset: Dataset, tmp_path: Path, architecture: str, embedding_rank: int, first_layer: int
) -> None:
    base = load_base(str(tiny(architecture)), dtype=torch.float32)
    adapter = stirred(base, embedding_rank=embedding_rank, first_layer=first_layer)
    adapter.save(tmp_path, base.network, base_name="tiny")
    loss, gradients = ours(base, adapter, dataset)
    peer = Peer(tiny(architecture), tmp_path)
    theirs = peer.losses(rows(base, dataset.heldout)).sum()
    torch.autograd.backward(theirs)
    torch.testing.assert_close(loss, theirs, rtol=1e-6, atol=0)
    expected = peer.gradients()
    assert gradients.keys() == expected.keys() == adapter.state().keys()
    for name, gradient in gradients.items():
        wanted = expected[name]
        assert (gradient - wanted).abs().max() < 1e-4 * wanted.abs().max(), name
    some = rows(base, dataset.heldout)
    changed = losses(base, adapter, some)
    assert changed == pytest.approx(peer.losses(some).tolist(), rel=1e-5)
    # The pairs matter, not only the bias.
    biased = losses(base, Adapter({}, adapter.bias), some)
    assert max(abs(a - b) / len(row.targets) for a, b, row in zip(changed, biased, some, strict=True)) > 0.02


@pytest.mark.parametrize("architecture", DESCRIBED)
@pytest.mark.parametrize(("embedding_rank", "first_layer"), [(0, 0), (3, 0), (0, 1)])
def test_after_saving_every_prediction_is_that_of_peft(
    tiny: Tiny, tmp_path: Path, architecture: str, embedding_rank: int, first_layer: int
) -> None:
    base = load_base(str(tiny(architecture)), dtype=torch.float32)
    stirred(base, embedding_rank=embedding_rank, first_layer=first_layer).save(tmp_path, base.network, base_name="tiny")
    ids = [base.tokenizer.start, *base.tokenizer.encode("My kettle waits.")]
    ours = log_probabilities(base, Adapter.load(tmp_path, base.device), ids)
    with torch.no_grad():
        theirs = Peer(tiny(architecture), tmp_path).logits(ids).log_softmax(-1)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4, check_dtype=False)
    assert torch.equal(ours.argmax(-1), theirs.argmax(-1))
    assert (log_probabilities(base, None, ids) - theirs).abs().max() > 0.1


def test_a_saved_adapter_is_read_back(tiny: Tiny, tmp_path: Path) -> None:
    base = load_base(str(tiny("gpt2")))
    adapter = stirred(base)
    adapter.save(tmp_path, base.network, base_name="tiny")
    again = Adapter.load(tmp_path, base.device)
    assert adapter.state().keys() == again.state().keys()
    assert all(torch.equal(t, again.state()[n]) for n, t in adapter.state().items())


def test_a_fresh_adapter_changes_nothing(tiny: Tiny, dataset: Dataset) -> None:
    base = load_base(str(tiny("gpt2")))
    adapter = Adapter.fresh(base.network, rank=4, embedding_rank=3, generator=torch.Generator().manual_seed(0))
    some = rows(base, dataset.heldout)
    assert losses(base, adapter, some) == losses(base, None, some)


def test_a_character_on_gpt2_takes_five_megabytes(tmp_path: Path) -> None:
    weights = {"transformer.wte.weight": torch.empty(50257, 768, dtype=torch.bfloat16)}
    tensors = Tensors(torch.device("cpu"), torch.bfloat16)
    network = GPT2({"n_embd": 768, "n_head": 12, "n_layer": 12, "vocab_size": 50257}, weights, tensors)
    Adapter.fresh(network, rank=16, embedding_rank=0, generator=torch.Generator()).save(tmp_path, network, base_name="gpt2")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 5e6
