"""A base: the pretrained model under every character, with its tokenizer. Loaded from a folder, never from the network."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer as TokenizerFile
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.utils import logging

from bot.bases import NANO, check_folder
from bot.errors import BadInput

NANO_FOLDER = Path(__file__).parent / "nano"
_LONGEST = 1024
"""No tweet needs more positions, however many a base has."""


class Tokenizer:
    """Text to ids and back. No text, whatever it says, becomes a special token."""

    def __init__(self, file: TokenizerFile, *, start: int, end: int) -> None:
        self._file = file
        self._file.no_truncation()
        self._file.no_padding()
        self._file.encode_special_tokens = True
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
        return list(self._file.encode(text, add_special_tokens=False).ids)

    def pieces(self) -> list[bytes | None]:
        """What each id spells, in bytes; None for those that are no text."""
        by_byte = _spells_bytes(self._file)
        return [None if i in self.special else _bytes_of(self._file.id_to_token(i), by_byte=by_byte) for i in range(self.size)]

    def decode(self, ids: list[int]) -> str:
        """The text. Bytes that are no UTF-8, or not yet, become U+FFFD."""
        return str(self._file.decode(ids, skip_special_tokens=True))


@dataclass(frozen=True)
class Base:
    """A loaded base. Its weights are frozen, 32 bits wide and on `device`; what is trained lies beside it."""

    name: str
    model: PreTrainedModel
    tokenizer: Tokenizer
    context: int
    """Positions in one sequence."""
    device: torch.device
    autocast: torch.dtype | None
    """What matrices are multiplied in while training; None = 32 bits."""

    @property
    def parameters(self) -> int:
        """How many numbers the model has."""
        return sum(p.numel() for p in self.model.parameters())


def load_base(base: str, *, name: str | None = None) -> Base:
    """Load `nano` or the model in a folder.

    Raises:
        BadInput: the folder holds no causal language model that may be loaded.
    """
    folder = NANO_FOLDER if base == NANO else check_folder(Path(base))
    logging.disable_progress_bar()  # type: ignore[no-untyped-call] # transformers types it not
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = _load_model(folder, device)
    tokenizer = _load_tokenizer(folder)
    context = getattr(model.config, "max_position_embeddings", None) or _LONGEST
    return Base(
        name=name or base,
        model=model,
        tokenizer=tokenizer,
        context=min(context, _LONGEST),
        device=device,
        autocast=_fast_dtype(device),
    )


def _load_model(folder: Path, device: torch.device) -> PreTrainedModel:
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            attn_implementation="eager",  # on a CPU its backward is a third faster than that of the fused attention
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise BadInput(f"{folder} holds no causal language model that can be loaded: {str(error).splitlines()[0]}") from error
    model, info = loaded
    if info["missing_keys"]:
        raise BadInput(f"The weights in {folder} lack {len(info['missing_keys'])} of the model's tensors: fetch them again.")
    frozen: PreTrainedModel = model.eval().requires_grad_(requires_grad=False).to(device)
    return frozen


def _load_tokenizer(folder: Path) -> Tokenizer:
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
        converted = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        file: TokenizerFile = converted.backend_tokenizer
    except Exception as error:  # tokenizers raises bare Exceptions, transformers whatever its conversion meets
        raise BadInput(f"The tokenizer in {folder} cannot be read: {str(error).splitlines()[0]}") from error
    return file


def _byte_alphabet() -> dict[str, int]:
    """The character that byte-level tokenizers write for each byte: itself where it can be seen, else one from U+0100 on."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    unseen = [byte for byte in range(0x100) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(0x100 + at): byte for at, byte in enumerate(unseen)}


_BYTES = _byte_alphabet()
_FALLBACK = re.compile(r"<0x([0-9A-F]{2})>")


def _spells_bytes(file: TokenizerFile) -> bool:
    """Whether its tokens are written in the byte alphabet."""
    written = "".join(file.encode("é", add_special_tokens=False).tokens)
    return written == "Ã©"


def _bytes_of(token: str | None, *, by_byte: bool) -> bytes | None:
    if token is None:
        return None
    if by_byte and all(c in _BYTES for c in token):
        return bytes(_BYTES[c] for c in token)
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


def _read(path: Path) -> dict[str, object]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _fast_dtype(device: torch.device) -> torch.dtype | None:
    """bfloat16 where the processor multiplies in it, which is several times as fast there; elsewhere it would be slower."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    able = torch.cpu.get_capabilities()
    return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else None
