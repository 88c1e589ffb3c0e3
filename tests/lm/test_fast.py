"""The preset `fast`: pairs in the upper layers only, over what the lower ones put out, which is computed once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bot.errors import BadInput
from bot.lm.adapter import Adapter, layer_of
from bot.lm.base import Base, load_base
from bot.lm.batches import Corpus, rows
from bot.lm.forward import enter, losses_by_row, total_loss
from bot.lm.network import StoredNetwork
from bot.lm.recipe import Recipe
from bot.lm.scoring import losses
from bot.lm.trainable import Trainable
from bot.lm.training import Trained, plan, train
from bot.tweets.dataset import Dataset
from tests.lm.peers import Peer, log_probabilities, stirred

Tiny = Callable[[str], Path]

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fan_in_fan_out"),
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing"),
]
FAST = Recipe(rank=4, first_layer=1, learning_rate=2e-2, bias_rate=5e-2, epochs=2, batch_tweets=8)


def go(base: Base, dataset: Dataset, recipe: Recipe, folder: Path) -> Trained:
    return train(
        base,
        dataset,
        recipe,
        out=folder / "out",
        checkpoints=folder / "checkpoints",
        seed=7,
        report=lambda _step: None,
        should_stop=lambda: False,
    )


def loss_and_gradients(base: Base, adapter: Adapter, corpus: Corpus) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    trainable = Trainable(adapter, base.dtype, learning_rate=1.0, bias_rate=1.0)
    loss = total_loss(base.network, trainable.pairs, trainable.bias, corpus.batch([5, 0, 9, 2]))
    torch.autograd.backward(loss)
    trainable.gather()
    return loss.detach(), trainable.gradients()


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_it_learns_in_the_upper_layers_and_peft_reads_it(tiny: Tiny, dataset: Dataset, tmp_path: Path, architecture: str) -> None:
    base = load_base(str(tiny(architecture)), dtype=torch.float32)
    trained = go(base, dataset, FAST, tmp_path)
    assert trained.heldout_model < trained.heldout_base - 0.3
    adapter = Adapter.load(tmp_path / "out", base.device)
    assert adapter.pairs(base.dtype).keys() == {n for n in base.network.linears if layer_of(n) == 1}
    assert all(b.abs().max() > 0 for _, b in adapter.pairs(base.dtype).values())
    ids = [base.tokenizer.start, *base.tokenizer.encode("My kettle waits.")]
    with torch.no_grad():
        theirs = Peer(tiny(architecture), tmp_path / "out").logits(ids).log_softmax(-1)
    torch.testing.assert_close(log_probabilities(base, adapter, ids), theirs, rtol=0, atol=1e-4, check_dtype=False)


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_the_heldout_loss_is_that_of_the_saved_character_from_the_first_layer_on(
    tiny: Tiny, dataset: Dataset, tmp_path: Path, architecture: str
) -> None:
    base = load_base(str(tiny(architecture)), dtype=torch.float32)
    trained = go(base, dataset, FAST, tmp_path)
    found = losses(base, Adapter.load(tmp_path / "out", base.device), rows(base, dataset.heldout))
    # The files hold 16 bits.
    assert sum(found) / trained.heldout_tokens == pytest.approx(trained.heldout_model, abs=1e-3)


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_losses_and_gradients_over_the_cache_are_those_without(tiny: Tiny, dataset: Dataset, architecture: str) -> None:
    base = load_base(str(tiny(architecture)), dtype=torch.float32)
    assert isinstance(base.network, StoredNetwork)
    adapter = stirred(base, embedding_rank=0, first_layer=1)
    whole, cached = (Corpus(rows(base, dataset.train), base.dtype, base.device) for _ in range(2))
    enter(base.network, cached, 1)
    pairs = adapter.pairs(base.dtype)
    expected = losses_by_row(base.network, pairs, adapter.bias, whole)
    assert losses_by_row(base.network, pairs, adapter.bias, cached) == pytest.approx(expected, rel=1e-5)
    (loss, gradients), (loss_whole, gradients_whole) = (loss_and_gradients(base, adapter, corpus) for corpus in (cached, whole))
    torch.testing.assert_close(loss, loss_whole, rtol=1e-5, atol=0)
    for name, gradient in gradients.items():
        wanted = gradients_whole[name]
        assert wanted.abs().max() > 0
        assert (gradient - wanted).abs().max() < 1e-5 * wanted.abs().max(), name


def test_over_the_cache_the_layers_below_are_not_asked_again(tiny: Tiny, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    base = load_base(str(tiny("gpt2")), dtype=torch.float32)
    network = base.network
    assert isinstance(network, StoredNetwork)
    corpus = Corpus(rows(base, dataset.heldout), base.dtype, base.device)
    enter(network, corpus, 1)
    asked: list[int] = []
    original = network.layer

    def layer(number: int, *rest: object) -> torch.Tensor:
        asked.append(number)
        left: torch.Tensor = original(number, *rest)  # type: ignore[arg-type]  # handed on as they came
        return left

    monkeypatch.setattr(network, "layer", layer)
    losses_by_row(network, {}, torch.zeros(network.shape.vocabulary), corpus)
    assert set(asked) == {1}


def test_the_plan_of_fast_trains_the_top_third_of_the_layers_and_no_embedding(dataset: Dataset) -> None:
    base = load_base("nano")
    usual, fast = plan(base, dataset), plan(base, dataset, preset="fast")
    assert (usual.first_layer, fast.first_layer, fast.embedding_rank) == (0, 4, 0)
    assert usual.embedding_rank > 0
    assert fast == replace(usual, first_layer=4, embedding_rank=0)


def test_a_base_whose_layers_cannot_be_told_apart_is_refused(tiny: Tiny, dataset: Dataset, tmp_path: Path) -> None:
    base = load_base(str(tiny("gpt_neox")), name="neox")
    sentence = "^The layers of neox cannot be told apart, so all of them are trained: take the default preset\\.$"
    with pytest.raises(BadInput, match=sentence):
        go(base, dataset, FAST, tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_pair_of_the_embedding_is_refused_with_a_cache(tiny: Tiny, dataset: Dataset, tmp_path: Path) -> None:
    sentence = "^A recipe that leaves out layers cannot train the embedding under them: set first_layer or embedding_rank to 0\\.$"
    with pytest.raises(BadInput, match=sentence):
        go(load_base(str(tiny("gpt2"))), dataset, replace(FAST, embedding_rank=2), tmp_path)
