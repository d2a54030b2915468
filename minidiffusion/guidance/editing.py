"""Editing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from ..denoiser import Denoise, schedule_of
from ..heads import to_eps
from ..process import diffuse, noise_like, same_shape
from ..samplers import sample
from ..schedule import Schedule
from .wrappers import Number, _count, _number, inpaint


def repaint(
    denoise: Denoise,
    known: Float[Tensor, "#batch *shape"],
    mask: Bool[Tensor, "..."] | Integer[Tensor, "..."] | Float[Tensor, "..."],
    x_1: Float[Tensor, "batch *shape"],
    schedule: Schedule | None = None,
    steps: int = 50,
    resample: int = 10,
    cond: Any = None,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "batch *shape"]:
    """Inpainting that looks again: each ddpm step down is taken `resample` times, each time after one back up.

    RePaint (Lugmayr et al. 2022, algorithm 1; jumps of one step). On the way back up, x_t is drawn from q(x_t | x_s),
    so the noise of the known part and the filling meet again, and the filling comes to agree with what is known.
    (The paper draws the known part afresh from q(x_s | known): the same law, but without memory of x_t.)
    resample = 1 is plain `inpaint`; costs resample (steps - 1) + 1 calls. known, mask: as for `inpaint`.

    With ever smaller steps the filling is off by an error of order 1 / resample. With few steps, many looks make it
    too narrow, for each adds the variance that a long ddpm step lacks.
    """
    _count(steps=steps, resample=resample)
    schedule, inpainted = schedule_of(denoise, schedule), inpaint(denoise, known, mask)
    x = x_1
    for i in range(steps, 0, -1):
        t, s = i / steps, (i - 1) / steps
        kept = schedule.alpha(t) / schedule.alpha(s)
        std = math.sqrt(schedule.sigma(t) ** 2 - (kept * schedule.sigma(s)) ** 2)
        for again in range(resample if s > 0 else 1):
            if again:
                x = kept * x + std * noise_like(x, generator)  # q(x_t | x_s)
            x = sample(inpainted, x, schedule, method="ddpm", times=[t, s], cond=cond, generator=generator)
    return x


def sdedit(
    denoise: Denoise,
    x: Float[Tensor, "batch *shape"],
    t: Number,
    schedule: Schedule | None = None,
    steps: int = 50,
    method: str = "ddim",
    cond: Any = None,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "batch *shape"]:
    """Image to image: diffuse x to time t, and sample from there (Meng et al. 2022, algorithm 1).

    x: a picture or a rough sketch of one. t in [0, 1]: 0 gives x back; the higher, the less is left of x; at 1
    only alpha(1) of it. steps: from t to 0.
    """
    _number(0.0, 1.0, t=t)
    _count(steps=steps)
    schedule = schedule_of(denoise, schedule)
    if t == 0:
        return x
    x_t = diffuse(x, float(t), noise_like(x, generator), schedule)
    times = [t * i / steps for i in range(steps, -1, -1)]
    return sample(denoise, x_t, schedule, method=method, times=times, cond=cond, generator=generator)


def invert(
    denoise: Denoise,
    x0: Float[Tensor, "batch *shape"],
    schedule: Schedule | None = None,
    steps: int = 50,
    method: str = "euler",
    times: Sequence[float] | None = None,
    cond: Any = None,
) -> Float[Tensor, "batch *shape"]:
    """The x_1 from which a deterministic sampler returns to x0: the probability-flow ODE, walked upwards.

        x_s = (alpha_s / alpha_t) x_t + (sigma_s - sigma_t alpha_s / alpha_t) eps_hat,     t < s

    DDIM inversion (Song et al. 2021, DDIM, sec. 4.3). method: "euler" takes eps_hat at t, error of order 1;
    "heun" its mean at t and s, order 2, except for a step to snr(s) below 1e-4, as in samplers.heun.
    times: increasing, both ends included, x0 the state at times[0]; None is steps + 1 of them, evenly from 0 to 1.

    Without noise, eps_hat = -sigma score is 0 for data that has a density. Data on points, or on a surface, has
    none: many x_1 lead to the same x0, and this gives one of them, with less noise in it than a draw has.
    """
    _count(steps=steps)
    schedule = schedule_of(denoise, schedule)
    if method not in ("euler", "heun"):
        raise ValueError(f"method must be one of euler, heun, got {method!r}")
    try:
        grid = [i / steps for i in range(steps + 1)] if times is None else [float(t) for t in times]
    except (TypeError, ValueError):
        raise TypeError(f"times must be a row of numbers, got {times!r}") from None
    if len(grid) < 2 or not all(0 <= t < s <= 1 for t, s in zip(grid, grid[1:], strict=False)):
        raise ValueError(f"times must rise from at least 0 to at most 1, two or more of them, got {times!r}")
    same_shape(x0=x0)

    def eps_hat(x: Tensor, t: float) -> Tensor:
        return to_eps(denoise(x, t, cond), x, t, schedule) if schedule.sigma(t) > 0 else torch.zeros_like(x)

    x = x0
    with torch.no_grad():
        for t, s in zip(grid, grid[1:], strict=False):
            kept = schedule.alpha(s) / schedule.alpha(t)
            length = schedule.sigma(s) - kept * schedule.sigma(t)
            eps = eps_hat(x, t)
            x_s = kept * x + length * eps
            if method == "heun" and schedule.log_snr(s) >= math.log(1e-4):
                x_s = kept * x + length * (eps + eps_hat(x_s, s)) / 2
            x = x_s
    return x


def interpolate(
    x: Float[Tensor, "batch *shape"],
    y: Float[Tensor, "batch *shape"],
    weights: Sequence[float] | Float[Tensor, "count"],
) -> Float[Tensor, "count batch *shape"]:
    """Points on the arc from x (weight 0) to y (weight 1), item by item: for states at t = 1.

        sin((1 - w) angle) / sin(angle) x + sin(w angle) / sin(angle) y

    Shoemake 1985; Song et al. 2021, DDIM, sec. 5.3. Unlike a straight line, it keeps the length that noise has in many
    dimensions. Items that point the same way are joined by that line; opposite ones, or zeros, are a ValueError.
    """
    same_shape(x=x, y=y)
    w = torch.as_tensor(weights, dtype=x.dtype, device=x.device)
    if w.ndim != 1:
        raise ValueError(f"weights must be a row of numbers, got shape {tuple(w.shape)}")
    u, v = (a.flatten(1) / a.flatten(1).norm(dim=1, keepdim=True) for a in (x, y))
    angle = 2 * torch.atan2((u - v).norm(dim=1), (u + v).norm(dim=1))  # arccos has no digits near 0
    if not bool((angle < math.pi - 1e-3).all()):  # false for nan too
        raise ValueError("x and y must not be zero, and not point in opposite directions: no arc is the shortest")
    shape = (len(w), len(x), *[1] * (x.ndim - 1))

    def share(w: Tensor) -> Tensor:
        # sin(w angle) / sin(angle), by sin(a) = a sinc(a / pi), so that it is w at angle 0
        return (w * torch.sinc(w * angle / math.pi) / torch.sinc(angle / math.pi)).view(shape)

    return share(1 - w[:, None]) * x + share(w[:, None]) * y
