"""Lesson 17: the way up to the noise, the arc between two noises, and what starts explain beyond luck."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ... import schedule as schedules
from .judge import Wrong, call, close, name_mistake, number, recorded, same_kind


def climb(answer: Any) -> None:
    """17.1: climb(denoise, x0, times, schedule) -> x at times[-1], by steps up from x0 at times[0].

    The denoiser here is x -> x at time 0, and (1 + t) c + x / 2 at later times.
    """
    x0, c = torch.randn(2, 3, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for schedule, times in (
        (schedules.cosine(), (0.1, 0.4, 0.7, 1.0)),
        (schedules.flow(), (0.0, 0.25, 0.6, 1.0)),
        (schedules.linear(), (0.0, 0.5, 0.8)),
    ):

        def guess(x_t: Tensor, t: float, c: Tensor = c) -> Tensor:
            return x_t.clone() if t == 0 else (1 + t) * c + x_t / 2

        ends = []
        for _ in range(2):
            denoise, calls = recorded(guess, x0)
            end = call(answer, denoise=denoise, x0=x0, times=times, schedule=schedule)
            ends.append(same_kind(end, x0, "the x at the end"))
        if not close(*ends):
            raise Wrong("two calls with the same inputs give two different answers. The way up has no fresh noise.")
        _check_climb(calls, times)
        right = _climbed(guess, x0, times, schedule)
        if close(ends[0], right[-1]):
            continue
        name_mistake(ends[0], _wrong_climbs(guess, x0, times, schedule))
        for i, (t, x_t) in enumerate(calls):
            if i > 0 and close(x_t, calls[i - 1][1]):
                raise Wrong("every call of denoise gets the same x. Give it the x that the last step returned.")
            if not close(x_t, right[times.index(t)]):
                raise Wrong(
                    f"at t = {t}, the x that you give to denoise is not the state at this time on {schedule.name}."
                )
        raise Wrong(f"all calls of denoise are right, but the last step does not end at t = {times[-1]}.")


Guess = Callable[[Tensor, float], Tensor]
Mix = Callable[[float, float, Tensor, Tensor, Tensor], Tensor]  # alpha(s), sigma(s), x_t, guess, noise -> x_s


def _climbed(
    guess: Guess,
    x: Tensor,
    times: Sequence[float],
    schedule: schedules.Schedule,
    mix: Mix = lambda alpha, sigma, x_t, x0_hat, eps: alpha * x0_hat + sigma * eps,
    first: float = 0.0,
    divide: bool = True,
) -> list[Tensor]:
    """The states at all times; first: how much of x is taken for noise where there is none."""
    states = [x]
    for t, s in pairwise(times):
        x0_hat, sigma_t = guess(x, t), schedule.sigma(t)
        eps = first * x if sigma_t == 0 else (x - schedule.alpha(t) * x0_hat) / (sigma_t if divide else 1.0)
        x = mix(schedule.alpha(s), schedule.sigma(s), x, x0_hat, eps)
        states.append(x)
    return states


def _wrong_climbs(
    guess: Guess, x0: Tensor, times: Sequence[float], schedule: schedules.Schedule
) -> list[tuple[Tensor, str]]:
    mixes: list[tuple[Mix, str]] = [
        (lambda a, s, x, x0, eps: s * x0 + a * eps, "alpha and sigma are swapped: sigma(s) multiplies the noise."),
        (lambda a, s, x, x0, eps: a * x0, "your x_s has no noise. Add sigma(s) eps_hat to alpha(s) x0_hat."),
        (lambda a, s, x, x0, eps: a * x0 - s * eps, "the noise has the wrong sign: x_s is a sum."),
        (lambda a, s, x, x0, eps: a * x0 + s * x, "you used x_t as the noise. Take alpha(t) x0_hat away, and divide."),
        (lambda a, s, x, x0, eps: a * x + s * eps, "the clean part of x_s should be x0_hat, but you used x_t."),
        (lambda a, s, x, x0, eps: x0 + s * eps, "the guess needs its factor alpha(s), because it fades on the way up."),
        (lambda a, s, x, x0, eps: eps, "that is the noise alone. Mix it with x0_hat in each step."),
    ]
    once = guess(x0, times[0])
    right = _climbed(guess, x0, times, schedule)
    return [
        (x0, "your x at the end is still the picture. Keep what each step returns."),
        *((_climbed(guess, x0, times, schedule, mix)[-1], sentence) for mix, sentence in mixes),
        (
            _climbed(guess, x0, times, schedule, divide=False)[-1],
            "x_t - alpha(t) x0_hat is sigma(t) eps_hat, so divide it by sigma(t).",
        ),
        (_climbed(guess, x0, times, schedule, first=1.0)[-1], "at t = 0 there is no noise to carry along: take none."),
        (right[-2], "you return the x from before the last step. Return what that step gives."),
        (guess(right[-2], times[-2]), "you return the last guess. Return the last x_s."),
        (_climbed(lambda x, t: once, x0, times, schedule)[-1], "you keep the first guess. Use a new one in each step."),
    ]


def _check_climb(calls: Sequence[tuple[float, Tensor]], times: Sequence[float]) -> None:
    """The network is called once at each time but the last, in order; at time 0 it may be left out."""
    called, wanted = [t for t, _ in calls], list(times[:-1])
    if called == wanted or (times[0] == 0 and called == wanted[1:]):
        return
    if called == list(times):
        raise Wrong("you call the network once too often: at the last time you have arrived.")
    if called == list(times[1:]):
        raise Wrong("you call the network at s, where the step ends. Call it at t, where x is.")
    if called in (wanted[::-1], list(times[:0:-1])):
        raise Wrong("you go through the times backwards: here they rise, from the picture to the noise.")
    raise Wrong(f"for the times {list(times)}, call the network at {wanted}. You called it at {called}.")


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
    return math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-6)


CHECKS = {"17.1": climb, "17.2": on_the_arc, "17.3": variance_of_the_start}
