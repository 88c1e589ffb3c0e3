"""The arithmetic of a base: embedding, layers, final norm. One description of each architecture, for training and for speaking.

A network works on tweets laid end to end: `[T, width]` for T tokens of any number of tweets, without padding. What makes a character (its
pairs beside the matrices), how matrices are stored (32, 16 or 8 bits) and which tokens see which (packed tweets, or a cache of keys and
values) is not its business: it asks `linear` for every product with a matrix and `attend` for every attention.

Needs neither transformers nor torch: importing those takes longer than loading a base.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol

from bot.lm.arithmetic import A, Arithmetic

Linear = Callable[[str, A], A]
"""(name of a linear layer, `[T, inputs]`) → `[T, outputs]`, the layer's own bias included."""
Attend = Callable[[int, A, A, A], A]
"""(layer, queries `[T, heads, head_width]`, keys and values `[T, key_heads, head_width]`) → `[T, heads * head_width]`, scaled by
head_width ** -0.5; each token sees itself and what stands before it in its own tweet."""

LONGEST = 1024
"""No tweet needs more positions, however many a base has."""


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


class Layers(Protocol[A]):
    """What speaking wants of a network: see `Network`."""

    shape: Shape
    head: str

    def hidden(self, embedded: A, positions: A, linear: Linear[A], attend: Attend[A]) -> A:
        """See `Network`."""


class Network(ABC, Generic[A]):
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
    def matrix(self, name: str) -> A:
        """The matrix `[outputs, inputs]` of a linear layer, of the output layer, or of the embedding `[vocabulary, width]`."""

    @abstractmethod
    def bias(self, name: str) -> A | None:
        """The bias `[outputs]` of a linear layer, or of the output layer."""

    @abstractmethod
    def embed(self, ids: A) -> A:
        """The embeddings `[T, width]` of tokens `[T]`."""

    @abstractmethod
    def hidden(self, embedded: A, positions: A, linear: Linear[A], attend: Attend[A]) -> A:
        """The last hidden states `[T, width]`, for embedded tokens at these positions `[T]` of their tweets.

        Times the output matrix, plus the output layer's bias, they give the logits.
        """


class StoredNetwork(Network[A]):
    """A network described here, layer by layer; its weights lie in a dict."""

    weights: Mapping[str, A]
    arithmetic: Arithmetic[A]
    activation: str
    """The name of what stands between the layers' wide matrices."""
    tied: bool
    """Whether the output layer is the embedding, so that its matrix need not be stored."""

    @abstractmethod
    def positioned(self, embedded: A, positions: A) -> A:
        """What enters the first layer."""

    @abstractmethod
    def layer(self, number: int, x: A, positions: A, linear: Linear[A], attend: Attend[A]) -> A:
        """What leaves a layer, `[T, width]`."""

    @abstractmethod
    def normed(self, x: A) -> A:
        """The final norm of what left the last layer."""

    def embed(self, ids: A) -> A:
        """See `Network`."""
        return self.arithmetic.rows(self.matrix(self.embedding), ids)

    def hidden(self, embedded: A, positions: A, linear: Linear[A], attend: Attend[A]) -> A:
        """See `Network`."""
        x = self.positioned(embedded, positions)
        for number in range(self.shape.layers):
            x = self.layer(number, x, positions, linear, attend)
        return self.normed(x)

    def matrix(self, name: str) -> A:
        """See `Network`."""
        if name == self.head and self.tied and f"{name}.weight" not in self.weights:
            name = self.embedding
        stored = self.weights[f"{name}.weight"]
        return stored.T if self.transposed and name in self.linears else stored

    def bias(self, name: str) -> A | None:
        """See `Network`."""
        return self.weights.get(f"{name}.bias")


class GPT2(StoredNetwork[A]):
    """GPT-2: learned positions, LayerNorm, one matrix for queries, keys and values."""

    embedding = "transformer.wte"
    transposed = True

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, A], arithmetic: Arithmetic[A]) -> None:
        width, heads = config["n_embd"], config["n_head"]
        self.weights, self.arithmetic = weights, arithmetic
        self.shape = Shape(config["n_layer"], width, heads, heads, width // heads, config["vocab_size"])
        self.tied = config.get("tie_word_embeddings", True)
        inner = config.get("n_inner") or 4 * width
        self._epsilon = config.get("layer_norm_epsilon", 1e-5)
        self.activation = config.get("activation_function", "gelu_new")
        sizes = {"attn.c_attn": (width, 3 * width), "attn.c_proj": (width, width), "mlp.c_fc": (width, inner), "mlp.c_proj": (inner, width)}
        self.linears = {f"transformer.h.{n}.{name}": size for n in range(self.shape.layers) for name, size in sizes.items()}

    def positioned(self, embedded: A, positions: A) -> A:
        """See `StoredNetwork`."""
        return embedded + self.arithmetic.rows(self.weights["transformer.wpe.weight"], positions)

    def layer(self, number: int, x: A, positions: A, linear: Linear[A], attend: Attend[A]) -> A:
        """See `StoredNetwork`."""
        del positions
        h = f"transformer.h.{number}"
        qkv = linear(f"{h}.attn.c_attn", self._norm(f"{h}.ln_1", x))
        q, k, v = qkv.reshape(len(x), 3, self.shape.heads, self.shape.head_width).swapaxes(0, 1)
        x = x + linear(f"{h}.attn.c_proj", attend(number, q, k, v))
        inner = self.arithmetic.activation(self.activation, linear(f"{h}.mlp.c_fc", self._norm(f"{h}.ln_2", x)))
        return x + linear(f"{h}.mlp.c_proj", inner)

    def normed(self, x: A) -> A:
        """See `StoredNetwork`."""
        return self._norm("transformer.ln_f", x)

    def _norm(self, name: str, x: A) -> A:
        return self.arithmetic.layer_norm(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], self._epsilon)


class Llama(StoredNetwork[A]):
    """Llama and what is built like it (Mistral, Qwen2, Qwen3): rotary positions, RMSNorm, gated layers, keys shared by several queries."""

    embedding = "model.embed_tokens"

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, A], arithmetic: Arithmetic[A]) -> None:
        width, heads = config["hidden_size"], config["num_attention_heads"]
        key_heads = config.get("num_key_value_heads") or heads
        head_width = config.get("head_dim") or width // heads
        self.weights, self.arithmetic = weights, arithmetic
        self.shape = Shape(config["num_hidden_layers"], width, heads, key_heads, head_width, config["vocab_size"])
        self.tied = config.get("tie_word_embeddings", False)
        inner = config["intermediate_size"]
        self._epsilon = config.get("rms_norm_eps", 1e-6)
        self.activation = config.get("hidden_act", "silu")
        self._theta = rotary_theta(config)
        self._turns: tuple[A, tuple[A, A]] | None = None
        """Positions, and what turns queries and keys there."""
        sizes = {
            "self_attn.q_proj": (width, heads * head_width),
            "self_attn.k_proj": (width, key_heads * head_width),
            "self_attn.v_proj": (width, key_heads * head_width),
            "self_attn.o_proj": (heads * head_width, width),
            "mlp.gate_proj": (width, inner),
            "mlp.up_proj": (width, inner),
            "mlp.down_proj": (inner, width),
        }
        self.linears = {f"model.layers.{n}.{name}": size for n in range(self.shape.layers) for name, size in sizes.items()}

    def positioned(self, embedded: A, positions: A) -> A:
        """See `StoredNetwork`."""
        del positions
        return embedded

    def layer(self, number: int, x: A, positions: A, linear: Linear[A], attend: Attend[A]) -> A:
        """See `StoredNetwork`."""
        h = f"model.layers.{number}"
        normed = self._norm(f"{h}.input_layernorm", x)
        q, k, v = (linear(f"{h}.self_attn.{part}_proj", normed).reshape(len(x), -1, self.shape.head_width) for part in ("q", "k", "v"))
        if f"{h}.self_attn.q_norm.weight" in self.weights:
            q, k = self._norm(f"{h}.self_attn.q_norm", q), self._norm(f"{h}.self_attn.k_norm", k)
        q, k = self._turned(q, positions), self._turned(k, positions)
        x = x + linear(f"{h}.self_attn.o_proj", attend(number, q, k, v))
        normed = self._norm(f"{h}.post_attention_layernorm", x)
        inner = self.arithmetic.activation(self.activation, linear(f"{h}.mlp.gate_proj", normed)) * linear(f"{h}.mlp.up_proj", normed)
        return x + linear(f"{h}.mlp.down_proj", inner)

    def normed(self, x: A) -> A:
        """See `StoredNetwork`."""
        return self._norm("model.norm", x)

    def _norm(self, name: str, x: A) -> A:
        return self.arithmetic.rms_norm(x, self.weights[f"{name}.weight"], self._epsilon)

    def _turned(self, x: A, positions: A) -> A:
        if self._turns is None or self._turns[0] is not positions:  # the same in every layer
            self._turns = positions, self.arithmetic.turns(positions, self.shape.head_width, self._theta)
        return self.arithmetic.turned(x, self._turns[1])


def rotary_theta(config: Mapping[str, Any]) -> float:
    """The base of the rotary frequencies, where transformers 4 and 5 write it."""
    return float((config.get("rope_parameters") or {}).get("rope_theta") or config.get("rope_theta") or 10_000.0)


def context_of(config: Mapping[str, Any]) -> int:
    """Positions in one sequence."""
    positions = [p for p in (config.get("max_position_embeddings"), config.get("n_positions"), config.get("sliding_window")) if p]
    return min([LONGEST, *(int(p) for p in positions)])


def network_class(config: Mapping[str, Any], arithmetic: Arithmetic[A]) -> type[GPT2[A]] | type[Llama[A]] | None:
    """Which description fits a model's config, or None when none does exactly."""
    if config.get("model_type") == "gpt2":
        plain = config.get("scale_attn_weights", True) and not config.get("scale_attn_by_inverse_layer_idx")
        return GPT2 if plain and arithmetic.knows(config.get("activation_function", "gelu_new")) else None
    if config.get("model_type") in ("llama", "mistral", "qwen2", "qwen3"):
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        plain = rope.get("rope_type", rope.get("type", "default")) == "default" and rope.get("partial_rotary_factor", 1.0) == 1.0
        windowed = config.get("use_sliding_window") or (config.get("model_type") == "mistral" and config.get("sliding_window"))
        return Llama if plain and not windowed and arithmetic.knows(config.get("hidden_act", "silu")) else None
    return None
