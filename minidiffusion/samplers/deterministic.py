"""Steps without fresh noise: they follow the probability-flow ODE, each a little better than the one before.

    d(x / alpha) = eps_hat d(sigma / alpha)                                  Karras et al. 2022, eq. 4
    d(x / sigma) = x0_hat d(alpha / sigma) = x0_hat e^lambda dlambda         Lu et al. 2022, eq. 8, lambda = log_snr / 2

All share one line. If x0_hat and eps_hat stayed as they are, x_s would be

    alpha_s x0_hat + sigma_s eps_hat  =  (sigma_s / sigma_t) x_t + (alpha_s - alpha_t sigma_s / sigma_t) x0_hat

and the right side never divides by alpha, so it also holds where x_t is pure noise.
"""

from __future__ import annotations

import math

from torch import Tensor

from ..denoiser import Denoise
from ..schedule import Level
from .walk import Visit, Walk, eps_hat, line


def euler(denoise: Denoise, x_t: Tensor, t: Level, s: Level, walk: Walk) -> tuple[Tensor, Tensor]:
    """Euler's method for d(x / alpha) = eps_hat d(sigma / alpha) (Karras et al. 2022, eq. 4). It is ddim, eta 0.

    On the flow schedule it is x_s = x_t - (t - s) u, Euler's method for the velocity u (Liu et al. 2022).
    """
    x0 = denoise(x_t, t.time)
    return line(x_t, x0, t, s), x0


def heun(denoise: Denoise, x_t: Tensor, t: Level, s: Level, walk: Walk) -> tuple[Tensor, Tensor]:
    """Euler, then once more with the mean of the slopes at both ends (Karras et al. 2022, alg. 1): two calls.

    d(x / alpha) = eps_hat d(sigma / alpha) has no slope at sigma_s = 0, and where almost no signal is left
    (snr below 1e-4; EDM starts at 1.6e-4) sigma / alpha runs to infinity. There, the Euler step stands.
    """
    x0 = denoise(x_t, t.time)
    x_s = line(x_t, x0, t, s)
    if s.sigma == 0 or t.log_snr < math.log(1e-4):
        return x_s, x0
    turn = eps_hat(x_s, denoise(x_s, s.time), s) - eps_hat(x_t, x0, t)
    return x_s + 0.5 * (s.sigma - s.alpha * t.sigma / t.alpha) * turn, x0


def dpmpp_2m(denoise: Denoise, x_t: Tensor, t: Level, s: Level, walk: Walk) -> tuple[Tensor, Tensor]:
    """DPM-Solver++(2M): aim where x0_hat is heading, judged by the step before (Lu et al. 2022, alg. 2).

    D = x0_hat + h / (2 h_last) (x0_hat - x0_last), h the step in lambda = log_snr / 2. The first step, and one
    that ends at sigma = 0 where h is infinite, aim at x0_hat itself.
    """
    x0 = denoise(x_t, t.time)
    x_s = line(x_t, _heading(x0, t, s, walk), t, s)
    walk.visits.append(Visit(t, x_t, x0))
    return x_s, x0


def unipc(denoise: Denoise, x_t: Tensor, t: Level, s: Level, walk: Walk) -> tuple[Tensor, Tensor]:
    """UniPC-2 (Zhao et al. 2023, alg. 5 and 6): first mend x_t with the x0_hat found there, then step from it.

    Its step, with B(h) = e^h - 1, is that of dpmpp_2m. The corrector goes back to the step before and repeats
    it with what has been learned since, at no extra call.
    """
    x0 = denoise(x_t, t.time)
    if walk.visits:
        x_t = _corrected(x0, t, walk)
    x_s = line(x_t, _heading(x0, t, s, walk), t, s)
    walk.visits.append(Visit(t, x_t, x0))
    return x_s, x0


def _heading(x0: Tensor, t: Level, s: Level, walk: Walk) -> Tensor:
    """x0_hat half a step ahead, on the straight line through the last two guesses."""
    if not walk.visits or s.sigma == 0:
        return x0
    last = walk.visits[-1]
    return x0 + (s.log_snr - t.log_snr) / (2 * (t.log_snr - last.level.log_snr)) * (x0 - last.x0)


def _corrected(x0: Tensor, t: Level, walk: Walk) -> Tensor:
    """x_t again from the step before, x0_hat now a curve through three guesses: that at t, and the last two.

    x_t = (sigma_t / sigma_last) x_last + alpha_t int_0^1 h e^(h (u - 1)) x0_hat(u) du,    u = 1 at t, 0 at last,

    the integral of 1, u and u^2 being psi_0 = 1 - e^-h, psi_1 = 1 - psi_0 / h, psi_2 = 1 - 2 psi_1 / h. With one
    guess only behind it, UniC-1 takes x0_hat half way to that at t.
    """
    *before, last = walk.visits
    h = (t.log_snr - last.level.log_snr) / 2
    rise = x0 - last.x0
    if not before:
        return line(last.x_t, last.x0 + 0.5 * rise, last.level, t)
    u = (before[0].level.log_snr - last.level.log_snr) / 2 / h  # of the oldest guess; below 0
    # the parabola x0_last + slope u + bend u^2 through the three
    bend = ((before[0].x0 - last.x0) / u - rise) / (u - 1)
    psi_0 = -math.expm1(-h)
    psi_1 = 1 - psi_0 / h
    psi_2 = 1 - 2 * psi_1 / h
    integral = psi_0 * last.x0 + psi_1 * (rise - bend) + psi_2 * bend
    return t.sigma / last.level.sigma * last.x_t + t.alpha * integral
