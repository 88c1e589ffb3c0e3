"""What the contestants work on: tweets as Mynah reads and cleans them, bases, and the folder all of it lies in."""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.child import Job, Turn, ask_once, prepare
from benchmarks.line import tell
from bot.bases import NANO_FOLDER
from bot.cores import usable_cores
from bot.tweets.cleaning import Kept, clean
from bot.tweets.dataset import split, write_dataset
from bot.tweets.files import read_source

_ROOT = Path(__file__).parents[1]
_DATA = _ROOT.parent / "shared" / "data"
ACCOUNTS = ("sensanders", "number10gov", "nasa")
_SAMPLE = _ROOT / "bot" / "sample" / "archive.zip"
_HELDOUT = 0.1
_SEED = 1
GPT2_SHAPE = {"n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024}
_TINY_SHAPE = {"n_embd": 8, "n_layer": 2, "n_head": 2, "n_positions": 64}


@dataclass(frozen=True)
class BaseFolder:
    """A base in the form that every contestant reads."""

    name: str
    folder: Path
    weights: str
    """Whose."""

    @property
    def label(self) -> str:
        """For a row."""
        return f"{self.name} ({self.weights})"


@dataclass(frozen=True)
class Place:
    """Where a benchmark runs, and how."""

    work: Path
    """A folder that is gone afterwards."""
    options: argparse.Namespace
    notes: list[str]

    @property
    def tiny(self) -> bool:
        """Whether the form alone is wanted: a toy model, two steps, no times worth reading."""
        return bool(self.options.tiny)


@contextmanager
def place(description: str | None, arguments: Sequence[str] | None, add: Any = None) -> Iterator[Place]:
    """Read the command line and make room. `add` gives the parser the benchmark's own options."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="a toy model and two steps: shows that it runs, measures nothing")
    parser.add_argument("--gpt2", type=Path, metavar="FOLDER", help="the real gpt2; without it the same shape with random weights")
    if add is not None:
        add(parser)
    options = parser.parse_args(arguments)
    prepare(1 if options.tiny else usable_cores(), tiny=options.tiny)
    with tempfile.TemporaryDirectory(prefix="mynah-bench-") as folder:
        yield Place(Path(folder), options, [])


def tweets(place: Place, count: int) -> list[Kept]:
    """The first `count` texts of the accounts, one account after the other; fewer where there are not so many."""
    files = [file for name in ACCOUNTS if (file := _DATA / "characters" / f"{name}.jsonl").is_file()]
    if place.tiny or not files:
        if not place.tiny:
            _note(place, "the accounts' tweets are not here: the sample character's are used, which are fewer")
        files = [_SAMPLE]
    kept: list[Kept] = []
    for file in files:
        if len(kept) < count:
            kept += clean(read_source(file)[1]).kept
    return kept[:count]


def dataset_file(place: Place, taught: int) -> Path:
    """A file with so many tweets to learn from, and a tenth of all beside them held out."""
    target = place.work / f"dataset-{taught}.jsonl"
    if not target.exists():
        write_dataset(target, split(tweets(place, round(taught / (1 - _HELDOUT))), seed=_SEED, share=_HELDOUT))
    return target


def nano(place: Place) -> BaseFolder:
    """The embedded base; when tiny, a toy with its tokenizer."""
    if not place.tiny:
        return BaseFolder("nano", NANO_FOLDER, "as shipped")
    return _random(place, "toy", NANO_FOLDER, _TINY_SHAPE)


def gpt2(place: Place) -> BaseFolder:
    """The 124M base."""
    if place.tiny:
        return nano(place)
    if place.options.gpt2:
        return BaseFolder("gpt2", place.options.gpt2.resolve(), "real")
    tokenizer = _DATA / "gpt2-tokenizer"
    if not tokenizer.is_dir():
        _note(place, "GPT-2's tokenizer is not here: nano's is used in the 124M shape, so texts have more tokens")
        tokenizer = NANO_FOLDER
    return _random(place, "GPT-2 124M", tokenizer, GPT2_SHAPE)


def _random(place: Place, name: str, tokenizer: Path, shape: dict[str, int]) -> BaseFolder:
    folder = place.work / name.replace(" ", "-")
    if not folder.exists():
        tell(f"making {name} with random weights")
        job = {"folder": str(folder), "tokenizer": str(tokenizer), "shape": shape, "vocabulary": None if place.tiny else 50_257}
        ask_once("the maker of random weights", make_random, job, fork=place.tiny)
    return BaseFolder(name, folder, f"random weights, seed {_SEED}")


def _note(place: Place, sentence: str) -> None:
    if sentence not in place.notes:
        place.notes.append(sentence)
        tell(sentence)


def make_random(turn: Turn, job: Job) -> None:
    """Write a GPT-2 of this shape with seeded random weights, and its tokenizer."""
    import torch
    from tokenizers import ByteLevelBPETokenizer, Tokenizer
    from transformers import GPT2Config, GPT2LMHeadModel

    source, folder = Path(job["tokenizer"]), Path(job["folder"])
    if (source / "vocab.json").is_file():
        made = ByteLevelBPETokenizer.from_file(str(source / "vocab.json"), str(source / "merges.txt"))
        made.add_special_tokens(["<|endoftext|>"])
        file = Tokenizer.from_str(made.to_str())
    else:
        file = Tokenizer.from_file(str(source / "tokenizer.json"))
    end = file.token_to_id("<|endoftext|>")
    torch.manual_seed(_SEED)
    config = GPT2Config(vocab_size=job["vocabulary"] or file.get_vocab_size(), bos_token_id=end, eos_token_id=end, **job["shape"])
    for _ in turn.requests():
        GPT2LMHeadModel(config).save_pretrained(folder)
        file.save(str(folder / "tokenizer.json"))
        names = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
        (folder / "tokenizer_config.json").write_text(json.dumps(names), encoding="utf-8")
        turn.end()


def bytes_in(folder: Path, *suffixes: str) -> int:
    """Bytes of the files in a folder, or of those that end so."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and (not suffixes or file.suffix in suffixes))
