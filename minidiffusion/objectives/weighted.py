"""The training objective: the squared error of x0_hat, weighted by how much each noise level matters.

    loss = mean over t, x0, eps of  w(t) || x0_hat(x_t, t) - x0 ||^2,    t uniform in (0, 1)

WEIGHTINGS has w as a function of the snr and of slope = -d log_snr / dt. "uniform" is the plain error of the output,
the only weighting that depends on the head: an error in x0_hat is gain(t) times as large in the output, so w =
gain(t)^2, which is snr for eps, 1 for x0, snr + 4 for F and, where alpha^2 + sigma^2 = 1, snr + 1 for v. Uniform times
visit each log_snr in proportion to 1 / slope; a weighting with the factor slope is the same on every schedule.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from .. import check
from ..denoiser import Denoiser
from ..process import diffuse, noise_like
from ..schedule import Batch, exact

Loss = Callable[..., Tensor]  # loss(denoiser, x0, t, eps, cond) -> (batch,), as `fit` calls it


def _edm(snr: Tensor, slope: Tensor) -> Tensor:
    """lambda(sigma) p(sigma) for data of std 0.5 and sigma / alpha as sigma (Karras et al. 2022, table 1)."""
    log_sigma = -0.5 * snr.log()  # d log_sigma = slope / 2 dt turns a density over log_sigma into one over t
    return (snr + 4) * torch.exp(-0.5 * ((log_sigma + 1.2) / 1.2) ** 2) / (1.2 * math.sqrt(2 * math.pi)) * slope / 2


WEIGHTINGS: dict[str, Callable[[Tensor, Tensor], Tensor] | None] = {
    "uniform": None,  # Ho et al. 2020, eq. 14: L_simple, if the head is eps
    "constant": lambda snr, slope: torch.ones_like(snr),
    "snr": lambda snr, slope: snr,  # Ho et al. 2020, eq. 14, for every head
    "snr_plus_one": lambda snr, slope: snr + 1,  # Salimans and Ho 2022, sec. 4
    "truncated_snr": lambda snr, slope: snr.clamp(min=1.0),  # the same
    "min_snr": lambda snr, slope: snr.clamp(max=5.0),  # Hang et al. 2023, eq. 8
    "p2": lambda snr, slope: snr / (1 + snr),  # Choi et al. 2022, sec. 3, k = gamma = 1
    "edm": _edm,
    "elbo": lambda snr, slope: snr * slope / 2,  # Kingma et al. 2021, eq. 17: nats per dimension of the bound
}


def loss_per_item(
    denoiser: Denoiser, x0: Batch, t: Float[Tensor, "batch"], eps: Batch, weighting: str = "uniform", cond: Any = None
) -> Float[Tensor, "batch"]:
    """The loss of each item at the given times and noise, averaged over its dimensions."""
    weight = WEIGHTINGS[check.one_of("weighting", weighting, WEIGHTINGS)]
    schedule, head = denoiser.schedule, denoiser.head
    output = denoiser.output(diffuse(x0, t, eps, schedule), t, cond)
    error = (output - head.target(x0, eps, t, schedule)).float().pow(2).flatten(1).mean(1)
    if weight is None:
        return error
    snr = schedule.log_snr(t := exact(t)).exp()
    # where no signal is left, the slope is infinite; times an snr of 0 it has no weight
    slope = -schedule.log_snr_slope(t).masked_fill(snr == 0, 0.0)
    # the error of x0_hat is that of the output over the gain; computing x0_hat would lose digits where alpha is small
    return error * (weight(snr, slope) / head.gain(t, t, schedule) ** 2).to(error)


def draw_times(count: int, generator: Generator | None = None) -> Float[Tensor, "count"]:
    """Stratified times in (0, 1): one in each of `count` equal bins, a cousin of Kingma et al. 2021, appendix I.1."""
    device = generator.device if generator is not None else "cpu"
    u = torch.rand(count, generator=generator, device=device)
    return ((torch.arange(count, device=device) + u) / count).clamp(1e-5, 1.0)


def denoising_loss(
    denoiser: Denoiser, x0: Batch, weighting: str = "uniform", cond: Any = None, generator: Generator | None = None
) -> Float[Tensor, ""]:
    """One number to minimise: draw a time and noise for each item of the clean data x0, and average their losses."""
    t = draw_times(len(x0), generator).to(x0.device)
    return loss_per_item(denoiser, x0, t, noise_like(x0, generator), weighting, cond).mean()
