"""Samplers: walk from noise to data, one denoiser call after another.

A step is a function (denoise, x_t, t, s, walk) -> (x_s, x0_hat): from time t to an earlier time s. One loop,
`trajectory`, calls it along a grid of times and yields after each; `sample` keeps only the end.

All deterministic steps share one line. If x0_hat and eps_hat stayed as they are, x_s would be

    alpha_s x0_hat + sigma_s eps_hat  =  (sigma_s / sigma_t) x_t + (alpha_s - alpha_t sigma_s / sigma_t) x0_hat

and the right side never divides by alpha, so it also holds where x_t is pure noise.
"""

from __future__ import annotations

import difflib
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from .denoiser import Denoise
from .heads import to_eps
from .process import posterior, same_shape
from .schedule import Schedule


@dataclass
class Walk:
    """What the steps of one trajectory share; `last` is the memory of the multistep sampler."""

    schedule: Schedule
    eta: float = 0.0
    generator: torch.Generator | None = None
    last: tuple[float, Tensor] | None = None  # (time, x0_hat) of the step before

    def noise(self, like: Tensor) -> Tensor:
        device = self.generator.device if self.generator is not None else "cpu"
        return torch.randn(like.shape, generator=self.generator, device=device).to(like)


def _line(x_t: Tensor, x0: Tensor, t: float, s: float, schedule: Schedule) -> Tensor:
    """x_s on the line through x_t that aims at x0."""
    same_shape(x_t=x_t, x0=x0)
    shrink = schedule.sigma(s) / schedule.sigma(t)
    return shrink * x_t + (schedule.alpha(s) - schedule.alpha(t) * shrink) * x0


def ddpm(denoise: Denoise, x_t: Tensor, t: float, s: float, walk: Walk) -> tuple[Tensor, Tensor]:
    """Ancestral sampling: draw x_s from q(x_s | x_t, x0_hat), fresh noise each step (Ho et al. 2020, alg. 2).

    Its variance is the smaller of the two that the paper names, beta-tilde.
    """
    x0 = denoise(x_t, t)
    mean, std = posterior(x_t, x0, t, s, walk.schedule)
    return mean + std * walk.noise(x_t), x0


def ddim(denoise: Denoise, x_t: Tensor, t: float, s: float, walk: Walk) -> tuple[Tensor, Tensor]:
    """alpha_s x0_hat + sqrt(sigma_s^2 - std^2) eps_hat + std z (Song et al. 2021, eq. 12 and 16).

    std = eta times that of the posterior: eta = 0 is deterministic, eta = 1 is ddpm.
    """
    x0 = denoise(x_t, t)
    if walk.eta == 0:
        return _line(x_t, x0, t, s, walk.schedule), x0
    _, std = posterior(x_t, x0, t, s, walk.schedule)
    std = walk.eta * std
    direction = math.sqrt(walk.schedule.sigma(s) ** 2 - std**2) * to_eps(x0, x_t, t, walk.schedule)
    return walk.schedule.alpha(s) * x0 + direction + std * walk.noise(x_t), x0


def euler(denoise: Denoise, x_t: Tensor, t: float, s: float, walk: Walk) -> tuple[Tensor, Tensor]:
    """Euler's method for d(x / alpha) = eps_hat d(sigma / alpha) (Karras et al. 2022, eq. 4). It is ddim, eta 0."""
    x0 = denoise(x_t, t)
    return _line(x_t, x0, t, s, walk.schedule), x0


def heun(denoise: Denoise, x_t: Tensor, t: float, s: float, walk: Walk) -> tuple[Tensor, Tensor]:
    """Euler, then once more with the mean of the slopes at both ends (Karras et al. 2022, alg. 1): two calls.

    d(x / alpha) = eps_hat d(sigma / alpha) has no slope at sigma_s = 0, and where almost no signal is left
    (snr below 1e-4; EDM starts at 1.6e-4) sigma / alpha runs to infinity. There, the Euler step stands.
    """
    schedule = walk.schedule
    x0 = denoise(x_t, t)
    x_s = _line(x_t, x0, t, s, schedule)
    if schedule.sigma(s) == 0 or schedule.log_snr(t) < math.log(1e-4):
        return x_s, x0
    turn = to_eps(denoise(x_s, s), x_s, s, schedule) - to_eps(x0, x_t, t, schedule)
    length = schedule.sigma(s) - schedule.alpha(s) * schedule.sigma(t) / schedule.alpha(t)
    return x_s + 0.5 * length * turn, x0


def dpmpp_2m(denoise: Denoise, x_t: Tensor, t: float, s: float, walk: Walk) -> tuple[Tensor, Tensor]:
    """DPM-Solver++(2M): aim where x0_hat is heading, judged by the step before (Lu et al. 2022, alg. 2).

    D = x0_hat + h / (2 h_last) (x0_hat - x0_last), h the step in lambda = log_snr / 2. The first step, and one
    that ends at sigma = 0 where h is infinite, aim at x0_hat itself.
    """
    x0 = denoise(x_t, t)
    aim, log_snr = x0, walk.schedule.log_snr
    if walk.last is not None and walk.schedule.sigma(s) > 0:
        t_last, x0_last = walk.last
        h, h_last = log_snr(s) - log_snr(t), log_snr(t) - log_snr(t_last)
        aim = x0 + h / (2 * h_last) * (x0 - x0_last)
    walk.last = (t, x0)
    return _line(x_t, aim, t, s, walk.schedule), x0


METHODS: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
    step.__name__: step for step in (ddpm, ddim, euler, heun, dpmpp_2m)
}


def uniform(steps: int) -> list[float]:
    """steps + 1 times from 1 to 0, evenly spaced: for a schedule of T betas and steps = T, its grid points."""
    return [(steps - i) / steps for i in range(steps + 1)]


def trajectory(
    denoise: Denoise,
    x_1: Float[Tensor, "batch *shape"],
    schedule: Schedule | None = None,
    steps: int = 50,
    method: str = "ddim",
    eta: float = 0.0,
    times: Sequence[float] | None = None,
    cond: Any = None,
    generator: torch.Generator | None = None,
) -> Iterator[tuple[float, Float[Tensor, "batch *shape"], Float[Tensor, "batch *shape"]]]:
    """Walk from x_1 towards data; yields (time reached, x there, the x0_hat that the step used) after each step.

    denoise: (x_t, t, cond) -> x0_hat. x_1: the state at times[0], usually from `prior`. schedule: None takes
    the denoiser's own. times: decreasing, both ends included; None is `uniform(steps)`. eta: noise of ddim, in
    [0, 1]. generator: repeats the noise of ddpm, and of ddim with eta > 0.
    """
    if not callable(denoise):
        raise TypeError(f"denoise must be callable, denoise(x_t, t) -> x0_hat, got {denoise!r}")
    schedule = schedule if schedule is not None else getattr(denoise, "schedule", None)
    if not isinstance(schedule, Schedule):
        raise TypeError(f"schedule must be a Schedule, because denoise has none of its own, got {schedule!r}")
    if method not in METHODS:
        near = difflib.get_close_matches(str(method), METHODS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}{hint}")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps must be a whole number of at least 1, got {steps!r}")
    if not isinstance(eta, (int, float)) or not 0 <= eta <= 1 or (eta > 0 and method != "ddim"):
        raise ValueError(f"eta must be in [0, 1], and 0 unless method is 'ddim', got {eta!r} for {method!r}")
    try:
        grid = uniform(steps) if times is None else [float(t) for t in times]
    except (TypeError, ValueError):
        raise TypeError(f"times must be a row of numbers, got {times!r}") from None
    if len(grid) < 2 or not all(1 >= t > s >= 0 for t, s in zip(grid, grid[1:], strict=False)):
        raise ValueError(f"times must fall from at most 1 to at least 0, two or more of them, got {times!r}")
    if not isinstance(x_1, Tensor) or not x_1.is_floating_point():
        raise TypeError(f"x_1 must be a floating point tensor, got {getattr(x_1, 'dtype', type(x_1).__name__)}")
    bound = denoise if cond is None else lambda x_t, t: denoise(x_t, t, cond)
    return _walk(bound, x_1, grid, METHODS[method], Walk(schedule, eta, generator))


def _walk(denoise: Denoise, x: Tensor, grid: list[float], step: Callable, walk: Walk) -> Iterator:
    for t, s in zip(grid, grid[1:], strict=False):
        with torch.no_grad():  # closed before the yield, or the caller would lose its gradients too
            x, x0_hat = step(denoise, x, t, s, walk)
        yield s, x, x0_hat


def sample(
    denoise: Denoise,
    x_1: Float[Tensor, "batch *shape"],
    schedule: Schedule | None = None,
    steps: int = 50,
    method: str = "ddim",
    eta: float = 0.0,
    times: Sequence[float] | None = None,
    cond: Any = None,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "batch *shape"]:
    """The end of `trajectory`, which explains the arguments: the state at times[-1], clean data if that is 0."""
    walk = trajectory(denoise, x_1, schedule, steps, method, eta, times, cond, generator)
    ((_, x_0, _),) = deque(walk, maxlen=1)  # the last of them; keeping all would cost steps times the memory
    return x_0
