"""Steering: change what a denoiser guesses, or where a walk begins.

The first half takes a denoiser and gives one back, with the same schedule, so that every sampler works on it and
changes can be nested: clipped(classifier_free(denoise, 4)). The second half is made of walks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from ..denoiser import Denoise, schedule_of
from ..process import Time, alpha_sigma

Number = float | int  # in so many words, because the tests check annotations to the letter


def _in_place_of(denoise: Denoise) -> Callable[[Denoise], Denoise]:
    """Hands the schedule of `denoise` on to the function that replaces it."""
    if not callable(denoise):
        raise TypeError(f"denoise must be callable, denoise(x_t, t, cond) -> x0_hat, got {denoise!r}")

    def hand_on(changed: Any) -> Denoise:
        changed.schedule = getattr(denoise, "schedule", None)
        return changed

    return hand_on


def _number(at_least: Number, at_most: Number, /, **numbers: Any) -> None:
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
            raise ValueError(f"{name} must be a finite number, got {number!r}")
        if not at_least <= number <= at_most:
            raise ValueError(f"{name} must be in [{at_least:g}, {at_most:g}], got {number!r}")


def _count(**counts: Any) -> None:
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {count!r}")


# A denoiser in, a denoiser out


def classifier_free(denoise: Denoise, scale: Number, interval: tuple[Number, Number] = (0.0, 1.0)) -> Denoise:
    """x0_hat = x0_uncond + scale (x0_cond - x0_uncond): past the condition, away from no condition at all.

    Ho and Salimans 2022, eq. 6, whose w is scale - 1; they write it for eps_hat, and x0_hat is affine in eps_hat.
    scale: 1 is no guidance, 0 unconditional, from 2 to 8 usual. interval: the times in which it guides; at others
    the condition stands alone, which keeps variety (Kynkäänniemi et al. 2024). The score becomes that of
    q(x_t | y)^scale q(x_t)^(1 - scale) at each t; but these do not diffuse into one another, so the samples are
    not from that law at t = 0. cond=None is a ValueError. Two calls where it guides, one where it does not.
    """
    _number(-math.inf, math.inf, scale=scale)
    try:
        low, high = interval
    except (TypeError, ValueError):
        raise TypeError(f"interval must be two times, got {interval!r}") from None
    _number(0.0, 1.0, interval=low)
    _number(low, 1.0, interval=high)

    @_in_place_of(denoise)
    def guided(x_t: Float[Tensor, "batch *shape"], t: Time, cond: Any = None) -> Float[Tensor, "batch *shape"]:
        if cond is None:
            raise ValueError("cond must say what to steer towards, got None")
        inside = torch.as_tensor((low <= t) & (t <= high), device=x_t.device).to(x_t.dtype)
        w = (1 + (scale - 1) * inside).reshape(-1, *[1] * (x_t.ndim - 1))
        x0_cond = denoise(x_t, t, cond)
        if bool((w == 1).all()):
            return x0_cond
        x0_uncond = denoise(x_t, t, None)
        return x0_uncond + w * (x0_cond - x0_uncond)

    return guided


def classifier(denoise: Denoise, log_prob: Callable[..., Tensor], scale: Number) -> Denoise:
    """x0_hat + scale sigma^2 / alpha grad log p(y | x_t): Bayes' rule, with scale = 1 (Dhariwal and Nichol 2021).

    denoise: called without a condition, for the condition comes from log_prob(x_t, t, cond) -> (batch,), in nats,
    differentiable in x_t. In eps_hat this is their algorithm 2; with ddpm steps it is algorithm 1 as the steps
    shrink. Where alpha = 0 the gradient is 0 whatever y is, and what it stands for is lost: a ValueError.
    """
    _number(-math.inf, math.inf, scale=scale)
    if not callable(log_prob):
        raise TypeError(f"log_prob must be callable, log_prob(x_t, t, cond) -> (batch,), got {log_prob!r}")
    schedule = schedule_of(denoise)

    @_in_place_of(denoise)
    def guided(x_t: Float[Tensor, "batch *shape"], t: Time, cond: Any = None) -> Float[Tensor, "batch *shape"]:
        alpha, sigma = alpha_sigma(schedule, t, x_t)
        if bool((torch.as_tensor(alpha) == 0).any()):
            raise ValueError("t must not be where alpha = 0: pure noise tells a classifier nothing; start just below")
        keep = torch.is_grad_enabled() and x_t.requires_grad  # who differentiates the guess gets all of it
        with torch.enable_grad():  # samplers switch it off
            x = x_t if keep else x_t.detach().requires_grad_()
            log_p = log_prob(x, t, cond)
            if log_p.shape != x.shape[:1] or not log_p.requires_grad:
                raise ValueError(
                    f"log_prob must give ({len(x)},), differentiable in x_t, got shape {tuple(log_p.shape)}, "
                    f"requires_grad {log_p.requires_grad}"
                )
            (gradient,) = torch.autograd.grad(log_p.sum(), x, create_graph=keep)
        return denoise(x_t, t) + scale * sigma**2 / alpha * gradient

    return guided


def clipped(denoise: Denoise, low: Number = -1.0, high: Number = 1.0) -> Denoise:
    """x0_hat held in [low, high], the range of the data: an error of the guess cannot leave it and grow."""
    _number(-math.inf, math.inf, low=low)
    _number(low, math.inf, high=high)

    @_in_place_of(denoise)
    def held(x_t: Float[Tensor, "batch *shape"], t: Time, cond: Any = None) -> Float[Tensor, "batch *shape"]:
        return denoise(x_t, t, cond).clamp(low, high)

    return held


def dynamic_threshold(denoise: Denoise, percentile: Number = 0.995) -> Denoise:
    """x0_hat clipped to [-s, s], then divided by s: strong guidance without saturated pixels (Saharia et al. 2022).

    s is that percentile of |x0_hat| in each item, in (0, 1], and at least 1 (their sec. 2.3): for data in [-1, 1].
    Photographs bear the division; a flat background at -1 turns grey, for it becomes -1 / s.
    """
    _number(0.0, 1.0, percentile=percentile)

    @_in_place_of(denoise)
    def held(x_t: Float[Tensor, "batch *shape"], t: Time, cond: Any = None) -> Float[Tensor, "batch *shape"]:
        x0 = denoise(x_t, t, cond).flatten(1)
        s = x0.abs().quantile(percentile, dim=1, keepdim=True).clamp(min=1)
        return (x0.clamp(-s, s) / s).view_as(x_t)

    return held


def inpaint(
    denoise: Denoise,
    known: Float[Tensor, "#batch *shape"],
    mask: Bool[Tensor, "..."] | Integer[Tensor, "..."] | Float[Tensor, "..."],
) -> Denoise:
    """x0_hat = known where the mask is 1, and the guess of `denoise` where it is 0: the rest is filled in.

    known: a picture, or one for each item; what it holds under mask 0 is not looked at. mask: of 0 and 1 or bool,
    broadcast to known.

    This is the replacement method (imputation in Song et al. 2021, Score SDE, appendix I.2). On known pixels eps_hat =
    (x_t - alpha known) / sigma is the noise that x_t really holds. A ddim step keeps it, a ddpm step draws x_s from
    q(x_s | x_t, known); so if the known part of x_1 follows q(x_1 | known), that of x_t follows q(x_t | known) at
    every t, and x_0 is known. The prior misses q(x_1 | known) by a mean of alpha(1) known: at t, ddim has kept
    sigma(t) / sigma(1) of the miss, and ddpm snr(1) / snr(t) alpha(t) / alpha(1), which is next to nothing.

    The filling is biased. It aims at E[x0 | x_t], which sees known through noise, and not at E[x0 | x_t, known];
    between them is sigma^2 / alpha grad log q(known | x_t) (Ho et al. 2022, Video diffusion models, sec. 3.1). Of two
    pixels with unit variance and correlation rho, the unknown one should be rho known in the mean; many ddpm steps
    give (1 - sqrt(1 - rho^2)) / rho known, half of it where rho is small. ddim gives less.
    """
    if not isinstance(known, Tensor) or not known.is_floating_point():
        raise TypeError(f"known must be a floating point tensor, got {getattr(known, 'dtype', type(known).__name__)}")
    if not isinstance(mask, Tensor) or not bool(((mask == 0) | (mask == 1)).all()):
        raise ValueError("mask must be a tensor of 0 and 1, 1 where the picture is known")
    try:
        is_known = mask.bool().expand(known.shape)
    except RuntimeError:
        raise ValueError(f"mask must broadcast to known, {tuple(known.shape)}, got {tuple(mask.shape)}") from None

    @_in_place_of(denoise)
    def filled(x_t: Float[Tensor, "batch *shape"], t: Time, cond: Any = None) -> Float[Tensor, "batch *shape"]:
        if known.shape[1:] != x_t.shape[1:] or len(known) not in (1, len(x_t)):
            raise ValueError(f"known must be like x_t, {tuple(x_t.shape)}, or one for all, got {tuple(known.shape)}")
        return torch.where(is_known.to(x_t.device), known.to(x_t), denoise(x_t, t, cond))

    return filled
