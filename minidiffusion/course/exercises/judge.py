"""How an answer is judged: the three verdicts, and what every check requires of a student's code.

No check trusts an object that the answer made or changed. `call` gives the answer copies of its inputs, `same_kind`
accepts plain tensors only, and `number` returns a plain float.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class NotAttempted(Exception):
    """The answer is still the stub `...`."""


class Wrong(Exception):
    """The sentence that tells the student what is wrong and where to look."""


def judge(check: Callable[[Any], None], answer: Any) -> str:
    """ "passed", "not attempted yet", or "not yet: " and the reason."""
    try:
        if answer is ...:
            raise NotAttempted
        if answer is None:
            raise Wrong("the answer is None. Did you assign something to it?")
        check(answer)
    except NotAttempted:
        return "not attempted yet"
    except Wrong as wrong:
        return f"not yet: {wrong}"
    return "passed"


def call(function: Any, **inputs: Any) -> Any:
    """Call the student's function with copies of these inputs, in this order.

    It must return something and leave its tensors unchanged. Lists, networks and other callables are not copied.
    """
    if not callable(function):
        raise Wrong(f"hand in the function itself, without brackets. Yours is a {type(function).__name__}.")
    copies = {
        name: value if callable(value) or isinstance(value, list) else copy.deepcopy(value)
        for name, value in inputs.items()
    }
    try:
        answer = function(*copies.values())
    except (NotAttempted, Wrong):
        raise
    except (Exception, SystemExit) as error:  # exit() would end the notebook
        raise Wrong(stopped(function, error)) from None
    if answer is ...:
        raise NotAttempted
    if answer is None:
        raise Wrong("your function returns None. Does its last line begin with `return`?")
    for name, value in inputs.items():
        if isinstance(value, Tensor) and not torch.equal(copies[name], value):
            raise Wrong(f"your function changes its input {name} in place. Write `{name} = {name} * a`, not `*=`.")
    return answer


def stopped(function: Any, error: BaseException) -> str:
    """What stops the student's function, and in which of its lines, counted from its `def`."""
    code, trace, found = getattr(function, "__code__", None), error.__traceback__, ""
    while trace is not None:
        if trace.tb_frame.f_code is code:
            found = f" in its line {trace.tb_lineno - trace.tb_frame.f_code.co_firstlineno + 1}"
        trace = trace.tb_next
    return f"your function stops{found} with {type(error).__name__}: {error}"


def same_kind(answer: Any, like: Tensor, name: str) -> Tensor:
    """The answer, if it is a plain tensor with the shape and dtype of `like` and all its values are finite."""
    if type(answer) not in (Tensor, nn.Parameter):  # a subclass could claim to be equal to everything
        raise Wrong(f"{name} must be a tensor, but yours is a {type(answer).__name__}.")
    if answer.shape != like.shape:
        raise Wrong(f"{name} must have the shape {tuple(like.shape)}, but yours has {tuple(answer.shape)}.")
    if answer.dtype != like.dtype:
        raise Wrong(f"{like.dtype} goes in, but {answer.dtype} comes out: let {name} keep the type of its input.")
    if not bool(answer.isfinite().all()):
        raise Wrong(f"{name} contains infinite values or nan. Is there a division by 0?")
    return answer


def steady(function: Any, like: Tensor, name: str, hint: str, **inputs: Any) -> Tensor:
    """Like `same_kind` of `call`, for a function that must not use random numbers of its own; the hint says why."""
    first, second = (same_kind(call(function, **inputs), like, name) for _ in range(2))
    if not close(first, second):
        raise Wrong(f"two calls with the same inputs give two different answers. {hint}")
    return first


def seeded(sample: Callable[[torch.Generator], Tensor]) -> Tensor:
    """sample(generator), if all its random numbers come from the generator."""
    first, again, other = (sample(torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    if not torch.equal(first, again):
        raise Wrong("the same seed gives two different answers. Pass `generator` to every function that is random.")
    if torch.equal(first, other):
        raise Wrong("another seed gives the same answer. Use the generator that comes in, not one of your own.")
    return first


def recorded(output: Callable[[Tensor, float], Tensor], like: Tensor) -> tuple[Callable, list[tuple[float, Tensor]]]:
    """A network that computes output(x, t), and the list of the (t, x) that it has been called with."""
    calls: list[tuple[float, Tensor]] = []

    def network(x: Any, t: Any) -> Tensor:
        if x is ...:  # the loop uses the student's own step, and that is still a stub
            raise NotAttempted
        x = same_kind(x, like, "the x that you give to the network").clone()
        calls.append((round(float(torch.as_tensor(t).flatten()[0]), 6), x))
        return output(x, calls[-1][0])

    return network, calls


def check_times(called: list[float], times: Sequence[float]) -> None:
    """A sampling loop must call the network once at each time but the last, in order."""
    wanted = list(times[:-1])
    if called == wanted:
        return
    if called == list(times):
        raise Wrong("you call the network once too often: at the last time, sampling is over.")
    if len(wanted) > 1 and called in (wanted[::-1], list(times[:0:-1])):
        raise Wrong("you go through the times backwards: `times` already falls, from noise to data.")
    if called == list(times[1:]):
        raise Wrong("you call the network at s, where the step ends. Call it at t, where x is.")
    raise Wrong(f"for the times {list(times)}, call the network at {wanted}. You called it at {called}.")


def number(answer: Any, name: str) -> float:
    """The answer as a plain float, if it is one finite number."""
    try:
        if isinstance(answer, (str, bytes)):  # float would read it
            raise TypeError
        value = float(answer.detach() if isinstance(answer, Tensor) else answer)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        what = f"tensor of shape {tuple(answer.shape)}" if isinstance(answer, Tensor) else type(answer).__name__
        raise Wrong(f"{name} must be one number, but yours is a {what}.") from None
    if not math.isfinite(value):
        raise Wrong(f"{name} must be one number, but yours is {value}. Is there a division by 0?")
    return value


def close(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors agree everywhere, up to rounding in float32."""
    return torch.allclose(a, b, rtol=1e-4, atol=1e-5)


def name_mistake(answer: Any, mistakes: Sequence[tuple[Any, str]], alike: Callable[[Any, Any], bool] = close) -> None:
    """If the answer is what one of the common mistakes gives, say which mistake it is."""
    for wrong, sentence in mistakes:
        if alike(answer, wrong):
            raise Wrong(sentence)
