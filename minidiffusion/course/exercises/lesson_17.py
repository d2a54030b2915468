"""Lesson 17: one step towards the noise, the arc between two noises, and what starts explain beyond luck."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ... import schedule as schedules
from .judge import Wrong, call, close, name_mistake, number, same_kind
from .lesson_00 import check_step


def step_up(answer: Any) -> None:
    """17.1: step_up(x_t, x0_hat, t, s, schedule) -> x_s, with the noise found in x_t, or none where sigma(t) = 0."""
    check_step(answer, ((0.3, 0.8), (0.5, 0.6), (0.2, 0.9)))
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    x_s = call(answer, x_t=x, x0_hat=x, t=0.0, s=0.25, schedule=schedules.flow())
    if isinstance(x_s, Tensor) and not bool(x_s.isfinite().all()):
        raise Wrong("at t = 0 you divide by sigma(0) = 0. There is no noise in x_0 to find, so use none.")
    if not close(same_kind(x_s, x, "x_s"), 0.75 * x):
        raise Wrong("at t = 0 there is no noise to carry along, so x_s must be alpha(s) x0_hat.")


def on_the_arc(answer: Any) -> None:
    """17.2: on_the_arc(x, y, w) -> the point at weight w on the arc from x to y."""
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


def variance_of_the_start(answer: Any) -> None:
    """17.3: variance_of_the_start(x) -> the variance component of the columns of x, without what they get by luck."""
    generator = torch.Generator().manual_seed(0)
    for prompts, starts, strength in ((4, 7, 2.0), (9, 3, 0.0), (6, 8, 0.0), (3, 5, 0.0), (5, 6, 0.5)):
        noise = torch.randn(prompts, starts, generator=generator, dtype=torch.float64)
        rows = 3 * torch.randn(prompts, 1, generator=generator, dtype=torch.float64)
        x = 1 + rows + strength * torch.randn(1, starts, generator=generator, dtype=torch.float64) + noise
        found = number(call(answer, x=x), "the variance")
        columns, luck = _components(x)
        if _equal(found, columns - luck):
            continue
        rest = x - x.mean(1, keepdim=True) - x.mean(0, keepdim=True) + x.mean()
        no_rows, no_columns = x - x.mean(1, keepdim=True), x - x.mean(0, keepdim=True)
        free = (prompts - 1) * (starts - 1)
        by_prompt, its_luck = _components(x.T)
        mistakes = [
            (columns, "that is the variance of the averages, luck included. Take away that of the rest over P."),
            (x.mean(0).var(correction=0).item(), "that is the variance of the averages, luck included."),
            (x.mean(0).var(correction=0).item() - luck, "divide the sum over the N averages by N - 1, not by N."),
            (luck, "that is the luck alone. Subtract it from the variance of the averages."),
            (columns - prompts * luck, "the average over P prompts has a P-th of the variance of the rest."),
            (prompts * (columns - luck), "the averages have the variance of the start itself: do not multiply by P."),
            (columns + luck, "luck makes the averages vary more, so subtract its part."),
            (by_prompt - its_luck, "that is for the prompts. Starts are the columns: average over dimension 0."),
            (
                columns - rest.square().sum().item() / (prompts * starts) / prompts,
                "divide the squares of the rest by (P - 1)(N - 1): the averages that you took away used up the others.",
            ),
            (
                columns - no_columns.square().sum().item() / free / prompts,
                "what belongs to the prompt is no rest: take away the average of its row as well.",
            ),
            (
                columns - no_rows.square().sum().item() / free / prompts,
                "what belongs to the start is no rest: take away the average of its column as well.",
            ),
            (columns - x.var().item() / prompts, "the rest is what neither row nor column explains, not all of x."),
            (max(columns - luck, 0.0), "an estimate that is never negative is biased upwards: do not cut it at 0."),
            ((columns - luck) / x.var(correction=0).item(), "we ask for the variance, not for its share of the total."),
            (abs(columns - luck) ** 0.5, "that is its root. We ask for the variance."),
        ]
        name_mistake(found, mistakes, _equal)
        raise Wrong(
            f"for {prompts} prompts and {starts} starts it should be {columns - luck:.4g}, but yours is {found:.4g}. "
            "Check first the variance of the averages of the columns, then the luck in it."
        )


def _components(x: Tensor) -> tuple[float, float]:
    """The variance of the column averages, and how much of it the rest of x gives them by luck."""
    rest = x - x.mean(1, keepdim=True) - x.mean(0, keepdim=True) + x.mean()
    prompts, starts = x.shape
    return x.mean(0).var().item(), rest.square().sum().item() / ((prompts - 1) * (starts - 1)) / prompts


def _equal(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)


CHECKS = {"17.1": step_up, "17.2": on_the_arc, "17.3": variance_of_the_start}
