"""Lesson 05: what a code costs, what a step costs, one rung up the ladder."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ... import schedule as schedules
from ...likelihood import hvae
from .judge import Wrong, call, close, name_mistake, same_kind

STEPS = ((0.9, 0.6), (0.5, 0.45), (0.3, 0.1))  # (t, s)


def code_cost(answer: Any) -> None:
    """05.1: code_cost(mean, std) -> KL(N(mean, std^2) || N(0, I)) in nats, summed over the numbers of a code."""
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float64, torch.float32):
        # as many codes as numbers in a code: a sum along the wrong axis must be caught by its values
        mean = torch.randn(4, 4, generator=generator, dtype=dtype)
        std = 0.2 + torch.rand(4, 4, generator=generator, dtype=dtype)
        each = 0.5 * (mean**2 + std**2 - 1) - std.log()
        got = call(answer, mean=mean, std=std)
        _one_an_item(got, each.sum(1), "the cost", each)
        if not close(got, each.sum(1)):
            name_mistake(
                got,
                [
                    (each.sum(0), "you summed over the batch. The numbers of a code are along the last axis."),
                    (each.mean(1), "that is the mean over the numbers of a code. Their costs add up: the sum."),
                    (-each.sum(1), "the sign: a KL is never negative."),
                    (
                        (0.5 * (mean**2 + std**2 - 1) + std.log()).sum(1),
                        "the logarithm has the wrong sign: a narrow code is dear, so it is - log std.",
                    ),
                    (
                        (0.5 * (mean**2 + std**2 - 1 - std.log())).sum(1),
                        "1/2 log std is one half too many: it is 1/2 log std^2, which is log std.",
                    ),
                    (
                        (0.5 * (mean**2 + std**2 - 1) - 2 * std.log()).sum(1),
                        "you took log std^2 with the full weight: half of it is log std.",
                    ),
                    (
                        (0.5 * (mean**2 + std**2) - std.log()).sum(1),
                        "the - 1 is missing: a code that is the prior itself must cost nothing.",
                    ),
                    (
                        (0.5 * (mean**2 + std - 1) - std.log()).sum(1),
                        "std must be squared beside the mean squared: it is a standard deviation.",
                    ),
                    (
                        (0.5 * (mean + std**2 - 1) - std.log()).sum(1),
                        "the mean must be squared: left or right of 0 costs alike.",
                    ),
                    ((mean**2 + std**2 - 1 - 2 * std.log()).sum(1), "the factor 1/2 is missing."),
                    (each.sum(1) / math.log(2), "yours is in bits. It should be in nats: no division by log 2."),
                    (
                        (-std.log() - 0.5 + 0.5 * (1 + mean**2) / std**2 + 2 * std.log()).sum(1),
                        "that is the KL from the prior to the code: the two laws have changed places.",
                    ),
                ],
            )
            raise Wrong(
                f"the first code should cost {each.sum(1)[0]:.3g} nats, and in yours it costs {got[0]:.3g}. "
                "A code with mean 0 and std 1 costs 0."
            )


def step_cost(answer: Any) -> None:
    """05.2: step_cost(x0, x0_hat, t, s, schedule) -> 1/2 (SNR(s) - SNR(t)) ||x0 - x0_hat||^2, one value an item."""
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.flow(), schedules.linear()):
        for t, s in STEPS:
            for shape in ((5, 3), (3, 1, 4, 4)):
                x0, x0_hat = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
                got = call(answer, x0=x0, x0_hat=x0_hat, t=t, s=s, schedule=schedule)
                error = (x0 - x0_hat).square().flatten(1)
                high, low = (schedule.alpha(u) ** 2 / schedule.sigma(u) ** 2 for u in (s, t))
                right = 0.5 * (high - low) * error.sum(1)
                _one_an_item(got, right, "the cost", error)
                if not _near(got, right):
                    _name_wrong_step(got, error, x0 - x0_hat, t, s, schedule)
                    raise Wrong(
                        f"on {schedule.name}, from t = {t} to s = {s}, the first item should cost {right[0]:.3g} nats, "
                        f"and yours costs {got[0]:.3g}."
                    )


def _name_wrong_step(got: Tensor, error: Tensor, miss: Tensor, t: float, s: float, schedule: Any) -> None:
    high, low = (schedule.alpha(u) ** 2 / schedule.sigma(u) ** 2 for u in (s, t))
    roots = [schedule.alpha(u) / schedule.sigma(u) for u in (s, t)]
    logs = schedule.log_snr(s) - schedule.log_snr(t)
    gain = 0.5 * (high - low)
    for wrong, sentence in (
        (-gain * error.sum(1), "the sign: the SNR is larger at s, so it is SNR(s) - SNR(t). A cost is never negative."),
        (2 * gain * error.sum(1), "the factor 1/2 is missing."),
        (gain * error.mean(1), "take the sum over the numbers of an item, not the mean: each of them is sent."),
        (gain * error.sum(1).sqrt(), "the distance is to be squared: no root."),
        (gain * miss.flatten(1).abs().sum(1), "square the differences; you took their sizes."),
        (gain * miss.flatten(1).sum(1) ** 2, "first square each difference, then sum."),
        (0.5 * (roots[0] - roots[1]) * error.sum(1), "the SNR is alpha^2 / sigma^2: square both factors."),
        (0.5 * logs * error.sum(1), "you took the logarithm of the SNR. The cost has the SNR itself: exp(log_snr)."),
        (0.5 * (1 / low - 1 / high) * error.sum(1), "yours is noise over signal. The SNR is alpha^2 / sigma^2."),
        (0.5 * high * error.sum(1), "take off the SNR that is there already, at t: only the gain is paid."),
        (0.5 * low * error.sum(1), "that is the SNR at t alone. What is paid is the gain from t to s."),
        (0.5 * error.sum(1), "the squared error has a weight: the gain in SNR."),
        (0.5 * (t - s) * error.sum(1), "you weigh by the times. How much is gained, the SNR says."),
        (gain / math.log(2) * error.sum(1), "yours is in bits. It should be in nats: no division by log 2."),
    ):
        if _near(got, wrong):
            raise Wrong(sentence)


def climb(answer: Any) -> None:
    """05.3: climb(x_s, eps, s, t, schedule) -> r x_s + sqrt(sigma_t^2 - r^2 sigma_s^2) eps, r = alpha_t / alpha_s."""
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.flow(), schedules.linear()):
        for t, s in STEPS:
            x_s, eps = torch.randn(2, 3, 1, 4, 4, generator=generator, dtype=torch.float64)
            x_t = call(answer, x_s=x_s, eps=eps, s=s, t=t, schedule=schedule)
            if isinstance(x_t, Tensor) and (x_t.is_complex() or bool(x_t.isnan().any())):
                raise Wrong("you took the root of a negative variance. Did s and t change places?")
            same_kind(x_t, x_s, "x_t")
            if not close(x_t, answer(x_s, eps, s, t, schedule)):
                raise Wrong("called twice, it gives two answers. Use the eps that comes in, not a fresh one.")
            law = hvae.forward(x_s, s, t, schedule)
            right = law.mean + law.stddev * eps
            if not close(x_t, right):
                name_mistake(x_t, _wrong_rungs(x_s, eps, s, t, schedule))
                far = (x_t - right).abs().mean()
                raise Wrong(f"on {schedule.name}, from s = {s} up to t = {t}, your x_t is {far:.2g} away.")
    x = torch.randn(2, 3, generator=generator)
    same_kind(call(answer, x_s=x, eps=-x, s=0.25, t=0.5, schedule=schedules.cosine()), x, "x_t")


def _wrong_rungs(x: Tensor, eps: Tensor, s: float, t: float, schedule: Any) -> list[tuple[Tensor, str]]:
    alpha_s, alpha_t, sigma_s, sigma_t = (f(u) for f in (schedule.alpha, schedule.sigma) for u in (s, t))
    r = alpha_t / alpha_s
    fresh = sigma_t**2 - r**2 * sigma_s**2
    plain = sigma_t**2 - sigma_s**2
    return [
        (
            r * x + sigma_t * eps,
            "there is too much noise: x_s brings some of its own, so less than sigma(t) is missing.",
        ),
        (r * x + fresh * eps, "that is the variance of the fresh noise. Its factor is the root."),
        (r * x + plain**0.5 * eps, "the old noise fades with the picture: its variance becomes r^2 sigma(s)^2."),
        (r * x + (sigma_t - r * sigma_s) * eps, "variances add, not factors: subtract squares, then take the root."),
        (r * x + (sigma_t - sigma_s) * eps, "variances add, not factors: subtract squares, then take the root."),
        (r * x, "there is no fresh noise in your x_t."),
        (r * x - fresh**0.5 * eps, "the noise has the wrong sign."),
        (alpha_t * x + sigma_t * eps, "x_s is not clean: it has the factor alpha(s) already. Multiply by the ratio."),
        (alpha_t * x + fresh**0.5 * eps, "x_s is faint already, by alpha(s): multiply it by alpha(t) / alpha(s)."),
        (x + fresh**0.5 * eps, "the picture must fade from alpha(s) to alpha(t)."),
        (x / r + fresh**0.5 * eps, "the ratio is upside down: the picture fades on the way up."),
        (r**2 * x + fresh**0.5 * eps, "the ratio is squared in your x_t: the picture's factor is r as it stands."),
        (r * x + eps, "eps comes with the root of the variance that is missing."),
        (r * x + (1 - r**2) ** 0.5 * sigma_t * eps, "that is not what is missing: sigma(t)^2 - r^2 sigma(s)^2."),
    ]


def _near(a: Tensor, b: Tensor) -> bool:
    """Relative to the size of the cost, which is far below 1 at the noisy end."""
    return torch.allclose(a, b, rtol=1e-5, atol=1e-12)


def _one_an_item(answer: Any, right: Tensor, name: str, each: Tensor) -> None:
    """One value for each item; a sum that went too far, or not far enough, is named."""
    if isinstance(answer, Tensor) and answer.ndim == 0:
        raise Wrong(f"{name} is one value for each item, and yours is one number for the whole batch.")
    if isinstance(answer, Tensor) and answer.shape != right.shape and answer.ndim > 1:
        raise Wrong(f"{name} is one value for each item, and yours has the shape {tuple(answer.shape)}: sum the rest.")
    if isinstance(answer, Tensor) and answer.shape != right.shape and answer.shape == each.sum(0).shape:
        raise Wrong("you summed over the batch. Sum over the numbers of an item.")
    same_kind(answer, right, name)


CHECKS = {"05.1": code_cost, "05.2": step_cost, "05.3": climb}
