"""The process in which a copy runs: it runs cells, and calls the student's function when the judge asks for it.

worker.py starts it. Each line is a request or an answer, in JSON. Nothing here decides anything: whatever a copy does
to this process, all that the judge gets is values.
"""

from __future__ import annotations

import builtins
import ctypes
import functools
import importlib
import json
import os
import signal
import sys
from typing import Any

import torch
from IPython.core.interactiveshell import InteractiveShell
from torch import Tensor, nn
from traitlets.config import Config

from ... import course
from .. import exercises
from ..exercises.judge import stopped
from .door import name_error, pack, unpack


class Student:
    """The shell in which the cells run, and the two pipes. They are moved, so that cells do not use them by mistake."""

    def __init__(self) -> None:
        self.requests, self.answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 0)
        os.dup2(nowhere, 1)
        self.shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
        vars(self.shell)["enable_gui"] = lambda gui=None: None  # `%matplotlib inline` would ask for a window
        # the copy's own calls of `check` decide nothing, so they need not take any time
        exercises.check = course.check = lambda exercise, answer: None
        self.answer: Any = None
        self.process = os.getpid()

    def send(self, **message: Any) -> None:
        if os.getpid() != self.process:  # a copy that forks would have two
            os._exit(0)
        self.answers.write(json.dumps(message).encode() + b"\n")
        self.answers.flush()

    def run(self, source: str) -> str:
        """Run a cell. Returns its error, or an empty text."""
        try:
            result = self.shell.run_cell(source, store_history=False)
            error = result.error_before_exec or result.error_in_exec
        except BaseException as broken:
            error = broken
        return name_error(error) if error else ""

    def find(self, expression: str) -> dict[str, Any]:
        """What the expression is in the copy: a value, a function to call, or an error."""
        try:
            with self.shell.builtin_trap:
                self.answer = eval(expression, self.shell.user_ns)
            return {"function": True} if callable(self.answer) else {"value": pack(self.answer)}
        except BaseException as error:
            return {"error": name_error(error)}

    def call(self, packed: list[Any]) -> dict[str, Any]:
        """Call the function: what it returns, how that depends on the networks, and what has become of its inputs."""
        try:
            inputs = unpack(packed, self.special)
            with torch.enable_grad():  # a cell may have switched it off
                value = self.answer(*inputs)
            after = [pack(one) if isinstance(one, (Tensor, list)) else trained(one) for one in inputs]
            return {"value": pack(value), "slopes": slopes(value, inputs), "inputs": after}
        except BaseException as error:
            return {"wrong": stopped(self.answer, error)}

    def special(self, kind: str, content: Any) -> Any:
        """The inputs that are not plain values: schedules and networks, generators, and functions of the judge's."""
        if kind == "make":
            module, name, arguments = content
            return getattr(importlib.import_module(module), name)(*unpack(arguments, self.special))
        if kind == "generator":
            generator = torch.Generator()
            generator.set_state(unpack(content))
            return generator
        return functools.partial(self.ask, content)

    def ask(self, function: int, /, *inputs: Any, **named: Any) -> Any:
        """Call a function of the judge's."""
        self.send(ask=function, inputs=pack(list(inputs)), named={name: pack(value) for name, value in named.items()})
        reply = json.loads(self.requests.readline())
        if "error" in reply:
            name, text = reply["error"]
            raise getattr(builtins, name, RuntimeError)(text)
        return unpack(reply["value"])


def trained(network: Any) -> Any:
    """The weights of a network, their gradients, and what it has recorded, if it keeps a `record`; else None."""
    if not isinstance(network, nn.Module):
        return None
    weights = {name: [pack(weight), pack(weight.grad)] for name, weight in network.named_parameters()}
    return {"network": [weights, pack(getattr(network, "record", None))]}


def slopes(value: Any, inputs: list[Any]) -> list[Any]:
    """The gradient of a loss in the weights of the networks that came in."""
    weights = [weight for one in inputs if isinstance(one, nn.Module) for weight in one.parameters()]
    if not weights or not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
        return []
    return [pack(slope) for slope in torch.autograd.grad(value, weights, allow_unused=True)]


if __name__ == "__main__":
    if sys.platform == "linux":  # if the grader is killed, this process ends with it (PR_SET_PDEATHSIG)
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
    student = Student()
    for line in student.requests:
        ((kind, content),) = json.loads(line).items()  # kind is "run", "find" or "call"
        student.send(**{kind: getattr(student, kind)(content)})
