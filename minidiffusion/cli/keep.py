"""The folder in which `train` saves its work, so that an interruption costs at most half a minute of training."""

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
from torch import Tensor, nn

from .. import __version__
from ..check import came
from ..training import checkpoint
from ..training.descend import Step
from ..training.distributed import processes, sum_over_processes
from ..training.files import remove_parts, write_whole
from ..training.state import TrainingState
from .card import card

VERSIONS = {"torch": torch.__version__, "minidiffusion": __version__}
SECONDS, SHARE = 30.0, 0.02  # save this often, or less often if saving would take more than this share of the time
FIRST = "step,loss,gradient_norm\n"
ONE_PRESS = 1.0  # signals within so many seconds count as one Ctrl-C


class Folder:
    """A folder with `model`, the network so far, its `card`, `losses`, and `training`, everything that resuming needs.

    plan: all settings that influence the result, as JSON. Only a training with the same plan can be resumed. name: of
    the part of a system, each of which has two files of its own.
    """

    def __init__(self, path: Path, plan: dict[str, Any], name: str = ""):
        self.path, self.plan = path, json.loads(json.dumps(plan))
        self.model = path / f"{name or 'model'}.safetensors"
        self.training = path / f"{name}{'.' * bool(name)}training.safetensors"
        self.losses = path / f"{name}{'-' * bool(name)}loss.csv"
        self.card = path / f"{name}{'-' * bool(name)}MODEL_CARD.md"
        self.rows: list[str] = []  # of the losses, since the last save
        self.step = 0  # the step of the last save
        self.due = time.monotonic() + SECONDS

    def check(self, resume: bool) -> None:
        """ValueError if the folder has files that we must not overwrite."""
        if self.training.exists() and not resume:
            raise ValueError(
                f"--out: {self.training} exists already; add --resume to continue it, or choose another folder"
            )
        if self.model.exists() and not self.training.exists():
            raise ValueError(f"--out: {self.model}, a trained network, exists already; choose another folder")

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other trainings out of this folder; ValueError if one is running. Only process 0 holds the lock."""
        if processes()[0] > 0:
            yield
            return
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            # a lock of the operating system, which ends when the process ends, for whatever reason
            with FileLock(self.path / ".lock", timeout=0):
                remove_parts(self.path)
                yield
        except Timeout:
            raise ValueError(f"--out: another training is running in {self.path}; choose another folder") from None

    def load(self, model: nn.Module, shape: Sequence[int] | None = None) -> dict[str, Tensor] | None:
        """The state to resume from, or None if there is none; ValueError if it is broken or has another plan.

        shape: of one item of the data, which the checkpoint records because the network does not know it.
        """
        if not self.training.exists():
            return None
        state, about = checkpoint.load_training(self.training)
        for key, value in self.plan.items():
            if about.get(key) != value:
                difference = f"{key} is {came(about.get(key))} in {self.training}, but {came(value)} here"
                raise ValueError(f"--resume can only continue the same training: {difference}")
        step, done = about.get("step"), state.get("steps_done")
        if type(step) is not int or step < 1 or done is None or done.dtype != torch.int64 or done.tolist() != step:
            raise ValueError(f"--resume needs the step that was reached, and {self.training} does not say it")
        if step > self.plan["steps"]:
            raise ValueError(f"--resume: {self.training} is at step {step}, beyond the {self.plan['steps']} asked for")
        self.step = step
        # the interruption may have come after the state was saved and before the network was
        ema = TrainingState(copy.deepcopy(model), 0, state).ema
        if processes()[0] == 0:
            if self.losses.exists():  # a row may be of a step after the last save, which is about to be done again
                lines = self.losses.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
                rows = [row for row in lines if row.endswith("\n")]
                kept = [row for row in rows if (n := row.partition(",")[0]).isdigit() and int(n) <= self.step]
                with write_whole(self.losses) as file:
                    file.write("".join([FIRST, *kept]).encode())
            self._save_network(ema, shape)
        return state

    def note(self, step: Step) -> None:
        """Remember the loss of a step until the next save."""
        self.rows += [FIRST] if step.number == 1 else []
        self.rows.append(f"{step.number},{step.loss:.6g},{step.gradient_norm:.6g}\n")

    def save(self, step: Step, shape: Sequence[int] | None = None) -> None:
        """Save the state and its network. After an OSError, the last ones that were saved are still there."""
        began = time.monotonic()
        with self.losses.open("w" if self.rows[:1] == [FIRST] else "a") as file:  # first, because `load` drops surplus
            file.write("".join(self.rows))
        self.rows = []
        checkpoint.save_training(step.state(), self.training, {**self.plan, "step": step.number, **VERSIONS})
        self.step = step.number
        self._save_network(step.ema, shape)
        now = time.monotonic()
        self.due = now + max(SECONDS, (now - began) / SHARE)

    def _save_network(self, ema: Any, shape: Sequence[int] | None) -> None:
        about = {key: self.plan[key] for key in ("recipe", "data", "seed", "classes") if key in self.plan}
        about |= {} if shape is None else {"shape": list(shape)}
        about |= {"steps": self.step, **VERSIONS}
        checkpoint.save(ema, self.model, about)
        text = card(self.model.name, self.plan, about, sum(weight.numel() for weight in ema.parameters()))
        with write_whole(self.card) as file:
            file.write(text.encode())

    def finished(self, steps: int) -> Any:
        """The trained part, if a training of these steps has ended here, or else None."""
        if self.training.exists() or not self.model.exists():
            return None
        about = checkpoint.read_header(self.model)["about"]
        if about.get("steps") != steps or about.get("seed") != self.plan["seed"]:
            raise ValueError(f"--out: {self.model} comes from another training, {about}; choose another folder")
        self.step = steps
        return checkpoint.load(self.model)

    def finish(self, model: Any) -> None:
        """Save the trained part for good; the file for resuming is no longer needed."""
        self._save_network(model, None)
        self.training.unlink()


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Join the other processes if torchrun started this one."""
    if not (dist.is_available() and dist.is_torchelastic_launched()):
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # Import this module before there is a group. Otherwise an optimiser imports it later, it keeps a reference to the
    # group, and the threads of the group are still running when Python shuts down: 3 of 96 runs were aborted.
    importlib.import_module("torch.distributed.nn")
    dist.init_process_group()  # gloo between CPUs, nccl between GPUs
    try:
        yield
    finally:
        dist.destroy_process_group()


def any_process(pressed: list[float]) -> bool:
    """Whether Ctrl-C was pressed in any of the processes, so that all stop after the same step."""
    total = torch.tensor(float(bool(pressed)))
    sum_over_processes([total])
    return total.item() > 0


@contextlib.contextmanager
def ctrl_c_waits() -> Iterator[list[float]]:
    """Let the current step end when Ctrl-C is pressed, which shows in the list; a second Ctrl-C interrupts at once.

    Under torchrun, each process receives one Ctrl-C twice: from the terminal and, a moment later, from torchrun.
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
