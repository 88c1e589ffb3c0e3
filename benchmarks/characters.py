"""Characters to speak with: adapters on a base, and the whole models that the rivals need in their place."""

from pathlib import Path

from benchmarks.child import Job, Turn, ask_once
from benchmarks.material import BaseFolder, Place, dataset_file
from benchmarks.trainers import ours

_ALPHABET = "é’“”…🦉"
_LOUDNESS = 0.01
"""Standard deviation of the second matrix of each pair: enough that nothing can be left out."""


def adapters(here: Place, base: BaseFolder, count: int) -> list[Path]:
    """Folders of so many characters with random adapters of the size that training makes on this base."""
    folder = here.work / f"characters-{base.folder.name}"
    names = [folder / f"{number:04}" for number in range(count)]
    if not names[-1].exists():
        job = {
            "base": str(base.folder),
            "folders": [str(name) for name in names],
            "dataset": str(dataset_file(here, 60 if here.tiny else 400)),
        }
        ask_once("the maker of characters", make_adapters, job, fork=here.tiny)
    return names


def merged(here: Place, base: BaseFolder, adapter: Path) -> Path:
    """The same character as a plain transformers model."""
    out = here.work / f"merged-{base.folder.name}"
    if not out.exists():
        job = {"base": str(base.folder), "adapter": str(adapter), "out": str(out)}
        ask_once("the export", make_merged, job, fork=here.tiny)
    return out


def make_adapters(turn: Turn, job: Job) -> None:
    """Write adapters that differ in their numbers."""
    import torch

    from bot.lm.adapter import Adapter
    from bot.lm.base import load_base
    from bot.lm.spelling import write_alphabet
    from bot.lm.training import plan
    from bot.tweets.dataset import read_dataset

    base = load_base(job["base"])
    recipe = plan(base, read_dataset(Path(job["dataset"])), {})
    for _ in turn.requests():
        for number, folder in enumerate(job["folders"]):
            generator = torch.Generator().manual_seed(number)
            adapter = Adapter.fresh(base.network, rank=recipe.rank, embedding_rank=recipe.embedding_rank, generator=generator)
            for name, tensor in adapter.state().items():
                if not name.endswith(".lora_A.weight"):
                    tensor.normal_(std=_LOUDNESS, generator=generator)
            adapter.save(Path(folder), base.network, base_name=base.name)
            write_alphabet(Path(folder), [_ALPHABET])
        turn.end()


def make_merged(turn: Turn, job: Job) -> None:
    """Export a character."""
    from bot.lm.export import export

    for _ in turn.requests():
        export(job["base"], Path(job["adapter"]), Path(job["out"]), handle="someone", base_name="base")
        turn.end()


def trained(here: Place, base: BaseFolder) -> Path:
    """The folder of a character that was really taught, for texts that end by themselves."""
    out = here.work / f"taught-{base.folder.name}"
    if not out.exists():
        dataset = dataset_file(here, 60 if here.tiny else 400)
        job = {
            "base": str(base.folder),
            "dataset": str(dataset),
            "out": str(out),
            "seed": 1,
            "overrides": {"epochs": 1 if here.tiny else 2},
        }
        ask_once("the training of a character", ours, job, fork=here.tiny)
    return out
