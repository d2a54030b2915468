"""Lesson 09: the density of the codes, with and without a code's own cloud, and how much a picture speckles."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .judge import Wrong, call, close, name_mistake, same_kind


def log_density(answer: Any) -> None:
    """09.1: log_density(z, mean, std) -> (batch,), the log of the mean over the clouds of N(z; mean_i, std_i^2)."""
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


def leave_own_out(answer: Any) -> None:
    """09.2: leave_own_out(z, mean, std) -> (N,), the log of the mean density over the N - 1 other clouds."""
    generator = torch.Generator().manual_seed(0)
    for count, wide, dtype in ((5, 0.5, torch.float64), (8, 0.5, torch.float32), (6, 0.02, torch.float64)):
        mean = torch.randn(count, 3, generator=generator, dtype=torch.float64).to(dtype)
        std = (wide * (torch.rand(count, 3, generator=generator, dtype=torch.float64) + 0.5)).to(dtype)
        z = mean + std * torch.randn(count, 3, generator=generator, dtype=torch.float64).to(dtype)
        if wide > 0.1:
            z = z.roll(1, 1)  # so that the own cloud is not always the nearest
        parts = _log_clouds(z, mean, std)
        others = parts.clone().fill_diagonal_(-math.inf)
        right = others.logsumexp(1) - math.log(count - 1)
        found = call(answer, z=z, mean=mean, std=std)
        if isinstance(found, Tensor) and found.shape == parts.shape:
            raise Wrong("you return a number for each code and cloud. Average the densities over the other clouds.")
        if isinstance(found, Tensor) and wide < 0.1 and not bool(found.isfinite().all()):
            raise Wrong("where the clouds are narrow yours is infinite or nan: exp underflows to 0. Use logsumexp.")
        found = same_kind(found, right, "log q")
        if close(found, right):
            continue
        zeroed, nearest = parts.clone().fill_diagonal_(0.0), parts.clone()
        nearest[torch.arange(count), parts.argmax(1)] = -math.inf
        mistakes = [
            (_mix(parts), "the own cloud still counts. Take it out before you average."),
            (parts.logsumexp(1) - math.log(count - 1), "you divide by N - 1, but the own cloud is still in the sum."),
            (_mix(others), "one cloud is gone, so the mean is over N - 1 clouds and not over N."),
            (others.logsumexp(1), "you added the other clouds. Take their mean: divide by N - 1."),
            (zeroed.logsumexp(1) - math.log(count - 1), "a logarithm of 0 is a density of 1. Use minus infinity."),
            (_mix(zeroed), "a logarithm of 0 is a density of 1. Use minus infinity."),
            (nearest.logsumexp(1) - math.log(count - 1), "you left out the nearest cloud. It need not be the own one."),
            (parts.diagonal(), "that is the own cloud alone. Leave it out, and keep the others."),
            (parts.diagonal() - math.log(count), "that is the own cloud alone. Leave it out, and keep the others."),
            (others.logsumexp(0) - math.log(count - 1), "you averaged over the codes. Average over the clouds."),
            (others.amax(1), "that is the nearest other cloud alone. All others count."),
            ((parts.sum(1) - parts.diagonal()) / (count - 1), "you took the mean of the logarithms, not of densities."),
            ((right).exp(), "that is the density. Return its logarithm."),
        ]
        name_mistake(found, mistakes)
        raise Wrong(f"your log q is {(found - right).abs().mean():.2g} nats away from that of the other clouds.")


SIDE, CHANNELS = 64, 3


def _clean(generator: torch.Generator) -> Tensor:
    """Pictures of bars and bands of random widths and colours, which have straight edges only."""
    across, down = (
        torch.randn(5, CHANNELS, SIDE // 4, generator=generator).repeat_interleave(4, dim=2) for _ in range(2)
    )
    pictures = 0.4 * (across[:, :, None, :] + down[:, :, :, None])
    pictures[2] = 0.4 * across[2][:, None, :]
    pictures[3] = 0.4 * down[3][:, :, None]
    return pictures


def speckle(answer: Any) -> None:
    """09.3: speckle(pictures) -> (batch,), the standard deviation of the noise in each picture."""
    generator = torch.Generator().manual_seed(0)
    clean = _clean(generator)
    noise = torch.randn(clean.shape, generator=generator)
    for levels in ([0.3, 0.1, 0.2, 0.15, 0.05], [0.0] * 5):
        right = torch.tensor(levels)
        x = clean + right[:, None, None, None] * noise
        found = call(answer, pictures=x)
        if isinstance(found, Tensor) and found.shape == x.shape[:2]:
            raise Wrong("you return a number for each channel. Average over the channels as well.")
        if (isinstance(found, Tensor) and found.ndim == 0) or isinstance(found, float):
            raise Wrong("you return one number for all pictures. Return one for each.")
        if isinstance(found, Tensor) and found.shape == right.shape and bool(found.isnan().any()):
            raise Wrong("yours contains nan: is there a root of a number slightly below 0? Use clamp(min=0).")
        found = same_kind(found, right, "the speckle")
        if not max(levels):
            if bool((found.abs() > 0.01).any()):
                raise Wrong(f"on pictures without noise yours is {found.abs().max():.2g}: edges disturb it.")
        elif bool(((found - right).abs() > 0.06 * right).any()):
            _name_speckle(x, found, right)


def _name_speckle(x: Tensor, found: Tensor, right: Tensor) -> None:
    def mean(a: Tensor) -> Tensor:
        return a.mean((1, 2, 3))

    def alike(a: Tensor, b: Tensor) -> bool:
        return bool(((a - b).abs() <= 0.03 * b.abs() + 1e-4).all())

    steps, down = x.diff(dim=3), x.diff(dim=2)
    squares, mixed = mean(steps**2), mean(steps.diff(dim=2) ** 2)
    edges, root = mean(steps[:, :, 1:] * steps[:, :, :-1]), math.sqrt(2)
    edge_counts = "you count the edges as speckle. Take them out: they are the same in neighbouring rows."
    variance = "that is the variance of the noise. Return its standard deviation, the root."
    count = "a step contains the noise of two pixels, and a difference of two steps that of four. Divide by as many."
    same_row = "you multiply steps in the same row. They share a pixel, so their noise is not independent."
    mistakes = [
        (x.flatten(1).std(1), "that is the contrast of the whole picture, edges and all."),
        (squares.sqrt(), edge_counts),
        ((squares / 2).sqrt(), edge_counts),
        ((mean(down**2) / 2).sqrt(), edge_counts),
        (((squares + mean(down**2)) / 4).sqrt(), edge_counts),
        ((squares - edges).sqrt(), count),
        ((squares - edges) / root, "divide the variance by 2 and then take the root."),
        ((squares - edges).sqrt() / 2, "inside the root divide by 2, not by 4."),
        (edges.clamp(min=0).sqrt(), "those are the edges. Subtract them from the mean square."),
        (right**2, variance),
        (mixed / 4, variance),
        (mixed.sqrt(), count),
        ((mixed / 2).sqrt(), count),
        (((squares - mean(steps[..., 1:] * steps[..., :-1])) / 2).clamp(min=0).sqrt(), same_row),
        (((squares - mean(steps[..., 1:] * steps[..., :-1])) / 3).clamp(min=0).sqrt(), same_row),
        (right.flip(0), "the order of the pictures has changed."),
    ]
    name_mistake(found, mistakes, alike)
    worst = int(((found - right).abs() / right).argmax())
    raise Wrong(f"for noise of {right[worst]:.2f} on bars and bands yours is {found[worst]:.3f}.")


CHECKS = {"09.1": log_density, "09.2": leave_own_out, "09.3": speckle}
