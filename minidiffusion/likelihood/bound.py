"""The variational bound: what it costs to send x0 as x_1, then x_s for each step t -> s, then x0 itself.

    -log p(x0) <= KL(q(x_1 | x0) || p(x_1))                                   prior
                + sum over t -> s of E KL(q(x_s | x_t, x0) || p(x_s | x_t))   diffusion
                + E[-log p(x0 | x_t0)]                                        reconstruction, t0 the last time

(Ho et al. 2020, eq. 5; Kingma et al. 2021, eq. 11 to 13; Luo 2022, eq. 58), for the model p(x_1) = N(0, alpha(1)^2 +
sigma(1)^2), p(x_s | x_t) = q(x_s | x_t, x0_hat(x_t, t)), and p(x0 | x_t0) a Gaussian around x0_hat. Each of the three
terms depends on the schedule through log_snr alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.special import log_ndtr

from .. import check
from ..denoiser import Denoise, schedule_of
from ..process import diffuse, noise_like
from ..schedule import Batch, Schedule, Time

# Where Kingma et al. 2021 start their learned schedule: sigma / alpha = 0.0013, a third of half a grey level of 256
T0_LOG_SNR = 13.3


@dataclass(frozen=True)
class Bound:
    """The terms of the variational bound on -log2 p(x0), in bits per dimension of x0: lower is better.

    steps: the diffusion term of each step, from t = 1 on. times: the ends of the steps, from 1 to t0.
    """

    prior: Float[Tensor, "batch"]
    steps: Float[Tensor, "steps batch"]
    reconstruction: Float[Tensor, "batch"]
    times: Float[Tensor, "times"]

    @property
    def diffusion(self) -> Float[Tensor, "batch"]:
        return self.steps.sum(0)

    @property
    def total(self) -> Float[Tensor, "batch"]:
        return self.prior + self.diffusion + self.reconstruction


def bits_per_dim(log_likelihood: Tensor, x0: Batch) -> Tensor:
    """-log_likelihood / (D ln 2), for a log-likelihood in nats of items with D numbers each."""
    return -log_likelihood / (x0[0].numel() * math.log(2))


def prior_kl(x0: Batch, schedule: Schedule) -> Float[Tensor, "batch"]:
    """How far x_1 is from the prior: KL(q(x_1 | x0) || prior) in bits per dimension, one number for each item.

    It is the term L_T of the variational bound (Ho et al. 2020, eq. 5): what a sampler pays for starting from the prior
    instead of from a real x_1. DDPM reports about 1e-5 bits/dim. Its gradient reaches a schedule with weights.
    """
    log_snr = schedule.log_snr(torch.ones((), dtype=torch.float64)).to(x0)
    signal = log_snr.sigmoid()  # alpha^2 / (alpha^2 + sigma^2): the share of the variance of x_1 that comes from x0
    return 0.5 * (signal * (x0**2 - 1) - F.logsigmoid(-log_snr)).flatten(1).mean(1) / math.log(2)


def denoising_matching(
    denoise: Denoise, x0: Batch, eps: Batch, t: Time, s: Time, schedule: Schedule
) -> Float[Tensor, "batch"]:
    """KL(q(x_s | x_t, x0) || q(x_s | x_t, x0_hat(x_t, t))) in nats at x_t = alpha x0 + sigma eps, s < t.

    Between two Gaussians of the same variance: 1/2 (snr(s) - snr(t)) ||x0 - x0_hat||^2 (Kingma et al. 2021, eq. 13).
    """
    t, s = (torch.as_tensor(time, dtype=torch.float64) for time in (t, s))
    gained = schedule.log_snr(s).exp() - schedule.log_snr(t).exp()
    error = (x0 - denoise(diffuse(x0, t, eps, schedule), t)).square().flatten(1).sum(1)
    return 0.5 * gained.to(error) * error


def reconstruction(
    denoise: Denoise, x0: Batch, eps: Batch, t: Time, schedule: Schedule, levels: int | None = None
) -> Float[Tensor, "batch"]:
    """-log p(x0 | x_t) in nats at x_t = alpha x0 + sigma eps, for the decoder N(x0_hat(x_t, t), (sigma / alpha)^2).

    The width is that of x_t / alpha around x0. levels=None: a density. levels=256: the probability of the grey level of
    x0, the decoder's mass up to half way to both neighbouring levels; the outer two levels reach to infinity, so that
    all 256 sum to one (Ho et al. 2020, eq. 13).
    """
    t = torch.as_tensor(t, dtype=torch.float64)
    log_snr = schedule.log_snr(t).to(x0)
    x0_hat = denoise(diffuse(x0, t, eps, schedule), t)
    if levels is None:
        nats = 0.5 * (log_snr.exp() * (x0 - x0_hat) ** 2 - log_snr + math.log(2 * math.pi))
        return nats.flatten(1).sum(1)
    half = 1 / (levels - 1)
    low, high = ((x0 + side - x0_hat) * (log_snr / 2).exp() for side in (-half, half))
    # 1e9 instead of inf, which has no gradient
    low, high = low.masked_fill(x0 < half - 1, -1e9), high.masked_fill(x0 > 1 - half, 1e9)
    # Phi(high) - Phi(low), computed in the tail where both are small: a difference of ones would lose all digits
    mirrored = low + high > 0
    low, high = torch.where(mirrored, -high, low), torch.where(mirrored, -low, high)
    log_mass = log_ndtr(high) + torch.log1p(-(log_ndtr(low) - log_ndtr(high)).exp())
    return -log_mass.flatten(1).sum(1)


def elbo(
    denoise: Denoise,
    x0: Batch,
    schedule: Schedule | None = None,
    steps: int = 100,
    times: Sequence[float] | None = None,
    levels: int | None = None,
    cond: Any = None,
    generator: torch.Generator | None = None,
) -> Bound:
    """The bound's three terms for each item, in bits per dimension, from one draw of noise for each term.

    The estimate is unbiased: average over items, or over repeats of one item. denoise is called steps + 1 times.
    Gradients reach the denoiser and a schedule with parameters; if you only measure, call it under torch.no_grad().

    x0: data. schedule: None takes the denoiser's own. times: falling from 1 to t0, where sigma(t0) > 0; None is
    steps + 1 of them, evenly spaced in log_snr from t = 1 to t0 = time(13.3), or to t = 0 if log_snr ends below 13.3.
    levels: None for continuous data, whose density has the units of x0; 256 for images made from uint8, in [-1, 1].
    """
    schedule = checked(denoise, x0, schedule)
    grid = time_grid(schedule, steps, times)
    if levels is not None:
        check.whole("levels", levels, 2)
        place = (x0 + 1) / 2 * (levels - 1)
        if not bool(((place - place.round()).abs() < 0.01).all() and (x0.abs() < 1.001).all()):  # false for nan, too
            raise ValueError(f"x0 must be on the {levels} levels from -1 to 1, got {x0.min():g} to {x0.max():g}")

    def predict(x_t: Tensor, t: Tensor) -> Tensor:
        return denoise(x_t, t) if cond is None else denoise(x_t, t, cond)

    terms = [denoising_matching(predict, x0, noise_like(x0, generator), t, s, schedule) for t, s in pairwise(grid)]
    last = reconstruction(predict, x0, noise_like(x0, generator), grid[-1], schedule, levels)
    return Bound(prior_kl(x0, schedule), bits_per_dim(-torch.stack(terms), x0), bits_per_dim(-last, x0), grid)


def checked(denoise: Denoise, x0: Any, schedule: Schedule | None) -> Schedule:
    """The schedule to use, once the arguments have been checked."""
    check.items("x0", x0)
    return schedule_of(denoise, schedule)


def time_grid(schedule: Schedule, steps: int, times: Sequence[float] | None) -> Float[Tensor, "times"]:
    """The given times, checked, or steps + 1 times from 1 to t0, evenly spaced in log_snr; float64."""
    check.whole("steps", steps)
    if times is None:
        first, last = max(schedule.log_snr(1.0), -T0_LOG_SNR), min(schedule.log_snr(0.0), T0_LOG_SNR)
        grid = schedule.time(torch.linspace(first, last, steps + 1, dtype=torch.float64)).detach()
        grid[0] = 1.0  # the little that remains at a lower log_snr goes into the first step
    else:
        grid = torch.tensor(check.times("times", times), dtype=torch.float64)
    if grid[0] != 1 or schedule.sigma(grid[-1].item()) == 0:
        raise ValueError(
            f"times must begin at 1 and end before sigma = 0, where x_t is x0 itself, got {check.came(times)}"
        )
    return grid
