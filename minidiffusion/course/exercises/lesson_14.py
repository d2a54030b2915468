"""Lesson 14: one step towards noise, and a point on the arc between two noises."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ... import schedule as schedules
from .judge import Wrong, call, close, same_kind
from .lesson_00 import check_step


def step_up(answer: Any) -> None:
    """14.1: step_up(x_t, x0_hat, t, s, schedule) -> x_s with the noise that is in x_t; none where sigma(t) = 0."""
    check_step(answer, ((0.3, 0.8), (0.5, 0.6), (0.2, 0.9)))
    flow, x = schedules.flow(), torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    x_s = call(answer, x_t=x, x0_hat=x.clone(), t=0.0, s=0.25, schedule=flow)
    if isinstance(x_s, Tensor) and not bool(x_s.isfinite().all()):
        raise Wrong("at t = 0 it divides by sigma(0) = 0: there is no noise to be read off, so take none.")
    if not close(same_kind(x_s, x, "x_s"), 0.75 * x):
        raise Wrong("from t = 0 there is no noise to carry on: x_s must be alpha(s) x0_hat.")


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
