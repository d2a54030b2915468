"""What the network's output means, in one line for each head, and how to turn it into x0_hat.

A head is a pair (a, b) of functions of alpha and sigma. Its output and x_t are two equations for x0 and eps:

    output = a x0 + b eps,    x_t = alpha x0 + sigma eps,    det = a sigma - b alpha

Cramer's rule gives x0 = (sigma output - b x_t) / det and eps = (a x_t - alpha output) / det. At fixed x_t, the gain is
|d output / d x0| = |det| / sigma. Where det = 0, we cannot solve for x0, and we call the head singular. For EPS and
SCORE this happens in pure noise, alpha = 0: there, the noise is x_t / sigma, whatever x0 is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from . import check
from .process import eps_hat, mix
from .schedule import Batch, Scale, Schedule, Time


@dataclass(frozen=True)
class Head:
    name: str
    pair: Callable[[Scale, Scale], tuple[Scale, Scale]]  # (alpha, sigma) -> (a, b)
    data_std: float = 1.0  # the std of the data for which the network's input has unit variance
    needs_noise: bool = False  # whether the target is infinite at sigma = 0

    def __reduce__(self) -> str | tuple[Any, ...]:  # the published pairs cannot be pickled; their heads go by name
        return self.name.upper() if HEADS.get(self.name) is self else (Head, tuple(vars(self).values()))

    def target(self, x0: Batch, eps: Batch, t: Time, schedule: Schedule) -> Batch:
        """a x0 + b eps, what the network should predict; ValueError for SCORE at sigma = 0, where it is infinite."""
        check.same_shape(x0=x0, eps=eps)
        level = schedule.at(t, like=x0)
        if self.needs_noise:
            check.nonzero("sigma", level.sigma, "the target of the head {} is infinite there", self.name)
        a, b = self.pair(level.alpha, level.sigma)
        return mix(b, eps, a, x0)

    def to_x0(self, output: Batch, x_t: Batch, t: Time, schedule: Schedule) -> Batch:
        """The estimate of the clean x0 that this output stands for; ValueError where the head is singular."""
        check.same_shape(output=output, x_t=x_t)
        level = schedule.at(t, like=x_t)
        skip, scale = self.curves(level.alpha, level.sigma)
        return mix(skip, x_t, scale, output)

    def curves(self, alpha: Scale, sigma: Scale) -> tuple[Scale, Scale]:
        """The two factors in x0 = (-b / det) x_t + (sigma / det) output; ValueError where the head is singular."""
        sigma = sigma.clamp(min=torch.finfo(sigma.dtype).tiny) if isinstance(sigma, Tensor) else max(sigma, 1e-30)
        a, b = self.pair(alpha, sigma)  # sigma = 0 is replaced, so that each formula takes its limit
        det = a * sigma - b * alpha
        check.nonzero("alpha", det, "the output of the head {} does not know x0 there; use V, X0 or FLOW", self.name)
        return -b / det, sigma / det

    def gain(self, t: Time, like: Tensor, schedule: Schedule) -> Tensor:
        """|d output / d x0| at fixed x_t, in float64; infinite at sigma = 0, where all but X0 give x0_hat = x_t."""
        _, alpha, sigma, _ = schedule.at(torch.as_tensor(t, dtype=torch.float64), like=like.double())
        a, b = self.pair(alpha, sigma := sigma.clamp(min=5e-324))
        return (a * sigma - b * alpha).abs() / sigma


def _edm_pair(alpha: Scale, sigma: Scale) -> tuple[Scale, Scale]:
    """F = (x0 - c_skip x) / c_out for x = x_t / alpha and data of std 0.5 (Karras et al. 2022, eq. 7 and table 1)."""
    n = (alpha**2 / 4 + sigma**2) ** 0.5
    return 2 * sigma / n, -alpha / (2 * n)


EPS = Head("eps", lambda alpha, sigma: (0.0, 1.0))  # Ho et al. 2020, eq. 9 and 15
X0 = Head("x0", lambda alpha, sigma: (1.0, 0.0))
V = Head("v", lambda alpha, sigma: (-sigma, alpha))  # Salimans and Ho 2022, appendix D
SCORE = Head("score", lambda alpha, sigma: (0.0, -1 / sigma), needs_noise=True)  # grad log q(x_t | x0)
FLOW = Head("flow", lambda alpha, sigma: (-1.0, 1.0))  # Liu et al. 2022, eq. 1: on `flow`, the velocity dx_t / dt
F = Head("F", _edm_pair, data_std=0.5)
HEADS = {head.name: head for head in (EPS, X0, V, SCORE, FLOW, F)}


def to_eps(x0: Batch, x_t: Batch, t: Time, schedule: Schedule) -> Batch:
    """The noise in x_t if x0 is the clean data, (x_t - alpha x0) / sigma; ValueError at sigma = 0."""
    check.same_shape(x0=x0, x_t=x_t)
    level = schedule.at(t, like=x_t)
    check.nonzero("sigma", level.sigma, "without noise, any eps explains x_t")
    return eps_hat(x_t, x0, level)
