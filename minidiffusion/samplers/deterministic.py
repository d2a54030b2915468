"""Steps without fresh noise: they follow the probability-flow ODE, each a little more accurately than the one before.

    d(x / alpha) = eps_hat d(sigma / alpha)                                  Karras et al. 2022, eq. 4
    d(x / sigma) = x0_hat d(alpha / sigma) = x0_hat e^lambda dlambda         Lu et al. 2022, eq. 8, lambda = log_snr / 2

If x0_hat and eps_hat did not change, both would be solved exactly by the `line` of process.py.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

from torch import Tensor

from ..denoiser import Denoise
from ..process import eps_hat, line
from ..schedule import Level


def euler(denoise: Denoise, x_t: Tensor, t: Level, s: Level) -> tuple[Tensor, Tensor]:
    """Euler's method for d(x / alpha) = eps_hat d(sigma / alpha) (Karras et al. 2022, eq. 4): ddim with eta = 0.

    On the flow schedule it is x_s = x_t - (t - s) u, Euler's method for the velocity u (Liu et al. 2022).
    """
    x0 = denoise(x_t, t.time)
    return line(x_t, x0, t, s), x0


def heun(denoise: Denoise, x_t: Tensor, t: Level, s: Level) -> tuple[Tensor, Tensor]:
    """An Euler step, then the same step with the mean of the slopes at both ends (Karras et al. 2022, alg. 1): two calls.

    d(x / alpha) = eps_hat d(sigma / alpha) has no slope at sigma_s = 0, and where almost no signal is left (snr below
    1e-4; EDM starts at 1.6e-4) sigma / alpha goes to infinity. In both cases this remains an Euler step.
    """
    x0 = denoise(x_t, t.time)
    x_s = line(x_t, x0, t, s)
    if s.sigma == 0 or t.log_snr < math.log(1e-4):
        return x_s, x0
    change = eps_hat(x_s, denoise(x_s, s.time), s) - eps_hat(x_t, x0, t)
    return x_s + 0.5 * (s.sigma - s.alpha * t.sigma / t.alpha) * change, x0


class Visit(NamedTuple):
    """A state that a multistep method has passed, and the prediction that it made there."""

    level: Level
    x_t: Tensor
    x0: Tensor


def dpmpp_2m(denoise: Denoise, x_t: Tensor, t: Level, s: Level, past: deque[Visit]) -> tuple[Tensor, Tensor]:
    """DPM-Solver++(2M): extrapolate x0_hat half a step ahead from the last two predictions (Lu et al. 2022, alg. 2).

    D = x0_hat + h / (2 h_last) (x0_hat - x0_last), h the step in lambda = log_snr / 2. The first step, and a step to
    sigma = 0 where h is infinite, use x0_hat itself.
    """
    x0 = denoise(x_t, t.time)
    x_s = line(x_t, _extrapolated(x0, t, s, past), t, s)
    past.append(Visit(t, x_t, x0))
    return x_s, x0


def unipc(denoise: Denoise, x_t: Tensor, t: Level, s: Level, past: deque[Visit]) -> tuple[Tensor, Tensor]:
    """UniPC-2 (Zhao et al. 2023, alg. 5 and 6): correct x_t with the x0_hat predicted there, then step on from it.

    Its step, with B(h) = e^h - 1, is that of dpmpp_2m. The corrector repeats the previous step with the new prediction,
    without another call of the network.
    """
    x0 = denoise(x_t, t.time)
    if past:
        x_t = _corrected(x0, t, past)
    x_s = line(x_t, _extrapolated(x0, t, s, past), t, s)
    past.append(Visit(t, x_t, x0))
    return x_s, x0


def _extrapolated(x0: Tensor, t: Level, s: Level, past: deque[Visit]) -> Tensor:
    """x0_hat half a step ahead, on the straight line through the last two predictions."""
    if not past or s.sigma == 0:
        return x0
    last = past[-1]
    return x0 + (s.log_snr - t.log_snr) / (2 * (t.log_snr - last.level.log_snr)) * (x0 - last.x0)


def _corrected(x0: Tensor, t: Level, past: deque[Visit]) -> Tensor:
    """x_t again from the step before, with x0_hat a parabola through three predictions: at t, and the last two.

    x_t = (sigma_t / sigma_last) x_last + alpha_t int_0^1 h e^(h (u - 1)) x0_hat(u) du,    u = 1 at t, 0 at last,

    where the integrals of 1, u and u^2 are psi_0 = 1 - e^-h, psi_1 = 1 - psi_0 / h, psi_2 = 1 - 2 psi_1 / h. With only
    one prediction in the past, UniC-1 takes the mean of that and the one at t.
    """
    *before, last = past
    h = (t.log_snr - last.level.log_snr) / 2
    rise = x0 - last.x0
    if not before:
        return line(last.x_t, last.x0 + 0.5 * rise, last.level, t)
    u = (before[0].level.log_snr - last.level.log_snr) / 2 / h  # of the oldest prediction; below 0
    bend = ((before[0].x0 - last.x0) / u - rise) / (u - 1)  # the parabola is x0_last + (rise - bend) u + bend u^2
    psi_0 = -math.expm1(-h)
    psi_1 = 1 - psi_0 / h
    psi_2 = 1 - 2 * psi_1 / h
    integral = psi_0 * last.x0 + psi_1 * (rise - bend) + psi_2 * bend
    return t.sigma / last.level.sigma * last.x_t + t.alpha * integral
