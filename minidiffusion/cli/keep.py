"""The folder in which `train` keeps what it has, so that nothing that stops it costs more than half a minute."""

from __future__ import annotations

import contextlib
import copy
import importlib
import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from filelock import FileLock, Timeout
from torch import Tensor

from .. import __version__
from ..denoiser import Denoiser
from ..training import checkpoint
from ..training.distributed import processes, sum_over_processes
from ..training.files import remove_parts
from ..training.fit import Step

VERSIONS = {"torch": torch.__version__, "minidiffusion": __version__}
SECONDS, SHARE = 30.0, 0.02  # from one save to the next; longer where that took more than this share of the time
ONE_PRESS = 1.0  # seconds in which several signals are one Ctrl-C


class Folder:
    """The network so far, `model`, and beside it `training`, all that is needed to go on.

    plan: what decides the numbers of the training, as JSON; only the same plan goes on.
    """

    def __init__(self, path: Path, plan: dict[str, Any]):
        self.path, self.plan = path, json.loads(json.dumps(plan))
        self.model, self.training = path / "model.safetensors", path / "training.safetensors"
        self.step = 0  # of the last save
        self.due = time.monotonic() + SECONDS

    def check(self, resume: bool) -> None:
        """ValueError if something is there that must not be overwritten."""
        if self.training.exists() and not resume:
            raise ValueError(f"--out: {self.training} is there already; add --resume to go on, or name another folder")
        if self.model.exists() and not self.training.exists():
            raise ValueError(f"--out: there is a trained network already, {self.model}; name another folder")

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else trains in this folder meanwhile; ValueError if somebody does. Process 0 stands for all."""
        if processes()[0] > 0:
            yield
            return
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            # the system's lock: it ends with the process, however that ends
            with FileLock(self.path / ".lock", timeout=0):
                remove_parts(self.path)
                yield
        except Timeout:
            raise ValueError(f"--out: another training is running in {self.path}; name another folder") from None

    def load(self, denoiser: Denoiser, shape: Sequence[int]) -> dict[str, Tensor] | None:
        """The state to go on from, None if there is none; ValueError if it is broken or of another plan.

        denoiser, shape: what is trained, and one item of the data, which the network does not know.
        """
        if not self.training.exists():
            return None
        state, about = checkpoint.load_training(self.training)
        for key, ours in self.plan.items():
            if about.get(key) != ours:
                theirs = f"{key} is {about.get(key)!r} in {self.training}, and {ours!r} here"
                raise ValueError(f"--resume goes on with the same training only: {theirs}")
        self.step = about["step"]
        # what stopped us may have come after the state and before its network
        ema = copy.deepcopy(denoiser)
        ema.load_state_dict({k.removeprefix("ema."): v for k, v in state.items() if k.startswith("ema.")})
        if processes()[0] == 0:
            self._save_network(ema, shape)
        return state

    def save(self, step: Step, shape: Sequence[int]) -> None:
        """Keep the state and its network; OSError, with the last ones still there, if they cannot be written."""
        began = time.monotonic()
        checkpoint.save_training(step.state(), self.training, {**self.plan, "step": step.number, **VERSIONS})
        self.step = step.number
        self._save_network(step.ema, shape)
        now = time.monotonic()
        self.due = now + max(SECONDS, (now - began) / SHARE)

    def _save_network(self, ema: Denoiser, shape: Sequence[int]) -> None:
        about = {key: self.plan[key] for key in ("recipe", "data", "seed")}
        checkpoint.save(ema, self.model, {**about, "shape": list(shape), "steps": self.step, **VERSIONS})


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Join the other processes, if torchrun started this one."""
    if not (dist.is_available() and dist.is_torchelastic_launched()):
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # The functions of this module keep the group that stands when they are first imported, and an optimizer imports
    # them. A group that outlives this block lets its threads meet the end of Python: 3 runs of 96 were aborted.
    importlib.import_module("torch.distributed.nn")
    dist.init_process_group()  # gloo between CPUs, nccl between GPUs
    try:
        yield
    finally:
        dist.destroy_process_group()


def any_process(pressed: list[float]) -> bool:
    """Whether Ctrl-C was pressed in any of them: all stop after the same step."""
    total = torch.tensor(float(bool(pressed)))
    sum_over_processes([total])
    return total.item() > 0


@contextlib.contextmanager
def ctrl_c_waits() -> Iterator[list[float]]:
    """A list that is empty until Ctrl-C is pressed: what is under way comes to its end. A second one interrupts.

    Under torchrun each process hears one Ctrl-C twice, from the terminal and, a moment later, from torchrun.
    """
    pressed: list[float] = []

    def note(*_: Any) -> None:
        pressed.append(time.monotonic())
        if pressed[-1] - pressed[0] > ONE_PRESS:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
