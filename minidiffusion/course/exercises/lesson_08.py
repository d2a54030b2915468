"""Lesson 08: a schedule that ends in pure noise, a diagnosis from the samples, the right start."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from torch import Tensor

from ... import schedule as schedules
from .judge import Wrong, call, close, name_mistake, number, same_kind, seeded


def end_in_noise(answer: Any) -> None:
    """08.1: end_in_noise(alphas) -> (alphas - last) first / (first - last)."""
    for schedule in (schedules.scaled_linear(), schedules.linear()):
        alphas = torch.tensor([schedule.alpha(i / 10) for i in range(1, 11)], dtype=torch.float64)
        first, last = alphas[0], alphas[-1]
        shifted, stretch = alphas - last, first / (first - last)
        found = same_kind(call(answer, alphas=alphas), alphas, "the new alphas")
        if close(found, shifted * stretch):
            continue
        squares = (alphas**2 - last**2) * first**2 / (first**2 - last**2)
        mistakes = [
            (alphas, "you return the alphas unchanged."),
            (shifted, "you shifted the alphas but did not stretch them, so the first has changed."),
            (shifted / (first - last), "the first should keep its value, but yours became 1."),
            (shifted / (1 - last), "you stretched as if the first were 1."),
            (alphas * stretch, "you stretched the alphas but did not shift them, so the last is not 0."),
            (alphas.where(alphas > last, 0), "you changed only the last. Shift and stretch the whole curve."),
            (shifted / stretch, "the stretch is upside down. It is first / (first - last)."),
            (squares.sqrt(), "you changed alpha squared. Shift and stretch alpha itself."),
            (shifted * first, "after the shift, multiply by first / (first - last), not by first alone."),
        ]
        name_mistake(found, mistakes)
        if abs(found[-1]) > 1e-6:
            raise Wrong(f"the last must be 0, but yours is {found[-1]:.3g}.")
        if abs(found[0] - first) > 1e-6:
            raise Wrong(f"the first must stay {first:.3g}, but yours is {found[0]:.3g}.")
        raise Wrong("both ends are right, but in between yours is not the old curve, shifted and stretched.")


def diagnose(answer: Any) -> None:
    """08.2: diagnose(found, mean, spread, pixels, rest) -> alpha(1), the spread to expect, and the smallest eta.

    found / mean = 1 - kappa, alpha^2 = kappa^2 / (kappa^2 + n S^2 (1 - kappa^2)), the samples have the
    spread S / sqrt(v), and kappa^(1 + eta^2) = rest.
    """
    cases = (
        (-0.7, 0.25, 4096, 0.01),
        (0.5, 0.3, 784, 0.05),
        (0.3, 0.2, 16384, 0.2),
        (-0.4, 0.25, 4096, 0.95),
        (0.8, 0.1, 1, 0.2),
    )
    for schedule in (schedules.scaled_linear(), schedules.shifted(schedules.linear(), 0.02)):
        a = float(schedule.alpha(1.0))
        for mean, spread, n, rest in cases:
            kappa = _share(a * spread * math.sqrt(n), math.sqrt(1 - a**2))
            inputs = {"found": (1 - kappa) * mean, "mean": mean, "spread": spread, "pixels": n, "rest": rest}
            found = call(answer, **inputs)
            found = found.tolist() if hasattr(found, "tolist") else found  # an array of all three is fine, too
            if not isinstance(found, (tuple, list)) or len(found) != 3:
                raise Wrong("return three numbers: alpha(1), the spread of the generated cards, and eta.")
            if any(isinstance(part, complex) for part in found):
                raise Wrong("the root of a negative number. Where kappa is below rest, eta must be 0.")
            alpha, width, eta = (
                number(part, name) for part, name in zip(found, ("alpha(1)", "the spread", "eta"), strict=True)
            )
            where = f"for {n} pixels with mean {mean} and spread {spread}, whose samples average {inputs['found']:.3g},"
            if not _equal(alpha, a):
                name_mistake(alpha, _wrong_alphas(kappa, mean, spread, n), _equal)
                raise Wrong(f"{where} alpha(1) is {a:.4g}, but yours is {alpha:.4g}.")
            _check_width(width, kappa, spread, n, a, where)
            _check_eta(eta, kappa, rest, where)


def _wrong_alphas(kappa: float, mean: float, spread: float, n: int) -> list[tuple[float, str]]:
    def alpha(share: float, size: float) -> float:
        return share / math.sqrt(share**2 + size**2 * (1 - share**2)) if 0 < share < 1 else math.nan

    size, gap = math.sqrt(n) * spread, kappa * abs(mean)
    ratio = kappa / math.sqrt(1 - kappa**2) / size
    return [
        (-alpha(kappa, size), "alpha(1) is never negative. The share that is lost is 1 - found / mean."),
        (kappa, "that is kappa, the share of the mean that is lost. Solve its formula for alpha."),
        (1 - kappa, "that is the share of the mean that is left. Get kappa from it, and alpha from kappa."),
        (alpha(1 - kappa, size), "found / mean is the share that is left. kappa is the share that is lost."),
        (alpha(gap, size), "that takes the gap for kappa. kappa is a share, so divide the gap by the mean."),
        (alpha(math.sqrt(kappa), size), "you took the root of kappa. Without fresh noise the share is kappa itself."),
        (alpha(kappa**2, size), "you squared the share that is lost. That is kappa at eta = 1, but here eta is 0."),
        (alpha(kappa, spread), "that is for one pixel. Multiply the spread by sqrt(pixels)."),
        (alpha(kappa, n * spread), "multiply the spread by sqrt(pixels), not by pixels."),
        (alpha(kappa, math.sqrt(n)), "kappa contains the spread of the data, and your alpha does not."),
        (alpha(kappa, n * spread**2), "sqrt(pixels) times the spread stands in kappa; you used the square of that."),
        (ratio, "that is alpha / sigma. Use sigma^2 = 1 - alpha^2 to get alpha."),
        (ratio**2, "that is the SNR, alpha^2 / sigma^2. Use sigma^2 = 1 - alpha^2 to get alpha."),
        (alpha(kappa, size) ** 2, "that is alpha squared. Take its square root."),
        (kappa / size, "that takes v for 1. But v contains alpha, too, as alpha^2 n S^2 + 1 - alpha^2."),
    ]


def _check_width(found: float, kappa: float, spread: float, n: int, a: float, where: str) -> None:
    """The samples have the spread S / sqrt(v): each keeps its rank, and they start with spread 1 instead of sqrt(v)."""
    root = math.sqrt(a**2 * n * spread**2 + 1 - a**2)
    if _equal(found, spread / root):
        return
    mistakes = [
        (spread, "alpha is right. But the samples do not have the spread of the data: the start is too narrow, too."),
        (spread * root, "the spread is upside down: the start is narrower than x_1 was, and so are the samples."),
        (spread / root**2, "for the spread, divide by the root of v. You divided by v."),
        (root, "that is the spread of x_1 in training. The question is the spread of the samples."),
        (1 / root, "that is how much narrower than x_1 the start is. Multiply it by the spread of the data."),
        (
            kappa * spread,
            "kappa is the share of the mean that is lost. The spread shrinks by another factor, 1 / sqrt(v).",
        ),
        ((1 - kappa) * spread, "the mean keeps a share 1 - kappa. The spread shrinks by another factor, 1 / sqrt(v)."),
        (math.sqrt(n) * spread / root, "that is the spread of the sum over sqrt(pixels). Give that of the colour."),
        (spread / math.sqrt(a**2 * spread**2 + 1 - a**2), "your v is that of one pixel. Put sqrt(pixels) into it."),
        ((spread / root) ** 2, "that is the variance. Take its square root for the spread."),
    ]
    name_mistake(found, mistakes, _equal)
    raise Wrong(f"{where} the spread of the samples is {spread / root:.4g}, but yours is {found:.4g}.")


def _check_eta(found: float, kappa: float, rest: float, where: str) -> None:
    right, needed = _eta(rest, kappa), math.log(rest) / math.log(kappa)
    if _equal(found, right):
        return
    if right == 0:
        raise Wrong(f"{where} no fresh noise is needed: only {kappa:.2g} of the mean is lost. Return the eta 0.")
    mistakes = [
        (needed - 1, "that is eta squared. Take its square root."),
        (needed, "that is 1 + eta squared. Solve it for eta."),
        (math.sqrt(needed), "the exponent is 1 + eta^2, so subtract 1 before you take the root."),
        (math.sqrt(1 / needed), "the ratio of the logarithms is upside down."),
        (_eta(rest, kappa**2), "you squared kappa. The 2 is in the exponent, as eta^2."),
        (_eta(rest, 1 - kappa), "that takes found / mean for kappa. kappa is the share that is lost."),
        (_eta(1 - rest, kappa), "rest is the share that may be lost, not the share that must be kept."),
    ]
    name_mistake(found, mistakes, _equal)
    if found > right:
        raise Wrong(f"{where} eta = {found:.3g} is enough, but a smaller eta is enough, too.")
    left = kappa ** (1 + found**2)
    raise Wrong(f"{where} your eta = {found:.3g} still loses {left:.2g} of the mean, and rest is {rest}.")


def _share(signal: float, noise: float) -> float:
    """Kappa, the share of the mean that is lost without fresh noise."""
    return signal / math.hypot(signal, noise)


def _eta(rest: float, kappa: float) -> float:
    return math.sqrt(max(math.log(rest) / math.log(kappa) - 1, 0.0))


def _equal(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-9)


def right_start(answer: Any) -> None:
    """08.3: right_start(pictures, count, schedule, generator) -> samples of x_1 for these pictures as data."""
    pictures = 10 + 30 * torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(8))
    for schedule in (schedules.shifted(schedules.linear(), 0.02), schedules.scaled_linear()):  # the first misses much
        x = seeded(functools.partial(_starts, answer, pictures, schedule))
        _check_starts(x, pictures, float(schedule.alpha(1.0)), float(schedule.sigma(1.0)))
        few = [_starts(answer, pictures, schedule, torch.Generator().manual_seed(seed), 3) for seed in range(10)]
        choices = torch.stack([_held(x, pictures).abs().argmax(1) for x in few])
        if (choices == choices[0]).all():
            raise Wrong("your starts hold the same pictures whatever the generator says. Choose with torch.randint.")


MANY = 1002  # the pictures do not divide it


def _starts(answer: Any, pictures: Tensor, schedule: Any, generator: torch.Generator, count: int = MANY) -> Tensor:
    x = call(answer, pictures=pictures, count=count, schedule=schedule, generator=generator)
    if isinstance(x, Tensor) and len(x.shape) == 4 and len(x) == len(pictures):
        raise Wrong(
            f"asked for {count} starts from {len(pictures)} pictures, you return {len(x)}. Choose with replacement."
        )
    return same_kind(x, pictures[:1].expand(count, -1, -1, -1), "the start")


def _held(x: Tensor, pictures: Tensor) -> Tensor:
    """How much of each picture each start holds. The pictures are so strong that one sees which of them it is."""
    return x.flatten(1) @ pictures.flatten(1).T / pictures.flatten(1).square().sum(1)


def _check_starts(x: Tensor, pictures: Tensor, a: float, sigma: float) -> None:
    held = _held(x, pictures)
    nearest = held.abs().argmax(1)
    trace = held.gather(1, nearest[:, None]).mean().item()
    average = _held(pictures.mean(0, keepdim=True), pictures)
    mistakes = [
        (1.0, "your start holds the whole picture. In x_1 that has faded: multiply it by alpha(1)."),
        (a**2, "your start holds alpha squared of the picture. In x_1 it is alpha(1)."),
        (math.sqrt(a), "your start holds the root of alpha(1) of the picture. In x_1 it is alpha(1)."),
        (sigma, "alpha and sigma are swapped: your start holds sigma(1) of the picture."),
        (-a, "the picture has the wrong sign in your start."),
        (a * average.max().item(), "your start holds the mean of all pictures. Choose one of them for each start."),
    ]
    if abs(trace) < 0.1 * a:
        raise Wrong("your start holds no trace of a picture, as in the prior. In training x_1 has alpha(1) of one.")
    name_mistake(trace, mistakes, lambda found, wrong: abs(found / wrong - 1) < 0.03)
    if abs(trace / a - 1) > 0.03:
        raise Wrong(f"your start holds {trace:.3g} of a picture. In training x_1 holds alpha(1), which is {a:.3g}.")
    shares = nearest.bincount(minlength=len(pictures)) / len(x)
    if shares.max() == 1:
        raise Wrong("all your starts hold the same picture. Choose one at random for each of them.")
    if (shares - 1 / len(pictures)).abs().max() > 0.08:  # nearly six standard errors of this many choices
        raise Wrong(
            f"one of {len(pictures)} pictures is in {shares.min():.0%} of your starts. Choose all equally often."
        )
    _check_noise(x - a * pictures[nearest], sigma)


def _check_noise(noise: Tensor, sigma: float) -> None:
    if noise.mean(0).std() > 0.1 * sigma:
        raise Wrong("many of your starts have the same noise. Let each have its own.")
    if noise.flatten(1).mean(1).std() > 0.1 * sigma:
        raise Wrong("many pixels of a start have the same noise. Let each pixel have its own, in each channel.")
    found = noise.square().mean().sqrt().item()
    mistakes = [
        (1.0, "the noise in x_1 has the standard deviation sigma(1), and yours has 1."),
        (sigma**2, "the noise in x_1 has the standard deviation sigma(1), and yours has its square."),
    ]
    if found < 0.1 * sigma:
        raise Wrong("there is no noise in your start. In training x_1 has sigma(1) of it.")
    if abs(found / sigma - 1) > 0.01:
        name_mistake(found, mistakes, lambda found, wrong: abs(found / wrong - 1) < 0.01)
        raise Wrong(f"the noise in your start has the standard deviation {found:.3f}, but sigma(1) is {sigma:.3f}.")
    if abs((noise / sigma).pow(4).mean() - 3) > 0.3:
        raise Wrong("the noise in your start is as strong as it should be, but it is not Gaussian. Use torch.randn.")


CHECKS = {"08.1": end_in_noise, "08.2": diagnose, "08.3": right_start}
