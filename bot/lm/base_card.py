"""The card of the embedded base, `nano/README.md`, from the record of its training. Write it anew with `python -m bot.lm.base_card`."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bot.bases import NANO_FOLDER

_GIVEN = "work of the United States government, CC0 1.0"
_OLD = "public domain in the United States (published before 1930)"
_TEXTS = {
    # Name in `training.json` → (short name, what it is, where it is from, its terms)
    "pd_fiction_1890_1927_en": (
        "fiction of 1890 to 1927",
        "English fiction of 1890 to 1927, 206 books; some paragraphs with slurs left out",
        "[classic-books-markdown](https://github.com/mlschmitt/classic-books-markdown)",
        _OLD,
    ),
    "digitalgov_prose_en": (
        "Digital.gov",
        "Digital.gov: pages and articles",
        "[GSA/digitalgov.gov](https://github.com/GSA/digitalgov.gov)",
        _GIVEN,
    ),
    "sgd_dialogues_en": (
        "Schema-Guided Dialogue",
        "Schema-Guided Dialogue: the utterances of 137 of its files",
        "[Google Research](https://github.com/google-research-datasets/dstc8-schema-guided-dialogue)",
        "[CC BY-SA 4.0](https://creativecommons.org/licenses/by-sa/4.0/)",
    ),
    "topical_chat_en": (
        "Topical-Chat",
        "Topical-Chat: its validation and test parts",
        "[Amazon Alexa](https://github.com/alexa/Topical-Chat)",
        "[CDLA-Sharing 1.0](https://cdla.dev/sharing-1-0/)",
    ),
}


def render(record: Mapping[str, Any]) -> str:
    """The card for a base with this `training.json`."""
    passes = record["passes_by_source"]
    texts = "\n".join(f"| {what} | {origin} | {terms} | {passes[name]} |" for name, (_, what, origin, terms) in _TEXTS.items())
    losses = "\n".join(
        f"| {_TEXTS[name][0] if name in _TEXTS else name} | {loss['tokens']:,} | {loss['per_token']:.3f} | {loss['per_byte']:.3f} |"
        for name, loss in record["heldout"].items()
    )
    return f"""---
language: en
license: cc-by-sa-4.0
pipeline_tag: text-generation
tags: ["mynah", "gpt2"]
---

# nano

The base that ships with Mynah, so that it works on a machine without a network. A small language model of English: GPT-2's architecture,
6 layers of width 256 with 4 heads, a context of 512 tokens, a vocabulary of {record["vocabulary"]:,} entries, 8.11 million parameters,
stored 16 bits wide. Any loader for GPT-2 reads this folder.

8,192 of the entries are a byte-level BPE vocabulary trained on the same text. The others spell the letters of scripts that it has never
read and common emoji, {record["letters"]:,} in all: kana and the kanji of the first level of JIS X 0208, the letters of Europe, Greek,
Cyrillic, Hebrew, Arabic and Thai ones. It was taught nothing of them: `scripts/nano_letters.py` put them near what their bytes were. A
character learns them as one token each: by the same recipe Japanese ones have a quarter less loss than from bytes.

It is made to be taught a manner of speaking. It knows next to nothing about the world, and half of its words come from books a century old.

## What it was taught

{record["tokens"]:,} tokens in {record["steps"]:,} steps and {record["seconds"]:,} seconds, with the seed {record["seed"]}, by
`scripts/pretrain_nano.py`.{_again(record["resumed_at"])}

| Text | From | Terms | Times per pass |
| --- | --- | --- | --- |
{texts}

Markup was taken off, and long texts were cut; nothing else was changed. `words.txt` lists the words that stand in two of the texts: another
word that nano spells is none. Please cite, where you use the dialogues:

- Rastogi, Zang, Sunkara, Gupta, Khaitan: *Towards Scalable Multi-domain Conversational Agents: The Schema-Guided Dialogue Dataset*,
  AAAI 2020.
- Gopalakrishnan, Hedayatnia, Chen, Gottardi, Kwatra, Venkatesh, Gabriel, Hakkani-Tür: *Topical-Chat: Towards Knowledge-Grounded
  Open-Domain Conversations*, Interspeech 2019.

## How good it is

Loss on about 1 % of the documents, which were held out by the hash of their text:

| Text | Tokens | nats per token | nats per byte |
| --- | --- | --- | --- |
{losses}

## Limits

- English only. Of another language a character has no more than what its tweets teach it: the words, hardly the sense. Korean, and what
  Chinese has and Japanese has not, takes up to three tokens a letter.
- It states falsehoods fluently. Do not ask it for facts.
- Its fiction carries the views of its time, on people and peoples too.
- It was tested as the base of Mynah's characters and for nothing else.
"""


def _again(resumed_at: Sequence[int]) -> str:
    """What is said of runs that went on where others had ended."""
    return "".join(f" After step {step:,} the learning rate was raised again, and fell once more." for step in resumed_at)


def main() -> None:
    """Write the card of the weights that lie in the package."""
    record = json.loads((NANO_FOLDER / "training.json").read_text(encoding="utf-8"))
    (NANO_FOLDER / "README.md").write_text(render(record), encoding="utf-8")


if __name__ == "__main__":
    main()
