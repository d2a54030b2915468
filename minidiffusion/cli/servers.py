"""What `learn` and `studio` share: a server in a process of its own."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path


def run_until_stopped(command: Sequence[str], folder: Path | None = None) -> int:
    """Run a command in `folder` until it ends or is stopped, by Ctrl-C or by a termination signal."""
    process = subprocess.Popen(command, cwd=folder)
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()  # it ends its kernels first
        process.wait()
        return 0
    finally:
        signal.signal(signal.SIGTERM, before)
