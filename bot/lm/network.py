"""The arithmetic of a base: embedding, layers, final norm. One description of each architecture, for training and for speaking.

A network works on tweets laid end to end: `[T, width]` for T tokens of any number of tweets, without padding. What makes a character (its
pairs beside the matrices), how matrices are stored (32, 16 or 8 bits) and which tokens see which (packed tweets, or a cache of keys and
values) is not its business: it asks `linear` for every product with a matrix and `attend` for every attention.

Needs no transformers: importing that takes longer than loading a base.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Linear = Callable[[str, Tensor], Tensor]
"""(name of a linear layer, `[T, inputs]`) → `[T, outputs]`, the layer's own bias included."""
Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""(layer, queries `[T, heads, head_width]`, keys and values `[T, key_heads, head_width]`) → `[T, heads * head_width]`, scaled by
head_width ** -0.5; each token sees itself and what stands before it in its own tweet."""

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_new": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu_pytorch_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "relu": functional.relu,
    "silu": functional.silu,
}


@dataclass(frozen=True)
class Shape:
    """The numbers of an architecture."""

    layers: int
    width: int
    heads: int
    key_heads: int
    """Heads of keys and values; each serves `heads / key_heads` heads of queries."""
    head_width: int
    vocabulary: int
    """Rows of the embedding, which may be more than the tokenizer has ids."""


class Network(ABC):
    """The weights of a base under the names of their modules in transformers, and what is computed with them."""

    shape: Shape
    linears: Mapping[str, tuple[int, int]]
    """Every linear layer but the output's → (inputs, outputs), in the order in which they are used."""
    embedding: str
    """Name of the module that holds the embedding."""
    head = "lm_head"
    """Name of the output layer."""
    transposed = False
    """Whether the checkpoint stores matrices as `[inputs, outputs]`, as GPT-2's does."""

    @abstractmethod
    def matrix(self, name: str) -> Tensor:
        """The matrix `[outputs, inputs]` of a linear layer, of the output layer, or of the embedding `[vocabulary, width]`."""

    @abstractmethod
    def bias(self, name: str) -> Tensor | None:
        """The bias `[outputs]` of a linear layer, or of the output layer."""

    @abstractmethod
    def embed(self, ids: Tensor) -> Tensor:
        """The embeddings `[T, width]` of tokens `[T]`."""

    @abstractmethod
    def hidden(self, embedded: Tensor, positions: Tensor, linear: Linear, attend: Attend) -> Tensor:
        """The last hidden states `[T, width]`, for embedded tokens at these positions `[T]` of their tweets.

        Times the output matrix, plus the output layer's bias, they give the logits.
        """


class StoredNetwork(Network):
    """A network described here, layer by layer; its weights lie in a dict."""

    def __init__(self, shape: Shape, weights: dict[str, Tensor], *, tied: bool) -> None:
        """`tied`: by its config the output layer is the embedding, so that its matrix need not be stored."""
        self.shape, self.weights, self.tied = shape, weights, tied

    @abstractmethod
    def positioned(self, embedded: Tensor, positions: Tensor) -> Tensor:
        """What enters the first layer."""

    @abstractmethod
    def layer(self, number: int, x: Tensor, positions: Tensor, linear: Linear, attend: Attend) -> Tensor:
        """What leaves a layer, `[T, width]`."""

    @abstractmethod
    def normed(self, x: Tensor) -> Tensor:
        """The final norm of what left the last layer."""

    def embed(self, ids: Tensor) -> Tensor:
        """See `Network`."""
        return functional.embedding(ids, self.matrix(self.embedding))

    def hidden(self, embedded: Tensor, positions: Tensor, linear: Linear, attend: Attend) -> Tensor:
        """See `Network`."""
        x = self.positioned(embedded, positions)
        for number in range(self.shape.layers):
            x = self.layer(number, x, positions, linear, attend)
        return self.normed(x)

    def matrix(self, name: str) -> Tensor:
        """See `Network`."""
        if name == self.head and self.tied and f"{name}.weight" not in self.weights:
            name = self.embedding
        stored = self.weights[f"{name}.weight"]
        return stored.T if self.transposed and name in self.linears else stored

    def bias(self, name: str) -> Tensor | None:
        """See `Network`."""
        return self.weights.get(f"{name}.bias")


class GPT2(StoredNetwork):
    """GPT-2: learned positions, LayerNorm, one matrix for queries, keys and values."""

    embedding = "transformer.wte"
    transposed = True

    def __init__(self, config: Mapping[str, Any], weights: dict[str, Tensor]) -> None:
        width, heads = config["n_embd"], config["n_head"]
        shape = Shape(config["n_layer"], width, heads, heads, width // heads, config["vocab_size"])
        super().__init__(shape, weights, tied=config.get("tie_word_embeddings", True))
        inner = config.get("n_inner") or 4 * width
        self._epsilon = config.get("layer_norm_epsilon", 1e-5)
        self._activation = _ACTIVATIONS[config.get("activation_function", "gelu_new")]
        sizes = {"attn.c_attn": (width, 3 * width), "attn.c_proj": (width, width), "mlp.c_fc": (width, inner), "mlp.c_proj": (inner, width)}
        self.linears = {f"transformer.h.{n}.{name}": size for n in range(shape.layers) for name, size in sizes.items()}

    def positioned(self, embedded: Tensor, positions: Tensor) -> Tensor:
        """See `StoredNetwork`."""
        return embedded + functional.embedding(positions, self.weights["transformer.wpe.weight"])

    def layer(self, number: int, x: Tensor, positions: Tensor, linear: Linear, attend: Attend) -> Tensor:
        """See `StoredNetwork`."""
        del positions
        h = f"transformer.h.{number}"
        qkv = linear(f"{h}.attn.c_attn", self._norm(f"{h}.ln_1", x))
        q, k, v = qkv.view(len(x), 3, self.shape.heads, self.shape.head_width).unbind(1)
        x = x + linear(f"{h}.attn.c_proj", attend(number, q, k, v))
        inner = self._activation(linear(f"{h}.mlp.c_fc", self._norm(f"{h}.ln_2", x)))
        return x + linear(f"{h}.mlp.c_proj", inner)

    def normed(self, x: Tensor) -> Tensor:
        """See `StoredNetwork`."""
        return self._norm("transformer.ln_f", x)

    def _norm(self, name: str, x: Tensor) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], self._epsilon)


class Llama(StoredNetwork):
    """Llama and what is built like it (Mistral, Qwen2, Qwen3): rotary positions, RMSNorm, gated layers, keys shared by several queries."""

    embedding = "model.embed_tokens"

    def __init__(self, config: Mapping[str, Any], weights: dict[str, Tensor]) -> None:
        width, heads = config["hidden_size"], config["num_attention_heads"]
        key_heads = config.get("num_key_value_heads") or heads
        head_width = config.get("head_dim") or width // heads
        shape = Shape(config["num_hidden_layers"], width, heads, key_heads, head_width, config["vocab_size"])
        super().__init__(shape, weights, tied=config.get("tie_word_embeddings", False))
        inner = config["intermediate_size"]
        self._epsilon = config.get("rms_norm_eps", 1e-6)
        self._activation = _ACTIVATIONS[config.get("hidden_act", "silu")]
        self._frequencies = rotary_theta(config) ** (-torch.arange(0, head_width, 2, dtype=torch.int64).float() / head_width)
        sizes = {
            "self_attn.q_proj": (width, heads * head_width),
            "self_attn.k_proj": (width, key_heads * head_width),
            "self_attn.v_proj": (width, key_heads * head_width),
            "self_attn.o_proj": (heads * head_width, width),
            "mlp.gate_proj": (width, inner),
            "mlp.up_proj": (width, inner),
            "mlp.down_proj": (inner, width),
        }
        self.linears = {f"model.layers.{n}.{name}": size for n in range(shape.layers) for name, size in sizes.items()}

    def positioned(self, embedded: Tensor, positions: Tensor) -> Tensor:
        """See `StoredNetwork`."""
        del positions
        return embedded

    def layer(self, number: int, x: Tensor, positions: Tensor, linear: Linear, attend: Attend) -> Tensor:
        """See `StoredNetwork`."""
        h = f"model.layers.{number}"
        normed = self._norm(f"{h}.input_layernorm", x)
        q, k, v = (linear(f"{h}.self_attn.{part}_proj", normed).view(len(x), -1, self.shape.head_width) for part in ("q", "k", "v"))
        if f"{h}.self_attn.q_norm.weight" in self.weights:
            q, k = self._norm(f"{h}.self_attn.q_norm", q), self._norm(f"{h}.self_attn.k_norm", k)
        q, k = self._turned(q, k, positions)
        x = x + linear(f"{h}.self_attn.o_proj", attend(number, q, k, v))
        normed = self._norm(f"{h}.post_attention_layernorm", x)
        inner = self._activation(linear(f"{h}.mlp.gate_proj", normed)) * linear(f"{h}.mlp.up_proj", normed)
        return x + linear(f"{h}.mlp.down_proj", inner)

    def normed(self, x: Tensor) -> Tensor:
        """See `StoredNetwork`."""
        return self._norm("model.norm", x)

    def _norm(self, name: str, x: Tensor) -> Tensor:
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self._epsilon)
        return self.weights[f"{name}.weight"] * wide.to(x.dtype)

    def _turned(self, q: Tensor, k: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys turned by their positions (rotary embedding, Su et al. 2021, halves side by side)."""
        angles = positions[:, None].float() * self._frequencies.to(positions.device)
        cos, sin = (f(torch.cat([angles, angles], -1))[:, None].to(q.dtype) for f in (torch.cos, torch.sin))

        def turn(t: Tensor) -> Tensor:
            left, right = t.chunk(2, -1)
            return t * cos + torch.cat([-right, left], -1) * sin

        return turn(q), turn(k)


def rotary_theta(config: Mapping[str, Any]) -> float:
    """The base of the rotary frequencies, where transformers 4 and 5 write it."""
    return float((config.get("rope_parameters") or {}).get("rope_theta") or config.get("rope_theta") or 10_000.0)


def network_class(config: Mapping[str, Any]) -> type[GPT2] | type[Llama] | None:
    """Which description fits a model's config, or None when none does exactly."""
    if config.get("model_type") == "gpt2":
        plain = config.get("scale_attn_weights", True) and not config.get("scale_attn_by_inverse_layer_idx")
        return GPT2 if plain and config.get("activation_function", "gelu_new") in _ACTIVATIONS else None
    if config.get("model_type") in ("llama", "mistral", "qwen2", "qwen3"):
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        plain = rope.get("rope_type", rope.get("type", "default")) == "default" and rope.get("partial_rotary_factor", 1.0) == 1.0
        windowed = config.get("use_sliding_window") or (config.get("model_type") == "mistral" and config.get("sliding_window"))
        return Llama if plain and not windowed and config.get("hidden_act", "silu") in _ACTIVATIONS else None
    return None
