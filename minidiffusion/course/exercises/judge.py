"""How an answer is judged: three verdicts, and what every check asks of the student's code first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class NotAttempted(Exception):
    """The answer is still the stub `...`."""


class Wrong(Exception):
    """The sentence that tells the student what is wrong and where to look."""


def judge(check: Callable[[Any], None], answer: Any) -> str:
    """ "passed", "not attempted yet", or "not yet: " and why."""
    try:
        if answer is ...:
            raise NotAttempted
        if answer is None:
            raise Wrong("the answer is None.")
        check(answer)
    except NotAttempted:
        return "not attempted yet"
    except Wrong as wrong:
        return f"not yet: {wrong}"
    return "passed"


def call(function: Any, **inputs: Any) -> Any:
    """The student's function of these inputs, in this order. It must return something and leave them as they are."""
    if not callable(function):
        raise Wrong(f"hand in the function itself, without brackets, not a {type(function).__name__}.")
    before = {name: value.clone() for name, value in inputs.items() if isinstance(value, Tensor)}
    try:
        answer = function(*inputs.values())
    except NotAttempted:
        raise
    except Exception as error:
        raise Wrong(f"it stops{_line(function, error)} with {type(error).__name__}: {error}") from None
    if answer is ...:
        raise NotAttempted
    if answer is None:
        raise Wrong("it returns None. Does its last line begin with `return`?")
    for name, value in before.items():
        if not torch.equal(inputs[name], value):
            raise Wrong(f"it changes its input {name} in place. Write `{name} = {name} * a`, not `{name} *= a`.")
    return answer


def _line(function: Any, error: BaseException) -> str:
    """Which line of the student's own function was running, counted from its `def`."""
    code, trace, found = getattr(function, "__code__", None), error.__traceback__, ""
    while trace is not None:
        if trace.tb_frame.f_code is code:
            found = f" in its line {trace.tb_lineno - trace.tb_frame.f_code.co_firstlineno + 1}"
        trace = trace.tb_next
    return found


def same_kind(answer: Any, like: Tensor, name: str) -> Tensor:
    """The answer, if it is a tensor of the shape and type of `like` and finite."""
    if not isinstance(answer, Tensor):
        raise Wrong(f"{name} must be a tensor, and yours is a {type(answer).__name__}.")
    if answer.shape != like.shape:
        raise Wrong(f"{name} must have the shape {tuple(like.shape)}, and yours has {tuple(answer.shape)}.")
    if answer.dtype != like.dtype:
        raise Wrong(f"{like.dtype} goes in and {answer.dtype} comes out: let {name} keep the type of its input.")
    if not bool(answer.isfinite().all()):
        raise Wrong(f"{name} has values that are infinite or not a number. Is there a division by 0?")
    return answer


def number(answer: Any, name: str) -> float:
    """The answer as a float, if it is one number."""
    try:
        return float(answer.detach() if isinstance(answer, Tensor) else answer)
    except (TypeError, ValueError, RuntimeError):
        raise Wrong(f"{name} must be one number, and yours is {answer!r}.") from None


def close(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors agree everywhere, up to rounding in float32."""
    return torch.allclose(a, b, rtol=1e-4, atol=1e-5)


def name_mistake(answer: Tensor, mistakes: list[tuple[Tensor, str]]) -> None:
    """If the answer is what one of the usual mistakes gives, say which."""
    for wrong, sentence in mistakes:
        if close(answer, wrong):
            raise Wrong(sentence)
