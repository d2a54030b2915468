"""Lesson 01: add noise to a batch, find the time where SNR = 1, compute what is left of x0 at the end."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ... import process
from ... import schedule as schedules
from .judge import Wrong, call, close, name_mistake, number, same_kind, steady


def diffuse(answer: Any) -> None:
    """01.1: diffuse(x0, t, eps, schedule) -> alpha(t) x0 + sigma(t) eps, with a time for each picture."""
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.linear(), schedules.flow()):
        # 16 pictures, 16 pixels wide: a time along the wrong axis raises no error, so only the values can show it
        x0, eps = torch.randn(2, 16, 1, 16, 16, generator=generator, dtype=torch.float64)
        t = torch.rand(16, generator=generator, dtype=torch.float64)
        right = process.diffuse(x0, t, eps, schedule)
        hint = "Use the eps that comes in, not fresh noise."
        x_t = steady(answer, x0, "x_t", hint, x0=x0, t=t, eps=eps, schedule=schedule)
        if not close(x_t, right):
            name_mistake(x_t, _wrong_noise(x0, t, eps, schedule))
            middle = same_kind(call(answer, x0=x0, t=0 * t + 0.5, eps=eps, schedule=schedule), x0, "x_t").var()
            hint = f" Its variance at t = 0.5 is {middle:.2g}, but cosine keeps the variance of x0 and eps, which is 1."
            hint = hint if schedule.name == "cosine" else ""
            raise Wrong(f"on {schedule.name}, your x_t is {(x_t - right).abs().mean():.2g} away on average.{hint}")
    x = torch.randn(2, 1, 3, 5, generator=generator)
    same_kind(call(answer, x0=x, t=torch.tensor([0.2, 0.7]), eps=-x, schedule=schedules.cosine()), x, "x_t")


def _wrong_noise(x0: Tensor, t: Tensor, eps: Tensor, schedule: schedules.Schedule) -> list[tuple[Tensor, str]]:
    def mix(time: Tensor) -> Tensor:
        return schedule.alpha(time) * x0 + schedule.sigma(time) * eps

    a, s = schedule.alpha(t.view(-1, 1, 1, 1)), schedule.sigma(t.view(-1, 1, 1, 1))
    return [
        (s * x0 + a * eps, "alpha and sigma are swapped: alpha multiplies x0, sigma multiplies eps."),
        (a * x0 - s * eps, "the noise has the wrong sign: add sigma(t) eps."),
        (a * x0, "your x_t has no noise: add sigma(t) eps."),
        (a * x0 + eps, "there is too much noise: multiply eps by sigma(t)."),
        (x0 + s * eps, "x0 should fade as t grows: multiply it by alpha(t)."),
        (a**2 * x0 + s**2 * eps, "you squared alpha and sigma. Use them as they are."),
        (a**0.5 * x0 + s**0.5 * eps, "you took the square root of alpha and sigma. Use them as they are."),
        (a * x0 + (1 - a) * eps, "you used 1 - alpha instead of sigma. The schedule knows it: schedule.sigma(t)."),
        (mix(t), "each column got its own time. Give each picture its own: t[:, None, None, None]."),
        (mix(t[:, None]), "each row got its own time. Give each picture its own: t[:, None, None, None]."),
        (mix(t[0]), "all pictures got the time of the first picture. Use all of t."),
        (mix(t.mean()), "all pictures got the mean of the times. Use all of t."),
        (a * x0 + s * eps[:1], "all pictures got the noise of the first picture. Use all of eps."),
        (mix(1 - t.view(-1, 1, 1, 1)), "your time runs backwards: t = 0 is data and t = 1 is noise."),
    ]


def even_time(answer: Any) -> None:
    """01.2: even_time(schedule) -> the time where signal and noise are equal: alpha = sigma, log SNR = 0."""
    for schedule in (schedules.cosine(), schedules.linear(), schedules.scaled_linear(), schedules.flow()):
        right, one = schedule.time(0.0), schedule.time(1.0)
        t = number(call(answer, schedule=schedule), "the time")
        if abs(t - right) < 2e-3:  # a search on a grid of a thousand times is good enough
            continue
        if t > 1 and abs(t / 1000 - right) < 2e-3:
            raise Wrong(f"time runs from 0 to 1 here, not from 0 to 1000, and yours is {t:.4g}.")
        if not 0 <= t <= 1:
            raise Wrong(f"a time lies in [0, 1], but yours is {t:.3g} on {schedule.name}.")
        if abs(t - one) < 2e-3:
            raise Wrong("at your time, the logarithm of the SNR is 1. You want an SNR of 1, whose logarithm is 0.")
        if abs(t - (1 - right)) < 2e-3:
            raise Wrong("your time runs backwards: t = 0 is data and t = 1 is noise.")
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        found = f"alpha is {alpha:.3g} and sigma is {sigma:.3g}"
        raise Wrong(f"on {schedule.name}, at your time {t:.3g}, {found}, but they should be equal.")


def signal_left(answer: Any) -> None:
    """01.3: signal_left(betas) -> alpha(1), the factor of x0 after all steps: the root of the product of 1 - beta."""
    for betas in ([0.1, 0.2, 0.4], [0.5, 0.02, 0.03, 0.3], torch.linspace(1e-4, 0.02, 1000).tolist()):
        beta = torch.tensor(betas, dtype=torch.float64)
        keep = 1 - beta
        right = keep.prod().sqrt().item()
        left = number(call(answer, betas=beta), "alpha(1)")
        if math.isclose(left, right, rel_tol=1e-3):
            continue
        mistakes = [
            (keep.prod(), "that is alpha(1) squared, the factor of the variance. Take its square root."),
            ((1 - keep.prod()).sqrt(), "that is sigma(1), the noise. The factor of x0 is alpha(1)."),
            (1 - keep.prod(), "that is sigma(1) squared, the noise. The factor of x0 is alpha(1)."),
            (beta.prod(), "you multiplied the betas. A step removes beta and keeps 1 - beta: multiply those."),
            (beta.prod().sqrt(), "you multiplied the betas. A step removes beta and keeps 1 - beta: multiply those."),
            (
                keep[-1].sqrt(),
                "that is the last step alone. Every step shrinks the picture further: multiply them all.",
            ),
            (keep[-1], "that is the last step alone, and without the root. Multiply the factors of all steps."),
            (keep[:-1].prod().sqrt(), "you left out the last step."),
            (keep[1:].prod().sqrt(), "you left out the first step."),
            (1 - beta.sum(), "the steps do not add up. Each removes a share of what is left, so multiply."),
            (keep.prod().sqrt().sqrt(), "you took one root too many: alpha(1) squared is the product of 1 - beta."),
            (keep.sqrt().mean(), "you averaged the factors of the steps. Multiply them instead."),
        ]
        name_mistake(left, mistakes, lambda left, wrong: abs(left - wrong.item()) < 1e-6)
        raise Wrong(f"for the betas {[round(b, 4) for b in betas[:4]]}, {len(betas)} of them, yours is {left:.3g}.")


CHECKS = {"01.1": diffuse, "01.2": even_time, "01.3": signal_left}
