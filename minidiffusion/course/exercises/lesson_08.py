"""Lesson 08: what a wrong start does to the mean, a schedule that ends in pure noise, the right start."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from torch import Tensor

from ... import schedule as schedules
from .judge import Wrong, call, close, name_mistake, number, same_kind, seeded


def sample_mean(answer: Any) -> None:
    """07.1: drawn_mean(mean, spread, pixels, schedule) -> mean (1 - a sqrt(n) spread / sqrt(v)), at t = 1."""
    for schedule in (schedules.scaled_linear(), schedules.linear()):
        a, sigma = schedule.alpha(1.0), schedule.sigma(1.0)
        for mean, spread, n in ((-0.4, 0.3, 784), (0.5, 0.2, 4096), (1.0, 0.5, 1)):
            signal = a * spread * math.sqrt(n)
            v = signal**2 + sigma**2
            share = signal / math.sqrt(v)
            found = call(answer, mean=mean, spread=spread, pixels=n, schedule=schedule)
            found = number(found, "the mean of the samples")
            if _equal(found, mean * (1 - share)):
                continue
            alone, many = a * spread / math.hypot(a * spread, sigma), a * spread * n
            mistakes = [
                (mean, "that is the mean of the data. A sampler that starts from the prior misses it."),
                (-mean * share, "that is how far the mean falls short. Return the mean of the samples."),
                (mean * share, "that is how far the mean falls short. Return the mean of the samples."),
                (mean * (1 + share), "the sign is wrong: the start from the prior pulls the mean towards 0."),
                (mean * (1 - share**2), "that is the result with fresh noise. Without it, do not square the share."),
                (mean * (1 - signal / v), "v is a variance, so divide by its square root."),
                (mean * (1 - signal), "divide by the square root of v, the standard deviation of x_1."),
                (mean * (1 - alone), "that is for a single number. For n pixels, multiply the spread by sqrt(pixels)."),
                (mean * (1 - many / math.hypot(many, sigma)), "multiply the spread by sqrt(pixels), not by pixels."),
                (mean * (1 - a), "that is for spread 1 and one pixel. Use spread and pixels."),
                (mean - share, "subtract a share of the mean: multiply it by the mean."),
                (mean * (1 - signal / math.hypot(signal, 1)), "the noise in v is sigma(1)^2, not 1."),
                (mean * (1 - a * math.sqrt(n / v)), "the numerator needs the factor spread."),
            ]
            name_mistake(found, mistakes, _equal)
            raise Wrong(
                f"for mean {mean}, spread {spread} and {n} pixels on {schedule.name}, where v is {v:.4g}, "
                f"yours is {found:.4g}."
            )


def _equal(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)


def end_in_noise(answer: Any) -> None:
    """07.2: end_in_noise(alphas) -> (alphas - last) first / (first - last)."""
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


def right_start(answer: Any) -> None:
    """07.3: right_start(mean, spread, count, schedule, generator) -> samples of x_1 for data from N(mean, spread^2)."""
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


CHECKS = {"08.1": sample_mean, "08.2": end_in_noise, "08.3": right_start}
