"""What the network's output means: six names for one guess. The only place in which conversions live.

    head     target                        x0 from the output                   |d output / d x0|, x_t held
    EPS      eps                           (x_t - sigma eps) / alpha            alpha / sigma
    X0       x0                            x0                                   1
    V        alpha eps - sigma x0          (alpha x_t - sigma v) / (a^2 + s^2)  (alpha^2 + sigma^2) / sigma
    SCORE    -eps / sigma                  (x_t + sigma^2 score) / alpha        alpha / sigma^2
    FLOW     eps - x0                      (x_t - sigma u) / (alpha + sigma)    (alpha + sigma) / sigma
    F        (sigma x0 - alpha d^2 eps)    (alpha d^2 x_t + sigma d n F) / n^2  n / (sigma d)
             / (d n),                      n^2 = alpha^2 d^2 + sigma^2,         d = 0.5, the data's std

At pure noise, alpha = 0, EPS and SCORE say nothing about x0: they raise. The others have their limit: X0, V, FLOW
and F then guess x0 itself, up to sign and scale. Without noise, sigma = 0, SCORE has no target and raises; the
rest go on, but there an output is x_t itself or says nothing about it, and the gain is infinite (except X0's).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .process import Scale, Time, alpha_sigma, mix, same_shape
from .schedule import Schedule


def _nonzero(value: Scale, what: str) -> None:
    if bool((value == 0).any() if isinstance(value, Tensor) else value == 0):
        raise ValueError(f"t must not be where {what}")


@dataclass(frozen=True)
class Head:
    """Two formulas. `_target(x0, eps, alpha, sigma)`, `_to_x0(output, x_t, alpha, sigma)`, and the gain."""

    name: str
    _target: Callable
    _to_x0: Callable
    _gain: Callable
    _needs_alpha: str = ""  # why x0 cannot be read off where alpha = 0; empty if it can
    data_std: float = 1.0  # for which the input of the network is scaled to unit variance, as is F's target

    def target(
        self, x0: Float[Tensor, "batch *shape"], eps: Float[Tensor, "batch *shape"], t: Time, schedule: Schedule
    ) -> Float[Tensor, "batch *shape"]:
        """What the network should have said at x_t = alpha x0 + sigma eps."""
        same_shape(x0=x0, eps=eps)
        alpha, sigma = alpha_sigma(schedule, t, x0)
        if self.name == "score":
            _nonzero(sigma, "sigma = 0: the score of noiseless data is infinite")
        return self._target(x0, eps, alpha, sigma)

    def to_x0(
        self, output: Float[Tensor, "batch *shape"], x_t: Float[Tensor, "batch *shape"], t: Time, schedule: Schedule
    ) -> Float[Tensor, "batch *shape"]:
        """The guess of the clean x0 that this output stands for."""
        same_shape(output=output, x_t=x_t)
        alpha, sigma = alpha_sigma(schedule, t, x_t)
        if self._needs_alpha:
            _nonzero(alpha, f"alpha = 0: {self._needs_alpha}")
        return self._to_x0(output, x_t, alpha, sigma)

    def gain(self, t: Time, x: Tensor, schedule: Schedule) -> Scale:
        """|d output / d x0| at fixed x_t: an error of 1 in x0_hat is an error of `gain` in the output.

        Infinite where sigma = 0, but for X0: without noise, no output moves x0_hat away from x_t.
        """
        alpha, sigma = (torch.as_tensor(scale, dtype=torch.float64) for scale in alpha_sigma(schedule, t, x.double()))
        return self._gain(alpha, sigma)


# Ho et al. 2020, eq. 9 and 15
EPS = Head(
    "eps",
    lambda x0, eps, alpha, sigma: eps,
    lambda eps, x_t, alpha, sigma: mix(1 / alpha, x_t, -sigma / alpha, eps),
    lambda alpha, sigma: alpha / sigma,
    "pure noise in, pure noise out, x0 is lost; use v, x0 or flow",
)
X0 = Head(
    "x0",
    lambda x0, eps, alpha, sigma: x0,
    lambda x0, x_t, alpha, sigma: x0,
    lambda alpha, sigma: 0 * sigma + 1.0,
)
# Salimans and Ho 2022, appendix D; divided by alpha^2 + sigma^2 so that it holds for every schedule
V = Head(
    "v",
    lambda x0, eps, alpha, sigma: mix(alpha, eps, -sigma, x0),
    lambda v, x_t, alpha, sigma: mix(alpha / (alpha**2 + sigma**2), x_t, -sigma / (alpha**2 + sigma**2), v),
    lambda alpha, sigma: (alpha**2 + sigma**2) / sigma,
)
# Song et al. 2021: the gradient of log q(x_t | x0); its mean over x0 is that of log q(x_t), Tweedie's formula
SCORE = Head(
    "score",
    lambda x0, eps, alpha, sigma: -eps / sigma,
    lambda score, x_t, alpha, sigma: mix(1 / alpha, x_t, sigma**2 / alpha, score),
    lambda alpha, sigma: alpha / sigma**2,
    "the score of pure noise does not know x0; use v, x0 or flow",
)
# Liu et al. 2022, eq. 1: on the flow schedule this is the velocity dx_t / dt
FLOW = Head(
    "flow",
    lambda x0, eps, alpha, sigma: eps - x0,
    lambda u, x_t, alpha, sigma: mix(1 / (alpha + sigma), x_t, -sigma / (alpha + sigma), u),
    lambda alpha, sigma: (alpha + sigma) / sigma,
)
# Karras et al. 2022, eq. 7 and table 1: F = (x0 - c_skip x) / c_out for x = x_t / alpha. Unit variance at every
# sigma if the data has the standard deviation 0.5, and with 1 in its place it would be -V / (alpha^2 + sigma^2)^1/2
F = Head(
    "F",
    lambda x0, eps, alpha, sigma: (sigma * x0 - alpha * 0.25 * eps) / (0.5 * (alpha**2 * 0.25 + sigma**2) ** 0.5),
    lambda F, x_t, alpha, sigma: (
        (alpha * 0.25 * x_t + sigma * 0.5 * (alpha**2 * 0.25 + sigma**2) ** 0.5 * F) / (alpha**2 * 0.25 + sigma**2)
    ),
    lambda alpha, sigma: (alpha**2 * 0.25 + sigma**2) ** 0.5 / (0.5 * sigma),
    data_std=0.5,
)

HEADS = {head.name: head for head in (EPS, X0, V, SCORE, FLOW, F)}


def to_eps(
    x0: Float[Tensor, "batch *shape"], x_t: Float[Tensor, "batch *shape"], t: Time, schedule: Schedule
) -> Float[Tensor, "batch *shape"]:
    """The noise that explains x_t if x0 is the clean picture: (x_t - alpha x0) / sigma."""
    same_shape(x0=x0, x_t=x_t)
    alpha, sigma = alpha_sigma(schedule, t, x_t)
    _nonzero(sigma, "sigma = 0: without noise, any eps explains x_t")
    return (x_t - alpha * x0) / sigma
