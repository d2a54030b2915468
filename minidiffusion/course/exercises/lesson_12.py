"""Lesson 12: Heun's step, a step with a memory, and the order of a method."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ... import oracle
from ... import schedule as schedules
from ...heads import to_eps
from .judge import NotAttempted, Wrong, call, close, name_mistake, number, same_kind


def heun(answer: Any) -> None:
    """12.1: heun(denoise, x_t, t, s, schedule) -> x_s, the step with the mean of the slopes at both ends.

    Asked are x_t at t and Euler's x_s at s; the end follows from the two slopes of x / alpha in sigma / alpha.
    """
    generator = torch.Generator().manual_seed(0)
    means, covs = torch.tensor([[-1.0, 0.5], [0.8, -0.3]]), torch.tensor([[[0.3, 0.1], [0.1, 0.2]]] * 2)
    for schedule, t, s in (
        (schedules.cosine(), 0.8, 0.5),
        (schedules.flow(), 0.6, 0.2),
        (schedules.cosine(), 0.9, 0.6),
    ):
        data = oracle.mixture(torch.ones(2), means, covs, schedule)
        x_t = torch.randn(5, 2, generator=generator, dtype=torch.float64)
        seen: list[tuple[float, Tensor]] = []

        def denoise(x: Any, time: Any, seen: list = seen, data: Any = data) -> Tensor:
            if x is ...:
                raise NotAttempted
            seen.append((float(torch.as_tensor(time).flatten()[0]), x.clone()))
            return data(x, time)

        x_s = same_kind(call(answer, denoise=denoise, x_t=x_t, t=t, s=s, schedule=schedule), x_t, "x_s")
        steps = _steps(data, x_t, t, s, schedule)
        _check_questions(seen, x_t, steps["euler"], t, s)
        if not close(x_s, steps["heun"]):
            name_mistake(x_s, _wrong_heun(steps))
            raise Wrong(
                "both questions are right, and the step is not: x_s / alpha(s) must be x_t / alpha(t) + (r_s - r_t) "
                f"(first + second) / 2. Yours is {(x_s - steps['heun']).abs().mean():.2g} away."
            )
    x = torch.randn(2, 3, generator=generator)
    same_kind(call(answer, denoise=lambda x, t: 0.5 * x, x_t=x, t=0.5, s=0.25, schedule=schedules.cosine()), x, "x_s")


def _steps(data: Any, x_t: Tensor, t: float, s: float, schedule: schedules.Schedule) -> dict[str, Tensor]:
    """Heun's step, and all that may be taken for it."""
    alpha_t, alpha_s = schedule.alpha(t), schedule.alpha(s)
    h = schedule.sigma(s) / alpha_s - schedule.sigma(t) / alpha_t
    y, first = x_t / alpha_t, to_eps(data(x_t, t), x_t, t, schedule)
    euler = alpha_s * (y + h * first)
    second = to_eps(data(euler, s), euler, s, schedule)
    return {
        "euler": euler,
        "heun": alpha_s * (y + h * (first + second) / 2),
        "end": alpha_s * (y + h * second),
        "sum": alpha_s * (y + h * (first + second)),
        "onward": euler + alpha_s * h * (first + second) / 2,
        "again": euler + alpha_s * h * second,
        "scaled": y + h * (first + second) / 2,
        "undivided": alpha_s * (x_t + h * (first + second) / 2),
        "backwards": alpha_s * (y - h * (first + second) / 2),
        "guess": data(euler, s),
        "in x": x_t + (schedule.sigma(s) - schedule.sigma(t)) * (first + second) / 2,
    }


def _wrong_heun(steps: dict[str, Tensor]) -> list[tuple[Tensor, str]]:
    return [
        (steps["euler"], "that is Euler's step still: the second slope is asked for and not used."),
        (steps["end"], "you went with the second slope alone. Take the mean of both."),
        (steps["sum"], "you added the two slopes. Take their mean: divide by 2."),
        (steps["onward"], "you went on from Euler's x_s. Heun's step starts again from x_t, with the better slope."),
        (
            steps["again"],
            "those are two Euler steps of full length. Start again from x_t, with the mean of the slopes.",
        ),
        (
            steps["scaled"],
            "that is x_s / alpha(s): the slopes are those of x / alpha. Multiply by alpha(s) at the end.",
        ),
        (steps["undivided"], "the slopes are those of x / alpha: start from x_t / alpha(t), not from x_t."),
        (steps["backwards"], "you walk upwards: the length of the step is r_s - r_t, which is below 0."),
        (steps["guess"], "that is the second guess of x0. What is wanted is x_s."),
        (steps["in x"], "the slopes are those of x / alpha over sigma / alpha, not those of x over sigma."),
    ]


def _check_questions(seen: list[tuple[float, Tensor]], x_t: Tensor, euler: Tensor, t: float, s: float) -> None:
    times = [round(time, 6) for time, _ in seen]
    if len(seen) < 2:
        raise Wrong(f"Heun asks the denoiser twice, and yours asked it {len(seen)} times: at t, and then at s.")
    if len(seen) > 2:
        raise Wrong(f"Heun asks the denoiser twice, and yours asked it {len(seen)} times. Keep the first answer.")
    if times == [t, t]:
        raise Wrong("the denoiser is asked at t both times. The second question is asked at s, where Euler ends.")
    if times != [t, s]:
        raise Wrong(f"the denoiser must be asked at {t} and then at {s}, and yours is asked at {times}.")
    if not close(seen[0][1], x_t):
        raise Wrong("the first question must show the denoiser x_t itself, not x_t / alpha.")
    if close(seen[1][1], x_t):
        raise Wrong("at s the denoiser is shown x_t again. Show it the x_s that Euler's step leads to.")
    if not close(seen[1][1], euler):
        raise Wrong("the second question must show the denoiser Euler's x_s, with alpha(s) multiplied in.")


def two_slopes(answer: Any) -> None:
    """12.2: two_slopes(y, slope, last_slope, r, last_r, next_r) -> y at next_r.

    Exact where the slope is a straight line in r: y then is a parabola.
    """
    generator = torch.Generator().manual_seed(0)
    for last_r, r, next_r in ((3.0, 2.2, 1.0), (5.0, 2.0, 1.5), (1.0, 0.8, 0.1)):
        y, a, b = torch.randn(3, 4, 2, generator=generator, dtype=torch.float64)
        slope, last = a + b * r, a + b * last_r
        inputs = dict(y=y, slope=slope, last_slope=last, r=r, last_r=last_r, next_r=next_r)
        found = same_kind(call(answer, **inputs), y, "y at next_r")
        h, last_h = next_r - r, r - last_r
        right = y + a * h + b * (next_r**2 - r**2) / 2
        if not close(found, right):
            rise = slope - last
            name_mistake(
                found,
                [
                    (y + h * slope, "that is Euler's step: the slope of before is not used."),
                    (y + h * last, "you went with the last slope alone."),
                    (y + h * (slope + last) / 2, "the mean of the two slopes belongs to the step that is past."),
                    (y + h * (slope + h / last_h * rise), "that is the slope at the end of the step. Take its middle."),
                    (y + h * (slope - h / (2 * last_h) * rise), "the change of the slope has the wrong sign."),
                    (y + h * (slope + last_h / (2 * h) * rise), "the ratio of the lengths is upside down."),
                    (y + h * (1.5 * slope - 0.5 * last), "that is right for steps of equal length only."),
                    (y - h * (slope + h / (2 * last_h) * rise), "you walk upwards: the step is next_r - r."),
                    (slope + h / (2 * last_h) * rise, "that is the slope. Go with it: y + h times the slope."),
                    (y + slope + h / (2 * last_h) * rise, "multiply the slope by the length of the step."),
                    (y + last_h * (slope + h / (2 * last_h) * rise), "you went as far as in the step before."),
                ],
            )
            raise Wrong(
                "where the slope is a straight line in r, the step must be exact. With slopes at "
                f"{last_r} and {r} and a step to {next_r}, yours is {(found - right).abs().mean():.2g} away."
            )
    y = torch.ones(2, 3)
    same_kind(call(answer, y=y, slope=y, last_slope=0.5 * y, r=1.0, last_r=2.0, next_r=0.5), y, "y at next_r")


def measured_order(answer: Any) -> None:
    """12.3: measured_order(n, error_n, m, error_m) -> p, if the error is c / steps^p."""
    for n, m, p, c in ((8, 16, 2.0, 0.7), (10, 40, 1.0, 3.0), (5, 15, 3.0, 0.1), (64, 16, 1.5, 2.0)):
        error_n, error_m = c / n**p, c / m**p
        found = number(call(answer, n=n, error_n=error_n, m=m, error_m=error_m), "the order")
        if abs(found - p) < 1e-3:
            continue
        ratio = error_n / error_m
        for wrong, sentence in (
            (-p, "the order comes out below 0: one of the two quotients is upside down."),
            (1 / p, "that is 1 / p: the logarithm of the errors' quotient goes on top."),
            (ratio, "that is how many times the error shrank. The order is a power: take logarithms."),
            (math.log2(ratio), "that is right if m is twice n. Divide by the logarithm of m / n."),
            (math.log(ratio), "that is the logarithm of the errors' quotient. Divide by that of m / n."),
            (math.log10(ratio), "that is the logarithm of the errors' quotient. Divide by that of m / n."),
            (ratio / (m / n), "those are quotients. The order is a power: divide their logarithms."),
            ((error_n - error_m) / (m - n), "that is a slope on plain axes. The order is the slope in logarithms."),
            (p / 2, "half of it: is there a root too many?"),
        ):
            if abs(found - wrong) < 1e-6:
                raise Wrong(sentence)
        raise Wrong(f"an error of {c:g} / steps^{p:g} has order {p:g}; from {n} and {m} steps, yours is {found:.3g}.")


CHECKS = {"12.1": heun, "12.2": two_slopes, "12.3": measured_order}
