"""`python -m bot.lm.machine`: what the language model finds on this machine, as one JSON line. A process of its own: torch is large."""

import json

import torch

from bot.lm import kernels


def describe() -> dict[str, str | bool | None]:
    """`torch`: its version; `device`: what a base would lie on; `kernels_built`: whether there is a library; `kernels_level`: which of
    `kernels.LEVELS` is used, None where none can be.
    """
    on_gpu = torch.cuda.is_available()
    return {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "kernels_built": kernels.were_built(),
        "kernels_level": next(reversed(kernels.levels()), None),
    }


if __name__ == "__main__":
    print(json.dumps(describe()))  # noqa: T201 -- this line is what the process is for
