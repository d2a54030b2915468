"""Steps without fresh noise: they follow the probability-flow ODE, each a little more accurately than the one before.

    d(x / alpha) = eps_hat d(sigma / alpha)                                  Karras et al. 2022, eq. 4
    d(x / sigma) = x0_hat d(alpha / sigma) = x0_hat e^lambda dlambda         Lu et al. 2022, eq. 8, lambda = log_snr / 2

If x0_hat and eps_hat did not change, the `line` of process.py would solve both exactly.
"""

import math
from collections import deque
from typing import NamedTuple

from torch import Tensor

from ..denoiser import Denoise
from ..process import eps_hat, line
from ..schedule import Level

Pair = tuple[Tensor, Tensor]  # x_s, and the x0_hat that the step used


def euler(denoise: Denoise, x_t: Tensor, t: Level, s: Level) -> Pair:
    """Euler's method (Karras et al. 2022, eq. 4): ddim with eta = 0. On the flow schedule it is x_t - (t - s) u."""
    x0 = denoise(x_t, t.time)
    return line(x_t, x0, t, s), x0


def heun(denoise: Denoise, x_t: Tensor, t: Level, s: Level) -> Pair:
    """An Euler step, repeated with the mean of the slopes at both ends (Karras et al. 2022, alg. 1): two calls."""
    x0 = denoise(x_t, t.time)
    x_s = line(x_t, x0, t, s)
    # there is no slope at sigma_s = 0, and with almost no signal (EDM starts at snr 1.6e-4) sigma / alpha is infinite
    if s.sigma == 0 or t.log_snr < math.log(1e-4):
        return x_s, x0
    change = eps_hat(x_s, denoise(x_s, s.time), s) - eps_hat(x_t, x0, t)
    return x_s + 0.5 * (s.sigma - s.alpha * t.sigma / t.alpha) * change, x0


class Visit(NamedTuple):  # a state that a multistep method has passed, and its prediction there
    level: Level
    x_t: Tensor
    x0: Tensor


def dpmpp_2m(denoise: Denoise, x_t: Tensor, t: Level, s: Level, past: deque[Visit]) -> Pair:
    """DPM-Solver++(2M): extrapolate x0_hat half a step ahead from the last two predictions (Lu et al. 2022, alg. 2)."""
    x0 = denoise(x_t, t.time)
    x_s = line(x_t, _extrapolated(x0, t, s, past), t, s)
    past.append(Visit(t, x_t, x0))
    return x_s, x0


def unipc(denoise: Denoise, x_t: Tensor, t: Level, s: Level, past: deque[Visit]) -> Pair:
    """UniPC-2 (Zhao et al. 2023, alg. 5 and 6): correct x_t with the x0_hat predicted there, then step like dpmpp_2m.

    The corrector repeats the previous step with the new prediction, so it needs no call of its own. B(h) = e^h - 1.
    """
    x0 = denoise(x_t, t.time)
    if past:
        x_t = _corrected(x0, t, past)
    x_s = line(x_t, _extrapolated(x0, t, s, past), t, s)
    past.append(Visit(t, x_t, x0))
    return x_s, x0


def _extrapolated(x0: Tensor, t: Level, s: Level, past: deque[Visit]) -> Tensor:
    """D = x0_hat + h / (2 h_last) (x0_hat - x0_last), h the step in log_snr."""
    if not past or s.sigma == 0:  # in the last step h is infinite
        return x0
    last = past[-1]
    return x0 + (s.log_snr - t.log_snr) / (2 * (t.log_snr - last.level.log_snr)) * (x0 - last.x0)


def _corrected(x0: Tensor, t: Level, past: deque[Visit]) -> Tensor:
    """x_t again from the step before, with x0_hat a parabola through three predictions: at t, and the last two.

    x_t = (sigma_t / sigma_last) x_last + alpha_t int_0^1 h e^(h (u - 1)) x0_hat(u) du,    u = 1 at t, 0 at last,

    where 1, u and u^2 integrate to psi_0 = 1 - e^-h, psi_1 = 1 - psi_0 / h and 1 - 2 psi_1 / h. With only one
    prediction in the past, UniC-1 takes the mean of that and the one at t.
    """
    *before, last = past
    h = (t.log_snr - last.level.log_snr) / 2
    rise = x0 - last.x0
    if not before:
        return line(last.x_t, last.x0 + 0.5 * rise, last.level, t)
    u = (before[0].level.log_snr - last.level.log_snr) / 2 / h  # of the oldest prediction; below 0
    bend = ((before[0].x0 - last.x0) / u - rise) / (u - 1)  # the parabola is x0_last + (rise - bend) u + bend u^2
    psi_1 = 1 - (psi_0 := -math.expm1(-h)) / h
    integral = psi_0 * last.x0 + psi_1 * (rise - bend) + (1 - 2 * psi_1 / h) * bend
    return t.sigma / last.level.sigma * last.x_t + t.alpha * integral
