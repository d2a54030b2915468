"""Lesson 16: changes that keep noise noise, what inpainting loses at the seam, and the start of image to image."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ... import schedule as schedules
from .judge import NotAttempted, Wrong, call, close, name_mistake, number, same_kind


def _changes() -> list[tuple[Tensor, bool, str]]:
    """Linear changes of 8 numbers as matrices, whether noise stays noise of the same kind, and what to look at."""
    generator = torch.Generator().manual_seed(0)
    eye = torch.eye(8, dtype=torch.float64)
    mixing, _ = torch.linalg.qr(torch.randn(8, 8, generator=generator, dtype=torch.float64))
    blur = (2 * eye + eye.roll(1, 0) + eye.roll(-1, 0)) / 4
    copied, shear, folded = torch.cat([eye[:4], eye[:4]]), eye.clone(), eye.clone()
    shear[0, 1] = 1.0
    folded[4:, :4], folded[4:, 4:] = torch.eye(4), -torch.eye(4)
    paired = torch.block_diag(*[torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)] * 4)
    loud, squeezed = (torch.tensor(pair * 4, dtype=torch.float64).diag() for pair in ([2**0.5, 0.0], [2.0, 0.5]))
    return [
        (eye.flip(0), True, "you refuse the half turn, which the lesson itself uses."),
        (0.5 * eye, False, "you allow fading to half the contrast, but the noise then has half the spread."),
        (eye.roll(3, 0), True, "you refuse a shift around the edge. It moves numbers and changes none: still noise."),
        (-eye, True, "you refuse the negative, but noise with the other sign is the same kind of noise."),
        (mixing, True, "you refuse a rotation that mixes all pixels. Its noise is still independent, up to rounding."),
        (blur, False, "you allow a blur. Noise that is blurred is weaker, and neighbours depend on each other."),
        (paired, False, "you allow sums and differences of two pixels, but they have twice the variance."),
        (shear, False, "you allow adding one pixel to another, which makes the noise stronger there, and dependent."),
        (squeezed, False, "you allow doubling some pixels and halving others: their noise has another spread."),
        (folded, False, "you allow a change that undoes itself but adds pixels up: noise does not stay noise."),
        (loud, False, "you allow a change that keeps the noise's energy as a whole, but not in each pixel."),
        (
            copied,
            False,
            "you allow copying one half over the other. Each pixel alone looks right, but the halves are now equal: "
            "noise of the same kind is also *independent* from pixel to pixel.",
        ),
        (
            0.8 * eye + 0.6 * eye.roll(1, 0),
            False,
            "you allow a blur whose contrast was turned up again: each pixel has variance 1, but neighbours depend on "
            "each other.",
        ),
    ]


def allowed(answer: Any) -> None:
    """16.1: allowed(change, size) -> whether a linear change of `size` numbers keeps N(0, I)."""
    for matrix, right, sentence in _changes():

        def change(x: Any, matrix: Tensor = matrix) -> Tensor:
            if x is ...:
                raise NotAttempted
            if type(x) is not Tensor or x.ndim not in (1, 2) or x.shape[-1] != 8 or not x.is_floating_point():
                raise Wrong("give `change` a tensor of floats, (batch, size) or (size,).")
            return x @ matrix.T.to(x.dtype)

        found = call(answer, change=change, size=8)
        if type(found) is Tensor and found.dtype == torch.bool and found.numel() == 1:
            found = found.item()
        if not isinstance(found, bool):
            raise Wrong(f"return True or False. Yours is a {type(found).__name__}.")
        if found != right:
            raise Wrong(sentence)


def filled(answer: Any) -> None:
    """16.2: filled(rho, known, times, schedule) -> the mean of the unknown of two pixels after inpainting."""
    cases = ((0.8, 1.0, 12), (0.3, -1.5, 5), (-0.6, 2.0, 30))
    for schedule in (schedules.cosine(), schedules.flow()):
        for rho, known, steps in cases:
            for times in ([1 - i / steps for i in range(steps + 1)], [0.9, 0.5, 0.2]):
                _check_filled(answer, rho, known, times, schedule)


def _check_filled(answer: Any, rho: float, known: float, times: list[float], schedule: Any) -> None:
    right = _filled(rho, known, times, schedule)
    mistakes = _filled_wrong(rho, known, times, schedule)
    found = number(call(answer, rho=rho, known=known, times=list(times), schedule=schedule), "the mean")
    if not _equal(found, right):
        name_mistake(found, mistakes, _equal)
        raise Wrong(
            f"for rho = {rho:g} and {len(times) - 1} steps it should be {right:.4g}, but yours is {found:.4g}. Check "
            "first the best guess of the second pixel, then the step."
        )


def _best(alpha: float, sigma: float, rho: float) -> tuple[float, float]:
    """The weights of two noisy pixels in the best guess of the second clean one."""
    size, shared = alpha**2 + sigma**2, alpha**2 * rho
    area = size**2 - shared**2
    return alpha * (rho * size - shared) / area, alpha * (size - rho * shared) / area


def _filled(
    rho: float,
    known: float,
    times: list[float],
    schedule: Any,
    weights: Callable[[float, float, float], tuple[float, float]] = _best,
    seen: Callable[[float], float] = lambda alpha: alpha,
    start: float = 0.0,
    last: bool = False,
) -> float:
    mean = guess = start
    for t, s in pairwise(times):
        alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
        first, second = weights(alpha, sigma, rho)
        guess = first * seen(alpha) * known + second * mean
        mean = float(schedule.alpha(s)) * guess + float(schedule.sigma(s)) * (mean - alpha * guess) / sigma
    return guess if last else mean


def _filled_wrong(rho: float, known: float, times: list[float], schedule: Any) -> list[tuple[float, str]]:
    def of(**changed: Any) -> float:
        return _filled(rho, known, times, schedule, **changed)

    def lone(alpha: float, sigma: float, rho: float) -> tuple[float, float]:
        return alpha * rho / (alpha**2 + sigma**2), 0.0

    def bare(alpha: float, sigma: float, rho: float) -> tuple[float, float]:
        first, second = _best(alpha, sigma, rho)
        return (first / alpha, second / alpha) if alpha else (first, second)

    return [
        (
            rho * known,
            "that is what it *should* be. Follow the sampler, which sees the known pixel in noise.",
        ),
        (known, "that is the known pixel. We ask for the other one."),
        (0.0, "your second pixel never hears of the first. Guess it from both noisy pixels, at *every* step."),
        (of(seen=lambda alpha: 1.0), "the noisy known pixel is alpha(t) known on average, not known itself."),
        (
            of(weights=lone),
            "your guess looks at the first pixel only, but the second says something too.",
        ),
        (
            of(weights=bare),
            "the covariance of a clean pixel with a noisy one has a factor alpha that your guess lacks.",
        ),
        (
            of(weights=lambda alpha, sigma, rho: _best(alpha, sigma**0.5, rho)),
            "the noise adds sigma(t)^2 to each variance, and you added sigma(t).",
        ),
        (of(weights=lambda alpha, sigma, rho: (rho, 0.0)), "your guess trusts the noisy pixel as if it were clean."),
        (of(start=known), "at the start the second pixel is pure noise, whose mean is 0."),
        (_filled(rho, known, times[:-1], schedule), "you stop one step too early."),
        (_filled(rho, known, times, schedule, last=True), "you return the last guess. Return the mean of the last x."),
    ]


def _equal(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-6)


def begin(answer: Any) -> None:
    """16.3: begin(x, eps, strength, steps, schedule) -> the noisy picture, and the times from strength to 0."""
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.flow()):
        for strength, steps in ((0.6, 5), (0.25, 4), (1.0, 3)):
            x, eps = torch.randn(2, 2, 3, 4, 4, generator=generator, dtype=torch.float64)
            alpha, sigma = schedule.alpha(strength), schedule.sigma(strength)
            right = alpha * x + sigma * eps
            times = [strength * (1 - i / steps) for i in range(steps + 1)]
            pair = call(answer, x=x, eps=eps, strength=strength, steps=steps, schedule=schedule)
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise Wrong("return two things: the noisy picture, and the list of times.")
            if any(part is ... for part in pair):
                raise NotAttempted
            noisy = same_kind(pair[0], right, "the noisy picture")
            _check_noisy(noisy, right, x, eps, alpha, sigma, strength)
            _check_times(pair[1], times, strength, steps)


def _check_noisy(
    noisy: Tensor, right: Tensor, x: Tensor, eps: Tensor, alpha: float, sigma: float, strength: float
) -> None:
    if close(noisy, right):
        return
    mistakes = [
        (sigma * x + alpha * eps, "alpha and sigma are swapped."),
        (x + sigma * eps, "the picture loses its factor alpha."),
        (alpha * x, "there is no noise in your picture."),
        (alpha**2 * x + sigma**2 * eps, "you squared alpha and sigma."),
        ((1 - strength) * x + strength * eps, "the factors come from the schedule: alpha and sigma at the strength."),
        (eps, "that is noise alone. Where is the picture?"),
        (x, "that is the picture without noise."),
    ]
    name_mistake(noisy, mistakes)
    raise Wrong(f"at strength {strength:g} your noisy picture is off by {(noisy - right).abs().mean():.2g} on average.")


def _check_times(given: Any, times: list[float], strength: float, steps: int) -> None:
    if isinstance(given, Tensor) and given.ndim == 1:
        given = given.tolist()
    if not isinstance(given, (list, tuple)):
        raise Wrong(f"the times must be a list, but yours are a {type(given).__name__}.")
    own = [number(time, "each time") for time in given]
    if len(own) == len(times) and all(abs(a - b) < 1e-6 for a, b in zip(own, times, strict=True)):
        return
    if len(own) == len(times) and all(abs(a - b) < 1e-6 for a, b in zip(own, reversed(times), strict=True)):
        raise Wrong("your times rise. The sampler goes from the strength down to 0.")
    if own and abs(own[0] - 1.0) < 1e-6 and strength < 1:
        raise Wrong("your times begin at 1, in pure noise, but the noisy picture is at the strength.")
    if own and abs(own[-1]) > 1e-6:
        raise Wrong(f"your last time is {own[-1]:.3g}, so some noise is left. It must be 0.")
    if len(own) != len(times):
        raise Wrong(f"{steps} steps need {steps + 1} times, but you have {len(own)}. All steps go into what is left.")
    raise Wrong(f"for strength {strength:g} and {steps} steps the times are {[round(t, 3) for t in times]}.")


CHECKS = {"16.1": allowed, "16.2": filled, "16.3": begin}
