"""The process in which a copy runs: it runs cells and judges answers. worker.py starts it; each line is one request.

Everything that takes part in judging is imported and recorded before the first cell of the copy runs.
"""

from __future__ import annotations

import builtins
import functools
import json
import math
import os
import sys
import types
from json import dumps, loads  # imported by name, because a copy can replace the functions in their modules
from os import _exit, getpid, write
from typing import Any

import numpy
import torch
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from ... import course
from .. import exercises
from ..exercises.judge import judge

LONGEST = 600  # characters in a sentence
BUILTINS = frozenset(vars(builtins)) - {"_", "exit", "quit"}  # IPython has its own exit and quit
OWN_CHANGES = ((torch, "manual_seed"),)  # PyTorch itself replaces this one when it first compiles
UNWATCHED = {"__dict__", "__weakref__", "__abstractmethods__", "__slotnames__"}  # Python's copy caches the last one


class Watch:
    """The functions and classes that the checks rely on, recorded before the copy runs."""

    def __init__(self) -> None:
        own = [module for name, module in sorted(sys.modules.items()) if name.split(".")[0] == "minidiffusion"]
        others = [torch, torch.nn.functional, torch.linalg, torch.testing, numpy, math, json, os, builtins]
        classes = {
            id(value): value
            for module in own
            for value in vars(module).values()
            if isinstance(value, type) and value.__module__.split(".")[0] == "minidiffusion"
        }
        owners = [*own, *others, *classes.values(), torch.Tensor, json.JSONEncoder, exercises.CHECKS]
        self.were = [(owner, dict(entries(owner))) for owner in owners]
        functions = [
            function
            for _, were in self.were
            for value in were.values()
            if isinstance(function := getattr(value, "__func__", value), types.FunctionType)
        ]
        self.codes = [(f, (f.__code__, f.__defaults__, f.__kwdefaults__)) for f in functions]

    def put_back(self) -> list[str]:
        """Restore what has been changed since then, and return its names."""
        changed = []
        for owner, were in self.were:
            now = entries(owner)
            for name, value in were.items():
                if now.get(name, self) is not value:
                    changed.append((owner, name))
                    put(owner, name, value)
            for name in [name for name in now if name not in were and hides(owner, name)]:
                changed.append((owner, name))
                take(owner, name)
        for function, parts in self.codes:
            for name, part in zip(("__code__", "__defaults__", "__kwdefaults__"), parts, strict=True):
                if getattr(function, name) is not part:
                    changed.append((function, name))
                    setattr(function, name, part)
        return [f"{getattr(owner, '__name__', 'CHECKS')}.{name}" for owner, name in changed]


def entries(owner: Any) -> dict[str, Any]:
    """The names in a module, class or dictionary that must not change."""
    if isinstance(owner, dict):
        return dict(owner)
    own = owner.__name__.startswith("minidiffusion")
    if isinstance(owner, type):
        return {k: v for k, v in list(vars(owner).items()) if k not in UNWATCHED}
    if owner is builtins:
        return {name: vars(builtins)[name] for name in BUILTINS if name in vars(builtins)}
    skip = "__" if own else "_"
    return {k: v for k, v in list(vars(owner).items()) if not k.startswith(skip) and (owner, k) not in OWN_CHANGES}


def hides(owner: Any, name: str) -> bool:
    """Whether a new name there could hide another one."""
    return name in BUILTINS if isinstance(owner, types.ModuleType) else True


def put(owner: Any, name: str, value: Any) -> None:
    if isinstance(owner, dict):
        owner[name] = value
    elif isinstance(owner, type):
        type.__setattr__(owner, name, value)
    else:
        vars(owner)[name] = value


def take(owner: Any, name: str) -> None:
    if isinstance(owner, type):
        type.__delattr__(owner, name)
    else:
        (owner if isinstance(owner, dict) else vars(owner)).pop(name)


class Guarded:
    """The student's function. After each call, whatever it changed in the packages is restored and recorded."""

    def __init__(self, function: Any, watch: Watch):
        functools.update_wrapper(self, function)
        self.function, self.watch = function, watch
        self.changed: list[str] = []
        self.__code__ = getattr(function, "__code__", None)  # `call` uses it to find the line of an error

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            answer = self.function(*args, **kwargs)
        finally:
            self.changed += self.watch.put_back()
        return plain(answer)


def plain(answer: Any) -> Any:
    """Turn an instance of the student's own tensor class into a plain tensor, since it might equal everything."""
    if isinstance(answer, torch.Tensor) and type(answer) not in (torch.Tensor, torch.nn.Parameter):
        with torch._C.DisableTorchFunctionSubclass():
            return answer.as_subclass(torch.Tensor)  # type: ignore[arg-type]
    return answer


def sentence(text: str) -> str:
    """The text on one line, cut if it is too long."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def name_error(error: BaseException) -> str:
    try:
        return sentence(f"{type(error).__name__}: {error}")
    except BaseException:
        return type(error).__name__


class Shell(InteractiveShell):
    """IPython without a window, which `%matplotlib inline` would ask for."""

    def enable_gui(self, gui: Any = None) -> None:
        pass


class Desk:
    """The shell in which cells run, and the checks."""

    def __init__(self) -> None:
        config = Config()
        config.HistoryManager.enabled = False
        self.shell = Shell.instance(config=config)
        self.names = self.shell.user_ns
        self.run_cell = self.shell.run_cell
        # the copy's own calls of `check` decide nothing, so they need not take any time
        exercises.check = course.check = lambda exercise, answer: None
        self.checks = dict(exercises.CHECKS)
        self.watch = Watch()

    def run(self, source: str) -> dict[str, Any]:
        try:
            result = self.run_cell(source, store_history=False)
            error = result.error_before_exec or result.error_in_exec
        except BaseException as broken:
            error = broken
        return {"error": name_error(error) if error else ""}

    def judge(self, exercise: str, expression: str) -> dict[str, Any]:
        """The verdict of the installed check on the value that the expression has in the copy."""
        put_back, guarded = self.watch.put_back(), []
        try:
            with self.shell.builtin_trap, torch._C.DisableTorchFunction():  # type: ignore[attr-defined]
                answer = eval(expression, self.names)
                if isinstance(answer, (types.FunctionType, types.MethodType, functools.partial)):
                    answer = Guarded(answer, self.watch)
                    guarded.append(answer)
                verdict = judge(self.checks[exercise], plain(answer))
        except BaseException as error:
            missing = isinstance(error, NameError) and not guarded
            verdict = f"not yet: {'there is no answer to check' if missing else 'the check stops'}: {name_error(error)}"
        changed = [*(name for one in guarded for name in one.changed), *self.watch.put_back()]
        if changed:
            verdict = f"not yet: while it is checked, it changes {', '.join(sorted(set(changed)))}."
        return {"verdict": sentence(verdict), "put_back": put_back + changed}

    def reset(self) -> dict[str, Any]:
        """Forget all names, to run another trusted notebook."""
        self.shell.reset(new_session=False)
        return {}


def main() -> None:
    """Answer requests until there are no more. The pipes are moved, so that cells find nothing in the usual places."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    desk, process = Desk(), getpid()
    for line in requests:
        request = loads(line)
        number = request.pop("number")
        if "run" in request:
            answer = desk.run(request["run"])
        elif "judge" in request:
            answer = desk.judge(request["judge"], request["expression"])
        else:
            answer = desk.reset()
        if getpid() != process:  # a copy that forks would have two graders
            _exit(0)
        write(answers, dumps({"number": number, **answer}).encode() + b"\n")


if __name__ == "__main__":
    main()
