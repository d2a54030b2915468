"""Fewer steps: train a network to jump straight to the end of its teacher's sampling trajectory.

The teacher's trajectory through x_t, a solution of the probability-flow ODE, ends in one clean x0. A consistency model
f predicts this end from every point of the trajectory (Song et al. 2023, sec. 3), so its answer is the same all along:

    f(x_t, t) = f(x_s, s),    x_s one small step further on the teacher's trajectory,    f(x_0, 0) = x_0

Every head whose x0_hat is x_t itself without noise satisfies the last condition: all but X0. The end becomes known
level by level, from t = 0 upwards. To sample, jump; to sample better, add fresh noise and jump again: the sampler
`consistency`.

    teacher = shipped()
    student = copy.deepcopy(teacher).requires_grad_(True)
    for step in fit(student, data, 1000, learning_rate=1e-4, loss=consistency_loss(teacher, levels=4)):
        ...
    x0 = sample(step.ema, x_1, steps=2, method="consistency")
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from .. import check
from ..denoiser import SIGNATURE, Denoise, Denoiser
from ..process import diffuse, line
from ..schedule import Batch, exact
from .weighted import Loss


def consistency_loss(teacher: Denoise, levels: int = 4, c: float = 0.03) -> Loss:
    """A loss for `fit`: consistency distillation (Song et al. 2023, alg. 2) on `levels` steps from t = 1 to 0.

    teacher: any denoiser. levels: few are learned fast, many follow the trajectory closely; sample with a divisor of it
    as steps. A step calls the teacher at t and half way to s and aims at its second answer, the midpoint method: eight
    such steps preserve a small variance better than 32 steps of ddim. The distance between two answers is pseudo-Huber,
    sqrt(|d|^2 + h^2) - h with d their difference and h = c sqrt(dimensions), and the answer at s is the network's own,
    held fixed (Song and Dhariwal 2024, sec. 3.2 and 3.3; their c is 0.00054, which is h = 0.03 for 32x32x3).
    """
    check.function("teacher", teacher, SIGNATURE)
    check.whole("levels", levels)
    check.positive("c", c)

    def loss(
        denoiser: Denoiser, x0: Batch, t: Float[Tensor, "batch"], eps: Batch, cond: Any = None
    ) -> Float[Tensor, "batch"]:
        i = (exact(t) * levels).ceil().clamp(min=1)
        start, half_way, end = (denoiser.schedule.at(time / levels, like=x0) for time in (i, i - 0.5, i - 1))
        x_t = diffuse(x0, start.time, eps, denoiser.schedule)
        with torch.no_grad():
            x_half = line(x_t, teacher(x_t, start.time, cond), start, half_way)
            x_s = line(x_t, teacher(x_half, half_way.time, cond), start, end)
            goal = denoiser(x_s, end.time, cond)
        error = (denoiser(x_t, start.time, cond) - goal).float().pow(2).flatten(1)
        h = c * error.shape[1] ** 0.5
        return (error.sum(1) + h**2).sqrt() - h

    return loss
