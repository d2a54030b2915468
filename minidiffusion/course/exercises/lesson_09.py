"""Lesson 09: sample a code, compute the density of the codes, sample from the aggregate posterior."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .judge import Wrong, call, close, name_mistake, same_kind, seeded, steady


def sample_code(answer: Any) -> None:
    """08.1: draw_code(mean, log_std, eps) -> mean + std eps, with the noise that comes in."""
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float64, torch.float32):
        mean, log_std, eps = (0.7 * torch.randn(3, 6, 4, generator=generator, dtype=torch.float64)).to(dtype)
        std = log_std.exp()
        right = mean + std * eps
        hint = "Use the eps that comes in, not fresh noise."
        z = steady(answer, mean, "the code", hint, mean=mean, log_std=log_std, eps=eps)
        if not close(z, right):
            mistakes = [
                (mean + log_std * eps, "the encoder returns the logarithm of std. Take its exponential."),
                (mean + std.sqrt() * eps, "log_std is the logarithm of std, not of the variance. Omit the 0.5."),
                (mean + std**2 * eps, "you multiply the noise by the variance. Multiply it by std, its square root."),
                (mean, "your code has no noise. It is always the centre of the cloud."),
                (std * eps, "the mean is missing. The cloud lies around it."),
                (mean * std + eps, "mean and std are swapped: multiply eps by std, then add the mean."),
                (std * (mean + eps), "you multiply the mean by std as well. Multiply eps alone."),
                (mean - std * eps, "the noise has the wrong sign. The distribution is right, but not this code."),
                (mean + std, "your code does not use eps. Multiply std by it."),
                (mean + std * eps[:1], "all items got the noise of the first item. Use all of eps."),
            ]
            name_mistake(z, mistakes)
            raise Wrong(f"your code is {(z - right).abs().mean():.2g} away from mean + std eps.")


def log_density(answer: Any) -> None:
    """08.2: log_density(z, mean, std) -> (batch,), the log of the mean over the clouds of N(z; mean_i, std_i^2)."""
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    std = torch.rand(6, 3, generator=generator, dtype=torch.float64) + 0.3
    near = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    underflow = "far from all clouds yours is wrong, because exp underflows to 0 there. Use torch.logsumexp."
    for z, far in ((near, False), (near.float(), False), (near + 60, True)):
        m, s = mean.to(z), std.to(z)
        parts = _log_clouds(z, m, s)
        right = _mix(parts)
        found = call(answer, z=z, mean=m, std=s)
        if isinstance(found, Tensor) and found.shape == parts.shape:
            raise Wrong("you return a number for each code and cloud. Average the densities over the clouds.")
        if isinstance(found, Tensor) and found.shape == (len(m),):
            raise Wrong("you return a number for each cloud. Return one for each code.")
        if far and isinstance(found, Tensor) and not bool(found.isfinite().all()):
            raise Wrong(underflow)
        found = same_kind(found, right, "log q")
        if not close(found, right):
            name_mistake(found, _wrong_densities(z, m, s, parts))
            raise Wrong(underflow if far else f"your log q is {(found - right).abs().mean():.2g} nats away.")


def _log_clouds(z: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """The log density of each code under each cloud, (batch, clouds)."""
    away = (z[:, None] - mean) / std
    return (-0.5 * away**2 - std.log() - 0.5 * math.log(2 * math.pi)).sum(2)


def _mix(logs: Tensor) -> Tensor:
    return logs.logsumexp(1) - math.log(logs.shape[1])


def _wrong_densities(z: Tensor, mean: Tensor, std: Tensor, parts: Tensor) -> list[tuple[Tensor, str]]:
    right, log = _mix(parts), std.log().sum(1)
    constant = 0.5 * mean.shape[1] * math.log(2 * math.pi)
    squares = 2 * (parts + log + constant)  # minus the squared distance, in standard deviations
    return [
        (parts.logsumexp(1), "you added the clouds. q is their mean, so divide by their number."),
        (parts.mean(1), "you took the mean of the logarithms. Take the logarithm of the mean density."),
        (parts.amax(1), "that is the nearest cloud alone. All clouds count."),
        (right.exp(), "that is the density. Return its logarithm."),
        (right / math.log(2), "yours is in bits. Use the natural logarithm."),
        (right + constant, "the constant of a Gaussian is missing: 1/2 log(2 pi) for each number of the code."),
        (_mix(parts + log), "log std is missing: the wider a cloud is, the thinner it is everywhere."),
        (_mix(parts - log), "you divided the density by std^2. Divide it by std."),
        (_mix(parts + 0.5 * squares), "the factor 1/2 in the exponent is missing."),
        (_mix(_log_clouds(z, mean, std.sqrt()) - 0.5 * log), "divide the squared distance by the variance, std^2."),
        (_mix(_log_clouds(z, mean, torch.ones_like(std))), "std is missing: each cloud has a width of its own."),
    ]


def aggregate_posterior(answer: Any) -> None:
    """08.3: draw_from_all(mean, std, count, generator) -> codes from the mixture of all clouds.

    Here there are two clouds, far apart. Half of the codes must be at each, with its mean and its std.
    """
    mean = torch.tensor([[-10.0, 0.0], [10.0, 5.0]])
    std = torch.tensor([[0.5, 2.0], [1.0, 0.1]])

    def sample(generator: torch.Generator) -> Tensor:
        z = call(answer, mean=mean, std=std, count=4001, generator=generator)
        if isinstance(z, Tensor) and z.shape == mean.shape:
            raise Wrong("you return one code for each cloud. Return `count` of them.")
        return same_kind(z, torch.zeros(4001, 2), "the codes")

    z = seeded(sample)
    if not bool((z[:, 0].abs() > 5).all()):
        raise Wrong("some codes lie between the clouds. Choose a cloud for each code instead of mixing their means.")
    second = z[:, 0] > 0
    share = second.double().mean().item()
    if abs(share - 0.5) > 0.04:
        raise Wrong(f"each of two clouds should give half of the codes, but in yours the second gives {share:.0%}.")
    if abs((second[1:] == second[:-1]).double().mean().item() - 0.5) > 0.05:
        raise Wrong("your clouds come in a fixed order. Choose each at random, independently of the one before.")
    for cloud, centre, width in zip((z[~second], z[second]), mean, std, strict=True):
        found = cloud.std(0)
        if bool((found < 1e-6).any()):
            raise Wrong("your codes are the centres of the clouds. Add std times fresh noise.")
        if torch.allclose(found, width**2, rtol=0.1):
            raise Wrong("the clouds have the wrong width. Multiply the noise by std, not by its square.")
        if not torch.allclose(found, width, rtol=0.1):
            raise Wrong(f"a cloud should have the std {_rounded(width)}, but yours has {_rounded(found)}.")
        if not torch.allclose(cloud.mean(0), centre, atol=0.15):
            raise Wrong("a cloud does not lie around its mean.")
        if not abs(torch.corrcoef(cloud.T)[0, 1]) < 0.2:
            raise Wrong("the numbers of a code share the same noise. Sample noise of shape (count, latent).")


def _rounded(x: Tensor) -> list[float]:
    return [round(value, 2) for value in x.tolist()]


CHECKS = {"09.1": sample_code, "09.2": log_density, "09.3": aggregate_posterior}
