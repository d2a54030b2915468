"""The published schedules: each a family, and log_snr(t) with its inverse."""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import check
from .base import Published, Schedule, flow_matching, variance_exploding, variance_preserving


def flow() -> Schedule:
    """alpha = 1 - t, sigma = t: the straight path of flow matching (Liu et al. 2022; Lipman et al. 2022)."""
    return Published("flow", flow_matching, lambda t: -2 * torch.logit(t), lambda log_snr: torch.sigmoid(-log_snr / 2))


def ve() -> Schedule:
    """alpha = 1, sigma = 0.002 (80 / 0.002)^t: Song et al. 2021, sec. 3.4, with the ends of Karras et al. 2022.

    The final picture keeps noise of sigma(0) = 0.002, a quarter of one grey level of 256.
    """
    a, b = math.log(0.002), math.log(80.0 / 0.002)
    return Published("ve", variance_exploding, lambda t: -2 * (a + t * b), lambda log_snr: (-log_snr / 2 - a) / b)


def cosine() -> Schedule:
    """alpha^2 = (f(t) / f(0) + floor) / (1 + floor), f(t) = cos^2(pi/2 (t + 0.008) / 1.008).

    Nichol and Dhariwal 2021, eq. 17. They clip each beta at 0.999, so that the last of 1,000 steps ends not at 0 but at
    alpha^2 = 0.001 f(0.999) / f(0) = 2.4e-9. `floor` is that number; it keeps log_snr(1) at -19.8 instead of -inf.
    """
    f0 = math.cos(0.5 * math.pi * 0.008 / 1.008) ** 2
    floor = 0.001 * math.cos(0.5 * math.pi * 1.007 / 1.008) ** 2 / f0

    def log_snr(t: Tensor) -> Tensor:
        f = torch.cos(0.5 * math.pi * ((t + 0.008) / 1.008)) ** 2
        return torch.logit(((f / f0 + floor) / (1 + floor)).clamp(max=1))

    def time(log_snr: Tensor) -> Tensor:
        f = f0 * ((1 + floor) * log_snr.sigmoid() - floor).clamp(0, 1)
        return f.sqrt().arccos() * 2 / math.pi * 1.008 - 0.008

    return Published("cosine", variance_preserving, log_snr, time)


def _log_snr_from(log_alpha: Tensor) -> Tensor:
    """log(alpha^2 / (1 - alpha^2)); expm1 keeps all digits of 1 - alpha^2 where alpha is nearly 1."""
    return 2 * log_alpha - (-torch.expm1(2 * log_alpha)).log()


def from_betas(betas: Sequence[float] | np.ndarray | Tensor, name: str = "from_betas") -> Schedule:
    """DDPM's discrete time made continuous: alpha(i/T)^2 = (1 - beta_1) ... (1 - beta_i), log alpha straight between.

    betas: T numbers in (0, 1), beta_1 first (Ho et al. 2020, eq. 2 and 4).
    """
    try:
        values = np.asarray(betas, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    good = values.ndim == 1 and values.size > 0 and bool(((values > 0) & (values < 1)).all())
    check.must_be("a sequence of numbers in (0, 1)", "betas", betas, good)
    T = len(values)
    grid = 0.5 * torch.log1p(-torch.from_numpy(np.insert(values, 0, 0.0))).cumsum(0)  # log alpha at i / T

    def log_snr(t: Tensor) -> Tensor:
        at, i = grid.to(t.device), (t * T).long().clamp(0, T - 1)
        return _log_snr_from(torch.lerp(at[i], at[i + 1], t * T - i))

    def time(log_snr: Tensor) -> Tensor:
        at, log_alpha = grid.to(log_snr.device), F.logsigmoid(log_snr) / 2
        i = torch.searchsorted(-at, -log_alpha.contiguous()).clamp(1, T)
        return (i - 1 + (at[i - 1] - log_alpha) / (at[i - 1] - at[i])) / T

    arguments = {"betas": values.tolist()} if name == "from_betas" else {}
    return Published(name, variance_preserving, log_snr, time, arguments, T)


def linear() -> Schedule:
    """DDPM's 1,000 betas, evenly spaced from 1e-4 to 0.02 (Ho et al. 2020, sec. 4)."""
    return from_betas(np.linspace(1e-4, 0.02, 1000), "linear")


def scaled_linear() -> Schedule:
    """Stable Diffusion's 1,000 betas: square roots evenly spaced from sqrt(0.00085) to sqrt(0.012)."""
    return from_betas(np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, "scaled_linear")


def sigmoid() -> Schedule:
    """GeoDiff's 1,000 betas, 1e-4 + (0.02 - 1e-4) / (1 + exp(-u)), u evenly from -6 to 6 (Xu et al. 2022)."""
    return from_betas(1e-4 + (0.02 - 1e-4) / (1 + np.exp(-np.linspace(-6, 6, 1000))), "sigmoid")


def zero_terminal_snr(schedule: Schedule) -> Schedule:
    """The schedule shifted and scaled so that alpha(1) = 0 (Lin et al. 2023, algorithm 1); with a(t) the old alpha,

        alpha(t) = (a(t) - a(1)) a(t1) / (a(t1) - a(1))

    t1 = 1 / T, the first grid point, and all times before it keep their alpha; without a grid, t1 = 0.
    """
    if schedule.alpha(1.0) == 0:
        return schedule
    if schedule.scales is not variance_preserving:
        raise ValueError(f"schedule must keep alpha^2 + sigma^2 = 1 to end without signal, got {schedule}")
    first = 1 / schedule.T if schedule.T else 0.0
    a1, a_last = schedule.alpha(first), schedule.alpha(1.0)

    def log_snr(t: Tensor) -> Tensor:
        a, _ = variance_preserving(schedule._log_snr(t))
        return _log_snr_from(torch.where(t <= first, a, (a - a_last) * a1 / (a1 - a_last)).log())

    def time(log_snr: Tensor) -> Tensor:
        alpha, _ = variance_preserving(log_snr)
        a = torch.where(alpha >= a1, alpha, alpha * (a1 - a_last) / a1 + a_last)
        return schedule._time(_log_snr_from(a.log()))

    return Published("zero_terminal_snr", variance_preserving, log_snr, time, {"schedule": schedule})


def shifted(schedule: Schedule, factor: float) -> Schedule:
    """More noise at every t: log_snr(t) - 2 log(factor), for pictures whose side is `factor` times as long.

    In a larger picture, neighbouring pixels average more noise away, so the same t destroys less of it; the shift makes
    up for that (Hoogeboom et al. 2023, eq. 4, with factor = side / 64). On `flow` it is t' = f t / (1 + (f - 1) t)
    (Esser et al. 2024, eq. 23).
    """
    check.positive("factor", factor)
    old, down, arguments = schedule, 2 * math.log(factor), {"schedule": schedule, "factor": float(factor)}
    curves = lambda t: old._log_snr(t) - down, lambda log_snr: old._time(log_snr + down)
    return Published("shifted", old.scales, *curves, arguments)
