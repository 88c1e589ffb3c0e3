"""Tiny models of every architecture that is tested, with random weights that leave nothing at its starting value."""

from collections.abc import Callable
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    Gemma2Config,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    GptOssConfig,
    LlamaConfig,
    MistralConfig,
    Olmo2Config,
    OPTConfig,
    PhiConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
    SmolLM3Config,
)

DESCRIBED = ("gpt2", "llama", "mistral", "qwen2", "qwen3")
"""Those that `bot.lm.network` describes."""
WRAPPED = ("gpt_neox", "opt", "gemma", "phi", "olmo2", "smollm3")
"""Those that run on transformers' own code."""
REFUSED = ("gemma2", "bloom", "gpt_oss")
"""Those that compute more than can be asked for."""

_BLOCKS: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
}
_SHARED: dict[str, Any] = {**_BLOCKS, "num_key_value_heads": 2}
_CONFIGS: dict[str, tuple[Callable[..., PretrainedConfig], dict[str, Any]]] = {
    "gpt2": (GPT2Config, {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}),
    "llama": (LlamaConfig, _SHARED),
    "mistral": (MistralConfig, {**_SHARED, "sliding_window": None}),
    "qwen2": (Qwen2Config, {**_SHARED, "tie_word_embeddings": True}),
    "qwen3": (Qwen3Config, {**_SHARED, "head_dim": 16, "tie_word_embeddings": True}),
    "gpt_neox": (GPTNeoXConfig, _BLOCKS),
    "opt": (
        OPTConfig,
        {k: v for k, v in _BLOCKS.items() if k != "intermediate_size"} | {"ffn_dim": 64, "word_embed_proj_dim": 32, "pad_token_id": None},
    ),
    "gemma": (GemmaConfig, {**_SHARED, "head_dim": 8, "pad_token_id": None}),
    "phi": (PhiConfig, _BLOCKS),
    "olmo2": (Olmo2Config, {**_SHARED, "pad_token_id": None}),
    "smollm3": (SmolLM3Config, {**_SHARED, "pad_token_id": None}),
    "gemma2": (Gemma2Config, {**_SHARED, "head_dim": 8}),
    "bloom": (BloomConfig, {"hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "gpt_oss": (GptOssConfig, {**_SHARED, "head_dim": 8, "num_local_experts": 4}),
}


def make_model(architecture: str, *, spread: float = 0.1, **fields: Any) -> Any:
    """A model in transformers; `fields` of its config are set otherwise, or besides. `spread`: how far its values lie from 0, or 1."""
    torch.manual_seed(3)
    config, own = _CONFIGS[architecture]
    model: Any = AutoModelForCausalLM.from_config(config(**own | fields), attn_implementation="eager")  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.copy_(torch.randn(tensor.shape) * spread + (tensor if tensor.dim() == 1 else 0))
    return model.eval()
