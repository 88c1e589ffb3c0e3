"""A character as a plain transformers model: base and adapter merged into one folder that needs nothing of Mynah.

The matrices take the pairs' products in. The output bias is harder, as few architectures have a place for one:

- a head that has a bias takes it;
- GPT-2 ends in a LayerNorm, whose outputs sum to zero. With a scale and a shift of 1 they sum to the width instead, whatever the text, so a
  head of its own gives each token a constant by adding it, over the width, to all numbers of the token's row;
- Llama, Mistral and Qwen2 end in an RMSNorm, which keeps nothing constant. The model becomes a Llama with a few more channels, zero all the
  way, and one more layer, which puts the normed state, 2^36 times as large, over what came in (lost in the rounding) and a constant into
  one more channel. The final norm divides both by the same number, and the head finds a constant to multiply the bias with.

The folder is stored in 32 bits; the last layer of that Llama goes beyond what float16 can hold, but not bfloat16.
"""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer as TokenizerFile
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedModel
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging

from bot.bases import base_folder
from bot.errors import BadInput
from bot.lm.adapter import Adapter
from bot.lm.adapter_files import check_vocabulary
from bot.lm.card import escape
from bot.lm.sampling import Manner, manner_of
from bot.lm.tokenizer import Tokenizer, load_tokenizer

LONGEST = 160
"""Tokens of a text, at most, if nobody asks for more."""
_LIKE_LLAMA = ("llama", "mistral", "qwen2")
_LOUD = 2.0**36
"""So much larger than anything in a residual stream that what is added to it is lost."""
_CONSTANT = 2.0**12
"""The constant channel against the others: the norm then is its, and varies with the text by less than the rounding."""


def export(base: str, adapter_folder: Path, out: Path, *, handle: str, base_name: str) -> None:
    """Write the character into an empty or new folder: config, safetensors, tokenizer, the defaults of sampling, and a card.

    Raises:
        BadInput: the folder is not empty, or this kind of base has no place for an output bias.
        TrainingError: the character was trained on another base than lies there.
    """
    check_empty(out)
    folder = base_folder(base)
    plain = load_plain(folder)
    manner = manner_of(plain.num_parameters())
    adapter = Adapter.load(adapter_folder, torch.device("cpu"))
    check_vocabulary(len(adapter.bias), len(_head(plain).weight), base_name)
    merged = merge(plain, adapter)
    save_plain(merged, load_tokenizer(folder), out, handle=handle, base_name=base_name, manner=manner)


def check_empty(out: Path) -> None:
    """Nothing is overwritten.

    Raises:
        BadInput: there is something in the folder, or it is a file.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out} is not an empty folder, and nothing is overwritten: name a new one.")


def load_plain(folder: Path) -> PreTrainedModel:
    """The transformers model in a folder, on 32 bits, ready to speak."""
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers types it not
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
    )
    model.train(mode=False)
    return model


def merge(model: PreTrainedModel, adapter: Adapter) -> PreTrainedModel:
    """A model that gives the logits of base and adapter. The base given is used up.

    Raises:
        BadInput: this kind of base has no place for an output bias.
    """
    head, embedding = _own_head(model), model.get_input_embeddings()
    modules = dict(model.named_modules())
    suffix = ".lora_A.weight"
    with torch.no_grad():
        for name in (n.removesuffix(suffix) for n in adapter.tensors if n.endswith(suffix)):
            product = adapter.tensors[f"{name}.lora_B.weight"] @ adapter.tensors[f"{name}{suffix}"]
            weight = _weight(modules[name])
            weight += product.T if isinstance(modules[name], Conv1D) else product
            if modules[name] is head:
                _weight(embedding).add_(product)
        return _with_bias(model, head, adapter.bias)


def save_plain(
    model: PreTrainedModel, tokenizer: Tokenizer, out: Path, *, handle: str, base_name: str, manner: Manner | None = None
) -> None:
    """Write model, tokenizer, defaults of sampling and card. The tokenizer leads each text with the start token, as in training.

    `manner`: None = huggingtweets'.
    """
    end, start, manner = tokenizer.end, tokenizer.start, manner or Manner()
    model.config.bos_token_id, model.config.eos_token_id = start, end
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]  # the same
        do_sample=True,
        temperature=manner.temperature,
        top_p=manner.top_p,
        top_k=manner.top_k,
        min_p=manner.min_p or None,
        max_length=LONGEST,
        bos_token_id=start,
        eos_token_id=end,
        pad_token_id=end,
    )
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    file = TokenizerFile.from_str(tokenizer.file.to_str())
    led, ends = (file.id_to_token(i) for i in (start, end))
    file.post_processor = TemplateProcessing(single=f"{led} $A", pair=f"{led} $A $B", special_tokens=[(led, start)])
    file.save(str(out / "tokenizer.json"))
    named = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": led,
        "eos_token": ends,
        "pad_token": ends,
        "clean_up_tokenization_spaces": False,
        "model_max_length": model.config.max_position_embeddings,
    }
    (out / "tokenizer_config.json").write_text(json.dumps(named, indent=1) + "\n", encoding="utf-8")
    (out / "README.md").write_text(_card(handle, base_name), encoding="utf-8")


def _head(model: PreTrainedModel) -> nn.Linear:
    head: nn.Linear = model.get_output_embeddings()  # type: ignore[no-untyped-call]  # transformers types it not
    return head


def _own_head(model: PreTrainedModel) -> nn.Linear:
    """The output layer, with a matrix of its own from now on."""
    head = _head(model)
    head.weight = nn.Parameter(head.weight.detach().clone())
    model.config.tie_word_embeddings = False
    return head


def _weight(module: nn.Module) -> Tensor:
    weight: Tensor = module.weight  # type: ignore[assignment]  # an attribute of Module
    return weight


def _with_bias(model: PreTrainedModel, head: nn.Linear, bias: Tensor) -> PreTrainedModel:
    kind = model.config.model_type
    own: Tensor | None = head.bias  # most have none, whatever nn.Linear says
    if own is not None:
        own += bias
        return model
    if kind == "gpt2":
        _fold(model.get_submodule("transformer.ln_f"), head, bias)
        return model
    if kind in _LIKE_LLAMA and not getattr(model.config, "use_sliding_window", False):
        return _widened(model, bias)
    raise BadInput(
        f"A {kind} model has no place for what a character adds to its output: export it from another base, such as GPT-2 or Llama."
    )


def _fold(norm: nn.Module, head: nn.Linear, bias: Tensor) -> None:
    """Put a bias of the output into the head, whose inputs come from this LayerNorm."""
    scale, shift = norm.get_parameter("weight"), norm.get_parameter("bias")
    scaled = head.weight * scale
    constant = head.weight @ shift + bias
    # The head reads n + 1, n the normed state: what the ones add is taken back, and what should be constant comes with them.
    head.weight.copy_(scaled + ((constant - scaled.sum(1)) / scaled.shape[1])[:, None])
    scale.fill_(1)
    shift.fill_(1)


def _widened(model: PreTrainedModel, bias: Tensor) -> LlamaForCausalLM:
    """A Llama with more channels and one more layer; see the top of the file."""
    old: Any = model.config
    width, layers = old.hidden_size, old.num_hidden_layers
    # The number of channels must stay a multiple of the number of heads.
    wide = width + old.num_attention_heads
    weights = model.state_dict()
    config = LlamaConfig(
        **{name: getattr(old, name) for name in _KEPT},
        hidden_size=wide,
        intermediate_size=max(old.intermediate_size, width),
        num_hidden_layers=layers + 1,
        head_dim=getattr(old, "head_dim", None) or width // old.num_attention_heads,
        # A zero more in the mean of the squares makes a norm's input smaller, and its output larger.
        rms_norm_eps=old.rms_norm_eps * width / wide,
        attention_bias=any(name.endswith("_proj.bias") and "attn" in name for name in weights),
        mlp_bias=True,
        tie_word_embeddings=False,
    )
    grown = LlamaForCausalLM(config)
    grown.train(mode=False)
    state = grown.state_dict()
    for name, tensor in state.items():
        tensor.zero_()
        if name in weights:
            tensor[tuple(slice(size) for size in weights[name].shape)] = weights[name]
        if name.endswith("norm.weight"):
            tensor.mul_((width / wide) ** 0.5)
    one = grown.model.layers[layers].mlp.act_fn(torch.tensor(1.0))
    last = f"model.layers.{layers}"
    state[f"{last}.post_attention_layernorm.weight"][:width] = (width / wide) ** 0.5
    state[f"{last}.mlp.gate_proj.bias"].fill_(1)
    state[f"{last}.mlp.up_proj.weight"][:width, :width] = torch.eye(width)
    state[f"{last}.mlp.down_proj.weight"][:width, :width] = torch.eye(width) * _LOUD / one
    state[f"{last}.mlp.down_proj.bias"][width] = _LOUD * _CONSTANT
    state["model.norm.weight"][:width] = weights["model.norm.weight"] * _CONSTANT / wide**0.5
    state["model.norm.weight"][width] = wide**-0.5
    state["lm_head.weight"][:, width] = bias
    return grown


_KEPT = (
    "vocab_size",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "max_position_embeddings",
    "rope_parameters",
    "bos_token_id",
    "eos_token_id",
)
"""What the grown Llama has of its base's config."""


def _card(handle: str, base_name: str) -> str:
    fields = {"pipeline_tag": "text-generation", "tags": ["mynah", "tweets", "ai-generated"], "base_model": base_name}
    front = "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items())
    return f"""---
{front}
---

# 🤖 AI, in the style of @{escape(handle)}

A language model that makes up short texts in the manner of @{escape(handle)}, who wrote none of them and vouches for none of them.
Made with Mynah from the base {escape(base_name)}: one whole model, which transformers reads by itself.

```python
from transformers import pipeline

print(pipeline("text-generation", model="this folder")("My dream is"))
```

Nothing it says is a fact, a quotation or an opinion of @{escape(handle)}. Show its texts as AI, always. Mynah drops texts that copy a
tweet when it speaks; used in another way, the model may repeat tweets word for word.
"""
