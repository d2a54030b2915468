"""Lesson 17: one step towards the noise, and a point on the arc between two noises."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ... import schedule as schedules
from .judge import Wrong, call, close, name_mistake, same_kind
from .lesson_00 import check_step


def step_up(answer: Any) -> None:
    """14.1: step_up(x_t, x0_hat, t, s, schedule) -> x_s, with the noise found in x_t, or none where sigma(t) = 0."""
    check_step(answer, ((0.3, 0.8), (0.5, 0.6), (0.2, 0.9)))
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    x_s = call(answer, x_t=x, x0_hat=x, t=0.0, s=0.25, schedule=schedules.flow())
    if isinstance(x_s, Tensor) and not bool(x_s.isfinite().all()):
        raise Wrong("at t = 0 you divide by sigma(0) = 0. There is no noise in x_0 to find, so use none.")
    if not close(same_kind(x_s, x, "x_s"), 0.75 * x):
        raise Wrong("at t = 0 there is no noise to carry along, so x_s must be alpha(s) x0_hat.")


def on_the_arc(answer: Any) -> None:
    """14.2: on_the_arc(x, y, w) -> the point at weight w on the arc from x to y."""
    generator = torch.Generator().manual_seed(0)
    for size in (2, 50):
        for w in (0.25, 0.6, 0.0, 1.0):
            x, y = torch.randn(2, size, generator=generator, dtype=torch.float64)
            y = 1.5 * y
            omega = math.acos((x @ y / (x.norm() * y.norm())).item())

            def mixed(a: float, b: float, x: Tensor = x, y: Tensor = y, omega: float = omega) -> Tensor:
                return (math.sin(a * omega) * x + math.sin(b * omega) * y) / math.sin(omega)

            right, line = mixed(1 - w, w), (1 - w) * x + w * y
            point = same_kind(call(answer, x=x, y=y, w=w), x, "the point")
            if close(point, right):
                continue
            mistakes = [
                (mixed(w, 1 - w), "x and y are swapped: at weight 0 the point must be x."),
                (line, "that is on the straight line, whose middle is too short."),
                (line / line.norm() * x.norm(), "a point of the line, stretched, is on the arc but not at weight w."),
                (right * math.sin(omega), "divide by the sine of the angle."),
                (math.cos(w * omega) * x + math.sin(w * omega) * y, "cosine and sine are right only at 90 degrees."),
                (math.sqrt(1 - w) * x + math.sqrt(w) * y, "square roots fit at 90 degrees: use the angle instead."),
                (mixed(1 - w, w, omega=math.degrees(omega)), "your angle is in degrees, but torch.sin needs radians."),
            ]
            name_mistake(point, mistakes)
            raw = (x @ y).clamp(-1, 1).acos().item()
            if close(point, mixed(1 - w, w, omega=raw or 1e-9)):
                raise Wrong("divide the dot product of x and y by both lengths before you take the angle.")
            if w in (0.0, 1.0):
                raise Wrong(f"at weight {w:g} the point must be {'x' if w == 0 else 'y'}.")
            raise Wrong(
                f"at weight {w}, between two noises that are {omega:.2f} radians apart, your point is off by "
                f"{(point - right).abs().mean():.2g}."
            )


CHECKS = {"17.1": step_up, "17.2": on_the_arc}
