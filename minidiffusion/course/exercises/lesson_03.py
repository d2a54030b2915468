"""Lesson 03: the average of the lines of flow matching, the variance after a few steps, how hard one may shake."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ... import oracle
from ... import schedule as schedules
from ...samplers import sample
from .judge import Wrong, call, close, name_mistake, number, same_kind


def average_velocity(answer: Any) -> None:
    """03.1: average_velocity(x_t, t, points) -> eps_hat - x0_hat of the exact denoiser on the schedule `flow`."""
    generator, schedule = torch.Generator().manual_seed(0), schedules.flow()
    # 6 places and 6 points: an average over the wrong axis raises no error, only the values show it
    for batch, count, t in ((6, 6, 0.5), (5, 9, 0.8), (7, 4, 0.3), (3, 1, 0.6)):
        points = 0.4 + torch.randn(count, 2, generator=generator, dtype=torch.float64)
        x_t = torch.randn(batch, 2, generator=generator, dtype=torch.float64)
        x0 = oracle.dataset(points, schedule)(x_t, t)
        right = (x_t - (1 - t) * x0) / t - x0
        found = same_kind(call(answer, x_t=x_t, t=t, points=points), x_t, "the velocity")
        if close(found, right):
            continue
        name_mistake(found, _wrong_velocities(x_t, t, points, x0))
        error = (found - right).abs().mean()
        raise Wrong(
            f"for {count} points and t = {t}, yours is {error:.2g} away. For each point there is one eps with which "
            "the line passes x_t: weight the velocities eps - y by exp(-|eps|^2 / 2)."
        )
    x = torch.randn(4, 2, generator=generator)
    same_kind(call(answer, x_t=x, t=0.5, points=x.clone()), x, "the velocity")
    far = 60 * torch.ones(2, 2, dtype=torch.float64)  # where every exp(-|eps|^2 / 2) is 0 in floating point
    found = same_kind(call(answer, x_t=far, t=0.2, points=-far / 60), far, "the velocity far away from the data")
    if not close(found, (far + far / 60) / 0.2):  # both points are one, so every weighting gives (x_t - y) / t
        raise Wrong(
            "far away from the data all your weights come out as 0, and so does the velocity. Subtract the largest "
            "exponent before you take exp, as softmax does."
        )


def _wrong_velocities(x_t: Tensor, t: float, points: Tensor, x0: Tensor) -> list[tuple[Tensor, str]]:
    eps = (x_t[:, None] - (1 - t) * points) / t
    square, lines = -eps.square().sum(2) / 2, eps - points

    def mean(weight: Tensor, of: Tensor = lines) -> Tensor:
        return (weight[:, :, None] * of).sum(1)

    right, eps_hat = mean(square.softmax(1)), (x_t - (1 - t) * x0) / t
    swapped = (x_t[:, None] - t * points) / (1 - t)
    nearest = square.argmax(1)
    mistakes = [
        (-right, "the sign is wrong: with growing t the line goes from the data to the noise, so it is eps - y."),
        (eps_hat, "that is the average noise. Subtract the average point."),
        (x0, "that is the average point, the best guess. The velocity is the average of eps - y."),
        (x_t - x0, "you subtract the guess from x_t. Subtract it from the noise."),
        (lines.mean(1), "all lines count alike in your average. A line counts more if its noise is more likely."),
        (lines.sum(1), "you sum up the lines. Take their weighted average."),
        (mean(square.exp()), "the weights must sum to 1 for each place. Divide them by their sum: that is a softmax."),
        (lines[torch.arange(len(x_t)), nearest], "that is the likeliest line alone. Average over all lines."),
        (mean((2 * square).softmax(1)), "the exponent is -|eps|^2 / 2. You forgot the 1/2."),
        (mean((t * t * square).softmax(1)), "put eps into the exponent, and not t eps: divide by t first."),
        (mean((-square).softmax(1)), "the sign in the exponent is wrong: unlikely noise counts most in yours."),
        (mean((-eps.norm(dim=2)).softmax(1)), "square the length of eps in the exponent."),
        (mean(square.softmax(0)), "your softmax goes over the places. It must go over the points, for each place."),
        (mean((-swapped.square().sum(2) / 2).softmax(1), swapped - points), "t and 1 - t are swapped in your noise."),
        (mean((-torch.cdist(x_t, points).square() / 2).softmax(1)), "the weight needs the noise, not the distance."),
    ]
    return mistakes


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


def settled_variance(answer: Any) -> None:
    """03.3: settled_variance(a, sigma, variance) -> variance / (1 - c / 2) with c = a sigma^2 / variance, or infinity.

    A shake turns the variance u into (1 - c)^2 u + 2 c variance; repeated, it settles if |1 - c| < 1.
    """
    for a, sigma, variance in (
        (0.1, 0.8, 0.5),
        (0.5, 1.5, 2.0),
        (0.025, 0.3, 0.04),
        (1.0, 1.0, 0.7),
        (0.9, 1.0, 0.5),
        (1.96, 1.0, 1.0),
    ):
        c = a * sigma**2 / variance
        u = variance
        for _ in range(2000):  # until it has settled, which takes longer the closer c is to 2
            u = (1 - c) ** 2 * u + 2 * c * variance
        found = _one_number(call(answer, a=a, sigma=sigma, variance=variance))
        if abs(found - u) < 1e-6 + 1e-3 * u:
            continue
        name_mistake(found, _wrong_settled(a, sigma, variance), lambda x, y: abs(x - y) < 1e-6 + 1e-4 * abs(y))
        raise Wrong(
            f"for a = {a}, sigma = {sigma} and the variance {variance}, many shakes lead to the variance {u:.4g}, but "
            f"yours is {found:.4g}."
        )
    for a, sigma, variance in ((4.0, 1.0, 1.0), (1.0, 2.0, 1.5), (0.5, 1.0, 0.2), (2.0, 1.0, 1.0)):
        found = _one_number(call(answer, a=a, sigma=sigma, variance=variance))
        if found != math.inf:
            raise Wrong(
                f"for a = {a}, sigma = {sigma} and the variance {variance}, each shake multiplies x by "
                f"{1 - a * sigma**2 / variance:.2g} and adds noise, so the cloud grows without end. Return math.inf "
                "there."
            )


def _one_number(answer: Any) -> float:
    """The answer as a float, where infinity is allowed."""
    value = answer.item() if type(answer) is Tensor and answer.numel() == 1 else answer
    return math.inf if type(value) is float and value == math.inf else number(value, "the variance")


def _wrong_settled(a: float, sigma: float, v: float) -> list[tuple[float, str]]:
    c = a * sigma**2 / v
    return [
        (v, "that holds for infinitely small shakes only. A finite one leaves the cloud too wide."),
        (v / (1 - c), "one shake turns u into (1 - c)^2 u + 2 c V. You lost a factor: the square has c^2 in it."),
        (v * (1 + c / 2), "that is right for small c only. Solve u = (1 - c)^2 u + 2 c V without leaving c^2 out."),
        (v * (1 - c / 2), "the cloud gets wider, not narrower: you turned the fraction upside down."),
        (v / (1 + c / 2), "a sign is wrong: the cloud ends up wider than V, not narrower."),
        ((v / (1 - c / 2)) ** 0.5 if c < 2 else 0.0, "that is a standard deviation. Return its square."),
        (v / (1 - a / 2) if a != 2 else 0.0, "c = a sigma^2 / variance: you left out sigma or the variance."),
        (v / (1 - a * sigma**2 / 2), "the score is -x / variance: divide a sigma^2 by the variance."),
        (v / (1 - a * sigma / v / 2), "the pull has sigma squared, and yours has not."),
        (2 * c * v, "that is the variance that one kick adds. Where does it balance the pull?"),
        (
            c * v / (2 * c - c * c) if c not in (0, 2) else 0.0,
            "a kick is sqrt(2 a) sigma eps', so it adds 2 a sigma^2.",
        ),
        (2 * c * v / (1 - (1 - c)) if c else 0.0, "square the factor 1 - c: you follow the variance, not x."),
    ]


CHECKS = {"03.1": average_velocity, "03.2": variance_after, "03.3": settled_variance}
