"""Lesson 07: what a missed prior does to the mean, a schedule that ends in noise, the right start."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ... import schedule as schedules
from .judge import Wrong, call, close, name_mistake, number, same_kind


def drawn_mean(answer: Any) -> None:
    """07.1: drawn_mean(mean, spread, pixels, schedule) -> mean (1 - a sqrt(n) spread / sqrt(v)), at t = 1."""
    for schedule in (schedules.scaled_linear(), schedules.linear()):
        for mean, spread, pixels in ((-0.4, 0.3, 784), (0.5, 0.2, 4096), (1.0, 0.5, 1)):
            inputs = dict(mean=mean, spread=spread, pixels=pixels, schedule=schedule)
            found = number(call(answer, **inputs), "the mean of what is drawn")
            a, sigma = schedule.alpha(1.0), schedule.sigma(1.0)
            signal, root = a * spread * math.sqrt(pixels), math.sqrt(pixels)
            v = signal**2 + sigma**2
            share = signal / math.sqrt(v)
            if math.isclose(found, mean * (1 - share), rel_tol=1e-6, abs_tol=1e-9):
                continue
            alone = a * spread / math.sqrt((a * spread) ** 2 + sigma**2)
            many = a * spread * pixels
            for wrong, sentence in (
                (mean, "that is the mean of the data, as if the prior had been met."),
                (-mean * share, "that is how far it falls short. The mean of what is drawn is asked for."),
                (mean * share, "that is how far it falls short. The mean of what is drawn is asked for."),
                (mean * (1 + share), "wrong sign: the missed prior draws the mean towards 0."),
                (mean * (1 - share**2), "that is the walk with fresh noise. Without it, the share is not squared."),
                (mean * (1 - signal / v), "divide by the root of v: v is a variance."),
                (mean * (1 - signal), "the spread of x_1 is missing: divide by the root of v."),
                (mean * (1 - alone), "that is for one number. The pixels are missing: spread times sqrt(pixels)."),
                (
                    mean * (1 - many / math.sqrt(many**2 + sigma**2)),
                    "it is the root of pixels that counts, not pixels.",
                ),
                (mean * (1 - a), "that is for the spread 1 and one pixel: spread and pixels are missing."),
                (mean - share, "what is taken off is a share of the mean: multiply it by the mean."),
                (mean * (1 - signal / math.sqrt(signal**2 + 1)), "the noise in v is sigma(1)^2, not 1."),
                (mean * (1 - a * root / math.sqrt(v)), "the spread is missing before the root of v."),
            ):
                if math.isclose(found, wrong, rel_tol=1e-6, abs_tol=1e-9):
                    raise Wrong(sentence)
            raise Wrong(
                f"for mean {mean}, spread {spread}, {pixels} pixels on {schedule.name}, where v is {v:.4g}, "
                f"yours is {found:.4g}."
            )


def end_in_noise(answer: Any) -> None:
    """07.2: end_in_noise(alphas) -> (alphas - last) first / (first - last)."""
    for schedule in (schedules.scaled_linear(), schedules.linear()):
        alphas = torch.tensor([schedule.alpha(i / 10) for i in range(1, 11)], dtype=torch.float64)
        changed = same_kind(call(answer, alphas=alphas), alphas, "the new alphas")
        first, last = alphas[0], alphas[-1]
        if close(changed, (alphas - last) * first / (first - last)):
            continue
        cut = alphas.clone()
        cut[-1] = 0
        name_mistake(
            changed,
            [
                (alphas, "nothing has changed."),
                (alphas - last, "shifted, but not stretched: the first is no longer what it was."),
                ((alphas - last) / (first - last), "the first must be what it was, not 1."),
                ((alphas - last) / (1 - last), "stretched as if the first were 1."),
                (alphas * first / (first - last), "stretched, but not shifted: the last is not 0."),
                (cut, "only the last has changed. The whole curve is shifted and stretched."),
                ((alphas - last) * (first - last) / first, "the stretch is upside down: first / (first - last)."),
                (
                    ((alphas**2 - last**2) * first**2 / (first**2 - last**2)).sqrt(),
                    "you changed alpha squared. Shift and stretch alpha itself.",
                ),
                ((alphas - last) * first, "shifted, but not stretched by first / (first - last)."),
            ],
        )
        if abs(changed[-1]) > 1e-6:
            raise Wrong(f"the last must be 0, and yours is {changed[-1]:.3g}.")
        if abs(changed[0] - first) > 1e-6:
            raise Wrong(f"the first must stay {first:.3g}, and yours is {changed[0]:.3g}.")
        raise Wrong("both ends are right, but between them it is not the old curve, shifted and stretched.")


def right_start(answer: Any) -> None:
    """07.3: right_start(mean, spread, count, schedule, generator) -> draws of x_1 for data from N(mean, spread^2)."""
    count = 40_000
    for schedule in (schedules.scaled_linear(), schedules.flow()):
        # so far from 0 that the hint in x_1 shows
        for mean, spread in ((20.0, 10.0), (-10.0, 3.0)):

            def drawn(seed: int, mean: float = mean, spread: float = spread, schedule: Any = schedule) -> Tensor:
                generator = torch.Generator().manual_seed(seed)
                x = call(answer, mean=mean, spread=spread, count=count, schedule=schedule, generator=generator)
                if not isinstance(x, Tensor) or not x.is_floating_point():
                    raise Wrong(f"the start must be a tensor of floats, and yours is {type(x).__name__}.")
                return same_kind(x, torch.zeros(count, dtype=x.dtype), "the start")

            x = drawn(0)
            if not torch.equal(x, drawn(0)):
                raise Wrong("the same seed gives two answers: draw all of it with the generator.")
            if torch.equal(x, drawn(1)):
                raise Wrong("another seed gives the same answer: draw with the generator that comes in.")
            a, sigma = schedule.alpha(1.0), schedule.sigma(1.0)
            _check_moments(x.mean().item(), x.std().item(), mean, spread, a, sigma)


def _check_moments(found_mean: float, found_std: float, mean: float, spread: float, a: float, sigma: float) -> None:
    right = math.sqrt((a * spread) ** 2 + sigma**2)
    if abs(found_mean - a * mean) > 0.03 + 0.02 * found_std:  # four standard errors of 40,000 draws, and more
        for wrong, sentence in (
            (0.0, "its mean is 0: that is the prior. The x_1 of training have the mean alpha(1) times the data's."),
            (mean, "its mean is that of the data: in x_1 it is faint, alpha(1) times as large."),
            (-a * mean, "its mean has the wrong sign."),
        ):
            if abs(found_mean - wrong) < 0.05:
                raise Wrong(sentence)
        raise Wrong(f"its mean must be {a * mean:.2f} for data with mean {mean}, and yours is {found_mean:.2f}.")
    if abs(found_std / right - 1) > 0.03:
        for wrong, sentence in (
            (right**2, "you took the variance for the spread: the root is missing."),
            (1.0, "its spread is that of the noise alone: the data's own spread is still in x_1."),
            (sigma, "its spread is that of the noise alone: the data's own spread is still in x_1."),
            (a * spread, "the noise is missing: sigma(1) of it."),
            (spread, "its spread is that of the data: in x_1 that is faint, and there is noise."),
            (a * spread + sigma, "variances add, not spreads."),
            (math.sqrt(a * spread**2 + sigma**2), "alpha is not squared in your variance."),
        ):
            if abs(found_std / wrong - 1) < 0.02:
                raise Wrong(sentence)
        raise Wrong(f"its spread must be {right:.3f} for data with spread {spread}, and yours is {found_std:.3f}.")


CHECKS = {"07.1": drawn_mean, "07.2": end_in_noise, "07.3": right_start}
