"""Lesson 08: a schedule that ends in pure noise, how much fresh noise is enough, the right start."""

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


def eta_needed(answer: Any) -> None:
    """08.2: eta_needed(rest, spread, pixels, schedule) -> the smallest eta with kappa^(1 + eta^2) at most rest."""
    cases = ((0.01, 0.25, 4096), (0.05, 0.3, 784), (0.5, 0.2, 16384), (0.9, 0.25, 4096), (0.2, 0.1, 1))
    for schedule in (schedules.scaled_linear(), schedules.shifted(schedules.linear(), 0.25)):
        a, sigma = schedule.alpha(1.0), schedule.sigma(1.0)
        for rest, spread, n in cases:
            kappa = _share(a * spread * math.sqrt(n), sigma)
            right = _eta(rest, kappa)
            found = call(answer, rest=rest, spread=spread, pixels=n, schedule=schedule)
            if isinstance(found, complex):
                raise Wrong("the root of a negative number: kappa alone is below rest there, so eta must be 0.")
            found = number(found, "eta")
            if _equal(found, right):
                continue
            needed = math.log(rest) / math.log(kappa)
            if right == 0:
                raise Wrong(f"for {n} pixels no fresh noise is needed: only {kappa:.2g} of the mean is lost. Return 0.")
            mistakes = [
                (needed - 1, "that is eta squared. Take its square root."),
                (needed, "that is 1 + eta squared. Solve it for eta."),
                (math.sqrt(needed), "the exponent is 1 + eta^2, so subtract 1 before you take the root."),
                (math.sqrt(1 / needed), "the ratio of the logarithms is upside down."),
                (_eta(rest, kappa**2), "you squared kappa. The 2 is in the exponent, as eta^2."),
                (_eta(rest, _share(a * spread, sigma)), "that is for one pixel. Multiply the spread by sqrt(pixels)."),
                (_eta(rest, _share(a * spread * n, sigma)), "multiply the spread by sqrt(pixels), not by pixels."),
                (_eta(rest, _share(a * math.sqrt(n), sigma)), "kappa needs the spread."),
                (_eta(rest, _share(spread * math.sqrt(n), sigma)), "kappa needs alpha(1), the signal that is left."),
                (_eta(rest, a), "that is for spread 1 and one pixel. Use spread and pixels."),
                (_eta(1 - rest, kappa), "rest is the share that may be lost, not the share that must be kept."),
            ]
            name_mistake(found, mistakes, _equal)
            if found > right:
                raise Wrong(f"for {n} pixels, eta = {found:.3g} is enough, but a smaller eta is enough, too.")
            left = kappa ** (1 + found**2)
            raise Wrong(f"for {n} pixels and rest = {rest}, your eta = {found:.3g} still loses {left:.2g} of the mean.")


def _share(signal: float, noise: float) -> float:
    """Kappa, the share of the mean that is lost without fresh noise."""
    return signal / math.hypot(signal, noise)


def _eta(rest: float, kappa: float) -> float:
    return math.sqrt(max(math.log(rest) / math.log(kappa) - 1, 0.0))


def _equal(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)


def right_start(answer: Any) -> None:
    """08.3: right_start(mean, spread, count, schedule, generator) -> samples of x_1 for data from N(mean, spread^2)."""
    for schedule in (schedules.scaled_linear(), schedules.flow()):
        a, sigma = schedule.alpha(1.0), schedule.sigma(1.0)
        for mean, spread in ((20.0, 10.0), (-10.0, 3.0)):  # so far from 0 that x_1 shows where the data is
            x = seeded(functools.partial(_starts, answer, mean, spread, schedule))
            _check_moments(x.mean().item(), x.std().item(), mean, spread, a, sigma)


def _starts(answer: Any, mean: float, spread: float, schedule: Any, generator: torch.Generator) -> Tensor:
    count = 40_000
    x = call(answer, mean=mean, spread=spread, count=count, schedule=schedule, generator=generator)
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise Wrong(f"the start must be a tensor of floats, but yours is a {type(x).__name__}.")
    return same_kind(x, torch.zeros(count, dtype=x.dtype), "the start")


def _check_moments(found: float, found_std: float, mean: float, spread: float, a: float, sigma: float) -> None:
    if abs(found - a * mean) > 0.03 + 0.02 * found_std:  # four standard errors of 40,000 samples, and more
        mistakes = [
            (0.0, "its mean is 0, as in the prior. In training, x_1 has alpha(1) times the mean of the data."),
            (mean, "its mean is the mean of the data. In x_1 that has faded: multiply it by alpha(1)."),
            (-a * mean, "its mean has the wrong sign."),
        ]
        name_mistake(found, mistakes, lambda found, wrong: abs(found - wrong) < 0.05)
        raise Wrong(f"its mean must be {a * mean:.2f} for data with mean {mean}, but yours is {found:.2f}.")
    right = math.hypot(a * spread, sigma)
    if abs(found_std / right - 1) > 0.03:
        noise_alone = "its spread is that of the noise alone, but x_1 still has some of the data's spread."
        mistakes = [
            (right**2, "you used the variance as the standard deviation. Take its square root."),
            (1.0, noise_alone),
            (sigma, noise_alone),
            (a * spread, "the noise is missing: x_1 contains sigma(1) of it."),
            (spread, "its spread is that of the data. In x_1 that has faded, and there is noise as well."),
            (a * spread + sigma, "variances add, standard deviations do not."),
            (math.sqrt(a * spread**2 + sigma**2), "square alpha as well in the variance."),
        ]
        name_mistake(found_std, mistakes, lambda found, wrong: abs(found / wrong - 1) < 0.02)
        raise Wrong(f"its spread must be {right:.3f} for data with spread {spread}, but yours is {found_std:.3f}.")


CHECKS = {"08.1": end_in_noise, "08.2": eta_needed, "08.3": right_start}
