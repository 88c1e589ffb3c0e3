"""Which base a character is trained on, found by name. Imports no torch, so that the bot's own process may ask."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from bot.errors import BadInput

NANO = "nano"
NANO_FOLDER = Path(__file__).parent / "lm" / "nano"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")


def choose_base(setting: str, home: Path) -> tuple[str, str]:
    """(what `load_base` takes, the base's name) for `auto`, `nano`, the id of a pulled model, or a folder.

    The name of a folder is its full path: given back to this function, a name always finds its base again.

    Raises:
        BadInput: nothing of that name has been pulled, or the folder holds no usable model.
    """
    setting = setting.strip()
    if setting == NANO or (setting == "auto" and not is_pulled("gpt2", home)):
        return NANO, NANO
    name = "gpt2" if setting == "auto" else setting
    if _ID.fullmatch(name) and is_pulled(name, home):
        return str(check_folder(pulled_folder(name, home))), name
    folder = Path(setting).expanduser()
    if folder.is_dir():
        folder = check_folder(folder.resolve())
        return str(folder), str(folder)
    if _ID.fullmatch(name):
        raise BadInput(f"The base {name} has not been pulled yet: run `mynah base pull {name}` first.")
    raise BadInput(f"The base {setting!r} is neither auto, nano, the id of a model such as gpt2, nor a folder.")


def choose_multilingual(setting: str, multilingual: str, home: Path) -> str | None:
    """The name of the base for tweets that are not English: `multilingual` under `auto`, once it has been pulled; else None.

    `choose_base` finds the base of that name.

    Raises:
        BadInput: `multilingual` can be no model's id.
    """
    return multilingual if setting.strip() == "auto" and is_pulled(multilingual, home) else None


def pulled_folder(name: str, home: Path) -> Path:
    """Where the base of this id lies once it has been pulled.

    Raises:
        BadInput: that can be no model's id.
    """
    if not _ID.fullmatch(name) or ".." in name or "--" in name:
        raise BadInput(f"{name!r} is no model id: one looks like gpt2 or HuggingFaceTB/SmolLM2-135M.")
    return home.resolve() / "bases" / name.replace("/", "--")


def is_pulled(name: str, home: Path) -> bool:
    """Whether `mynah base pull` has fetched it."""
    return (pulled_folder(name, home) / "config.json").is_file()


def packed_folder(home: Path) -> Path:
    """Where the packed copies of bases lie (`bot/lm/packed.py`), which can be made again at any time."""
    return home / "packed"


def packed_file(base: str, folder: Path) -> Path:
    """The packed copy of `nano` or of the base in a folder."""
    return folder / f"{hashlib.sha256(base.encode()).hexdigest()[:16]}.safetensors"


def base_folder(base: str) -> Path:
    """Where the files of `nano` lie, or of the model in a folder.

    Raises:
        BadInput: the folder holds no model that may be loaded.
    """
    return NANO_FOLDER if base == NANO else check_folder(Path(base))


def check_folder(folder: Path) -> Path:
    """The folder, when it holds a model that may be loaded: safetensors and no code of its own.

    Raises:
        BadInput: it has no config.json, pickled weights only, or asks for its own code to be run.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{folder} holds no model: its config.json is missing or unreadable.") from error
    if not isinstance(config, dict) or "model_type" not in config:
        raise BadInput(f"{folder} holds no model: its config.json names no model_type.")
    if "auto_map" in config:
        raise BadInput(f"{folder} wants to run program code of its own; Mynah loads only models that transformers knows.")
    if not any(folder.glob("*.safetensors")):
        raise BadInput(f"{folder} has no weights as safetensors; pickled weights can run program code and are not loaded.")
    return folder


def read_json(path: Path) -> dict[str, Any]:
    """An object from one of a model's files; nothing where there is no such file."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
