"""Lesson 06: what a code costs, what a step costs in noise, and a decoder that allows for its own error."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ... import schedule as schedules
from .judge import Wrong, call, close, name_mistake, number, same_kind

STEPS = ((0.9, 0.6), (0.5, 0.45), (0.3, 0.1))  # (t, s)


def code_cost(answer: Any) -> None:
    """06.1: code_cost(mean, std) -> KL(N(mean, std^2) || N(0, I)) in nats, summed over the numbers of a code."""
    generator = torch.Generator().manual_seed(0)
    # as many codes as numbers in a code once: there a sum along the wrong axis can only show in the values
    for shape, dtype in (((4, 4), torch.float64), ((3, 5), torch.float32)):
        mean = torch.randn(shape, generator=generator, dtype=dtype)
        std = 0.2 + torch.rand(shape, generator=generator, dtype=dtype)
        log = std.log()
        each = 0.5 * (mean**2 + std**2 - 1) - log
        right = each.sum(1)
        reverse = (0.5 * (1 + mean**2) / std**2 - 0.5 + log).sum(1)
        found = _one_per_item(call(answer, mean=mean, std=std), right, each)
        if not close(found, right):
            mistakes = [
                (each.sum(0), "you summed over the batch. Sum over the numbers of a code, along the last axis."),
                (each.mean(1), "that is the mean over the numbers of a code. Their costs add up, so take the sum."),
                (-right, "the sign is wrong: a KL divergence is never negative."),
                ((each + 2 * log).sum(1), "the logarithm has the wrong sign. Subtract it: narrow codes cost more."),
                ((each + 0.5 * log).sum(1), "1/2 log std^2 equals log std, so log std gets no factor 1/2."),
                ((each - log).sum(1), "you subtract log std^2. Subtract half of it, which is log std."),
                (
                    right + (shape[1] - shape[0]) / 2,
                    "the - 1 belongs to each number of a code. You subtract one for each code.",
                ),
                (
                    right * shape[0] / shape[1],
                    "the costs add up over the numbers of a code. You multiply by the number of codes.",
                ),
                ((each + 0.5).sum(1), "the - 1 is missing: a code that equals the prior must cost nothing."),
                ((each + (std - std**2) / 2).sum(1), "square std: it is a standard deviation, and you add variances."),
                ((each + (mean - mean**2) / 2).sum(1), "square the mean: it costs the same on either side of 0."),
                (2 * right, "the factor 1/2 is missing."),
                (right / math.log(2), "yours is in bits. It should be in nats, so do not divide by log 2."),
                (reverse, "that is the KL from the prior to the code. The two distributions are swapped."),
            ]
            name_mistake(found, mistakes, lambda a, b: a.shape == b.shape and close(a, b))
            raise Wrong(
                f"the first code should cost {right[0]:.3g} nats, but yours costs {found[0]:.3g}. "
                "A code with mean 0 and std 1 costs 0."
            )


def step_cost(answer: Any) -> None:
    """06.2: step_cost(eps, eps_hat, t, s, schedule) -> 1/2 (SNR(s) / SNR(t) - 1) ||eps - eps_hat||^2, one per item."""
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.flow(), schedules.linear()):
        for t, s in STEPS:
            for shape in ((5, 3), (3, 1, 4, 4)):
                eps, eps_hat = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
                error = (eps - eps_hat).flatten(1)
                high, low = (schedule.alpha(u) ** 2 / schedule.sigma(u) ** 2 for u in (s, t))
                right = 0.5 * (high / low - 1) * error.square().sum(1)
                found = call(answer, eps=eps, eps_hat=eps_hat, t=t, s=s, schedule=schedule)
                found = _one_per_item(found, right, error)
                if not _near(found, right):
                    name_mistake(found, _wrong_costs(error, high, low, t, s), _near)
                    raise Wrong(
                        f"on {schedule.name}, from t = {t} to s = {s}, the first item should cost {right[0]:.3g} nats, "
                        f"but yours costs {found[0]:.3g}."
                    )


def _wrong_costs(error: Tensor, high: float, low: float, t: float, s: float) -> list[tuple[Tensor, str]]:
    gain, distance = 0.5 * (high / low - 1), error.square().sum(1)
    return [
        (
            0.5 * (low / high - 1) * distance,
            "the ratio is upside down: the SNR at s, the larger one, is divided by that at t.",
        ),
        (-gain * distance, "the sign is wrong. The SNR is larger at s, and a cost is never negative."),
        (2 * gain * distance, "the factor 1/2 is missing."),
        (gain * error.square().mean(1), "you took the mean over the numbers of an item. Each of them costs: sum."),
        (gain * distance.sqrt(), "the distance is squared, so take no square root."),
        (gain * error.abs().sum(1), "square the differences. You took their absolute values."),
        (gain * error.sum(1) ** 2, "first square each difference, then sum."),
        (0.5 * (high - low) * distance, "that weight is for errors in x0. An error in eps is sqrt(SNR(t)) times it."),
        (0.5 * (high - low) * low * distance, "divide by SNR(t), do not multiply: errors in eps are the larger ones."),
        (0.5 * (1 - low / high) * distance, "you divided by SNR(s). The noise was guessed at t."),
        (0.5 * ((high / low) ** 0.5 - 1) * distance, "the SNR is alpha^2 / sigma^2: square both."),
        (0.5 * math.log(high / low) * distance, "that is right for a small step only. Here it must be exact."),
        (0.5 * high / low * distance, "subtract 1: only the gain in SNR costs."),
        (0.5 * distance, "the squared error needs a weight: the relative gain in SNR."),
        (0.5 * (t - s) * distance, "the weight is a gain in SNR, but you used the difference of the times."),
        (gain / math.log(2) * distance, "yours is in bits. It should be in nats, so do not divide by log 2."),
    ]


def wider_bell(answer: Any) -> None:
    """06.3: wider_bell(t, s, error, schedule) -> the best decoder's variance v + d and its cost 1/2 log(1 + d / v).

    v = sigma_s^2 (1 - rho) is the variance of the encoder turned round, d = alpha_s^2 (1 - rho)^2 error is the mean
    squared distance of the two means, and rho = SNR(t) / SNR(s).
    """
    for schedule in (schedules.cosine(), schedules.flow(), schedules.linear()):
        for t, s in STEPS:
            for error in (0.04, 0.3):
                found = call(answer, t=t, s=s, error=error, schedule=schedule)
                found = found.tolist() if hasattr(found, "tolist") else found  # an array of both is fine, too
                if not isinstance(found, (tuple, list)) or len(found) != 2:
                    raise Wrong("return two numbers, the variance of your bell and the mean cost of the step.")
                variance, cost = number(found[0], "the variance"), number(found[1], "the cost")
                alpha, sigma = schedule.alpha(s), schedule.sigma(s)
                high, low = (schedule.alpha(u) ** 2 / schedule.sigma(u) ** 2 for u in (s, t))
                lost = 1 - low / high
                v, d = sigma**2 * lost, (alpha * lost) ** 2 * error
                right = v + d, 0.5 * math.log1p(d / v)
                if _same(variance, right[1]) and _same(cost, right[0]):
                    raise Wrong("the variance comes first, then the cost.")
                where = f"on {schedule.name}, from t = {t} to s = {s}, with the error {error}"
                if not _same(variance, right[0], 1e-3):  # a search for the smallest cost finds a few digits
                    name_mistake(variance, _wrong_bells(v, d, error, lost, alpha, sigma), _same)
                    if variance <= 0:
                        raise Wrong("your variance is not positive. rho is SNR(t) / SNR(s): are s and t swapped?")
                    raise Wrong(f"{where}, the best variance is {right[0]:.4g}, but yours is {variance:.4g}.")
                if not _same(cost, right[1], 1e-3):
                    name_mistake(cost, _wrong_prices(v, d), _same)
                    raise Wrong(f"{where}, the step costs {right[1]:.4g} nats, but yours costs {cost:.4g}.")


def _wrong_bells(v: float, d: float, error: float, lost: float, alpha: float, sigma: float) -> list[tuple[float, str]]:
    return [
        (v, "that is the old bell, which is as narrow as if it knew x0. Its mean is wrong, too: allow for that."),
        (d, "that is only how far the mean is off. A bell that knew x0 would have a width of its own: add it."),
        ((v + d) ** 0.5, "that is a standard deviation. Return its square."),
        (v**0.5 + d**0.5, "add the variances, not the standard deviations."),
        ((v**0.5 + d**0.5) ** 2, "add the variances, not the standard deviations."),
        (v + error, "the error of the guess enters the mean of x_s with a factor, alpha(s) (1 - rho), so it shrinks."),
        (v + alpha**2 * error, "the factor of x0 in the mean is alpha(s) (1 - rho). You left out 1 - rho."),
        (v + lost**2 * error, "the factor of x0 in the mean is alpha(s) (1 - rho). You left out alpha(s)."),
        (v + alpha * lost * error, "a squared error is multiplied by the square of the factor."),
        (v + (alpha * lost * error) ** 2, "`error` is a squared error already. Do not square it again."),
        (sigma**2 + d, "the variance of the encoder turned round is sigma(s)^2 (1 - rho). You left out 1 - rho."),
        (v - d, "not knowing x0 makes the best bell wider, not narrower."),
        (v + d / 2, "the whole squared distance counts. Set the derivative of the mean cost to zero once more."),
        (v + 2 * d, "the squared distance counts once. Set the derivative of the mean cost to zero once more."),
    ]


def _wrong_prices(v: float, d: float) -> list[tuple[float, str]]:
    right = 0.5 * math.log1p(d / v)
    return [
        (d / (2 * v), "that is what the step costs with the old, narrow bell. Put your own variance in."),
        (d / (2 * (v + d)), "a KL divergence between unequal widths has a logarithm, too, and the ratio of variances."),
        (2 * right, "the factor 1/2 is missing: the logarithm of a standard deviation is half that of a variance."),
        (-right, "the sign is wrong: a KL divergence is never negative."),
        (right / math.log(2), "yours is in bits. It should be in nats, so do not divide by log 2."),
        (right + 0.5, "the - 1 in the KL divergence is missing: two equal bells cost nothing."),
        (right - 0.5, "you left out a term: after the logarithm comes (v + d) / w^2 - 1, and here that is 0."),
        (right - d / (2 * (v + d)), "that is the cost of a perfect guess. The squared distance counts, too."),
        (0.5 * math.log(v + d), "compare the two widths: the cost depends on the ratio of the variances."),
    ]


def _same(a: float, b: float, rel_tol: float = 1e-5) -> bool:
    return math.isclose(a, b, rel_tol=rel_tol)


def _near(a: Tensor, b: Tensor) -> bool:
    """Relative to the size of the cost, which is far below 1 at the noisy end."""
    return torch.allclose(a, b, rtol=1e-5, atol=1e-12)


def _one_per_item(answer: Any, right: Tensor, each: Tensor) -> Tensor:
    """The cost, one value for each item. A sum over too many or too few axes is named."""
    if isinstance(answer, Tensor) and answer.ndim == 0:
        raise Wrong("the cost should be one value for each item, but yours is one number for the whole batch.")
    if isinstance(answer, Tensor) and answer.shape != right.shape and answer.ndim > 1:
        shape = tuple(answer.shape)
        raise Wrong(f"the cost should be one value for each item, but yours has the shape {shape}. Sum the rest.")
    if isinstance(answer, Tensor) and answer.shape != right.shape and answer.shape == each.sum(0).shape:
        raise Wrong("you summed over the batch. Sum over the numbers of each item.")
    return same_kind(answer, right, "the cost")


CHECKS = {"06.1": code_cost, "06.2": step_cost, "06.3": wider_bell}
