"""Lesson 01: noise a picture, find the time of equal parts, see what is left at the end."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ... import process
from ... import schedule as schedules
from .judge import Wrong, call, close, name_mistake, number, same_kind


def diffuse(answer: Any) -> None:
    """01.1: diffuse(x0, t, eps, schedule) -> alpha(t) x0 + sigma(t) eps, with one time for each picture."""
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.linear(), schedules.flow()):
        # 16 pictures, 16 pixels wide: a time along the wrong axis raises no error, so it must be caught here
        x0, eps = torch.randn(2, 16, 1, 16, 16, generator=generator, dtype=torch.float64)
        t = torch.rand(16, generator=generator, dtype=torch.float64)
        x_t = same_kind(call(answer, x0=x0, t=t, eps=eps, schedule=schedule), x0, "x_t")
        right = process.diffuse(x0, t, eps, schedule)
        if not close(x_t, answer(x0, t, eps, schedule)):
            raise Wrong("called twice, it gives two answers. Use the eps that comes in, not a fresh one.")
        if not close(x_t, right):
            name_mistake(x_t, _wrong_noise(x0, t, eps, schedule))
            middle = answer(x0, torch.full_like(t, 0.5), eps, schedule).var()
            hint = f" It has variance {middle:.2g} at t = 0.5, where x0 and eps have 1, and cosine keeps it at 1."
            far = (x_t - right).abs().mean()
            raise Wrong(f"on {schedule.name}, your x_t is {far:.2g} away." + hint * (schedule.name == "cosine"))
    x = torch.randn(2, 1, 3, 5, generator=generator)
    same_kind(call(answer, x0=x, t=torch.tensor([0.2, 0.7]), eps=-x, schedule=schedules.cosine()), x, "x_t")


def _wrong_noise(x0: Tensor, t: Tensor, eps: Tensor, schedule: schedules.Schedule) -> list[tuple[Tensor, str]]:
    def mix(time: Tensor) -> Tensor:
        return schedule.alpha(time) * x0 + schedule.sigma(time) * eps

    a, s = schedule.alpha(t.view(-1, 1, 1, 1)), schedule.sigma(t.view(-1, 1, 1, 1))
    return [
        (s * x0 + a * eps, "alpha and sigma have changed places: alpha goes with x0, sigma with eps."),
        (a * x0 - s * eps, "the noise has the wrong sign."),
        (a * x0, "there is no noise in your x_t: add sigma(t) eps."),
        (a * x0 + eps, "there is too much noise: eps comes with the factor sigma(t)."),
        (x0 + s * eps, "x0 must fade: it comes with the factor alpha(t)."),
        (a**2 * x0 + s**2 * eps, "alpha and sigma are squared in your x_t: they are the factors as they stand."),
        (a**0.5 * x0 + s**0.5 * eps, "you took a root of alpha and sigma: they are the factors as they stand."),
        (a * x0 + (1 - a) * eps, "you took 1 - alpha for sigma. Ask the schedule: schedule.sigma(t)."),
        (mix(t), "each column of a picture got its own time. One a picture: t[:, None, None, None]."),
        (mix(t[:, None]), "each row of a picture got its own time. One a picture: t[:, None, None, None]."),
        (mix(t[0]), "all pictures got the time of the first: use the whole of t."),
        (mix(t.mean()), "all pictures got the mean time: use the whole of t."),
        (a * x0 + s * eps[:1], "all pictures got the noise of the first: use the whole of eps."),
        (mix(1 - t.view(-1, 1, 1, 1)), "your clock runs backwards: t = 0 is data and t = 1 is noise."),
    ]


def even_time(answer: Any) -> None:
    """01.2: even_time(schedule) -> the time at which signal and noise are equal: alpha = sigma, log SNR = 0."""
    for schedule in (schedules.cosine(), schedules.linear(), schedules.scaled_linear(), schedules.flow()):
        t = number(call(answer, schedule=schedule), "the time")
        right = schedule.time(0.0)
        if abs(t - right) < 2e-3:  # a search on a grid of a thousand times is good enough
            continue
        if t > 1 and abs(t / 1000 - right) < 2e-3:
            raise Wrong(f"time runs from 0 to 1 here, not in steps from 0 to 1000: yours is {t:.4g}.")
        if not 0 <= t <= 1:
            raise Wrong(f"a time lies in [0, 1], and yours on {schedule.name} is {t:.3g}.")
        if abs(t - schedule.time(1.0)) < 2e-3:
            raise Wrong("at your time the log of the SNR is 1. An SNR of 1 has the log 0.")
        if abs(t - (1 - right)) < 2e-3:
            raise Wrong("your clock runs backwards: t = 0 is data and t = 1 is noise.")
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        raise Wrong(
            f"on {schedule.name}, at your time {t:.3g}, alpha is {alpha:.3g} and sigma is {sigma:.3g}: "
            "they should be equal."
        )


def signal_left(answer: Any) -> None:
    """01.3: signal_left(betas) -> alpha(1), the factor of x0 after all the steps: sqrt of the product of 1 - beta."""
    for betas in ([0.1, 0.2, 0.4], [0.5, 0.02, 0.03, 0.3], torch.linspace(1e-4, 0.02, 1000).tolist()):
        beta = torch.tensor(betas, dtype=torch.float64)
        left = number(call(answer, betas=beta), "what is left")
        kept = 1 - beta
        right = kept.prod().sqrt().item()
        if abs(left / right - 1) < 1e-3:
            continue
        for wrong, sentence in (
            (kept.prod(), "that is alpha(1) squared, the part of the variance: take its root."),
            ((1 - kept.prod()).sqrt(), "that is sigma(1), the noise. What is left of x0 is alpha(1)."),
            (1 - kept.prod(), "that is sigma(1) squared, the noise. What is left of x0 is alpha(1)."),
            (beta.prod(), "you multiplied the betas. Beta is what a step takes; 1 - beta is what it leaves."),
            (beta.prod().sqrt(), "you multiplied the betas. Beta is what a step takes; 1 - beta is what it leaves."),
            (kept[-1].sqrt(), "that is what the last step alone leaves. All the steps work on the same picture."),
            (kept[-1], "that is the last step alone, and without the root. All the steps work on the same picture."),
            (kept[:-1].prod().sqrt(), "you left out the last step."),
            (kept[1:].prod().sqrt(), "you left out the first step."),
            (1 - beta.sum(), "steps do not add up, they multiply: each takes its part of what is still there."),
            (kept.prod().sqrt().sqrt(), "one root too many: alpha(1) squared is the product of 1 - beta."),
            (kept.sqrt().mean(), "steps do not average, they multiply."),
        ):
            if abs(left - wrong.item()) < 1e-6:
                raise Wrong(sentence)
        raise Wrong(f"for the betas {[round(b, 4) for b in betas[:4]]}, {len(betas)} of them, yours is {left:.3g}.")


CHECKS = {"01.1": diffuse, "01.2": even_time, "01.3": signal_left}
