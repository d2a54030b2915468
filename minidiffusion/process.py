"""The forward process: destroy data in one line, and walk back one step when x0 is known.

q(x_t | x0) = N(alpha(t) x0, sigma(t)^2 I)
q(x_s | x_t, x0) for s < t is Gaussian too, with the mean and std that `posterior` returns
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from .schedule import Level, Schedule

Time = float | Float[Tensor, ""] | Float[Tensor, "batch"]
Scale = float | Tensor  # alpha or sigma, ready to multiply a batch


def alpha_sigma(schedule: Schedule, t: Time, x: Tensor) -> tuple[Scale, Scale]:
    """alpha(t) and sigma(t), shaped to multiply x: one number for all, or one for each item of the batch."""
    if isinstance(t, (float, numbers.Real)):  # float first: asking Real is slow
        level = schedule.level(float(t))
        return level.alpha, level.sigma
    if not isinstance(t, Tensor) or not t.is_floating_point():
        raise TypeError(f"t must be a number or a floating point tensor, got {t!r}")
    if t.ndim > 1 or (t.ndim == 1 and len(t) != len(x)):
        raise ValueError(f"t must be one time, or one for each of {len(x)} items, got shape {tuple(t.shape)}")
    shape = t.shape + (1,) * (x.ndim - 1) if t.ndim else ()
    # float64 until the curve is read: float32 has too few digits of 1 - t near the ends
    alpha, sigma = (curve(t.double()).to(x).view(shape) for curve in (schedule.alpha, schedule.sigma))
    return alpha, sigma


def same_shape(**tensors: Tensor) -> None:
    """Names what is wrong unless all the tensors have one shape, and numbers that can carry noise."""
    (first, a), *rest = tensors.items()
    if not a.is_floating_point():
        raise TypeError(f"{first} must be floating point, got {a.dtype}; images: datasets.to_float")
    shape = a.shape
    for name, b in rest:
        if b.shape != shape:
            raise ValueError(f"{name} must have the shape of {first}, {tuple(shape)}, got {tuple(b.shape)}")


def mix(a: Scale, x: Tensor, b: Scale, y: Tensor) -> Tensor:
    """a x + b y, the one line that all of diffusion is made of; in place, which spares memory a walk."""
    return (a * x).addcmul_(b, y) if isinstance(b, Tensor) else (a * x).add_(y, alpha=b)


def diffuse(
    x0: Float[Tensor, "batch *shape"], t: Time, eps: Float[Tensor, "batch *shape"], schedule: Schedule
) -> Float[Tensor, "batch *shape"]:
    """x_t = alpha(t) x0 + sigma(t) eps (Ho et al. 2020, eq. 4). t is one time, or one for each item."""
    same_shape(x0=x0, eps=eps)
    alpha, sigma = alpha_sigma(schedule, t, x0)
    return mix(alpha, x0, sigma, eps)


def posterior(
    x_t: Float[Tensor, "batch *shape"], x0: Float[Tensor, "batch *shape"], t: float, s: float, schedule: Schedule
) -> tuple[Float[Tensor, "batch *shape"], float]:
    """Mean and standard deviation of q(x_s | x_t, x0), 0 <= s < t <= 1 (Ho et al. 2020, eq. 6 and 7).

    With r = snr(t) / snr(s), the share of the signal at s that is still there at t (Kingma et al. 2021, eq. 25):

        mean = alpha_s (1 - r) x0 + (alpha_t sigma_s^2) / (alpha_s sigma_t^2) x_t
        std  = sigma_s sqrt(1 - r)
    """
    same_shape(x_t=x_t, x0=x0)
    if not 0 <= s < t <= 1:
        raise ValueError(f"s and t must satisfy 0 <= s < t <= 1, got s = {s}, t = {t}")
    return posterior_at(x_t, x0, *schedule.levels([t, s]))


def posterior_at(
    x_t: Float[Tensor, "batch *shape"], x0: Float[Tensor, "batch *shape"], t: Level, s: Level
) -> tuple[Float[Tensor, "batch *shape"], float]:
    """`posterior` between two levels of a schedule."""
    gone = -math.expm1(t.log_snr - s.log_snr)  # 1 - r
    mean = mix(s.alpha * gone, x0, t.alpha * s.sigma**2 / (s.alpha * t.sigma**2), x_t)
    return mean, s.sigma * math.sqrt(gone)


def _prior_std(schedule: Schedule) -> float:
    return math.hypot(schedule.alpha(1.0), schedule.sigma(1.0))


def noise_like(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """N(0, I) in the shape of x, drawn on the generator's device; without one, on the CPU, so that a seed means the
    same picture everywhere."""
    device = generator.device if generator is not None else "cpu"
    return torch.randn(x.shape, generator=generator, device=device).to(x)


def prior(
    shape: Sequence[int], schedule: Schedule, generator: torch.Generator | None = None
) -> Float[Tensor, "batch *shape"]:
    """Draw x_1 from the prior N(0, alpha(1)^2 + sigma(1)^2): unit variance, or sigma 80 for `ve`.

    Drawn on the generator's device; without one, on the CPU, so that a seed means the same picture everywhere.
    """
    if not isinstance(shape, Sequence) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError(f"shape must be whole numbers of at least 0, got {shape!r}")
    device = generator.device if generator is not None else "cpu"
    return _prior_std(schedule) * torch.randn(tuple(shape), generator=generator, device=device)


def prior_kl(x0: Float[Tensor, "batch *shape"], schedule: Schedule) -> Float[Tensor, "batch"]:
    """How far x_1 is from the prior: KL(q(x_1 | x0) || prior) in bits per dimension, one number an image.

    It is the L_T of the variational bound (Ho et al. 2020, eq. 5): what a sampler pays for starting from the
    prior instead of from a real x_1. DDPM reports about 1e-5 bits/dim.
    """
    variance = (schedule.sigma(1.0) / _prior_std(schedule)) ** 2
    mean = schedule.alpha(1.0) / _prior_std(schedule) * x0
    nats = 0.5 * (variance - 1 - math.log(variance) + mean**2)
    return nats.flatten(1).mean(1) / math.log(2)
