"""Give nano one token for each letter of scripts that it never read and for each common emoji, which it had to spell byte by byte.

`python -m scripts.nano_letters` does this to the folder that `scripts.pretrain_nano` has made, in a minute and always alike. English is cut
into the same tokens as before. A new letter stands where the mean of its bytes does, a little apart from the others, and as far from
what English calls for as makes all of them together as likely as `LIKELIHOOD`.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from bot.bases import read_json
from scripts.pretrain_nano import SOURCES, VOCABULARY, Weights, encode, heldout_losses, hidden_states, read, save_base

MOST = 13_312
"""Entries that the vocabulary may have: every thousand more makes a character 0.26 MB larger."""
APART = 0.25
"""How far apart the letters stand, in standard deviations of the embedding; 0, 0.1 and 1 gave a worse Japanese."""
LIKELIHOOD = 1e-3
"""Of all new entries together after English text."""
DOCUMENTS = 12
"""Of each source, by which that is measured."""
KUTEN = (1, 3, 4, 5, *range(16, 48))
"""Rows of JIS X 0208: marks, full-width letters and digits, hiragana, katakana, and the 2,965 kanji of its first level."""
RANGES = (
    (0x00A1, 0x017F),  # Latin of Europe
    (0x0391, 0x03CE),  # Greek
    (0x0410, 0x0451),  # Cyrillic
    (0x05D0, 0x05EA),  # Hebrew
    (0x0621, 0x064A),  # Arabic
    (0x0E01, 0x0E5B),  # Thai
    (0x1F1E6, 0x1F1FF),  # flags, of two letters each
    (0x1F44A, 0x1F450),  # hands
    (0x1F493, 0x1F49F),  # hearts
    (0x1F600, 0x1F64F),  # faces and gestures
)
SIGNS = (
    "🌈🌊🌍🌎🌏🌙🌞🌟🌱🌸🌹🎁🎂🎄🎈🎉🎊🎓🎤🎥🎬🎮🎯🎵🎶🏀🏃🏆🏈🏠🏥🏫🏻🏼🏽🏾🏿🐍🐕🐦🐱🐶👀👆👇👈👉👏👑👨👩👦👧👮👶💀💃💉💊💙"
    "💚💛💜💡💥💦💪💬💯💰💻📅📈📉📊📌📍📖📚📝📞📢📣📧📰📱📲📷📸📹📺📻🔍🔎🔒🔔🔗🔜🔝🔥🔬🔴🔵🔶🔹🕐🖤🗓🗣🗳🚀🚌🚑🚒🚗🚨🚫🚲🛑🛰"
    "🤍🤔🤖🤗🤝🤞🤣🤩🤷🥇🥰🥳🦠🧡☀☁☎☑☔☕☝☺♀♂♥♻⚠⚡⚪⚫⚽⚾✅✈✉✊✋✌✍✔✨❄❌❗❓❤➡⬅⬆⬇⭐▪▶◀↩⏰⏳"
    "\u200d\ufe0f"
)
"""Other emoji that tweets are full of, and what makes one of several."""


def letters() -> list[str]:
    """Everything that is to be one token."""
    return list(dict.fromkeys([*_kanji_and_kana(), *(chr(code) for first, last in RANGES for code in range(first, last + 1)), *SIGNS]))


def _kanji_and_kana() -> Iterator[str]:
    for row in KUTEN:
        for cell in range(1, 95):
            try:
                yield bytes([0xA0 + row, 0xA0 + cell]).decode("euc_jp")
            except UnicodeDecodeError:
                continue  # the standard leaves some cells empty


def widened(tokenizer: Tokenizer) -> tuple[Tokenizer, list[str]]:
    """The tokenizer with these letters, and its new entries, in the order of their numbers. What it merged before it merges before them."""
    content = json.loads(tokenizer.to_str())
    vocabulary, merges = content["model"]["vocab"], content["model"]["merges"]
    new: list[str] = []
    for letter in letters():
        entry, *rest = tokenizer.encode(letter, add_special_tokens=False).tokens
        for part in rest:
            if entry + part not in vocabulary:
                vocabulary[entry + part] = len(vocabulary)
                merges.append([entry, part])
                new.append(entry + part)
            entry += part
    return Tokenizer.from_str(json.dumps(content)), new


def rows_of(entries: list[str], old: dict[str, int], embedding: Tensor, hidden: Tensor) -> Tensor:
    """`[entries, width]`; `hidden` `[tokens, width]`: what the output layer sees in English text."""
    apart = torch.randn(len(entries), embedding.shape[1], generator=torch.Generator().manual_seed(0)) * embedding.std() * APART
    rows = torch.stack([embedding[[old[byte] for byte in entry]].mean(0) for entry in entries]) + apart
    known = (hidden @ embedding.T).logsumexp(-1)
    width = hidden.shape[1]
    # The direction of which all that the output layer sees has about 1: ridge regression.
    common = torch.linalg.solve(hidden.T @ hidden + 1e-3 * len(hidden) * torch.eye(width), hidden.sum(0))
    for _ in range(3):  # not all have exactly 1
        sums = (hidden @ rows.T).logsumexp(-1)
        likelihood = (sums - torch.logaddexp(sums, known)).exp().mean()
        rows = rows - (likelihood.log() - torch.tensor(LIKELIHOOD).log()) * common
    return rows


def widen(folder: Path, data: Path) -> dict[str, Any]:
    """Rewrite the base in this folder; what `training.json` says then."""
    tokenizer, weights = Tokenizer.from_file(str(folder / "tokenizer.json")), _read(folder)
    if (size := tokenizer.get_vocab_size()) != VOCABULARY:
        raise SystemExit(f"{folder} has a vocabulary of {size:,}, not of {VOCABULARY:,}: it has its letters already.")
    texts = {name: read(data, name) for name in SOURCES}
    larger, new = widened(tokenizer)
    if VOCABULARY + len(new) > MOST:
        raise SystemExit(f"There are {VOCABULARY + len(new):,} entries, and there may be {MOST:,}: take some letters out.")
    with torch.no_grad():
        hidden = torch.cat([_seen(weights, tokenizer, text) for train, _ in texts.values() for text in train[:DOCUMENTS]])
        embedding = weights["transformer.wte.weight"]
        weights["transformer.wte.weight"] = torch.cat([embedding, rows_of(new, tokenizer.get_vocab(), embedding, hidden)])
    record = read_json(folder / "training.json")
    heldout = {name: (encode(larger, kept), sum(len(text.encode()) + 1 for text in kept)) for name, (_, kept) in texts.items()}
    record |= {"letters": len(letters()), "vocabulary": larger.get_vocab_size(), "heldout": heldout_losses(weights, heldout)}
    save_base(folder, larger, weights, record)
    return record


def _read(folder: Path) -> Weights:
    return {name: weight.float() for name, weight in load_file(folder / "model.safetensors").items()}


def _seen(weights: Weights, tokenizer: Tokenizer, text: str) -> Tensor:
    return hidden_states(weights, encode(tokenizer, [text])[None, :512].long())


def main() -> None:
    """Read the options."""
    parser = argparse.ArgumentParser(description="Give nano a token for each letter of the scripts that it never read.")
    parser.add_argument("--folder", type=Path, default=Path("bot/lm/nano"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data/pretrain"))
    options = parser.parse_args()
    print(json.dumps(widen(options.folder, options.data)["heldout"]))


if __name__ == "__main__":
    main()
