"""Any other architecture that transformers has: its own code runs, but asks for every linear layer and every attention."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface
from transformers.pytorch_utils import Conv1D

from bot.errors import BadInput
from bot.lm.network import Attend, Linear, Network, Shape

_ASKS = "mynah"
"""The name of our attention among transformers' implementations."""
_PROBE = 8
"""Tokens of the tweet that shows whether all is asked for."""
_MORE = ("attn_logit_softcapping", "final_logit_softcapping", "logit_scale", "logits_scaling")
"""Of a config: what is done to scores or logits beyond what a network does. On small numbers the check of logits would not show it."""
_SAME = 1e-3
"""How far logits may lie from the model's own; rounding keeps well below."""


class Wrapped(Network):
    """A transformers model as a network. The model is taken over: it must not be used otherwise afterwards."""

    def __init__(self, model: PreTrainedModel) -> None:
        """Take over a model on 32 bits.

        Raises:
            BadInput: the model computes something that cannot be asked for, such as capped scores.
        """
        self._model = model
        self._linear: Linear = _unset
        self._attend: Attend = _unset
        head: nn.Linear = model.get_output_embeddings()  # type: ignore[no-untyped-call]  # transformers types it not
        self.embedding, self.head = _name_of(model, model.get_input_embeddings()), _name_of(model, head)
        probe = torch.arange(_PROBE, device=model.device) % len(head.weight)
        with torch.no_grad():
            own = model(input_ids=probe[None], use_cache=False).logits[0]
        self._layers = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear | Conv1D) and n != self.head}
        self.transposed = any(isinstance(m, Conv1D) for m in self._layers.values())
        self.linears = {n: _size(m) for n, m in self._layers.items()}
        for name in self._layers:
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, _Asking(self, name, self._layers[name]))
        self.shape = _shape(model, len(head.weight))
        model.set_attn_implementation(_ASKS)
        self._check(probe, own)

    def matrix(self, name: str) -> Tensor:
        """See `Network`."""
        if name in self._layers:
            stored = self._layers[name].weight
            return stored.T if isinstance(self._layers[name], Conv1D) else stored
        weight: Tensor = self._model.get_submodule(name).weight  # type: ignore[assignment]  # an attribute of Module
        return weight

    def bias(self, name: str) -> Tensor | None:
        """See `Network`."""
        return getattr(self._layers.get(name) or self._model.get_submodule(name), "bias", None)

    def embed(self, ids: Tensor) -> Tensor:
        """See `Network`."""
        return functional.embedding(ids, self.matrix(self.embedding))

    def hidden(self, embedded: Tensor, positions: Tensor, linear: Linear, attend: Attend) -> Tensor:
        """See `Network`."""
        self._linear, self._attend = linear, attend
        try:
            out = self._model.base_model(
                inputs_embeds=self._scaled(embedded)[None], position_ids=positions[None], use_cache=False, asker=self, attention_mask=None
            )
        finally:
            self._linear = self._attend = _unset
        hidden: Tensor = out.last_hidden_state[0]
        return hidden

    def _scaled(self, embedded: Tensor) -> Tensor:
        """As large as the layers expect them: Gemma's are scaled, and what a character adds to them too."""
        scale = getattr(self._model.get_input_embeddings(), "embed_scale", 1.0)
        return embedded * torch.as_tensor(scale, dtype=embedded.dtype, device=embedded.device)

    def ask_linear(self, name: str, x: Tensor) -> Tensor:
        """A linear layer of the model asks for its output."""
        flat: Tensor = self._linear(name, x.reshape(-1, x.shape[-1]))
        return flat.view(*x.shape[:-1], -1)

    def ask_attention(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """An attention of the model asks for its output `[1, T, heads, head_width]`; it has `[1, heads, T, head_width]`."""
        out: Tensor = self._attend(layer, *(t[0].transpose(0, 1) for t in (q, k, v)))
        return out.view(1, q.shape[2], q.shape[1], -1)

    def _check(self, probe: Tensor, own: Tensor) -> None:
        """Whether the logits of a tweet are still the model's own when another tweet stands before it."""

        def linear(name: str, x: Tensor) -> Tensor:
            return functional.linear(x, self.matrix(name), self.bias(name))

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            asked.append(layer)
            q, k, v = (t.view(2, len(probe), *t.shape[1:]).transpose(1, 2) for t in (q, k, v))
            out = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
            return out.transpose(1, 2).reshape(2 * len(probe), -1)

        asked: list[int] = []
        positions = torch.arange(len(probe), device=probe.device).repeat(2)
        with torch.no_grad():
            try:
                hidden = self.hidden(self.embed(torch.cat([probe.flip(0), probe])), positions, linear, attend)
            except (RuntimeError, TypeError, AttributeError) as error:
                raise self._unknown() from error
            logits = functional.linear(hidden[len(probe) :], self.matrix(self.head), self.bias(self.head))
        same = (logits - own).abs().max() < _SAME * own.abs().max().clamp(min=1)
        more = any(getattr(self._model.config, name, None) not in (None, 1.0) for name in _MORE)
        if more or not same or asked != list(range(self.shape.layers)):
            raise self._unknown()

    def _unknown(self) -> BadInput:
        return BadInput(f"{self._model.config.model_type} models compute something that Mynah cannot train: take another base.")


class _Asking(nn.Module):
    """Stands where a linear layer stood."""

    def __init__(self, network: Wrapped, name: str, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        """Stays a part of the model, so that it is cast and counted with it."""
        self._ask: Callable[[Tensor], Tensor] = lambda x: network.ask_linear(name, x)

    def forward(self, x: Tensor) -> Tensor:
        """Ask for the output."""
        return self._ask(x)


def _attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, _mask: object, *, scaling: float, asker: Wrapped, **_more: object
) -> tuple[Tensor, None]:
    number: int = module.layer_idx  # type: ignore[assignment]  # an attribute of Module
    rescaled = query * (scaling * query.shape[-1] ** 0.5)
    return asker.ask_attention(number, rescaled, key, value), None


def _unset(*_args: object) -> Tensor:
    raise RuntimeError("the model was called from elsewhere")


def _shape(model: PreTrainedModel, vocabulary: int) -> Shape:
    config = model.config
    heads = config.num_attention_heads
    return Shape(
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        heads=heads,
        key_heads=getattr(config, "num_key_value_heads", None) or heads,
        head_width=getattr(config, "head_dim", None) or config.hidden_size // heads,
        vocabulary=vocabulary,
    )


def _size(layer: nn.Linear | Conv1D) -> tuple[int, int]:
    first, second = layer.weight.shape
    return (first, second) if isinstance(layer, Conv1D) else (second, first)


def _name_of(model: PreTrainedModel, module: nn.Module) -> str:
    names: Iterator[str] = (name for name, m in model.named_modules() if m is module)
    return next(names)


AttentionInterface.register(_ASKS, _attention)
AttentionMaskInterface.register(_ASKS, lambda *_args, **_kwargs: None)
