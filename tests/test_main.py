"""What happens before anything heavy is imported."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[1]
NAMESPACE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
SLOW = "print('importing', flush=True); import time; time.sleep(1000)"


@contextlib.contextmanager
def importing(tmp_path: Path, *before: str) -> Iterator[subprocess.Popen[str]]:
    """`mynah run` in the middle of its imports, one of which never ends."""
    (tmp_path / "typer.py").write_text(SLOW)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [*before, sys.executable, "-m", "bot", "run"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "importing\n"
            yield process
        finally:
            process.kill()


@pytest.mark.fault(4)
def test_a_sigterm_while_it_is_imported_is_heard(tmp_path: Path) -> None:
    """SIGTERM in the first second, before anything has begun, ends the bot at once with exit code 0, also as PID 1 of a container."""
    with importing(tmp_path) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.mark.fault(4)
def test_a_sigterm_while_process_number_1_is_imported_is_heard(tmp_path: Path) -> None:
    """As PID 1, to which the kernel gives no signal that it does not handle, the bot hears SIGTERM before its imports have ended."""
    if subprocess.run([*NAMESPACE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs a process namespace of its own (unshare --user --pid), which is not permitted here")
    with importing(tmp_path, *NAMESPACE) as process:
        (bot,) = psutil.Process(process.pid).children()
        assert f"NSpid:\t{bot.pid}\t1\n" in Path(f"/proc/{bot.pid}/status").read_text()
        bot.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
