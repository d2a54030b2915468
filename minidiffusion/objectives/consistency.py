"""Fewer steps: a network that jumps to where its teacher walks.

The teacher's path through x_t, the probability-flow ODE, ends in one clean x0. A consistency model f says that end
from any place on the path (Song et al. 2023, sec. 3), so its answer must not change along it:

    f(x_t, t) = f(x_s, s),    x_s one small step further on the teacher's path,    f(x_0, 0) = x_0

The last condition is met by every head whose x0_hat is x_t itself without noise: all but X0. Learned from t = 0
upwards, the end of the path becomes known level by level. To draw, jump; to draw better, add fresh noise and jump
again: the sampler `consistency`.

    teacher = shipped()
    student = copy.deepcopy(teacher).requires_grad_(True)
    for step in fit(student, data, 1000, learning_rate=1e-4, loss=consistency_loss(teacher, levels=4)):
        ...
    x0 = sample(step.ema, x_1, steps=2, method="consistency")
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..denoiser import Denoise, Denoiser
from ..process import alpha_sigma, diffuse, mix
from ..schedule import Schedule
from .weighted import Loss


def consistency_loss(teacher: Denoise, levels: int = 4, c: float = 0.03) -> Loss:
    """A loss for `fit`: that of consistency distillation (Song et al. 2023, alg. 2), on `levels` steps from 1 to 0.

    teacher: any denoiser. levels: few are learned fast, many follow the path closely. A step asks the teacher at t, and
    again half way, and aims at the second answer: eight such steps keep more of a small variance than 32 of ddim. The
    distance between the two answers is the pseudo-Huber one, sqrt(|d|^2 + h^2) - h, and the answer at s is the
    network's own, held fixed (Song and Dhariwal 2024, sec. 3.2 and 3.3). c: h is c sqrt(dimensions); theirs is 0.03
    for pictures of 32x32x3.
    """
    if not callable(teacher):
        raise TypeError(f"teacher must be callable, denoise(x_t, t) -> x0_hat, got {teacher!r}")
    if isinstance(levels, bool) or not isinstance(levels, int) or levels < 1:
        raise ValueError(f"levels must be a whole number of at least 1, got {levels!r}")
    if not isinstance(c, (int, float)) or not 0 < c < float("inf"):
        raise ValueError(f"c must be above 0 and finite, got {c!r}")

    def loss(
        denoiser: Denoiser,
        x0: Float[Tensor, "batch *shape"],
        t: Float[Tensor, "batch"],
        eps: Float[Tensor, "batch *shape"],
        cond: Any = None,
    ) -> Float[Tensor, "batch"]:
        schedule = denoiser.schedule
        i = (t.double() * levels).ceil().clamp(min=1)
        t, half_way, s = i / levels, (i - 0.5) / levels, (i - 1) / levels
        x_t = diffuse(x0, t, eps, schedule)
        with torch.no_grad():
            x_half = _line(x_t, teacher(x_t, t, cond), t, half_way, schedule)
            x_s = _line(x_t, teacher(x_half, half_way, cond), t, s, schedule)
            goal = denoiser(x_s, s, cond)
        error = (denoiser(x_t, t, cond) - goal).float().pow(2).flatten(1)
        h = c * error.shape[1] ** 0.5
        return (error.sum(1) + h**2).sqrt() - h

    return loss


def _line(x_t: Tensor, x0: Tensor, t: Tensor, s: Tensor, schedule: Schedule) -> Tensor:
    """x_s on the line through x_t that aims at x0, as in samplers/deterministic.py; here each item has its times."""
    (alpha_t, sigma_t), (alpha_s, sigma_s) = (alpha_sigma(schedule, time, x_t) for time in (t, s))
    shrink = sigma_s / sigma_t  # type: ignore[operator]
    return mix(shrink, x_t, alpha_s - alpha_t * shrink, x0)
