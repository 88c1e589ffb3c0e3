"""What a character adds to its base: a low-rank part for every linear layer and, where the recipe says so, for the embedding, and a bias
on the output. The files are PEFT's own, with the bias beside them.

The base stays as it is: while an adapter is applied, hooks add its part to what each layer puts out. Changing characters therefore costs
nothing, however many there are.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

ADAPTER, CONFIG, BIAS = "adapter_model.safetensors", "adapter_config.json", "output_bias.safetensors"
_PREFIX = "base_model.model."
_A, _B, _BIAS = ".lora_A.weight", ".lora_B.weight", "bias"
_EMBEDDING_A, _EMBEDDING_B = ".lora_embedding_A", ".lora_embedding_B"

_Hook = Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]


class Adapter:
    """The trained tensors of one character."""

    def __init__(self, tensors: dict[str, Tensor], bias: Tensor) -> None:
        """`tensors`: module + `.lora_A.weight` `[rank, inputs]` or `.lora_B.weight` `[outputs, rank]`; `bias` `[vocabulary]`.

        The pair of the output layer, if there is one, is that of the embedding too, as the base's own matrix mostly is.
        """
        self.tensors, self.bias = tensors, bias

    @classmethod
    def fresh(cls, model: PreTrainedModel, *, rank: int, embedding_rank: int, generator: torch.Generator) -> "Adapter":
        """An adapter that changes nothing yet."""
        tensors: dict[str, Tensor] = {}

        def add(name: str, inputs: int, outputs: int, rank: int) -> None:
            tensors[name + _A] = (torch.randn(rank, inputs, generator=generator) * inputs**-0.5).to(model.device)
            tensors[name + _B] = torch.zeros(outputs, rank, device=model.device)

        for name, layer in linear_layers(model).items():
            inputs, outputs = layer.weight.shape if isinstance(layer, Conv1D) else reversed(layer.weight.shape)
            add(name, inputs, outputs, rank)
        head = output_layer(model)
        vocabulary, width = head.weight.shape
        if embedding_rank:
            add(_name_of(model, head), width, vocabulary, embedding_rank)
        return cls(tensors, torch.zeros(vocabulary, device=model.device))

    def state(self) -> dict[str, Tensor]:
        """Every trained tensor by name, the bias too."""
        return self.tensors | {_BIAS: self.bias}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over the values of another state."""
        with torch.no_grad():
            for name, tensor in self.state().items():
                tensor.copy_(state[name])

    @contextmanager
    def applied(self, model: PreTrainedModel) -> Iterator[None]:
        """Within this context the model speaks as the character."""
        head = output_layer(model)
        head_name = _name_of(model, head)
        with ExitStack() as stack:
            for name, layer in linear_layers(model).items():
                stack.callback(layer.register_forward_hook(self._linear_hook(name)).remove)
            if head_name + _A in self.tensors:
                stack.callback(head.register_forward_hook(self._linear_hook(head_name)).remove)
                stack.callback(model.get_input_embeddings().register_forward_hook(self._embedding_hook(head_name)).remove)
            stack.callback(head.register_forward_hook(lambda _module, _inputs, output: output + self.bias).remove)
            yield

    def _linear_hook(self, name: str) -> _Hook:
        a, b = self.tensors[name + _A], self.tensors[name + _B]
        return lambda _module, inputs, output: output + linear(linear(inputs[0], a), b)

    def _embedding_hook(self, name: str) -> _Hook:
        a, b = self.tensors[name + _A], self.tensors[name + _B]
        return lambda _module, inputs, output: output + linear(b[inputs[0]], a.T)

    def save(self, folder: Path, model: PreTrainedModel, *, base_name: str) -> None:
        """Write the three files, the tensors 16 bits wide."""
        head, embedding = (_name_of(model, m) for m in (output_layer(model), model.get_input_embeddings()))
        tensors = dict(self.tensors)
        if head + _A in tensors:
            # PEFT keeps a pair for each module; for an embedding it calls them otherwise and lays them the other way round.
            tensors |= {embedding + _EMBEDDING_A: tensors[head + _B].T, embedding + _EMBEDDING_B: tensors[head + _A].T}
        ranks = {n.removesuffix(_A): t.shape[0] for n, t in tensors.items() if n.endswith(_A)}
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
            "fan_in_fan_out": any(isinstance(layer, Conv1D) for layer in linear_layers(model).values()),
            "lora_dropout": 0.0,
            "bias": "none",
            "inference_mode": True,
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ADAPTER).write_bytes(_serialised({_PREFIX + n: t for n, t in tensors.items()}))
        (folder / BIAS).write_bytes(_serialised({_BIAS: self.bias}))
        (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> "Adapter":
        """Read what `save` wrote."""
        stored = load_file(folder / ADAPTER, device=str(device))
        tensors = {n.removeprefix(_PREFIX): t.float() for n, t in stored.items() if n.endswith((_A, _B))}
        return cls(tensors, load_file(folder / BIAS, device=str(device))[_BIAS].float())


def output_layer(model: PreTrainedModel) -> nn.Linear:
    """The layer that turns the last hidden state into logits."""
    layer: nn.Linear = model.get_output_embeddings()  # type: ignore[no-untyped-call] # transformers types it not
    return layer


def linear_layers(model: PreTrainedModel) -> dict[str, nn.Linear | Conv1D]:
    """Every linear layer but the output's, by name."""
    head = output_layer(model)
    return {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear | Conv1D) and m is not head}


def _name_of(model: PreTrainedModel, module: nn.Module) -> str:
    names: Iterator[str] = (name for name, m in model.named_modules() if m is module)
    return next(names)


def _serialised(tensors: dict[str, Tensor]) -> bytes:
    halves = {name: t.detach().to("cpu", torch.float16).contiguous() for name, t in tensors.items()}
    return bytes(save(halves, metadata={"format": "pt"}))
