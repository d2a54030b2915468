"""Lesson 06: what a code costs, what a step costs in noise, and one step up the ladder of noise levels."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ... import schedule as schedules
from .judge import Wrong, call, close, name_mistake, same_kind, steady

STEPS = ((0.9, 0.6), (0.5, 0.45), (0.3, 0.1))  # (t, s)


def code_cost(answer: Any) -> None:
    """06.1: code_cost(mean, std) -> KL(N(mean, std^2) || N(0, I)) in nats, summed over the numbers of a code."""
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float64, torch.float32):
        # as many codes as numbers in a code: a sum along the wrong axis can only show in the values
        mean = torch.randn(4, 4, generator=generator, dtype=dtype)
        std = 0.2 + torch.rand(4, 4, generator=generator, dtype=dtype)
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
                ((each + 0.5).sum(1), "the - 1 is missing: a code that equals the prior must cost nothing."),
                ((each + (std - std**2) / 2).sum(1), "square std: it is a standard deviation, and you add variances."),
                ((each + (mean - mean**2) / 2).sum(1), "square the mean: it costs the same on either side of 0."),
                (2 * right, "the factor 1/2 is missing."),
                (right / math.log(2), "yours is in bits. It should be in nats, so do not divide by log 2."),
                (reverse, "that is the KL from the prior to the code. The two distributions are swapped."),
            ]
            name_mistake(found, mistakes)
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


def climb(answer: Any) -> None:
    """06.3: climb(x_s, eps, s, t, schedule) -> r x_s + sqrt(sigma_t^2 - r^2 sigma_s^2) eps, r = alpha_t / alpha_s."""
    generator = torch.Generator().manual_seed(0)
    hint = "Use the eps that comes in, not fresh noise."
    for schedule in (schedules.cosine(), schedules.flow(), schedules.linear()):
        for t, s in STEPS:
            x_s, eps = torch.randn(2, 3, 1, 4, 4, generator=generator, dtype=torch.float64)
            inputs = dict(x_s=x_s, eps=eps, s=s, t=t, schedule=schedule)
            a_s, a_t, sigma_s, sigma_t = (curve(u) for curve in (schedule.alpha, schedule.sigma) for u in (s, t))
            fresh = math.sqrt(sigma_t**2 - (a_t / a_s * sigma_s) ** 2)
            right = a_t / a_s * x_s + fresh * eps
            x_t = call(answer, **inputs)
            if isinstance(x_t, Tensor) and (x_t.is_complex() or bool(x_t.isnan().any())):
                raise Wrong("you take the square root of a negative variance. Are s and t swapped?")
            x_t = steady(answer, x_s, "x_t", hint, **inputs)
            if not close(x_t, right):
                name_mistake(x_t, _wrong_climbs(x_s, eps, a_s, a_t, sigma_s, sigma_t))
                error = (x_t - right).abs().mean()
                raise Wrong(f"on {schedule.name}, from s = {s} up to t = {t}, your x_t is {error:.2g} away.")
    x = torch.randn(2, 3, generator=generator)
    same_kind(call(answer, x_s=x, eps=-x, s=0.25, t=0.5, schedule=schedules.cosine()), x, "x_t")


def _wrong_climbs(
    x: Tensor, eps: Tensor, a_s: float, a_t: float, sigma_s: float, sigma_t: float
) -> list[tuple[Tensor, str]]:
    r = a_t / a_s
    var = sigma_t**2 - r**2 * sigma_s**2
    std, plain = var**0.5, (sigma_t**2 - sigma_s**2) ** 0.5
    subtract = "subtract the variances, then take the root. You subtracted standard deviations."
    return [
        (r * x + sigma_t * eps, "there is too much noise: x_s brings its own, so add less than sigma(t)."),
        (r * x + var * eps, "that is the variance of the fresh noise. Multiply eps by its square root."),
        (r * x + plain * eps, "the old noise fades with the picture: its variance becomes r^2 sigma(s)^2."),
        (r * x + (sigma_t - r * sigma_s) * eps, subtract),
        (r * x + (sigma_t - sigma_s) * eps, subtract),
        (r * x, "your x_t has no fresh noise."),
        (r * x - std * eps, "the noise has the wrong sign."),
        (a_t * x + sigma_t * eps, "x_s is not clean: it has the factor alpha(s) already. Multiply it by the ratio."),
        (a_t * x + std * eps, "x_s has already faded by alpha(s). Multiply it by alpha(t) / alpha(s)."),
        (x + std * eps, "the picture should fade from alpha(s) to alpha(t)."),
        (x / r + std * eps, "the ratio is upside down: the picture fades as t grows."),
        (r**2 * x + std * eps, "you squared the ratio that multiplies x_s. Use it as it is."),
        (r * x + eps, "multiply eps by the square root of the missing variance."),
        (r * x + (1 - r**2) ** 0.5 * sigma_t * eps, "the missing variance is sigma(t)^2 - r^2 sigma(s)^2."),
    ]


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


CHECKS = {"06.1": code_cost, "06.2": step_cost, "06.3": climb}
