"""What the network's output means: one line for each head. The only place in which conversions live.

Every output is a pair of numbers (a, b), functions of alpha and sigma:

    output = a x0 + b eps
    x_t    = alpha x0 + sigma eps

Two equations for two unknowns. Their determinant is det = a sigma - b alpha, and Cramer's rule gives

    x0 = (sigma output - b x_t) / det,    eps = (a x_t - alpha output) / det

and the gain |d output / d x0| = |det| / sigma at fixed x_t. Where det = 0, the output says nothing about x0 that x_t
does not say already: the head is singular there. For EPS and SCORE that happens at pure noise, where alpha = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from . import check
from .process import eps_hat, mix
from .schedule import Scale, Schedule, Time

TINY = 1e-30  # stands for sigma = 0: dividing by it gives each formula its limit


@dataclass(frozen=True)
class Head:
    """The pair (a, b) as a function of alpha and sigma."""

    name: str
    pair: Callable[[Scale, Scale], tuple[Scale, Scale]]
    data_std: float = 1.0  # the standard deviation of the data for which the network's input has unit variance
    needs_noise: bool = False  # whether the target is infinite at sigma = 0

    def target(
        self, x0: Float[Tensor, "batch *shape"], eps: Float[Tensor, "batch *shape"], t: Time, schedule: Schedule
    ) -> Float[Tensor, "batch *shape"]:
        """a x0 + b eps: what the network should answer at x_t = alpha x0 + sigma eps.

        ValueError for SCORE at sigma = 0, because the score of noiseless data is infinite.
        """
        check.same_shape(x0=x0, eps=eps)
        level = schedule.at(t, like=x0)
        if self.needs_noise:
            check.nonzero("sigma", level.sigma, f"the target of the head {self.name} is infinite there")
        a, b = self.pair(level.alpha, level.sigma)
        return mix(b, eps, a, x0)

    def to_x0(
        self, output: Float[Tensor, "batch *shape"], x_t: Float[Tensor, "batch *shape"], t: Time, schedule: Schedule
    ) -> Float[Tensor, "batch *shape"]:
        """The estimate of the clean x0 that this output stands for. ValueError where the head is singular."""
        check.same_shape(output=output, x_t=x_t)
        level = schedule.at(t, like=x_t)
        x_share, output_share = self.curves(level.alpha, level.sigma)
        return mix(x_share, x_t, output_share, output)

    def curves(self, alpha: Scale, sigma: Scale) -> tuple[Scale, Scale]:
        """The two factors of x0 = -(b / det) x_t + (sigma / det) output. ValueError where the head is singular."""
        sigma = sigma.clamp(min=TINY) if isinstance(sigma, Tensor) else max(sigma, TINY)
        a, b = self.pair(alpha, sigma)
        det = a * sigma - b * alpha
        check.nonzero("alpha", det, f"the output of the head {self.name} does not know x0 there; use V, X0 or FLOW")
        return -b / det, sigma / det

    def gain(self, t: Time, like: Tensor, schedule: Schedule) -> Tensor:
        """|d output / d x0| at fixed x_t, in float64: an error of 1 in x0_hat is an error of `gain` in the output.

        Infinite where sigma = 0 for all heads but X0: without noise, no output can move x0_hat away from x_t.
        """
        level = schedule.at(torch.as_tensor(t, dtype=torch.float64), like=like.double())
        sigma = level.sigma.clamp(min=5e-324)
        a, b = self.pair(level.alpha, sigma)
        return (a * sigma - b * level.alpha).abs() / sigma


EPS = Head("eps", lambda alpha, sigma: (0.0, 1.0))  # Ho et al. 2020, eq. 9 and 15
X0 = Head("x0", lambda alpha, sigma: (1.0, 0.0))
V = Head("v", lambda alpha, sigma: (-sigma, alpha))  # Salimans and Ho 2022, appendix D
# Song et al. 2021: the gradient of log q(x_t | x0); its mean over x0 is that of log q(x_t), Tweedie's formula
SCORE = Head("score", lambda alpha, sigma: (0.0, -1 / sigma), needs_noise=True)
FLOW = Head("flow", lambda alpha, sigma: (-1.0, 1.0))  # Liu et al. 2022, eq. 1: the velocity dx_t / dt, if t = sigma
# Karras et al. 2022, eq. 7 and table 1, F = (x0 - c_skip x) / c_out for x = x_t / alpha: at every sigma the target has
# unit variance if the data has the standard deviation d = 0.5. With n^2 = alpha^2 d^2 + sigma^2, F is this pair over n
F = Head("F", lambda alpha, sigma: _over(sigma / 0.5, -alpha * 0.5, (alpha**2 * 0.25 + sigma**2) ** 0.5), data_std=0.5)


def _over(a: Scale, b: Scale, n: Scale) -> tuple[Scale, Scale]:
    return a / n, b / n


HEADS = {head.name: head for head in (EPS, X0, V, SCORE, FLOW, F)}


def to_eps(
    x0: Float[Tensor, "batch *shape"], x_t: Float[Tensor, "batch *shape"], t: Time, schedule: Schedule
) -> Float[Tensor, "batch *shape"]:
    """The noise in x_t if x0 is the clean data: (x_t - alpha x0) / sigma. ValueError at sigma = 0, where any would do."""
    check.same_shape(x0=x0, x_t=x_t)
    level = schedule.at(t, like=x_t)
    check.nonzero("sigma", level.sigma, "without noise, any eps explains x_t")
    return eps_hat(x_t, x0, level)
