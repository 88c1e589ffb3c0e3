"""Loading a base to speak on: without torch wherever that is possible."""

import logging
from pathlib import Path
from typing import Any

from bot.lm.arithmetic import Array
from bot.lm.generation import Speaker
from bot.lm.kernels import are_usable
from bot.lm.packed import can_be_packed, read_packed
from bot.lm.packing import pack_apart
from bot.lm.resident import Resident

_GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Of NVIDIA's driver, of AMD's, and of Windows' under Linux."""

log = logging.getLogger("mynah.loading")


def load_speaker(base: str, copies: Path) -> Speaker:
    """Speak on `nano` or the base in a folder. `copies`: the folder of packed copies, see `bot.lm.packed`.

    Raises:
        BadInput: the folder holds no causal language model that may be loaded.
    """
    return Speaker(resident_of(base, copies))


def resident_of(base: str, copies: Path) -> Resident[Any]:
    """The base that `load_speaker` speaks on."""
    packed = _packed(base, copies) if are_usable() and not _has_gpu() else None
    if packed is not None:
        return packed
    from bot.lm.quantised import load_resident  # noqa: PLC0415  # torch takes longer than all else

    return load_resident(base)


def _packed(base: str, copies: Path) -> Resident[Array] | None:
    """The base from its copy, which is made where there is none; None where there can be none."""
    found = read_packed(base, copies)
    if found is None and can_be_packed(base):
        problem = pack_apart(base, copies)
        if problem:
            log.warning("no packed copy of the base %s could be kept, so each start takes longer: %s", base, problem)
        found = read_packed(base, copies)
    return found


def _has_gpu() -> bool:
    """Whether torch finds a GPU; it is not asked where no driver offers one."""
    if not any(Path(device).exists() for device in _GPU_DEVICES):
        return False
    import torch  # noqa: PLC0415  # see above

    return torch.cuda.is_available()
