"""Lesson 14: one step towards noise, and a point on the arc between two noises."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .. import schedule as schedules
from ..process import diffuse
from .judge import Wrong, call, close, name_mistake, same_kind


def step_up(answer: Any) -> None:
    """14.1: step_up(x_t, x0_hat, t, s, schedule) -> x_s with the noise that is in x_t; none where sigma(t) = 0."""
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.flow(), schedules.linear()):
        for t, s in ((0.3, 0.8), (0.5, 0.6), (0.2, 0.9)):
            x0, eps = torch.randn(2, 4, 1, 4, 4, generator=generator, dtype=torch.float64)
            x_t, right = diffuse(x0, t, eps, schedule), diffuse(x0, s, eps, schedule)
            x_s = same_kind(call(answer, x_t=x_t, x0_hat=x0, t=t, s=s, schedule=schedule), x_t, "x_s")
            if not close(x_s, answer(x_t, x0, t, s, schedule)):
                raise Wrong("called twice, it gives two answers. The noise is the one in x_t, not a fresh one.")
            if not close(x_s, right):
                name_mistake(x_s, _wrong_steps(x0, eps, t, s, schedule))
                raise Wrong(
                    "x_s must be alpha(s) x0_hat + sigma(s) eps_hat, with the eps_hat that is in x_t. "
                    f"From t = {t} to s = {s} on {schedule.name}, yours is {(x_s - right).abs().mean():.2g} away."
                )
    flow = schedules.flow()
    x = torch.randn(2, 3, generator=generator)
    x_s = call(answer, x_t=x, x0_hat=x.clone(), t=0.0, s=0.25, schedule=flow)
    if isinstance(x_s, Tensor) and not bool(x_s.isfinite().all()):
        raise Wrong("at t = 0 it divides by sigma(0) = 0: there is no noise to be read off, so take none.")
    if not close(same_kind(x_s, x, "x_s"), 0.75 * x):
        raise Wrong("from t = 0 there is no noise to carry on: x_s must be alpha(s) x0_hat.")


def _wrong_steps(x0: Tensor, eps: Tensor, t: float, s: float, schedule: schedules.Schedule) -> list[tuple[Tensor, str]]:
    x_t, sigma_t = diffuse(x0, t, eps, schedule), schedule.sigma(t)
    alpha, sigma = schedule.alpha(s), schedule.sigma(s)
    return [
        (x_t, "you are still at t: the state at s needs alpha(s) and sigma(s)."),
        (sigma * x0 + alpha * eps, "alpha and sigma have changed places: alpha goes with x0_hat."),
        (alpha * x0, "your x_s has no noise. Only at t = 0 is there none to carry on."),
        (alpha * x0 - sigma * eps, "the noise has the wrong sign."),
        (alpha * x0 + sigma * sigma_t * eps, "x_t - alpha(t) x0_hat is sigma(t) eps_hat: divide by sigma(t)."),
        (alpha * x0 + sigma * x_t, "you took x_t for the noise: that is (x_t - alpha(t) x0_hat) / sigma(t)."),
        (alpha * x0 + sigma * (x_t - x0) / sigma_t, "to find the noise in x_t, take off alpha(t) x0_hat, not x0_hat."),
        (alpha * x_t + sigma * eps, "the clean part of x_s is x0_hat, not x_t."),
        (x0 + sigma * eps, "the guess must be as faint as a picture is at s: multiply it by alpha(s)."),
        (eps, "that is the noise alone: mix it with x0_hat for the time s."),
    ]


def on_the_arc(answer: Any) -> None:
    """14.2: on_the_arc(x, y, w) -> the point at weight w on the arc from x to y."""
    generator = torch.Generator().manual_seed(0)
    for size in (2, 50):
        for w in (0.25, 0.6, 0.0, 1.0):
            x, y = torch.randn(2, size, generator=generator, dtype=torch.float64)
            y = 1.5 * y
            point = same_kind(call(answer, x=x, y=y, w=w), x, "the point")
            omega = math.acos((x @ y / (x.norm() * y.norm())).item())

            def mixed(a: float, b: float, x: Tensor = x, y: Tensor = y, omega: float = omega) -> Tensor:
                return (math.sin(a * omega) * x + math.sin(b * omega) * y) / math.sin(omega)

            if close(point, mixed(1 - w, w)):
                continue
            half = math.acos((x @ y / (x.norm() * y.norm())).item()) / math.pi * 180
            line = (1 - w) * x + w * y
            for wrong, sentence in (
                (mixed(w, 1 - w), "x and y have changed places: at weight 0 the point is x."),
                (line, "that is the straight line, whose middle is too short."),
                (line / line.norm() * x.norm(), "a straight line, stretched, is on the arc but at another weight."),
                (mixed(1 - w, w) * math.sin(omega), "divide by the sine of the angle."),
                (
                    math.cos(w * omega) * x + math.sin(w * omega) * y,
                    "cosine and sine fit if the two are at 90 degrees.",
                ),
                (math.sqrt(1 - w) * x + math.sqrt(w) * y, "roots fit for noises at 90 degrees: take the angle itself."),
                (
                    (math.sin((1 - w) * half) * x + math.sin(w * half) * y) / math.sin(half),
                    "the angle is in degrees: torch.sin wants radians.",
                ),
            ):
                if close(point, wrong):
                    raise Wrong(sentence)
            raw = (x @ y).clamp(-1, 1).acos()
            if close(point, mixed(1 - w, w, omega=raw.item() or 1e-9)):
                raise Wrong("divide the product of x and y by both lengths before you take the angle.")
            if w in (0.0, 1.0):
                raise Wrong(f"at weight {w:g} the point must be {'x' if w == 0 else 'y'}.")
            raise Wrong(
                f"at weight {w} on the arc between two noises {omega:.2f} radians apart, yours is "
                f"{(point - mixed(1 - w, w)).abs().mean():.2g} away."
            )


CHECKS = {"14.1": step_up, "14.2": on_the_arc}
