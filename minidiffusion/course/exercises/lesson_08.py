"""Lesson 08: draw a code, look up its density, draw from all clouds."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .judge import Wrong, call, close, name_mistake, same_kind


def draw_code(answer: Any) -> None:
    """08.1: draw_code(mean, log_std, eps) -> mean + std eps, the noise that comes in and no other."""
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float64, torch.float32):
        mean, log_std, eps = (0.7 * torch.randn(3, 6, 4, generator=generator, dtype=torch.float64)).to(dtype)
        z = same_kind(call(answer, mean=mean, log_std=log_std, eps=eps), mean, "the code")
        if not close(z, answer(mean, log_std, eps)):
            raise Wrong("called twice, it gives two answers. Use the eps that comes in, not a fresh one.")
        right = mean + log_std.exp() * eps
        if not close(z, right):
            std = log_std.exp()
            name_mistake(
                z,
                [
                    (mean + log_std * eps, "the encoder gives the logarithm of std: take its exponential."),
                    (
                        mean + (0.5 * log_std).exp() * eps,
                        "log_std is the logarithm of std, not of the variance: no 0.5.",
                    ),
                    (mean + std**2 * eps, "that is the variance. The noise is stretched by std, its root."),
                    (mean, "your code has no noise: it is the middle of the cloud, the same at every draw."),
                    (std * eps, "the mean is missing: the cloud is around it."),
                    (mean * std + eps, "mean and std have changed places: std stretches eps, the mean is added."),
                    (std * (mean + eps), "the mean is stretched as well: multiply eps alone by std."),
                    (
                        mean - std * eps,
                        "the noise has the wrong sign: as a draw it is as good, but it is not that of eps.",
                    ),
                    (mean + std, "there is no eps in your code."),
                    (mean + std * eps[:1], "all items got the noise of the first: use the whole of eps."),
                ],
            )
            raise Wrong(f"your code is {(z - right).abs().mean():.2g} away from mean + std eps.")


def log_density(answer: Any) -> None:
    """08.2: log_density(z, mean, std) -> (batch,), log of the mean over clouds of N(z; mean_i, std_i^2)."""
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    std = torch.rand(6, 3, generator=generator, dtype=torch.float64) + 0.3
    near = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    for z in (near, near.float()):
        m, s = mean.to(z), std.to(z)
        found = call(answer, z=z, mean=m, std=s)
        if isinstance(found, Tensor) and found.shape == (len(z), len(m)):
            raise Wrong("it is one number for each code and cloud: take the mean of the densities over the clouds.")
        if isinstance(found, Tensor) and found.shape == (len(m),):
            raise Wrong("it is one number for each cloud: one for each code is wanted.")
        found = same_kind(found, z[:, 0], "log q")
        away = (z[:, None] - m) / s
        parts = (-0.5 * away**2 - s.log() - 0.5 * math.log(2 * math.pi)).sum(2)  # (batch, clouds)

        def mixed(logs: Tensor) -> Tensor:
            return logs.logsumexp(1) - math.log(logs.shape[1])

        right = mixed(parts)
        if not close(found, right):
            constant = 0.5 * m.shape[1] * math.log(2 * math.pi)
            name_mistake(
                found,
                [
                    (parts.logsumexp(1), "you added the clouds up: q is their mean, so divide by their number."),
                    (parts.mean(1), "you took the mean of the logarithms: it is the logarithm of the mean density."),
                    (parts.amax(1), "that is the nearest cloud alone: all clouds count."),
                    (right.exp(), "that is the density. Its logarithm is asked for."),
                    (right / math.log(2), "those are bits: take the natural logarithm."),
                    (right + constant, "the constant of a Gaussian is missing: 1/2 log(2 pi) for each number."),
                    (mixed(parts + s.log().sum(1)), "log std is missing: a wide cloud is thinner everywhere."),
                    (mixed(parts - s.log().sum(1)), "the density is divided by std, not by its square."),
                    (
                        mixed((-(away**2) - s.log()).sum(2) - constant),
                        "the 1/2 in the exponent is missing.",
                    ),
                    (
                        mixed((-0.5 * (z[:, None] - m) ** 2 / s - s.log()).sum(2) - constant),
                        "the squared distance is divided by the variance, std squared.",
                    ),
                    (
                        mixed((-0.5 * (z[:, None] - m) ** 2).sum(2) - constant),
                        "std is missing: each cloud has a width of its own.",
                    ),
                ],
            )
            raise Wrong(f"your log q is {(found - right).abs().mean():.2g} nats away.")
    far = call(answer, z=near + 60, mean=mean, std=std)
    if not bool(far.isfinite().all()):
        raise Wrong(
            "a code far from all clouds gets -inf, since exp has no room for such numbers: torch.logsumexp has."
        )


def draw_from_all(answer: Any) -> None:
    """08.3: draw_from_all(mean, std, count, generator) -> codes from the mean of all clouds.

    Two clouds far apart: half of the codes must be at each, with its mean and its std.
    """
    mean = torch.tensor([[-10.0, 0.0], [10.0, 5.0]], dtype=torch.float64)
    std = torch.tensor([[0.5, 2.0], [1.0, 0.1]], dtype=torch.float64)
    count = 4001

    def draw(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return call(answer, mean=mean.float(), std=std.float(), count=count, generator=generator)

    z = draw(0)
    if isinstance(z, Tensor) and z.shape == mean.shape:
        raise Wrong("it returns one code for each cloud: there must be `count` of them.")
    z = same_kind(z, torch.zeros(count, 2), "the codes")
    if not torch.equal(z, draw(0)):
        raise Wrong("the same generator gives two answers: hand `generator` to both draws.")
    if torch.equal(z, draw(1)):
        raise Wrong("another generator gives the same codes: hand `generator` to both draws.")
    right = z[:, 0] > 0
    share = right.double().mean().item()
    if not bool((z[:, 0].abs() > 5).all()):
        raise Wrong("some codes lie between the clouds. Choose one cloud for each code; do not mix their means.")
    if abs(share - 0.5) > 0.04:
        raise Wrong(f"of two clouds each must serve half of the codes, and yours give the second {share:.0%}.")
    if abs((right[1:] == right[:-1]).double().mean().item() - 0.5) > 0.05:
        raise Wrong("your clouds come in a fixed order. Choose each at random, whatever the one before.")
    for k, chosen in enumerate((~right, right)):
        found, wanted = z[chosen].double().std(0), std[k]
        if bool((found < 1e-6).any()):
            raise Wrong("your codes are the middles of the clouds: add std times fresh noise.")
        if torch.allclose(found, wanted**2, rtol=0.1):
            raise Wrong("the clouds have the wrong width: the noise is multiplied by std, not by its square.")
        if torch.allclose(found, torch.ones(2, dtype=torch.float64), rtol=0.1) or not torch.allclose(
            found, wanted, rtol=0.1
        ):
            raise Wrong(f"a cloud of std {wanted.tolist()} came out with {[round(v, 2) for v in found.tolist()]}.")
        if not torch.allclose(z[chosen].double().mean(0), mean[k], atol=0.15):
            raise Wrong("a cloud came out around another place than its mean.")
        if abs(torch.corrcoef(z[chosen].double().T)[0, 1]) > 0.2:
            raise Wrong("the two numbers of a code have the same noise: draw noise of shape (count, latent).")


CHECKS = {"08.1": draw_code, "08.2": log_density, "08.3": draw_from_all}
