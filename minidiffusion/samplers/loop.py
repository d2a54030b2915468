"""One loop for all samplers: call a step along a falling grid of times, and yield after each."""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..denoiser import Denoise, schedule_of
from ..process import same_shape
from ..schedule import Level, Schedule
from .deterministic import dpmpp_2m, euler, heun, unipc
from .grids import uniform
from .stochastic import consistency, ddim, ddpm, edm_churn, euler_ancestral, langevin, predictor_corrector
from .walk import Walk

Step = Callable[..., tuple[Tensor, Tensor]]  # step(denoise, x_t, t, s, walk) -> (x_s, x0_hat)
METHODS: dict[str, Step] = {
    step.__name__: step
    for step in (
        *(ddpm, ddim, euler, heun, dpmpp_2m, unipc),
        *(euler_ancestral, edm_churn, langevin, predictor_corrector, consistency),
    )
}


def trajectory(
    denoise: Denoise,
    x_1: Float[Tensor, "batch *shape"],
    schedule: Schedule | None = None,
    steps: int = 50,
    method: str | Step = "ddim",
    eta: float = 0.0,
    times: Sequence[float] | None = None,
    cond: Any = None,
    generator: torch.Generator | None = None,
) -> Iterator[tuple[float, Float[Tensor, "batch *shape"], Float[Tensor, "batch *shape"]]]:
    """Walk from x_1 towards data; yields (time reached, x there, the x0_hat that the step used) after each step.

    denoise: (x_t, t, cond) -> x0_hat. x_1: the state at times[0], usually from `prior`. schedule: None takes
    the denoiser's own. method: a name from METHODS, or a step of your own. times: decreasing, both ends
    included; None is `uniform(steps)`. eta: the share of fresh noise, in [0, 1], for ddim and edm_churn.
    generator: repeats the fresh noise.
    """
    schedule = schedule_of(denoise, schedule)
    if not callable(method) and method not in METHODS:
        near = difflib.get_close_matches(str(method), METHODS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}{hint}")
    if (
        not isinstance(eta, (int, float))
        or not 0 <= eta <= 1
        or (eta > 0 and method in METHODS and method not in ("ddim", "edm_churn"))
    ):
        raise ValueError(
            f"eta must be in [0, 1], and 0 for any method but ddim and edm_churn, got {eta!r} for {method!r}"
        )
    grid = uniform(steps)
    try:
        grid = grid if times is None else [float(t) for t in times]
    except (TypeError, ValueError):
        raise TypeError(f"times must be a row of numbers, got {times!r}") from None
    if len(grid) < 2 or not all(1 >= t > s >= 0 for t, s in zip(grid, grid[1:], strict=False)):
        raise ValueError(f"times must fall from at most 1 to at least 0, two or more of them, got {times!r}")
    if not isinstance(x_1, Tensor) or not x_1.is_floating_point():
        raise TypeError(f"x_1 must be a floating point tensor, got {getattr(x_1, 'dtype', type(x_1).__name__)}")

    def guess(x_t: Tensor, t: float) -> Tensor:
        x0 = denoise(x_t, t) if cond is None else denoise(x_t, t, cond)
        same_shape(x_t=x_t, x0=x0)  # or a step would spread it out and go on
        return x0

    step = method if callable(method) else METHODS[method]
    return _walk(guess, x_1, schedule.levels(grid), step, Walk(schedule, eta, generator))


def _walk(denoise: Denoise, x: Tensor, levels: list[Level], step: Step, walk: Walk) -> Iterator:
    for t, s in zip(levels, levels[1:], strict=False):
        with torch.no_grad():  # closed before the yield, or the caller would lose its gradients too
            answer = step(denoise, x, t, s, walk)
        if not isinstance(answer, tuple) or len(answer) != 2:  # a tensor of two rows would fall apart unnoticed
            raise TypeError(f"method must return a pair (x_s, x0_hat), got {type(answer).__name__}")
        x, x0_hat = answer
        yield s.time, x, x0_hat


def sample(
    denoise: Denoise,
    x_1: Float[Tensor, "batch *shape"],
    schedule: Schedule | None = None,
    steps: int = 50,
    method: str | Step = "ddim",
    eta: float = 0.0,
    times: Sequence[float] | None = None,
    cond: Any = None,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "batch *shape"]:
    """The end of `trajectory`, which explains the arguments: the state at times[-1], clean data if that is 0."""
    walk = trajectory(denoise, x_1, schedule, steps, method, eta, times, cond, generator)
    ((_, x_0, _),) = deque(walk, maxlen=1)  # the last of them; keeping all would cost steps times the memory
    return x_0
