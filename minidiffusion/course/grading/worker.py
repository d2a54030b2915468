"""The copy's process, seen from the judge: it gets one request at a time, and is stopped if it takes too much."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import psutil
import torch
from torch import Tensor, nn

from ...schedule import Schedule
from ..exercises.judge import NotAttempted, Wrong
from .door import name_error, pack, unpack

START = 300.0  # seconds until Python and PyTorch have started, on a slow machine
MEMORY = 4 * 2**30  # bytes, of a copy and of all that it has started
DEEPEST = 60  # folders in one another; a thousand of them cannot be copied
WORDS = 64 * 2**20  # bytes that a copy may send to the judge for one cell or one check


class Ended(BaseException):  # no check may catch it
    """The process is gone. The message gives the reason, as the rest of a sentence."""


class Process:
    """A new Python process with IPython, in `folder`. The end of the `with` block stops it and all that it started."""

    def __init__(self, folder: Path):
        if sys.platform == "linux":  # processes that lose their parent become ours (PR_SET_CHILD_SUBREAPER)
            ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
        self.others = psutil.Process().children(recursive=True)
        package = Path(__file__).parents[2]
        own_package = folder / "package" / package.name  # what the copy writes into `md` stays there
        shutil.copytree(package, own_package, ignore=odd)
        path = [str(folder / "package"), os.environ.get("PYTHONPATH", "")]
        own = {"PYTHONPATH": os.pathsep.join(filter(None, path)), "IPYTHONDIR": str(folder), "MPLBACKEND": "agg"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "minidiffusion.course.grading.student"],
            cwd=folder,
            env=os.environ | own,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.reason = ""
        self.allow(START)
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.watcher.start()

    def __enter__(self) -> Process:
        try:
            self.ask("run", "")
        except Ended as ended:
            self.__exit__()
            raise RuntimeError(f"the process that runs the cells did not start: it {ended}") from None
        return self

    def __exit__(self, *error: Any) -> None:
        self.reason = self.reason or "is no longer needed"
        self.watcher.join()  # it stops everything, and must not be at it when the next process starts
        with contextlib.suppress(OSError), self.process:
            pass  # which closes its pipes

    def allow(self, seconds: float) -> None:
        """The time for the next requests, all together."""
        self.seconds, self.end, self.words = seconds, time.monotonic() + seconds, 0

    def ask(self, kind: str, content: Any, reply: Callable[[Any], Any] | None = None) -> Any:
        """Send a request and return its answer. reply(question) answers questions in between. Raises Ended."""
        self._send({kind: content})
        while "ask" in (message := self._receive()) and reply:
            self._send(reply(message))
        if kind not in message:
            raise Ended("wrote where only the grader writes")
        return message[kind]

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended, as the next line will tell
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline(WORDS)
        self.words += len(line)
        if not line or self.words > WORDS:
            raise Ended(f"sent more than {WORDS >> 20} MB to the judge" if line else self.reason or "ended Python")
        with contextlib.suppress(ValueError, RecursionError):
            if isinstance(message := json.loads(line), dict):
                return message
        raise Ended("wrote where only the grader writes")

    def _watch(self) -> None:
        """Stop the process when it has taken too much, which also ends the waiting for its answer."""
        while not self.reason:
            time.sleep(0.2)
            if time.monotonic() > self.end:
                self.reason = f"ran longer than {self.seconds:.3g} seconds"
            elif self.process.poll() is not None:
                self.reason = "ended Python"
            elif sum(map(memory, self._family())) > MEMORY:
                self.reason = f"used more than {MEMORY / 2**30:g} GB of memory"
        self._stop()

    def _family(self) -> list[psutil.Process]:
        return [one for one in psutil.Process().children(recursive=True) if one not in self.others]

    def _stop(self) -> None:
        if hasattr(os, "killpg"):  # for orphans where there is no adoption
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)
        for _ in range(100):  # until none of them has started another one meanwhile
            if not (family := self._family()):
                return
            for end in (psutil.Process.suspend, psutil.Process.kill):  # first none of them may start another one
                for one in family:
                    with contextlib.suppress(psutil.Error):
                        end(one)
            psutil.wait_procs(family, timeout=1)


def odd(folder: str, names: list[str]) -> list[str]:
    """Those that are neither files nor folders, such as pipes, that nobody may read, or that lie too deep."""
    if len(Path(folder).parts) > DEEPEST:
        return names
    paths = {name: Path(folder, name) for name in names}
    return [n for n, path in paths.items() if not (path.is_file() or path.is_dir()) or not os.access(path, os.R_OK)]


def memory(process: psutil.Process) -> int:
    """Its memory; of what several processes share, each counts its part, where the system can tell (Linux)."""
    with contextlib.suppress(psutil.Error):
        found = process.memory_full_info()
        return getattr(found, "pss", found.uss)
    return 0


class Answer:
    """The student's function, for the judge. A call runs it in the copy's process, and plain values come back."""

    def __init__(self, process: Process):
        self.process = process

    def __call__(self, *inputs: Any) -> Any:
        self.functions: list[Any] = []
        self.verdict: Exception | None = None
        found = self.process.ask("call", [pack(one, self.special) for one in inputs], self.reply)
        if self.verdict:
            raise self.verdict
        if "wrong" in found:
            raise Wrong(str(found["wrong"]))
        for mine, after in zip(inputs, found["inputs"], strict=True):
            if isinstance(mine, Tensor):
                mine.data = unpack(after)
            elif isinstance(mine, list):
                mine[:] = unpack(after)
            elif isinstance(mine, nn.Module):
                self.take_over(mine, *after["network"])
        value = unpack(found["value"])
        weights = [weight for one in inputs if isinstance(one, nn.Module) for weight in one.parameters()]
        for weight, slope in zip(weights, unpack(found["slopes"]), strict=False):
            if slope is not None:  # a line with the same value and the same gradient
                value = value + ((weight - weight.detach()) * slope).sum().to(value.dtype)
        return value

    @staticmethod
    def take_over(network: nn.Module, weights: dict[str, Any], record: Any) -> None:
        """Give the judge's network the weights, the gradients and the record of the copy's."""
        for name, weight in network.named_parameters():
            value, slope = map(unpack, weights[name])
            weight.data = value
            weight.grad = slope
        if hasattr(network, "record"):
            network.record = unpack(record)

    def special(self, value: Any) -> Any:
        """How the inputs of a check go to the copy: schedules and networks by what makes them, functions by number."""
        if isinstance(value, (Schedule, nn.Module)):
            maker, arguments = cast(tuple[Any, tuple], value.__reduce__())
            return {"make": [maker.__module__, maker.__name__, [pack(one, self.special) for one in arguments]]}
        if isinstance(value, torch.Generator):
            return {"generator": pack(value.get_state())}
        if callable(value):
            self.functions.append(value)
            return {"call": len(self.functions) - 1}
        return None

    def reply(self, question: dict[str, Any]) -> dict[str, Any]:
        """Call a function of the judge's for the copy."""
        try:
            named = {name: unpack(value) for name, value in question["named"].items()}
            return {"value": pack(self.functions[question["ask"]](*unpack(question["inputs"]), **named))}
        except Exception as error:
            if isinstance(error, (NotAttempted, Wrong)):
                self.verdict = error
            return {"error": [type(error).__name__, name_error(error).partition(": ")[2]]}
