"""How likely texts are, against transformers and PEFT on nano's own weights, and in 16 bits."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bot.bases import NANO, NANO_FOLDER
from bot.lm.base import load_base
from bot.lm.batches import rows
from bot.lm.scoring import losses
from bot.tweets.cleaning import Kept
from bot.tweets.dataset import Dataset
from tests.lm.peers import Peer, stirred

Tiny = Callable[[str], Path]

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fan_in_fan_out"),
    pytest.mark.filterwarnings("ignore:.*tied"),
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing"),
]


def test_losses_on_nano_are_those_of_transformers_and_peft_tweet_by_tweet(dataset: Dataset, tmp_path: Path) -> None:
    base = load_base(NANO, dtype=torch.float32)
    adapter = stirred(base)
    # So much that it matters and so little that nano still speaks.
    adapter.load_state({n: (t * 0.1).half().float() for n, t in adapter.state().items()})
    adapter.save(tmp_path, base.network, base_name=NANO)
    some = rows(base, [*dataset.heldout, Kept("The heron hums. " * 100), Kept("!"), Kept("a goat 🦉 東京", cut=True)])
    peer = Peer(NANO_FOLDER, tmp_path)
    with torch.no_grad():
        expected = peer.losses(some).tolist()
    found = losses(base, adapter, some)
    assert found == pytest.approx(expected, rel=1e-5)
    plain = losses(base, None, some)
    assert max(abs(a - b) for a, b in zip(found, plain, strict=True)) > 1


@pytest.mark.parametrize("architecture", ["gpt2", "qwen3", "gpt_neox"])
def test_in_16_bits_the_loss_is_nearly_the_same(tiny: Tiny, dataset: Dataset, architecture: str) -> None:
    some = rows(load_base(str(tiny(architecture))), [*dataset.train, *dataset.heldout])
    tokens = sum(len(row.targets) for row in some)
    bases = [load_base(str(tiny(architecture)), dtype=dtype) for dtype in (torch.float32, torch.bfloat16)]
    assert [base.network.matrix(base.network.embedding).dtype for base in bases] == [torch.float32, torch.bfloat16]
    wide, narrow = (sum(losses(base, stirred(base), some)) / tokens for base in bases)
    assert wide != narrow
    assert narrow == pytest.approx(wide, abs=0.02)
