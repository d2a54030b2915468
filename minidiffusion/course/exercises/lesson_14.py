"""Lesson 14: Heun's step, a step that remembers the previous slope, and times that keep a method's order."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ... import oracle
from ... import schedule as schedules
from ...heads import to_eps
from ...samplers import sample
from .judge import Wrong, call, close, name_mistake, number, recorded, same_kind


def heun(answer: Any) -> None:
    """14.1: heun(denoise, x_t, t, s, schedule) -> x_s, by the mean of the slopes at the two ends of the step.

    The slopes are those of x / alpha as a function of sigma / alpha. The first is taken at x_t and t, the second at s
    and the x_s of Euler's step.
    """
    generator = torch.Generator().manual_seed(0)
    means, covs = torch.tensor([[-1.0, 0.5], [0.8, -0.3]]), torch.tensor([[[0.3, 0.1], [0.1, 0.2]]] * 2)
    cosine, flow = schedules.cosine(), schedules.flow()
    for schedule, t, s in ((cosine, 0.8, 0.5), (flow, 0.6, 0.2), (cosine, 0.9, 0.6)):
        data = oracle.mixture(torch.ones(2), means, covs, schedule)
        x_t = torch.randn(5, 2, generator=generator, dtype=torch.float64)
        steps = _steps(data, x_t, t, s, schedule)
        denoise, seen = recorded(data, x_t)
        x_s = same_kind(call(answer, denoise=denoise, x_t=x_t, t=t, s=s, schedule=schedule), x_t, "x_s")
        _check_questions(seen, x_t, steps["euler"], t, s)
        if not close(x_s, steps["heun"]):
            name_mistake(x_s, _wrong_heun(steps))
            raise Wrong(
                "both calls of the denoiser are right, but the step is not: x_s / alpha(s) must be x_t / alpha(t) + "
                f"(r_s - r_t) (first + second) / 2. Yours is off by {(x_s - steps['heun']).abs().mean():.2g}."
            )
    x = torch.randn(2, 3, generator=generator)
    same_kind(call(answer, denoise=lambda x, t: 0.5 * x, x_t=x, t=0.5, s=0.25, schedule=cosine), x, "x_s")


def _steps(data: Any, x_t: Tensor, t: float, s: float, schedule: schedules.Schedule) -> dict[str, Tensor]:
    """Heun's step, and the results of the usual mistakes."""
    alpha_t, alpha_s = schedule.alpha(t), schedule.alpha(s)
    h = schedule.sigma(s) / alpha_s - schedule.sigma(t) / alpha_t
    y, first = x_t / alpha_t, to_eps(data(x_t, t), x_t, t, schedule)
    euler = alpha_s * (y + h * first)
    second = to_eps(data(euler, s), euler, s, schedule)
    mean = (first + second) / 2
    return {
        "euler": euler,
        "heun": alpha_s * (y + h * mean),
        "end": alpha_s * (y + h * second),
        "sum": alpha_s * (y + 2 * h * mean),
        "onward": euler + alpha_s * h * mean,
        "again": euler + alpha_s * h * second,
        "scaled": y + h * mean,
        "undivided": alpha_s * (x_t + h * mean),
        "backwards": alpha_s * (y - h * mean),
        "guess": data(euler, s),
        "in x": x_t + (schedule.sigma(s) - schedule.sigma(t)) * mean,
    }


def _wrong_heun(steps: dict[str, Tensor]) -> list[tuple[Tensor, str]]:
    return [
        (steps["euler"], "that is still Euler's step: you compute the second slope but do not use it."),
        (steps["end"], "you used only the second slope. Take the mean of both."),
        (steps["sum"], "you added the two slopes. Take their mean: divide by 2."),
        (steps["onward"], "you continued from Euler's x_s. Heun's step starts again at x_t, with the better slope."),
        (steps["again"], "those are two full Euler steps. Start again at x_t, with the mean of the slopes."),
        (steps["scaled"], "that is x_s / alpha(s), because the slopes are those of x / alpha: multiply by alpha(s)."),
        (steps["undivided"], "the slopes are those of x / alpha, so start from x_t / alpha(t), not from x_t."),
        (steps["backwards"], "you step in the wrong direction: the step length is r_s - r_t, a negative number."),
        (steps["guess"], "that is the second guess of x0, but we want x_s."),
        (steps["in x"], "the slopes are those of x / alpha over sigma / alpha, not those of x over sigma."),
    ]


def _check_questions(seen: list[tuple[float, Tensor]], x_t: Tensor, euler: Tensor, t: float, s: float) -> None:
    times = [time for time, _ in seen]
    if len(seen) < 2:
        often = "only once" if seen else "not at all"
        raise Wrong(f"Heun's step calls the denoiser twice, at t and then at s, but yours calls it {often}.")
    if len(seen) > 2:
        raise Wrong(f"Heun's step calls the denoiser twice, but yours {len(seen)} times. Keep the first result.")
    if times == [t, t]:
        raise Wrong("you call the denoiser at t both times. The second call belongs at s, where Euler's step ends.")
    if times != [t, s]:
        raise Wrong(f"the denoiser must be called at {t} and then at {s}, but yours is called at {times}.")
    if not close(seen[0][1], x_t):
        raise Wrong("in the first call, give the denoiser x_t itself, not x_t / alpha.")
    if close(seen[1][1], x_t):
        raise Wrong("at s you give the denoiser x_t again. Give it the x_s that Euler's step reaches.")
    if not close(seen[1][1], euler):
        raise Wrong("in the second call, give the denoiser Euler's x_s, multiplied by alpha(s).")


def two_slopes(answer: Any) -> None:
    """14.2: two_slopes(y, slope, last_slope, r, last_r, next_r) -> y at next_r.

    Exact if the slope is linear in r, so that y is a parabola.
    """
    generator = torch.Generator().manual_seed(0)
    for last_r, r, next_r in ((3.0, 2.2, 1.0), (5.0, 2.0, 1.5), (1.0, 0.8, 0.1)):
        y, a, b = torch.randn(3, 4, 2, generator=generator, dtype=torch.float64)
        slope, last, h, last_h = a + b * r, a + b * last_r, next_r - r, r - last_r
        rise, ratio, right = slope - last, h / last_h, y + a * h + b * (next_r**2 - r**2) / 2
        inputs = dict(y=y, slope=slope, last_slope=last, r=r, last_r=last_r, next_r=next_r)
        found = same_kind(call(answer, **inputs), y, "y at next_r")
        if not close(found, right):
            middle = slope + ratio / 2 * rise
            mistakes = [
                (y + h * slope, "that is Euler's step: the previous slope is not used."),
                (y + h * last, "you used only the previous slope."),
                (y + h * (slope + last) / 2, "that mean is right for the step just taken, not for the next."),
                (y + h * (slope + ratio * rise), "that is the slope at the end: take the one in the middle."),
                (y + h * (slope - ratio / 2 * rise), "the change of the slope has the wrong sign."),
                (y + h * (slope + rise / (2 * ratio)), "the ratio of the two step lengths is upside down."),
                (y + h * (1.5 * slope - 0.5 * last), "that is right only if both steps have the same length."),
                (y - h * middle, "you step in the wrong direction: the step is next_r - r, a negative number."),
                (middle, "that is the slope itself: return y + h times the slope."),
                (y + middle, "multiply the slope by the length of the step."),
                (y + last_h * middle, "you used the length of the previous step."),
            ]
            name_mistake(found, mistakes)
            raise Wrong(
                f"if the slope is linear in r, the step must be exact. With slopes at {last_r} and {r} and a step to "
                f"{next_r}, yours is off by {(found - right).abs().mean():.2g}."
            )
    y = torch.ones(2, 3)
    same_kind(call(answer, y=y, slope=y, last_slope=0.5 * y, r=1.0, last_r=2.0, next_r=0.5), y, "y at next_r")


def good_times(answer: Any) -> None:
    """14.3: good_times(schedule, steps) -> times from 1 to 0 at which Heun's method comes near order 2.

    More than 1.5 will do. The order is measured between 64 and 256 steps on a Gaussian, where the end of the curve has
    a closed form. It has two variances, because the error of a bad grid may vanish by luck for one of them. On `linear`
    it is measured between 256 and 1,024 steps as well: there some grids of a lower order look good with few steps.
    """
    for name, counts in (("cosine", (64, 256)), ("linear", (64, 256, 1024))):

        def grid(steps: int, name: str = name) -> list[float]:
            times = falling(call(answer, schedule=schedules.NAMED[name](), steps=steps), steps)
            if schedules.NAMED[name]().sigma(times[-2]) == 0:
                raise Wrong(f"with {steps} steps, the last time before 0 is so small that sigma is 0 there, too.")
            return times

        grids = [grid(steps) for steps in counts]
        far = [_missed(times, name) for times in grids]
        for fewer, more, miss, less in zip(grids, grids[1:], far, far[1:], strict=False):
            n, m = len(fewer) - 1, len(more) - 1
            found = math.log(max(miss, 1e-12) / max(less, 1e-12)) / math.log(m / n)
            if found > 1.5:
                continue
            if max(abs(t - (1 - i / n)) for i, t in enumerate(fewer)) < 1e-6:
                raise Wrong(f"those are evenly spaced times. With them, Heun's order on {name} is only {found:.1f}.")
            first, last = ([_clock(schedules.NAMED[name](), t) for t in times] for times in (fewer, more))
            end = "data" if (last[-2] - last[-1]) / (first[-2] - first[-1]) > 0.3 else "noise"
            raise Wrong(
                f"on {name}, Heun's order between {n} and {m:,} steps is {found:.1f} with your times, and it should be "
                f"above 1.5. With four times as many steps, the one at the {end} end is still too long, measured in "
                f"sigma / (alpha + sigma)."
            )


def _clock(schedule: schedules.Schedule, t: float) -> float:
    return schedule.sigma(t) / (schedule.alpha(t) + schedule.sigma(t))


def _missed(times: list[float], name: str) -> float:
    """How far from the end of the curve Heun's method ends, for data of the variances 1/2 and 1/20."""
    variances, schedule = torch.tensor([0.5, 0.05], dtype=torch.float64), schedules.NAMED[name]()
    data = oracle.gaussian(torch.zeros(2), variances.diag(), schedule)
    end = (variances / (variances * schedule.alpha(1.0) ** 2 + schedule.sigma(1.0) ** 2)).sqrt()
    x = torch.ones(1, 2, dtype=torch.float64)
    return (sample(data, x, times=times, method="heun") - end).norm().item()


def falling(times: Any, steps: int) -> list[float]:
    """The answer as a list of plain floats, if it is a grid of steps + 1 times from 1 to 0."""
    if type(times) not in (list, tuple, Tensor):
        raise Wrong(f"return a list of times, but yours is a {type(times).__name__}.")
    plain = [number(t, "each time") for t in times]
    if len(plain) != steps + 1:
        raise Wrong(f"{steps} steps need {steps + 1} times, both ends included, but you return {len(plain)}.")
    if plain[0] < plain[-1]:
        raise Wrong("your times rise. A sampler goes from t = 1 (noise) down to t = 0 (data).")
    if abs(plain[0] - 1) > 1e-9 or plain[-1] != 0:
        raise Wrong(f"the times must begin at 1 and end at exactly 0. Yours go from {plain[0]:g} to {plain[-1]:g}.")
    if any(t <= s for t, s in zip(plain, plain[1:], strict=False)):
        raise Wrong("two of your times are equal or in the wrong order: each must be smaller than the one before.")
    return plain


CHECKS = {"14.1": heun, "14.2": two_slopes, "14.3": good_times}
