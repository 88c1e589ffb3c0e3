"""What a character adds to its base: a low-rank part for linear layers and, where the recipe says so, for the embedding, and a bias on the
output. The files are PEFT's own, with the bias beside them.

The base stays as it is: what multiplies by its matrices adds the character's part. Changing characters therefore costs nothing, however
many there are.
"""

import json
import re
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from bot.lm.adapter_files import ADAPTER, BIAS, BIAS_NAME, CONFIG, LORA_A, LORA_B, PREFIX
from bot.lm.network import Network

Pair = tuple[Tensor, Tensor]
"""A `[rank, inputs]` and B `[outputs, rank]`: the layer's output for x is more by B A x."""
_EMBEDDING_A, _EMBEDDING_B = ".lora_embedding_A", ".lora_embedding_B"


class Adapter:
    """The trained tensors of one character."""

    def __init__(self, tensors: dict[str, Tensor], bias: Tensor) -> None:
        """`tensors`: module + `.lora_A.weight` `[rank, inputs]` or `.lora_B.weight` `[outputs, rank]`; `bias` `[vocabulary]`; 32 bits.

        The pair of the output layer, if there is one, is that of the embedding too, as the base's own matrix mostly is.
        """
        self.tensors, self.bias = tensors, bias

    @classmethod
    def fresh(cls, network: Network, *, rank: int, embedding_rank: int, generator: torch.Generator, first_layer: int = 0) -> "Adapter":
        """An adapter that changes nothing yet. Layers below the first one are left out."""
        tensors: dict[str, Tensor] = {}
        head = network.matrix(network.head)
        vocabulary, width = head.shape

        def add(name: str, inputs: int, outputs: int, rank: int) -> None:
            tensors[name + LORA_A] = (torch.randn(rank, inputs, generator=generator) * inputs**-0.5).to(head.device)
            tensors[name + LORA_B] = torch.zeros(outputs, rank, device=head.device)

        for name, (inputs, outputs) in network.linears.items():
            if layer_of(name) >= first_layer:
                add(name, inputs, outputs, rank)
        if embedding_rank:
            add(network.head, width, vocabulary, embedding_rank)
        return cls(tensors, torch.zeros(vocabulary, device=head.device))

    def pairs(self, dtype: torch.dtype) -> dict[str, Pair]:
        """Each module's pair, cast to this type."""
        names = [n.removesuffix(LORA_A) for n in self.tensors if n.endswith(LORA_A)]
        return {n: (self.tensors[n + LORA_A].to(dtype), self.tensors[n + LORA_B].to(dtype)) for n in names}

    def state(self) -> dict[str, Tensor]:
        """Every trained tensor by name, the bias too."""
        return self.tensors | {BIAS_NAME: self.bias}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over the values of another state."""
        with torch.no_grad():
            for name, tensor in self.state().items():
                tensor.copy_(state[name])

    def save(self, folder: Path, network: Network, *, base_name: str) -> None:
        """Write the three files, the tensors 16 bits wide."""
        head, embedding = network.head, network.embedding
        tensors = dict(self.tensors)
        if head + LORA_A in tensors:
            # PEFT keeps a pair for each module; for an embedding it calls them otherwise and lays them the other way round.
            tensors |= {embedding + _EMBEDDING_A: tensors[head + LORA_B].T, embedding + _EMBEDDING_B: tensors[head + LORA_A].T}
        ranks = {n.removesuffix(LORA_A): t.shape[0] for n, t in tensors.items() if n.endswith(LORA_A)}
        ranks |= {embedding: ranks[head]} if head in ranks else {}
        config = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base_name,
            "target_modules": sorted(ranks),
            "r": max(ranks.values()),
            "lora_alpha": max(ranks.values()),
            "rank_pattern": ranks,
            "alpha_pattern": ranks,
            "fan_in_fan_out": network.transposed,
            "lora_dropout": 0.0,
            "bias": "none",
            "inference_mode": True,
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ADAPTER).write_bytes(_serialised({PREFIX + n: t for n, t in tensors.items()}))
        (folder / BIAS).write_bytes(_serialised({BIAS_NAME: self.bias}))
        (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> "Adapter":
        """Read what `save` wrote."""
        stored = load_file(folder / ADAPTER, device=str(device))
        tensors = {n.removeprefix(PREFIX): t.float() for n, t in stored.items() if n.endswith((LORA_A, LORA_B))}
        return cls(tensors, load_file(folder / BIAS, device=str(device))[BIAS_NAME].float())


def layer_of(name: str) -> int:
    """The number of the layer that a module belongs to: the first number in its name."""
    return int(re.findall(r"\.(\d+)\.", name)[0])


def _serialised(tensors: dict[str, Tensor]) -> bytes:
    halves = {name: t.detach().to("cpu", torch.float16).contiguous() for name, t in tensors.items()}
    return bytes(save(halves, metadata={"format": "pt"}))
