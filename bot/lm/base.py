"""A base: the pretrained model under every character, with its tokenizer. Loaded from a folder, never from the network."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from bot.bases import base_folder, read_json
from bot.errors import BadInput
from bot.lm.network import Network, StoredNetwork, context_of, network_class
from bot.lm.resident import Described
from bot.lm.tensors import Tensors
from bot.lm.tokenizer import load_tokenizer

_COMPUTED = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")
"""What older files hold besides the weights: masks and frequencies of positions."""


@dataclass(frozen=True)
class Base(Described):
    """A loaded base. Its weights are frozen; what is trained lies beside it."""

    network: Network
    device: torch.device
    dtype: torch.dtype
    """Of the weights."""


def load_base(base: str, *, name: str | None = None, dtype: torch.dtype | None = None) -> Base:
    """Load `nano` or the model in a folder, with weights of this type; None = the one that is fastest to train on.

    Raises:
        BadInput: the folder holds no causal language model that may be loaded.
    """
    folder = base_folder(base)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = dtype or fast_dtype(device)
    config = read_json(folder / "config.json")
    try:
        network, parameters = _load_network(folder, config, device, dtype)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise BadInput(f"{folder} holds no causal language model that can be loaded: {str(error).splitlines()[0]}") from error
    return Base(
        name=name or base,
        network=network,
        tokenizer=load_tokenizer(folder),
        context=context_of(config),
        device=device,
        dtype=dtype,
        parameters=parameters,
    )


def _load_network(folder: Path, config: dict[str, Any], device: torch.device, dtype: torch.dtype) -> tuple[Network, int]:
    """The network, and how many numbers it has."""
    tensors = Tensors(device, dtype)
    described = network_class(config, tensors)
    if described is None:
        return _load_wrapped(folder, device, dtype)
    weights = {n: t.to(device, dtype) for n, t in _load_weights(folder).items() if not n.endswith(_COMPUTED)}
    weights = {n if n.startswith(("transformer.", "model.", "lm_head.")) else f"transformer.{n}": t for n, t in weights.items()}
    network = described(config, weights, tensors)
    _check_weights(folder, network)
    _check_rest(folder, network)
    return network, sum(t.numel() for t in weights.values())


def _load_weights(folder: Path) -> dict[str, Tensor]:
    index = folder / "model.safetensors.index.json"
    files = sorted(set(json.loads(index.read_bytes())["weight_map"].values())) if index.is_file() else ["model.safetensors"]
    return {name: tensor for file in files for name, tensor in load_file(folder / Path(file).name).items()}


def _check_weights(folder: Path, network: StoredNetwork) -> None:
    """Whether every matrix is there, and has its size with its bias."""
    shape = network.shape
    sizes = {n: (outputs, inputs) for n, (inputs, outputs) in network.linears.items()}
    sizes |= dict.fromkeys((network.embedding, network.head), (shape.vocabulary, shape.width))
    wrong = 0
    for name, size in sizes.items():
        try:
            bias = network.bias(name)
            wrong += tuple(network.matrix(name).shape) != size or (bias is not None and tuple(bias.shape) != size[:1])
        except KeyError:
            wrong += 1
    if wrong:
        raise BadInput(f"The weights in {folder} lack {wrong} of the model's {len(sizes)} matrices: fetch them again.")


@torch.no_grad()
def _check_rest(folder: Path, network: StoredNetwork) -> None:
    """Whether norms and positions are there too: the network is asked about one token, without its products."""

    def linear(name: str, x: Tensor) -> Tensor:
        return x.new_zeros(len(x), network.linears[name][1])

    def attend(_layer: int, q: Tensor, _k: Tensor, _v: Tensor) -> Tensor:
        return q.flatten(1)

    token = torch.zeros(1, dtype=torch.long, device=network.matrix(network.embedding).device)
    try:
        network.hidden(network.embed(token), token, linear, attend)
    except KeyError as error:
        raise BadInput(f"The weights in {folder} lack {error.args[0]}: fetch them again.") from error


def _load_wrapped(folder: Path, device: torch.device, dtype: torch.dtype) -> tuple[Network, int]:
    from transformers import AutoModelForCausalLM, PreTrainedModel  # noqa: PLC0415  # takes seconds, and most bases need it not
    from transformers.utils import logging  # noqa: PLC0415  # the same

    from bot.lm.wrapped import Wrapped  # noqa: PLC0415  # the same

    logging.disable_progress_bar()  # type: ignore[no-untyped-call] # transformers types it not
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        dtype=torch.float32,
        attn_implementation="eager",
        output_loading_info=True,
    )
    model, info = loaded
    if info["missing_keys"]:
        raise BadInput(f"The weights in {folder} lack {len(info['missing_keys'])} of the model's tensors: fetch them again.")
    frozen: PreTrainedModel = model.eval().requires_grad_(requires_grad=False).to(device)
    network = Wrapped(frozen)
    for parameter in frozen.parameters():  # not the buffers: frequencies of positions need 32 bits
        parameter.data = parameter.data.to(dtype)
    return network, sum(p.numel() for p in frozen.parameters())


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the processor multiplies in it, which is several times as fast there; elsewhere it would be slower."""
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities()
        able = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return torch.bfloat16 if able else torch.float32
