"""A base: the pretrained model under every character, with its tokenizer. Loaded from a folder, never from the network."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer as TokenizerFile
from torch import Tensor

from bot.bases import NANO, check_folder
from bot.errors import BadInput
from bot.lm.network import Network, StoredNetwork, network_class

NANO_FOLDER = Path(__file__).parent / "nano"
_LONGEST = 1024
"""No tweet needs more positions, however many a base has."""
_COMPUTED = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")
"""What older files hold besides the weights: masks and frequencies of positions."""


class Tokenizer:
    """Text to ids and back. No text, whatever it says, becomes a special token."""

    def __init__(self, file: TokenizerFile, *, start: int, end: int) -> None:
        self.file = file
        self.file.no_truncation()
        self.file.no_padding()
        self.file.encode_special_tokens = True
        self.start = start
        """What every sequence begins with."""
        self.end = end
        """What ends a tweet."""
        added = file.get_added_tokens_decoder()
        self.special = frozenset(i for i, token in added.items() if token.special)
        """Ids that are no text."""
        self.size = file.get_vocab_size(with_added_tokens=True)
        """Ids of this number and above mean nothing."""

    def encode(self, text: str) -> list[int]:
        """The ids of the text alone."""
        return list(self.file.encode(text, add_special_tokens=False).ids)

    def pieces(self) -> list[bytes | None]:
        """What each id spells, in bytes; None for those that are no text."""
        by_byte = _spells_bytes(self.file)
        tokens = {i: token for token, i in self.file.get_vocab(with_added_tokens=True).items()}
        return [None if i in self.special else _bytes_of(tokens.get(i), by_byte=by_byte) for i in range(self.size)]

    def decode(self, ids: list[int]) -> str:
        """The text. Bytes that are no UTF-8, or not yet, become U+FFFD."""
        return str(self.file.decode(ids, skip_special_tokens=True))


@dataclass(frozen=True)
class Base:
    """A loaded base. Its weights are frozen; what is trained lies beside it."""

    name: str
    network: Network
    tokenizer: Tokenizer
    context: int
    """Positions in one sequence."""
    device: torch.device
    dtype: torch.dtype
    """Of the weights."""
    parameters: int
    """How many numbers the model has."""


def base_folder(base: str) -> Path:
    """Where the files of `nano` lie, or of the model in a folder.

    Raises:
        BadInput: the folder holds no model that may be loaded.
    """
    return NANO_FOLDER if base == NANO else check_folder(Path(base))


def load_base(base: str, *, name: str | None = None, dtype: torch.dtype | None = None, rest: Mapping[str, Tensor] | None = None) -> Base:
    """Load `nano` or the model in a folder, with weights of this type; None = the one that is fastest to train on.

    `rest`: all weights but the matrices, where somebody has those already: then no weights are read, and `parameters` counts these alone.

    Raises:
        BadInput: the folder holds no causal language model that may be loaded.
    """
    folder = base_folder(base)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = dtype or fast_dtype(device)
    config = _read(folder / "config.json")
    try:
        network, parameters = _load_network(folder, config, device, dtype) if rest is None else _without_matrices(config, rest)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise BadInput(f"{folder} holds no causal language model that can be loaded: {str(error).splitlines()[0]}") from error
    positions = [p for p in (config.get("max_position_embeddings"), config.get("n_positions"), config.get("sliding_window")) if p]
    return Base(
        name=name or base,
        network=network,
        tokenizer=load_tokenizer(folder),
        context=min(_LONGEST, *(int(str(p)) for p in positions)) if positions else _LONGEST,
        device=device,
        dtype=dtype,
        parameters=parameters,
    )


def _load_network(folder: Path, config: dict[str, Any], device: torch.device, dtype: torch.dtype) -> tuple[Network, int]:
    """The network, and how many numbers it has."""
    described = network_class(config)
    if described is None:
        return _load_wrapped(folder, device, dtype)
    weights = {n: t.to(device, dtype) for n, t in _load_weights(folder).items() if not n.endswith(_COMPUTED)}
    weights = {n if n.startswith(("transformer.", "model.", "lm_head.")) else f"transformer.{n}": t for n, t in weights.items()}
    network = described(config, weights)
    _check_weights(folder, network)
    _check_rest(folder, network)
    return network, sum(t.numel() for t in weights.values())


def _without_matrices(config: dict[str, Any], rest: Mapping[str, Tensor]) -> tuple[Network, int]:
    described = network_class(config)
    if described is None:
        raise ValueError("its architecture is not described here")
    return described(config, dict(rest)), sum(t.numel() for t in rest.values())


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


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of the model in a folder.

    Raises:
        BadInput: it cannot be read, or names no end-of-text token.
    """
    file = _tokenizer_file(folder)
    config = _read(folder / "tokenizer_config.json")
    model = _read(folder / "config.json")
    end = _token_id(file, config.get("eos_token"), model.get("eos_token_id"))
    if end is None:
        raise BadInput(f"{folder} names no end-of-text token, so its tweets would never end: it cannot be a base.")
    start = _token_id(file, config.get("bos_token"), None)
    return Tokenizer(file, start=end if start is None else start, end=end)


def _tokenizer_file(folder: Path) -> TokenizerFile:
    try:
        if (folder / "tokenizer.json").is_file():
            return TokenizerFile.from_file(str(folder / "tokenizer.json"))
        from transformers import AutoTokenizer  # noqa: PLC0415  # see above

        converted = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        file: TokenizerFile = converted.backend_tokenizer
    except Exception as error:  # tokenizers raises bare Exceptions, transformers whatever its conversion meets
        raise BadInput(f"The tokenizer in {folder} cannot be read: {str(error).splitlines()[0]}") from error
    return file


def _byte_alphabet() -> dict[int, int]:
    """The character that byte-level tokenizers write for each byte, by number: the byte's own where it can be seen, else from U+0100 on."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    unseen = [byte for byte in range(0x100) if byte not in seen]
    return {byte: byte for byte in seen} | {0x100 + at: byte for at, byte in enumerate(unseen)}


_BYTES = _byte_alphabet()
_IN_BYTES = frozenset(map(chr, _BYTES))
_FALLBACK = re.compile(r"<0x([0-9A-F]{2})>")


def _spells_bytes(file: TokenizerFile) -> bool:
    """Whether its tokens are written in the byte alphabet."""
    written = "".join(file.encode("é", add_special_tokens=False).tokens)
    return written == "Ã©"


def _bytes_of(token: str | None, *, by_byte: bool) -> bytes | None:
    if token is None:
        return None
    if by_byte and _IN_BYTES.issuperset(token):
        return token.translate(_BYTES).encode("latin-1")
    if found := _FALLBACK.fullmatch(token):
        return bytes.fromhex(found[1])
    return token.replace("\N{LOWER ONE EIGHTH BLOCK}", " ").encode()


def _token_id(file: TokenizerFile, token: object, number: object) -> int | None:
    """The id of a token named in a tokenizer's config (as text or as a record), else the id (or first of several) in the model's."""
    text = token.get("content") if isinstance(token, dict) else token
    if isinstance(text, str) and (found := file.token_to_id(text)) is not None:
        return int(found)
    first = number[0] if isinstance(number, list) and number else number
    return first if isinstance(first, int) else None


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the processor multiplies in it, which is several times as fast there; elsewhere it would be slower."""
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities()
        able = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return torch.bfloat16 if able else torch.float32
