"""How many CPU cores a process may really use."""

import contextlib
import os
import sys
from pathlib import Path

_CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """CPU cores that this process really has: a container may see 64 and be given 2."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # no cgroup, or no limit ("max")
        quota, period = _CGROUP_LIMIT.read_text().split()
        cores = min(cores, max(1, int(quota) // int(period)))
    return cores
