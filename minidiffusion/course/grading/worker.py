"""The process in which a copy runs, seen from outside: it gets one request at a time, and is stopped if it is late."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

START = 300.0  # seconds until Python and PyTorch have started, on a slow machine
LONGEST = 100_000  # characters in an answer


class Ended(Exception):
    """The process is gone. The message gives the reason, as the rest of a sentence."""


class Process:
    """A new Python process with IPython, in `folder`. The end of the `with` block stops it and its children."""

    def __init__(self, folder: Path):
        path = [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
        own = {"PYTHONPATH": os.pathsep.join(filter(None, path)), "IPYTHONDIR": str(folder), "MPLBACKEND": "agg"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "minidiffusion.course.grading.desk"],
            cwd=folder,
            env=os.environ | own,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.lines: queue.Queue[bytes] = queue.Queue(maxsize=8)
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Process:
        try:
            self.ask(START)
        except Ended as ended:
            self.__exit__()
            raise RuntimeError(f"the process that runs the cells did not start: it {ended}") from None
        return self

    def __exit__(self, *error: Any) -> None:
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)  # including what the copy has started
        self.process.kill()
        self.process.wait()

    def ask(self, seconds: float, **request: Any) -> dict[str, Any]:
        """Send a request and return its answer. Raises Ended."""
        number = secrets.token_hex(16)
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({"number": number, **request}).encode() + b"\n")
            self.process.stdin.flush()
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            raise Ended(f"ran longer than {seconds:.3g} seconds") from None
        except OSError:
            line = b""
        try:
            answer = json.loads(line)
            if answer.pop("number") == number:
                return answer
        except (ValueError, KeyError, AttributeError):
            pass
        raise Ended("ended Python" if not line else "wrote where only the grader writes")

    def _listen(self) -> None:
        assert self.process.stdout is not None
        line = b" "
        while line:  # an empty line means that the process has ended
            line = self.process.stdout.readline(LONGEST)
            self.lines.put(line)
