"""Lesson 03: what one exact step draws, the width after a few steps, drawing by jumps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ... import oracle
from ... import schedule as schedules
from ...samplers import sample
from .judge import NotAttempted, Wrong, call, close, name_mistake, number, same_kind


def one_exact_step(answer: Any) -> None:
    """03.1: one_exact_step(x_1, data) -> for each noise the mean of the data."""
    generator = torch.Generator().manual_seed(0)
    # 5 noises of each size against 6 items, and then as many: a mean along the wrong axis must not pass
    for shape, count in (((3,), 6), ((1, 4, 5), 6), ((2, 3, 3), 5)):
        data = 0.5 + torch.randn(count, *shape, generator=generator, dtype=torch.float64)
        x_1 = torch.randn(5, *shape, generator=generator, dtype=torch.float64)
        drawn = same_kind(call(answer, x_1=x_1, data=data), x_1, "what is drawn")
        right = sample(oracle.dataset(data, schedules.flow()), x_1, steps=1)
        if close(drawn, right):
            continue
        nearest = data.flatten(1)[torch.cdist(x_1.flatten(1), data.flatten(1)).argmin(1)].view_as(x_1)
        name_mistake(
            drawn,
            [
                (x_1, "that is the noise. A step to t = 0 takes all of it off."),
                (nearest, "that is the item nearest to the noise. At pure noise every item explains x_1 equally well."),
                (x_1.mean(0).expand_as(x_1), "that is the mean of the noise. What is guessed is data."),
                (
                    data.mean().expand_as(x_1),
                    "that is one number, the mean of everything. Each pixel has its own mean.",
                ),
                (data[:1].expand_as(x_1), "that is the first item. The guess is the mean of them all."),
                (data.median(0).values.expand_as(x_1), "that is the median. The least squared error is the mean's."),
                (data.sum(0).expand_as(x_1), "that is the sum of the items: divide by their number."),
                (torch.zeros_like(x_1), "the mean of this data is not 0."),
                (data.mean(0) + x_1, "the noise is still in it. A step to t = 0 takes all of it off."),
            ],
        )
        if not close(drawn[0], drawn[1]):
            raise Wrong(
                "two noises give two answers. With pure noise in front of it, the denoiser has nothing to go by."
            )
        raise Wrong(f"yours is {(drawn - right).abs().mean():.2g} away from the best guess at pure noise.")
    x = torch.randn(3, 2, generator=generator)
    same_kind(call(answer, x_1=x, data=torch.cat([x, x])), x, "what is drawn")


def variance_after(answer: Any) -> None:
    """03.2: variance_after(times, variance, schedule) -> of the samples that exact steps along these times draw.

    The walk multiplies its start by one number, so that number is where it leads a start of 1.
    """
    for schedule in (schedules.cosine(), schedules.flow(), schedules.linear()):
        for variance, times in (
            (0.3, [1.0, 0.6, 0.2, 0.0]),
            (2.0, [1.0, 0.5, 0.0]),
            (0.3, [1.0, 0.0]),
            (1.7, [1.0, 0.7, 0.4]),
        ):
            found = number(
                call(answer, times=list(times), variance=variance, schedule=schedule), "the variance after the steps"
            )
            law = oracle.gaussian(torch.zeros(1), torch.tensor([[variance]]), schedule)
            factor = sample(law, torch.ones(1, 1, dtype=torch.float64), times=times).item()
            if abs(found - factor**2) < 1e-6 + 1e-3 * factor**2:
                continue
            _name_wrong_variance(found, factor, times, variance, schedule)
            raise Wrong(
                f"for the variance {variance} and the times {times} on {schedule.name}, the samples have "
                f"{factor**2:.3g}, and yours is {found:.3g}."
            )


def _name_wrong_variance(
    found: float, factor: float, times: Sequence[float], variance: float, schedule: schedules.Schedule
) -> None:
    def walked(guess_of: Any, stops: Sequence[float]) -> float:
        product = 1.0
        for t, s in zip(stops, stops[1:], strict=False):
            alpha, sigma = schedule.alpha(t), schedule.sigma(t)
            guess = guess_of(alpha, sigma)
            product *= schedule.alpha(s) * guess + schedule.sigma(s) * (1 - alpha * guess) / sigma
        return product

    def best(alpha: float, sigma: float) -> float:
        return alpha * variance / (alpha**2 * variance + sigma**2)

    for wrong, sentence in (
        (factor, "that is the factor of the width. The variance is its square."),
        (abs(factor) ** 0.5, "that is the root of the width's factor. The variance is the factor squared."),
        (factor**2 * variance, "the noise that you start from has variance 1, not the data's."),
        (factor**2 / variance, "that is the share of the data's variance: do not divide."),
        (variance, "that is the variance of the data. A few steps do not reach it."),
        (walked(best, times[:-1]) ** 2, "the last step is missing."),
        (walked(best, times[1:]) ** 2, "the first step is missing."),
        (walked(best, times[::-1]) ** 2 if times[-1] > 0 else -1.0, "`times` falls already, from noise to data."),
        (
            walked(lambda a, s: a * variance**2 / (a * a * variance**2 + s * s), times) ** 2,
            "you squared the variance: it is the square of the width already.",
        ),
        (
            walked(lambda a, s: a * variance / (a * a * variance + s), times) ** 2,
            "in the guess, sigma must be squared.",
        ),
        (
            walked(lambda a, s: variance / (a * a * variance + s * s), times) ** 2,
            "in the guess, the factor alpha above the line is missing.",
        ),
    ):
        if abs(found - wrong) < 1e-6 + 1e-4 * abs(wrong):
            raise Wrong(sentence)


def draw_by_jumps(answer: Any) -> None:
    """03.3: draw_by_jumps(jump, x_1, times, noises, schedule) -> the state at times[-1] after a jump at each time."""
    generator = torch.Generator().manual_seed(0)
    for schedule, times in (
        (schedules.cosine(), [1.0, 0.0]),
        (schedules.cosine(), [1.0, 0.7, 0.3, 0.0]),
        (schedules.flow(), [1.0, 0.5, 0.2]),
    ):
        x_1, *noises = torch.randn(len(times), 3, 1, 4, 4, generator=generator, dtype=torch.float64)
        seen: list[tuple[float, Tensor]] = []

        def jump(x: Any, t: Any, seen: list = seen) -> Tensor:
            if x is ...:
                raise NotAttempted
            time = float(torch.as_tensor(t).flatten()[0])
            seen.append((time, x.clone()))
            return torch.sin(x) + time

        drawn = call(answer, jump=jump, x_1=x_1, times=list(times), noises=list(noises), schedule=schedule)
        drawn, called = same_kind(drawn, x_1, "what is drawn"), [round(t, 6) for t, _ in seen]
        states = [x_1]
        for t, s, noise in zip(times, times[1:], noises, strict=False):
            states.append(schedule.alpha(s) * (torch.sin(states[-1]) + t) + schedule.sigma(s) * noise)
        _check_jumps(called, times)
        for (t, x), right, before in zip(seen, states, [None, *states], strict=False):
            if close(x, right):
                continue
            raise Wrong(_why_not_there(x, t, before, x_1, noises, schedule))
        if close(drawn, states[-1]):
            continue
        if close(drawn, states[-2]):
            raise Wrong("you return the state before the last jump.")
        if close(drawn, torch.sin(states[-2]) + times[-2]):
            raise Wrong("you return the last jump's end. Go back up to times[-1] from there: it need not be 0.")
        raise Wrong(
            "the calls are right, and the end is not alpha(s) times the last jump plus sigma(s) times its noise."
        )


def _check_jumps(called: list[float], times: list[float]) -> None:
    wanted = times[:-1]
    if called == wanted:
        return
    if called == times:
        raise Wrong("the network is asked once too often: at the last time the walk is over.")
    if len(times) > 2 and called == times[1:]:
        raise Wrong("the network is asked at s, where you go up to. Ask it at t, where x is.")
    raise Wrong(f"for the times {times}, the network must be asked at {wanted}, and yours is asked at {called}.")


def _why_not_there(
    x: Tensor, s: float, before: Tensor | None, x_1: Tensor, noises: list[Tensor], schedule: schedules.Schedule
) -> str:
    alpha, sigma = schedule.alpha(s), schedule.sigma(s)
    if close(x, x_1):
        return "every call sees x_1. Hand the network the x of the step before."
    for other in [x_1, *noises]:
        rest = x - sigma * other
        if before is not None and bool((rest / alpha - torch.sin(before)).std() < 1e-4):
            return "the noises come in order, one a step: yours is another one's, or not a fresh one."
    if before is not None and bool((x - torch.sin(before)).std() < 1e-4):
        return "you jump from the end of a jump: go back up with alpha(s) and sigma(s) first."
    return f"at t = {s}, x must be alpha(t) times the picture plus sigma(t) times the fresh noise, and yours is not."


CHECKS = {"03.1": one_exact_step, "03.2": variance_after, "03.3": draw_by_jumps}
