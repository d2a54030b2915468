"""Wrappers: they take a denoiser and return one with the same schedule, so every sampler works on the result.

They can be nested: clipped(classifier_free(denoise, 4)).
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from .. import check
from ..denoiser import SIGNATURE, Denoise, schedule_of
from ..schedule import Batch, Time

Number = float | int  # spelled out, because the tests check annotations to the letter


def _in_place_of(denoise: Denoise) -> Callable[[Denoise], Denoise]:
    """Passes the schedule of `denoise` on to the function that replaces it."""
    check.function("denoise", denoise, SIGNATURE)

    def hand_on(changed: Any) -> Denoise:
        changed.schedule = getattr(denoise, "schedule", None)
        return changed

    return hand_on


def classifier_free(
    denoise: Denoise, scale: Number, against: Any = None, interval: tuple[Number, Number] = (0.0, 1.0)
) -> Denoise:
    """x0_hat = x0_against + scale (x0_cond - x0_against): beyond the condition, away from no condition at all.

    Ho and Salimans 2022, eq. 6, whose w is scale - 1; they write it for eps_hat, and x0_hat is affine in eps_hat.
    scale: 1 is no guidance, 0 unconditional, from 2 to 8 usual. against: another condition to move away from, known as
    a negative prompt; None is no condition. interval: the times at which it guides; at all others the condition stands
    alone, which preserves variety (Kynkäänniemi et al. 2024). At each t the score becomes that of q(x_t | y)^scale
    q(x_t)^(1 - scale); but these do not diffuse into one another, so the samples do not follow that distribution at t =
    0. cond=None is a ValueError. Two calls where it guides, one where it does not.
    """
    check.number("scale", scale)
    try:
        low, high = interval
    except (TypeError, ValueError):
        raise TypeError(f"interval must be two times, got {check.came(interval)}") from None
    check.number("interval", low, 0.0, 1.0)
    check.number("interval", high, low, 1.0)

    @_in_place_of(denoise)
    def guided(x_t: Batch, t: Time, cond: Any = None) -> Batch:
        if cond is None:
            raise ValueError("cond must say what to steer towards, got None")
        w: Any = scale if not isinstance(t, Tensor) and low <= t <= high else 1.0
        if isinstance(t, Tensor):
            w = 1 + (scale - 1) * ((low <= t) & (t <= high)).to(x_t).reshape(-1, *[1] * (x_t.ndim - 1))
        if w == 1 if not isinstance(w, Tensor) else w.device.type == "cpu" and bool((w == 1).all()):
            return denoise(x_t, t, cond)
        x0_against = denoise(x_t, t, against)
        return x0_against + w * (denoise(x_t, t, cond) - x0_against)

    return guided


def classifier(denoise: Denoise, log_prob: Callable[..., Tensor], scale: Number) -> Denoise:
    """x0_hat + scale sigma^2 / alpha grad log p(y | x_t): Bayes' rule, with scale = 1 (Dhariwal and Nichol 2021).

    denoise: called without a condition, because the condition enters through log_prob(x_t, t, cond) -> (batch,), in
    nats, differentiable in x_t. In eps_hat this is their algorithm 2; with ddpm steps it becomes algorithm 1 as the
    steps shrink. ValueError where alpha = 0: pure noise tells a classifier nothing, and its gradient is 0 for every y.
    """
    check.number("scale", scale)
    check.function("log_prob", log_prob, "log_prob(x_t, t, cond) -> (batch,)")
    schedule = schedule_of(denoise)

    @_in_place_of(denoise)
    def guided(x_t: Batch, t: Time, cond: Any = None) -> Batch:
        level = schedule.at(t, like=x_t)
        check.nonzero("alpha", level.alpha, "pure noise tells a classifier nothing; start just below")
        keep = torch.is_grad_enabled() and x_t.requires_grad  # keep the graph if the caller differentiates
        with torch.enable_grad():  # samplers switch it off
            x = x_t if keep else x_t.detach().requires_grad_()
            log_p = log_prob(x, t, cond)
            if log_p.shape != x.shape[:1] or not log_p.requires_grad:
                raise ValueError(
                    f"log_prob must give ({len(x)},), differentiable in x_t, got shape {tuple(log_p.shape)}, "
                    f"requires_grad {log_p.requires_grad}"
                )
            (gradient,) = torch.autograd.grad(log_p.sum(), x, create_graph=keep)
        return denoise(x_t, t) + scale * level.sigma**2 / level.alpha * gradient

    return guided


def clipped(denoise: Denoise, low: Number = -1.0, high: Number = 1.0) -> Denoise:
    """x0_hat clamped to [low, high], the range of the data, so that an error in it cannot leave the range and grow."""
    check.number("low", low)
    check.number("high", high, low)

    @_in_place_of(denoise)
    def held(x_t: Batch, t: Time, cond: Any = None) -> Batch:
        return denoise(x_t, t, cond).clamp(low, high)

    return held


def dynamic_threshold(denoise: Denoise, percentile: Number = 0.995) -> Denoise:
    """x0_hat clipped to [-s, s], then divided by s: strong guidance without saturated pixels (Saharia et al. 2022).

    s is that percentile of |x0_hat| in each item, in (0, 1], and at least 1 (their sec. 2.3): for data in [-1, 1].
    Photographs look fine after the division; a flat background at -1 turns grey, because it becomes -1 / s.
    """
    check.number("percentile", percentile, 0.0, 1.0)

    @_in_place_of(denoise)
    def held(x_t: Batch, t: Time, cond: Any = None) -> Batch:
        x0 = denoise(x_t, t, cond).flatten(1)
        size = x0.abs().to(torch.promote_types(x0.dtype, torch.float32))  # torch has no quantiles in bfloat16
        s = size.quantile(percentile, dim=1, keepdim=True).clamp(min=1).to(x0)
        return (x0.clamp(-s, s) / s).view_as(x_t)

    return held


def inpaint(
    denoise: Denoise,
    known: Float[Tensor, "#batch *shape"],
    mask: Bool[Tensor, "..."] | Integer[Tensor, "..."] | Float[Tensor, "..."],
) -> Denoise:
    """x0_hat = known where the mask is 1, and what `denoise` predicts where it is 0: the rest is filled in.

    known: a picture, or one for each item; what it holds under mask 0 does not matter. mask: of 0 and 1 or bool,
    broadcast to known.

    This is the replacement method (imputation in Song et al. 2021, Score SDE, appendix I.2). On known pixels eps_hat =
    (x_t - alpha known) / sigma is the noise that x_t really contains. A ddim step keeps it, and a ddpm step draws x_s
    from q(x_s | x_t, known); so if the known part of x_1 follows q(x_1 | known), that of x_t follows q(x_t | known) at
    every t, and x_0 is known. The mean of the prior differs from that of q(x_1 | known) by alpha(1) known: at t, ddim
    still has sigma(t) / sigma(1) of this difference, and ddpm only snr(1) / snr(t) alpha(t) / alpha(1), next to
    nothing.

    The filling is biased. It aims at E[x0 | x_t], which sees known through noise, and not at E[x0 | x_t, known]; they
    differ by sigma^2 / alpha grad log q(known | x_t) (Ho et al. 2022, Video diffusion models, sec. 3.1). Of two pixels
    with unit variance and correlation rho, the unknown one should be rho known on average; many ddpm steps give
    (1 - sqrt(1 - rho^2)) / rho known, which is half of it where rho is small. ddim gives less.
    """
    check.same_shape(known=known)
    if not isinstance(mask, Tensor) or not bool(((mask == 0) | (mask == 1)).all()):
        raise ValueError(f"mask must be a tensor of 0 and 1, 1 where the picture is known, got {check.came(mask)}")
    try:
        is_known = mask.bool().expand(known.shape)
    except RuntimeError:
        raise ValueError(f"mask must broadcast to known, {tuple(known.shape)}, got {tuple(mask.shape)}") from None

    @_in_place_of(denoise)
    def filled(x_t: Batch, t: Time, cond: Any = None) -> Batch:
        if known.shape[1:] != x_t.shape[1:] or len(known) not in (1, len(x_t)):
            raise ValueError(f"known must be like x_t, {tuple(x_t.shape)}, or one for all, got {tuple(known.shape)}")
        return torch.where(is_known.to(x_t.device), known.to(x_t), denoise(x_t, t, cond))

    return filled
