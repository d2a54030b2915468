"""The times at which a sampler stops, and one loop for all samplers that takes a step from each to the next."""

import functools
import inspect
import math
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from .. import check
from ..denoiser import Denoise, schedule_of
from ..process import Generators, noise_like
from ..schedule import Batch, Schedule
from .steps import METHODS, SamplerStep

_read_once = functools.cache(inspect.signature)  # reading takes as long as a step on a small picture


def uniform(steps: int) -> list[float]:
    """steps + 1 times from 1 to 0, evenly spaced: for a schedule of betas, "trailing" in Lin et al. 2023, table 2."""
    check.whole("steps", steps)
    return [(steps - i) / steps for i in range(steps + 1)]


def karras(
    schedule: Schedule, steps: int, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0
) -> list[float]:
    """steps + 1 times from 1 to 0, even in (sigma / alpha)^(1 / rho) between the ends (Karras et al. 2022, eq. 5)."""
    check.whole("steps", steps)
    check.instance("schedule", schedule, Schedule, "schedule.cosine()")
    check.must_be("above 0", "rho", rho, isinstance(rho, float | int) and rho > 0)
    low, high = (math.exp(-schedule.log_snr(end) / 2) for end in (0.0, 1.0))
    if not (0 < sigma_min < sigma_max < math.inf and sigma_min < high and sigma_max > low):
        ends = f"sigma_min below {high:g} and sigma_max above {low:g}, the ends of this schedule"
        raise ValueError(f"sigma_min must be above 0 and below sigma_max, {ends}; got {sigma_min!r} and {sigma_max!r}")
    low, high = max(low, sigma_min), min(high, sigma_max)
    points = steps if schedule.sigma(0.0) == 0 else steps + 1  # the step to sigma = 0, which no ratio reaches, is added
    warp, unwarp = (math.log, math.exp) if rho == math.inf else (lambda r: r ** (1 / rho), lambda r: r**rho)
    a, b = warp(high), warp(low)
    times = [schedule.time(-2 * math.log(unwarp(a + (b - a) * i / (points - 1)))) for i in range(1, points)]
    return [1.0, *times, 0.0] if points == steps else [1.0, *times[:-1], 0.0]


def uniform_log_snr(schedule: Schedule, steps: int, sigma_min: float = 0.002, sigma_max: float = 80.0) -> list[float]:
    """steps + 1 times from 1 to 0; between them, sigma / alpha goes from sigma_max to sigma_min, even in log_snr."""
    return karras(schedule, steps, sigma_min, sigma_max, math.inf)


def trajectory(
    denoise: Denoise,
    x_1: Batch,
    schedule: Schedule | None = None,
    steps: int = 50,
    method: str | SamplerStep = "ddim",
    times: Sequence[float] | None = None,
    cond: Any = None,
    generator: Generators = None,
    **options: Any,
) -> Iterator[tuple[float, Batch, Batch]]:
    """Sample from x_1 towards data; after each step yields (time reached, x there, the x0_hat that the step used).

    x_1: the state at times[0], usually from `prior`. schedule: None for the denoiser's own. times: falling, both ends
    included; None for `uniform(steps)`. method: a name from METHODS, or a step of your own, (denoise, x_t, t, s) ->
    (x_s, x0_hat), t and s Levels; a parameter `noise` gets a function that draws N(0, I) like a tensor, `schedule` the
    schedule, `past` a deque for its memory. options: its keyword-only parameters, such as eta=0.5 for ddim.
    """
    schedule = schedule_of(denoise, schedule)
    levels = [schedule.at(t) for t in (uniform(steps) if times is None else check.times("times", times))]
    step = method if callable(method) else METHODS[check.one_of("method", method, METHODS)]
    check.same_shape(x_1=x_1)
    step = _bound(step, options, schedule=schedule, noise=lambda x: noise_like(x, generator), past=deque(maxlen=2))

    def predict(x_t: Tensor, t: float) -> Tensor:
        x0 = denoise(x_t, t) if cond is None else denoise(x_t, t, cond)
        if not isinstance(x0, Tensor) or x0.dtype != x_t.dtype or x0.shape != x_t.shape:  # quicker than the check
            check.same_shape(x_t=x_t, x0=x0)  # otherwise broadcasting hides a wrong shape
        return x0

    def walk(x: Tensor) -> Iterator[tuple[float, Tensor, Tensor]]:
        for t, s in pairwise(levels):
            with torch.no_grad():  # ends before the yield, so that the caller's own gradients stay on
                answer = step(predict, x, t, s)
            if not isinstance(answer, tuple) or len(answer) != 2:  # a tensor of two rows would be unpacked unnoticed
                raise TypeError(f"method must return a pair (x_s, x0_hat), got {check.came(answer)}")
            x, x0_hat = answer
            yield s.time, x, x0_hat

    return walk(x_1)


def _bound(step: SamplerStep, options: dict[str, Any], **offers: Any) -> SamplerStep:
    """The step with its options filled in, and with each of the loop's offers that it names as a parameter."""
    wanted = (_read_once if step in METHODS.values() else inspect.signature)(step).parameters.values()
    known = [p.name for p in wanted if p.kind is p.KEYWORD_ONLY and p.default is not p.empty]
    for name in options.keys() - known:
        has = f"its options are {', '.join(known)}" if known else "it has no options"
        raise TypeError(f"{name} is not an option of {getattr(step, '__name__', 'this method')}: {has}")
    taken = {p.name: offers[p.name] for p in wanted if p.name in offers and p.default is p.empty}
    return functools.partial(step, **taken, **options)


def sample(denoise: Denoise, x_1: Batch, *args: Any, **options: Any) -> Tensor:
    """The end of `trajectory`, which explains the arguments: the state at times[-1], clean data if that is 0.

    It works under torch.vmap, compile and export. For gradients, call the steps of METHODS in a loop of your own.
    """
    ((_, x_0, _),) = deque(trajectory(denoise, x_1, *args, **options), maxlen=1)  # keeping all would cost memory
    return x_0
