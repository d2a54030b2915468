"""Editing: sample with a picture as a constraint or as a start, find the noise that leads to it, and blend noises."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from .. import check
from ..denoiser import Denoise, schedule_of
from ..heads import to_eps
from ..process import diffuse, mix, noise_like, transition
from ..samplers import sample
from ..schedule import Batch, Level, Schedule
from .wrappers import Number, inpaint


def repaint(
    denoise: Denoise,
    known: Float[Tensor, "#batch *shape"],
    mask: Bool[Tensor, "..."] | Integer[Tensor, "..."] | Float[Tensor, "..."],
    x_1: Batch,
    schedule: Schedule | None = None,
    steps: int = 50,
    resample: int = 10,
    cond: Any = None,
    generator: torch.Generator | None = None,
) -> Batch:
    """Inpainting that goes back and forth: after each ddpm step down, one back up, `resample` times.

    RePaint (Lugmayr et al. 2022, algorithm 1; jumps of one step). On the way back up, x_t is drawn from q(x_t | x_s),
    so the noise of the known part and of the filling mix again, and the filling comes to agree with what is known. (The
    paper draws the known part anew from q(x_s | known): the same distribution, but without memory of x_t.) resample = 1
    is plain `inpaint`; the cost is resample (steps - 1) + 1 calls. known, mask: as for `inpaint`.

    With ever smaller steps the filling has an error of order 1 / resample. With few steps, large values of resample
    make it too narrow, because each repetition adds the variance that a long ddpm step lacks.
    """
    check.whole("steps", steps)
    check.whole("resample", resample)
    schedule, inpainted = schedule_of(denoise, schedule), inpaint(denoise, known, mask)
    x = x_1
    for i in range(steps, 0, -1):
        t, s = schedule.at(i / steps), schedule.at((i - 1) / steps)
        for again in range(resample if i > 1 else 1):
            if again:
                mean, std = transition(x, s, t)
                x = mean + std * noise_like(x, generator)
            x = sample(inpainted, x, schedule, method="ddpm", times=[t.time, s.time], cond=cond, generator=generator)
    return x


def sdedit(
    denoise: Denoise,
    x: Batch,
    t: Number,
    schedule: Schedule | None = None,
    steps: int = 50,
    method: str = "ddim",
    cond: Any = None,
    generator: torch.Generator | None = None,
) -> Batch:
    """Image to image: diffuse x to time t, and sample from there (Meng et al. 2022, algorithm 1).

    x: a picture, or a rough sketch of one. t in [0, 1]: 0 returns x; the higher t, the less is left of x, and at 1 only
    alpha(1) of it. steps: from t to 0.
    """
    check.number("t", t, 0.0, 1.0)
    check.whole("steps", steps)
    schedule = schedule_of(denoise, schedule)
    if t == 0:
        return x
    x_t = diffuse(x, float(t), noise_like(x, generator), schedule)
    times = [t * i / steps for i in range(steps, -1, -1)]
    return sample(denoise, x_t, schedule, method=method, times=times, cond=cond, generator=generator)


def invert(
    denoise: Denoise,
    x0: Batch,
    schedule: Schedule | None = None,
    steps: int = 50,
    method: str = "euler",
    times: Sequence[float] | None = None,
    cond: Any = None,
) -> Batch:
    """The x_1 from which a deterministic sampler returns to x0: the probability-flow ODE, solved upwards.

        x_s = (alpha_s / alpha_t) x_t + (sigma_s - sigma_t alpha_s / alpha_t) eps_hat,     t < s

    DDIM inversion (Song et al. 2021, DDIM, sec. 4.3). method: "euler" takes eps_hat at t, with an error of order 1;
    "heun" its mean at t and s, order 2, except for a step to snr(s) below 1e-4, as in samplers.heun.
    times: increasing, both ends included, x0 the state at times[0]; None is steps + 1 of them, evenly from 0 to 1.

    Without noise, eps_hat = -sigma score is 0 for data that has a density. Data on points, or on a surface, has none:
    many x_1 lead to the same x0, and this returns one of them, with less noise in it than a sample of the prior has.
    """
    check.whole("steps", steps)
    check.one_of("method", method, ("euler", "heun"))
    check.same_shape(x0=x0)
    schedule = schedule_of(denoise, schedule)
    grid = [i / steps for i in range(steps + 1)] if times is None else check.times("times", times, rising=True)

    def eps_at(x: Tensor, t: Level) -> Tensor:
        return to_eps(denoise(x, t.time, cond), x, t.time, schedule) if t.sigma > 0 else torch.zeros_like(x)

    x = x0
    with torch.no_grad():
        for t, s in pairwise(schedule.at(t) for t in grid):
            kept = s.alpha / t.alpha
            eps = eps_at(x, t)
            x_s = mix(kept, x, s.sigma - kept * t.sigma, eps)
            if method == "heun" and s.log_snr >= math.log(1e-4):
                x_s = mix(kept, x, s.sigma - kept * t.sigma, (eps + eps_at(x_s, s)) / 2)
            x = x_s
    return x


def interpolate(
    x: Batch, y: Batch, weights: Sequence[float] | Float[Tensor, "count"]
) -> Float[Tensor, "count batch *shape"]:
    """Points on the arc from x (weight 0) to y (weight 1), item by item: for states at t = 1.

        sin((1 - w) angle) / sin(angle) x + sin(w angle) / sin(angle) y

    Shoemake 1985; Song et al. 2021, DDIM, sec. 5.3. Unlike a straight line, it keeps the length that noise has in many
    dimensions. Items that point in the same direction are joined by a straight line; opposite ones, or zeros, are a
    ValueError.
    """
    check.same_shape(x=x, y=y)
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
