"""One loop for all samplers: take a step along a falling grid of times, and yield after each."""

import functools
import inspect
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from .. import check
from ..denoiser import Denoise, schedule_of
from ..process import noise_like
from ..schedule import Batch, Schedule
from .grids import uniform
from .steps import METHODS, SamplerStep


def trajectory(
    denoise: Denoise,
    x_1: Batch,
    schedule: Schedule | None = None,
    steps: int = 50,
    method: str | SamplerStep = "ddim",
    times: Sequence[float] | None = None,
    cond: Any = None,
    generator: torch.Generator | None = None,
    **options: Any,
) -> Iterator[tuple[float, Batch, Batch]]:
    """Sample from x_1 towards data; after each step yields (time reached, x there, the x0_hat that the step used).

    denoise: (x_t, t, cond) -> x0_hat. x_1: the state at times[0], usually from `prior`. schedule: None for the
    denoiser's own. method: a name from METHODS, or a step of your own, (denoise, x_t, t, s) -> (x_s, x0_hat), t and s
    Levels; if it has a parameter `noise` it gets a function that draws N(0, I) like a tensor, `schedule` the schedule,
    and `past` a deque to remember things in. times: decreasing, both ends included; None for `uniform(steps)`.
    generator: makes the noise repeatable. options: keyword-only parameters of the step, such as eta=0.5 for ddim.
    """
    schedule = schedule_of(denoise, schedule)
    grid = uniform(steps) if times is None else check.times("times", times)
    step = method if callable(method) else METHODS[check.one_of("method", method, METHODS)]
    check.same_shape(x_1=x_1)
    past: deque[Any] = deque(maxlen=2)
    step = _bound(step, options, noise=lambda like: noise_like(like, generator), past=past, schedule=schedule)

    def predict(x_t: Tensor, t: float) -> Tensor:
        x0 = denoise(x_t, t) if cond is None else denoise(x_t, t, cond)
        check.same_shape(x_t=x_t, x0=x0)  # otherwise broadcasting hides a wrong shape
        return x0

    def walk(x: Tensor) -> Iterator[tuple[float, Tensor, Tensor]]:
        for t, s in pairwise(levels):
            with torch.no_grad():  # left before the yield, so that the caller keeps gradients
                answer = step(predict, x, t, s)
            if not isinstance(answer, tuple) or len(answer) != 2:  # a tensor of two rows would be unpacked unnoticed
                raise TypeError(f"method must return a pair (x_s, x0_hat), got {check.came(answer)}")
            x, x0_hat = answer
            yield s.time, x, x0_hat

    levels = [schedule.at(t) for t in grid]
    return walk(x_1)


def _bound(step: SamplerStep, options: dict[str, Any], **offers: Any) -> SamplerStep:
    """The step with its options, which have defaults, and with each offer that it has a parameter for."""
    wanted = inspect.signature(step).parameters.values()
    known = [p.name for p in wanted if p.kind is p.KEYWORD_ONLY and p.default is not p.empty]
    for name in options.keys() - known:
        has = f"its options are {', '.join(known)}" if known else "it has no options"
        raise TypeError(f"{name} is not an option of {getattr(step, '__name__', 'this method')}: {has}")
    taken = {p.name: offers[p.name] for p in wanted if p.name in offers and p.default is p.empty}
    return functools.partial(step, **taken, **options)


def sample(denoise: Denoise, x_1: Batch, *args: Any, **options: Any) -> Tensor:
    """The end of `trajectory`, which explains the arguments: the state at times[-1], clean data if that is 0."""
    ((_, x_0, _),) = deque(trajectory(denoise, x_1, *args, **options), maxlen=1)  # keeping all would cost memory
    return x_0
