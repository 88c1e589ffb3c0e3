"""transformers and PEFT, to compare with: one tweet at a time, on 32 bits, eager."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from bot.lm.adapter import Adapter
from bot.lm.adapter_files import BIAS
from bot.lm.base import Base
from bot.lm.batches import IGNORED, Row
from bot.lm.scoring import losses


def stirred(base: Base, *, embedding_rank: int = 3, first_layer: int = 0) -> Adapter:
    """An adapter that changes everything it can, with values that 16 bits hold exactly."""
    generator = torch.Generator().manual_seed(1)
    adapter = Adapter.fresh(base.network, rank=4, embedding_rank=embedding_rank, first_layer=first_layer, generator=generator)
    sizes = {n: 0.5 if n.endswith("lora_B.weight") else 0.2 for n in adapter.state()}
    adapter.load_state({n: (torch.randn(t.shape, generator=generator) * sizes[n]).half().float() for n, t in adapter.state().items()})
    return adapter


def log_probabilities(base: Base, adapter: Adapter | None, ids: list[int]) -> Tensor:
    """Ours, `[tokens, vocabulary]`: the loss of every token of the vocabulary after each of these."""
    size = base.network.shape.vocabulary
    after = [Row(ids[:end], [IGNORED] * (end - 1) + [token]) for end in range(1, len(ids) + 1) for token in range(size)]
    return -torch.tensor(losses(base, adapter, after)).view(len(ids), size)


def plain_model(folder: Path) -> Any:
    """The model of a base's folder."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()  # type: ignore[no-untyped-call]


class Peer:
    """PEFT's model with the adapter in a folder, and the bias on its output."""

    def __init__(self, base_folder: Path, adapter_folder: Path) -> None:
        self.bias = load_file(adapter_folder / BIAS)["bias"].float().requires_grad_()
        self._model: Any = PeftModel.from_pretrained(plain_model(base_folder), adapter_folder, is_trainable=True)

    def logits(self, ids: list[int]) -> Tensor:
        """`[tokens, vocabulary]`."""
        logits: Tensor = self._model(input_ids=torch.tensor([ids])).logits[0]
        return logits + self.bias

    def losses(self, rows: Sequence[Row]) -> Tensor:
        """Of each row, the sum over its targets, in nats."""
        parts = [torch.nn.functional.cross_entropy(self.logits(row.inputs), torch.tensor(row.targets), reduction="sum") for row in rows]
        return torch.stack(parts)

    def gradients(self) -> dict[str, Tensor]:
        """By our names; what PEFT keeps apart for the embedding is added to the output layer's pair, which is one with it for us."""
        found = {
            n.replace(".default", "").removeprefix("base_model.model."): p.grad
            for n, p in self._model.named_parameters()
            if p.requires_grad
        }
        (head_a,) = [n for n in found if n.endswith(("lm_head.lora_A.weight", "embed_out.lora_A.weight"))] or [""]
        for name in [n for n in found if "lora_embedding_" in n]:
            ours = head_a if name.endswith("_B") else head_a.replace("lora_A", "lora_B")
            found[ours] = found[ours] + found.pop(name).T
        return {n: g for n, g in (found | {"bias": self.bias.grad}).items() if g is not None}
