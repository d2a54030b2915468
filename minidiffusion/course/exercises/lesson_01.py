"""Lesson 01: add noise to a batch, find how small alpha(1) must be, compute what is left of x0 at the end."""

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
            hint = hint if schedule.name == "cosine" and abs(middle - 1) > 0.1 else ""
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
        (a * x0 + (1 - a**2).sqrt() * eps, "sigma is sqrt(1 - alpha^2) on some schedules only. Use schedule.sigma(t)."),
        (mix(t), "each column got its own time. Give each picture its own: t[:, None, None, None]."),
        (mix(t[:, None]), "each row got its own time. Give each picture its own: t[:, None, None, None]."),
        (mix(t[0]), "all pictures got the time of the first picture. Use all of t."),
        (mix(t.mean()), "all pictures got the mean of the times. Use all of t."),
        (a * x0 + s * eps[:1], "all pictures got the noise of the first picture. Use all of eps."),
        (mix(1 - t.view(-1, 1, 1, 1)), "your time runs backwards: t = 0 is data and t = 1 is noise."),
    ]


def small_enough(answer: Any) -> None:
    """01.2: small_enough(n, S, rho) -> the alpha(1) at which the brightness of x0 and x_1 has the correlation rho."""
    for n, S, rho in ((12, 0.2, 0.9), (48, 0.5, 0.3), (3072, 0.195, 0.03), (786432, 0.25, 0.01)):
        noise = n * S**2 * (1 - rho**2)
        right = rho / (noise + rho**2) ** 0.5
        alpha = number(call(answer, n=n, S=S, rho=rho), "alpha(1)")
        if math.isclose(alpha, right, rel_tol=1e-4):
            continue
        where = f"for n = {n}, S = {S} and rho = {rho}, "
        mistakes = [
            (right**2, "that is alpha(1) squared. Take its square root."),
            (-right, "alpha(1) is a factor of the picture: take the positive root."),
            ((1 - right**2) ** 0.5, "that is sigma(1), the noise. The factor of x0 is alpha(1)."),
            (rho / noise**0.5, "you took sigma(1) as 1. Its square is 1 - alpha(1)^2."),
            (rho / (S * n**0.5), "that is what is left of the formula if alpha(1) and rho are small. Do it exactly."),
            (
                rho / (n * S**2 + rho**2) ** 0.5,
                "rho compares the picture's part with the whole brightness of x_1, and not with the noise alone.",
            ),
            (rho / (noise**0.5 + rho), "that holds where sigma(1) = 1 - alpha(1). Here the squares add up to 1."),
            (rho / (noise / n + rho**2) ** 0.5, "where is n? The mean of n noises has the variance 1 / n."),
            (rho / (noise * n + rho**2) ** 0.5, "one n too many: the mean of n noises has the variance 1 / n."),
            (rho / (noise / S + rho**2) ** 0.5, "S is a standard deviation. A variance needs its square."),
            (rho, "that is the correlation itself. Solve the formula for alpha(1)."),
        ]
        name_mistake(
            alpha,
            [(wrong, where + sentence) for wrong, sentence in mistakes],
            lambda alpha, wrong: math.isclose(alpha, wrong, rel_tol=1e-6),
        )
        if not 0 <= alpha <= 1:
            raise Wrong(f"{where}alpha(1) lies in [0, 1], but yours is {alpha:.3g}.")
        found = alpha * S / (alpha**2 * S**2 + (1 - alpha**2) / n) ** 0.5
        raise Wrong(f"{where}your alpha(1) is {alpha:.3g}, and the correlation is {found:.3g} there.")


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
        some = f"the betas {[round(b, 4) for b in betas[:4]]}, {len(betas)} of them"
        raise Wrong(f"for {some}, {right:.3g} of x0 is left, but yours is {left:.3g}.")


CHECKS = {"01.1": diffuse, "01.2": small_enough, "01.3": signal_left}
