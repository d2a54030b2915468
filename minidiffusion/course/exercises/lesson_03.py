"""Lesson 03: the sample that one exact step gives, the variance after a few steps, sampling by jumps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ... import oracle
from ... import schedule as schedules
from ...samplers import sample
from .judge import Wrong, call, check_times, close, name_mistake, number, recorded, same_kind


def one_exact_step(answer: Any) -> None:
    """03.1: one_exact_step(x_1, data) -> the mean of the data, once for each noise."""
    generator = torch.Generator().manual_seed(0)
    # 5 noises against 6 items, and then against as many: a mean along the wrong axis must not pass
    for shape, count in (((3,), 6), ((1, 4, 5), 6), ((2, 3, 3), 5)):
        data = 0.5 + torch.randn(count, *shape, generator=generator, dtype=torch.float64)
        x_1 = torch.randn(5, *shape, generator=generator, dtype=torch.float64)
        right = sample(oracle.dataset(data, schedules.flow()), x_1, steps=1)
        samples = same_kind(call(answer, x_1=x_1, data=data), x_1, "the batch of samples")
        if close(samples, right):
            continue
        nearest = data[torch.cdist(x_1.flatten(1), data.flatten(1)).argmin(1)]
        mistakes = [
            (x_1, "that is the noise itself. A step to t = 0 removes all of it."),
            (nearest, "that is the item nearest to the noise. Pure noise says nothing about which item it was."),
            (x_1.mean(0).expand_as(x_1), "that is the mean of the noise. Take the mean of the data."),
            (data.mean().expand_as(x_1), "you averaged over the pixels too. Each pixel has its own mean."),
            (data[:1].expand_as(x_1), "that is the first item. The optimal prediction is the mean of all items."),
            (data.median(0).values.expand_as(x_1), "that is the median. The mean has the least squared error."),
            (data.sum(0).expand_as(x_1), "that is the sum of the items. Divide it by their number."),
            (0 * x_1, "you return 0, but the mean of this data is not 0."),
            (data.mean(0) + x_1, "the noise is still in your sample. A step to t = 0 removes all of it."),
        ]
        name_mistake(samples, mistakes)
        if not close(samples[0], samples[1]):
            raise Wrong("two noises give two different samples, but pure noise says nothing about the data.")
        error = (samples - right).abs().mean()
        raise Wrong(f"yours is {error:.2g} away from the optimal prediction at pure noise.")
    x = torch.randn(3, 2, generator=generator)
    same_kind(call(answer, x_1=x, data=torch.cat([x, x])), x, "the batch of samples")


def variance_after(answer: Any) -> None:
    """03.2: variance_after(times, variance, schedule) -> the variance of the samples after exact steps along times.

    Each step multiplies x by a number. The product of these numbers is what the sampler makes of x_1 = 1.
    """
    cases = ((0.3, [1.0, 0.6, 0.2, 0.0]), (2.0, [1.0, 0.5, 0.0]), (0.3, [1.0, 0.0]), (1.7, [1.0, 0.7, 0.4]))
    for schedule in (schedules.cosine(), schedules.flow(), schedules.linear()):
        for variance, times in cases:
            gaussian = oracle.gaussian(torch.zeros(1), torch.tensor([[variance]]), schedule)
            factor = sample(gaussian, torch.ones(1, 1, dtype=torch.float64), times=times).item()
            found = call(answer, times=list(times), variance=variance, schedule=schedule)
            found = number(found, "the variance after the steps")
            if abs(found - factor**2) < 1e-6 + 1e-3 * factor**2:
                continue
            mistakes = _wrong_variances(factor, times, variance, schedule)
            name_mistake(found, mistakes, lambda found, wrong: abs(found - wrong) < 1e-6 + 1e-4 * abs(wrong))
            where = f"for the variance {variance} and the times {times} on {schedule.name}"
            raise Wrong(f"{where}, the samples have the variance {factor**2:.4g}, but yours is {found:.4g}.")


def _wrong_variances(
    factor: float, times: Sequence[float], v: float, schedule: schedules.Schedule
) -> list[tuple[float, str]]:
    def squared(times: Sequence[float], gain: Callable[[float, float], float] | None = None) -> float:
        product = 1.0
        for t, s in zip(times, times[1:], strict=False):
            alpha, sigma = schedule.alpha(t), schedule.sigma(t)
            x0_hat = gain(alpha, sigma) if gain else alpha * v / (alpha**2 * v + sigma**2)
            product *= schedule.alpha(s) * x0_hat + schedule.sigma(s) * (1 - alpha * x0_hat) / sigma
        return product**2

    backwards = squared(times[::-1]) if times[-1] > 0 else -1.0
    no_square = squared(times, lambda a, s: a * v / (a * a * v + s))
    return [
        (factor, "that is the factor of the standard deviation. Square it to get the variance."),
        (abs(factor) ** 0.5, "that is the root of the factor. Square the factor to get the variance."),
        (factor**2 * v, "you start from noise, whose variance is 1. Do not multiply by the data's variance."),
        (factor**2 / v, "that is a fraction of the data's variance. Do not divide by it."),
        (v, "that is the variance of the data, which a few steps do not reach."),
        (squared(times[:-1]), "the last step is missing."),
        (squared(times[1:]), "the first step is missing."),
        (backwards, "you go through the times backwards: `times` already falls, from noise to data."),
        (squared(times, lambda a, s: a * v**2 / (a * a * v**2 + s * s)), "do not square `variance`: it is a square."),
        (no_square, "square sigma in the prediction: variances add, standard deviations do not."),
        (squared(times, lambda a, s: v / (a * a * v + s * s)), "the prediction needs a factor alpha in its numerator."),
    ]


def sampling_by_jumps(answer: Any) -> None:
    """03.3: draw_by_jumps(jump, x_1, times, noises, schedule) -> the state at times[-1] after a jump at each time."""
    generator = torch.Generator().manual_seed(0)
    for schedule, times in (
        (schedules.cosine(), [1.0, 0.7, 0.3, 0.0]),
        (schedules.cosine(), [1.0, 0.0]),
        (schedules.flow(), [1.0, 0.5, 0.2]),
    ):
        x_1, *noises = torch.randn(len(times), 3, 1, 4, 4, generator=generator, dtype=torch.float64)
        states = [x_1]
        for t, s, noise in zip(times, times[1:], noises, strict=False):
            states.append(schedule.alpha(s) * (torch.sin(states[-1]) + t) + schedule.sigma(s) * noise)
        jump, calls = recorded(lambda x, t: torch.sin(x) + t, x_1)
        fresh = [noise.clone() for noise in noises]
        end = call(answer, jump=jump, x_1=x_1, times=list(times), noises=fresh, schedule=schedule)
        end = same_kind(end, x_1, "the sample")
        check_times([t for t, _ in calls], times)
        for i, (t, x) in enumerate(calls):
            if not close(x, states[i]):
                raise Wrong(_why_not_there(x, t, calls[i - 1][1], x_1, noises, schedule))
        if close(end, states[-1]):
            continue
        if close(end, states[-2]):
            raise Wrong("you return the state before the last jump. Return the state after it.")
        if close(end, torch.sin(states[-2]) + times[-2]):
            raise Wrong("you return the output of the last jump. Go back up to times[-1], which need not be 0.")
        raise Wrong(
            "all calls are right, but the end is not alpha(s) times the last jump plus sigma(s) times its noise."
        )


def _why_not_there(
    x: Tensor, s: float, before: Tensor, x_1: Tensor, noises: list[Tensor], schedule: schedules.Schedule
) -> str:
    """What is wrong with the x at time s, if the x of the jump before was right."""
    if close(x, x_1):
        return "every jump starts from x_1. Start it from the x that the step before returned."
    for other in [x_1, *noises]:
        jumped = (x - schedule.sigma(s) * other) / schedule.alpha(s)
        if bool((jumped - torch.sin(before)).std() < 1e-4):
            return "use the noises in order, a fresh one in each step. Here you use another one."
    if bool((x - torch.sin(before)).std() < 1e-4):
        return "you jump again from where the last jump ended. First go back up with alpha(s) and sigma(s)."
    return f"at t = {s}, x should be alpha(t) times the picture plus sigma(t) times the fresh noise, but yours is not."


CHECKS = {"03.1": one_exact_step, "03.2": variance_after, "03.3": sampling_by_jumps}
