"""The forward process destroys data in one line, q(x_t | x0) = N(alpha_t x0, sigma_t^2 I) (Ho et al. 2020, eq. 4).

Between two levels s < t, with r = snr_t / snr_s, `transition` is q(x_t | x_s) and `posterior` is q(x_s | x_t, x0).
`line` leads from x_t to x_s if x0_hat and eps_hat stay as they are; every deterministic sampler is built on it.
"""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from . import check
from .schedule import Batch, Level, Scale, Schedule, Time

Generators = Generator | Sequence[Generator] | None  # one, or one for each item


def mix(a: Scale, x: Tensor, b: Scale, y: Tensor) -> Tensor:
    """a x + b y, the sum in place, which saves memory traffic."""
    return (a * x).addcmul_(b, y) if isinstance(b, Tensor) else (a * x).add_(y, alpha=b)


def diffuse(x0: Batch, t: Time, eps: Batch, schedule: Schedule) -> Batch:
    """x_t = alpha(t) x0 + sigma(t) eps (Ho et al. 2020, eq. 4). t is one time, or one for each item."""
    check.same_shape(x0=x0, eps=eps)
    level = schedule.at(t, like=x0)
    return mix(level.alpha, x0, level.sigma, eps)


def line(x_t: Tensor, x0: Tensor, t: Level, s: Level) -> Tensor:
    """alpha_s x0 + sigma_s eps, for the eps in x_t; without a division by alpha, so it also works where alpha_t = 0."""
    shrink = s.sigma / t.sigma
    return mix(shrink, x_t, s.alpha - t.alpha * shrink, x0)


def eps_hat(x_t: Tensor, x0: Tensor, t: Level) -> Tensor:
    """The noise in x_t if x0 is the clean data, at a level with sigma above 0."""
    return (x_t - t.alpha * x0) / t.sigma


def fresh(t: Level, s: Level) -> Scale:
    """1 - r for s < t: the share of sigma_t^2 that was added after s. expm1 keeps its digits if s is close to t."""
    change = t.log_snr - s.log_snr
    return -torch.expm1(change) if isinstance(change, Tensor) else -math.expm1(change)


def transition(x_s: Tensor, s: Level, t: Level) -> tuple[Tensor, Scale]:
    """Mean (alpha_t / alpha_s) x_s and std sigma_t sqrt(1 - r) of q(x_t | x_s): several steps of Ho et al., eq. 2."""
    return t.alpha / s.alpha * x_s, t.sigma * fresh(t, s) ** 0.5


def posterior_between(x_t: Tensor, x0: Tensor, t: Level, s: Level) -> tuple[Tensor, Scale]:
    """`posterior` between two levels of a schedule."""
    new = fresh(t, s)
    return mix(s.alpha * new, x0, t.alpha * s.sigma**2 / (s.alpha * t.sigma**2), x_t), s.sigma * new**0.5


def posterior(x_t: Batch, x0: Batch, t: Time, s: Time, schedule: Schedule) -> tuple[Batch, Scale]:
    """Mean and standard deviation of q(x_s | x_t, x0), s < t (Ho et al. 2020, eq. 6 and 7; Kingma et al. 2021, eq. 25).

    mean = alpha_s (1 - r) x0 + (alpha_t sigma_s^2) / (alpha_s sigma_t^2) x_t,    std = sigma_s sqrt(1 - r)
    """
    check.same_shape(x_t=x_t, x0=x0)
    if not (isinstance(t, Tensor) or isinstance(s, Tensor) or 0 <= s < t <= 1):
        raise ValueError(f"s and t must satisfy 0 <= s < t <= 1, got s = {s}, t = {t}")
    return posterior_between(x_t, x0, schedule.at(t, like=x_t), schedule.at(s, like=x_t))


def noise(shape: Sequence[int], generator: Generators = None) -> Tensor:
    """N(0, I) on the generator's device. With one on the CPU, a seed gives the same picture everywhere.

    generator: one, or one for each item, so that an item does not depend on how many others there are.
    """
    if isinstance(generator, Sequence) and not isinstance(generator, str):
        met = len(generator) == shape[0] and all(isinstance(one, Generator) for one in generator)
        check.must_be(f"one, or one for each of {shape[0]} items", "generator", generator, met)
        return torch.stack([noise(shape[1:], one) for one in generator])
    if generator is not None:
        check.instance("generator", generator, Generator, "torch.Generator().manual_seed(0)")
    return torch.randn(tuple(shape), generator=generator, device=generator.device if generator is not None else "cpu")


def noise_like(x: Tensor, generator: Generators = None) -> Tensor:
    return noise(x.shape, generator).to(x)


def prior_std(schedule: Schedule) -> float:
    """The std of x_1 for data of unit variance: 1 for `flow` and wherever variance is preserved, 80.006 for `ve`."""
    return math.hypot(schedule.alpha(1.0), schedule.sigma(1.0))


def prior(shape: Sequence[int], schedule: Schedule, generator: Generators = None) -> Batch:
    """Sample x_1 from the prior N(0, (alpha(1)^2 + sigma(1)^2) I), on the generator's device, or else on the CPU."""
    whole = isinstance(shape, Sequence) and all(isinstance(n, int) and n >= 0 for n in shape)
    check.must_be("whole numbers of at least 0", "shape", shape, whole)
    return prior_std(schedule) * noise(shape, generator)
