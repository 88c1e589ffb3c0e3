"""A base's tokenizer. Imports no torch: that takes longer than reading it."""

import re
from pathlib import Path

from tokenizers import Tokenizer as TokenizerFile

from bot.bases import read_json
from bot.errors import BadInput


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


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of the model in a folder.

    Raises:
        BadInput: it cannot be read, or names no end-of-text token.
    """
    file = _tokenizer_file(folder)
    config = read_json(folder / "tokenizer_config.json")
    model = read_json(folder / "config.json")
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
