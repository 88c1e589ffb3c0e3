"""Fetching a base from the Hugging Face Hub, on the operator's word only. The one place in `lm` that uses the network; needs no torch."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import GatedRepoError, HTTPError, RepositoryNotFoundError  # type: ignore[attr-defined] # HTTPError: of its client
from tqdm import tqdm

from bot.bases import check_folder, is_pulled, pulled_folder
from bot.errors import BadInput, MynahError, NoSpace

_WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
_WANTED = frozenset(
    {
        "config.json",
        "generation_config.json",
        "model.safetensors.index.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "merges.txt",
        "tokenizer.model",
    }
)


def pull(name: str, home: Path, on_progress: Callable[[int, int], None], *, endpoint: str | None = None) -> Path:
    """Fetch the base of this id into `home`, safetensors only; the folder. Does nothing when it is there already.

    `on_progress` gets the bytes fetched and the bytes in all. A broken download goes on where it stopped when called again.

    Raises:
        BadInput: no such model, not open to everybody, or with pickled weights or code of its own.
        NoSpace: it does not fit on the disk.
        MynahError: the Hub cannot be reached.
    """
    folder = pulled_folder(name, home)
    if is_pulled(name, home):
        return folder
    part = folder.with_name(f".{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    try:
        revision, sizes = _listing(name, endpoint)
        _check_room(name, part, sum(sizes.values()))
        progress = _counting(on_progress, sum(sizes.values()))
        for file in sorted(sizes, key=lambda f: sizes[f]):
            hf_hub_download(name, file, revision=revision, local_dir=part, endpoint=endpoint, tqdm_class=progress)
    except GatedRepoError as error:
        raise BadInput(f"{name} is given to people who agreed to its terms only: download it yourself and set its folder.") from error
    except RepositoryNotFoundError as error:
        raise BadInput(f"The Hub has no public model {name!r}: check the spelling, such as HuggingFaceTB/SmolLM2-135M.") from error
    except (HTTPError, OSError) as error:
        raise MynahError(
            f"{name} could not be fetched ({type(error).__name__}): check the connection and run the command again."
        ) from error
    try:
        check_folder(part)
    except BadInput:
        shutil.rmtree(part)
        raise
    shutil.rmtree(part / ".cache", ignore_errors=True)
    part.rename(folder)
    return folder


def _listing(name: str, endpoint: str | None) -> tuple[str | None, dict[str, int]]:
    """(newest revision, wanted file → bytes)."""
    info = HfApi(endpoint=endpoint).model_info(name, files_metadata=True)
    files = {s.rfilename: s.size or 0 for s in info.siblings or ()}
    weights = [f for f in files if _WEIGHTS.fullmatch(f)]
    if not weights:
        raise BadInput(f"{name} has no weights as safetensors; pickled weights can run program code and are not fetched.")
    return info.sha, {f: files[f] for f in files if f in _WANTED or f in weights}


def _check_room(name: str, folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise NoSpace(f"{name} needs {size / 1e6:.0f} MB and the disk has {free / 1e6:.0f} MB left: make room and run it again.")


def _counting(on_progress: Callable[[int, int], None], total: int) -> type[tqdm]:  # type: ignore[type-arg] # generic in the stubs only
    """A progress bar that draws nothing and tells how many bytes have come, over all files."""
    done = 0

    class Counting(tqdm):  # type: ignore[type-arg] # the same
        def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
            kwargs["disable"] = True
            super().__init__(*args, **kwargs)
            self.update(kwargs.get("initial") or 0)

        def update(self, n: float | None = 1) -> bool | None:
            nonlocal done
            done += int(n or 0)
            on_progress(min(done, total), total)
            return None

    return Counting
