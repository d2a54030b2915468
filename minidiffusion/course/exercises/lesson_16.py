"""Lesson 16: the guess of an anagram, the mask over latents, and the start of image to image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ... import schedule as schedules
from .judge import NotAttempted, Wrong, call, close, name_mistake, number, same_kind


def _guesser(weight: Tensor, bias: Tensor) -> Callable[[Any], Tensor]:
    """A denoiser of pictures like `weight` that treats every place in its own way."""

    def guess(x: Any) -> Tensor:
        if x is ...:
            raise NotAttempted
        return same_kind(x, bias.expand(x.shape[0], *bias.shape), "the x that you give to a denoiser") * weight + bias

    return guess


def two_in_one(answer: Any) -> None:
    """16.1: two_in_one(guess_a, guess_b, x) -> the average of both guesses, the second turned there and back."""
    generator = torch.Generator().manual_seed(0)
    for shape in ((2, 3, 4, 6), (1, 1, 5, 5)):
        x = torch.randn(shape, generator=generator, dtype=torch.float64)
        parts = torch.randn(4, *shape[1:], generator=generator, dtype=torch.float64)
        a, b = _guesser(parts[0], parts[1]), _guesser(parts[2], parts[3])
        right = (a(x) + b(x.flip((2, 3))).flip((2, 3))) / 2
        guess = same_kind(call(answer, guess_a=a, guess_b=b, x=x), right, "the guess")
        if close(guess, right):
            continue
        mistakes: list[tuple[Tensor, str]] = [
            (2 * right, "that is the sum. The sampler wants a guess of one picture: take the average."),
            ((a(x) + b(x.flip((2, 3)))) / 2, "what guess_b says is upside down. Turn it back before the average."),
            ((a(x) + b(x).flip((2, 3))) / 2, "guess_b must see the turned picture, not x itself."),
            ((a(x) + b(x)) / 2, "that is a mixture. Nothing was turned."),
            ((a(x) + b(x.flip(2)).flip(2)) / 2, "you flipped the rows only: that mirrors. A half turn flips both."),
            ((a(x) + b(x.flip(3)).flip(3)) / 2, "you flipped the columns only: that mirrors. A half turn flips both."),
            ((a(x.flip((2, 3))).flip((2, 3)) + b(x)) / 2, "you turned for guess_a. It is b that is upside down."),
            ((a(x.flip((2, 3))) + b(x)).flip((2, 3)) / 2, "you turned both guesses. Only that of b is upside down."),
            (b(x.flip((2, 3))).flip((2, 3)), "that is the guess of b alone."),
            (a(x), "that is the guess of a alone."),
        ]
        name_mistake(guess, mistakes)
        raise Wrong(f"your guess is off by {(guess - right).abs().mean():.2g} on average.")


def known_latents(answer: Any) -> None:
    """16.2: known_latents(known, side) -> True for each square whose pixels are all known."""
    generator = torch.Generator().manual_seed(0)
    for rows, columns, side in ((4, 4, 4), (2, 6, 3), (5, 3, 2)):
        density = 1.5 * torch.rand(rows, columns, generator=generator) - 0.1  # many squares are all or nothing
        density = density.repeat_interleave(side, 0).repeat_interleave(side, 1)
        known = torch.rand(rows * side, columns * side, generator=generator) < density
        cut = known.view(rows, side, columns, side)
        right, some, share = cut.all(3).all(1), cut.any(3).any(1), cut.double().mean((1, 3))
        found = same_kind(call(answer, known=known, side=side), right, "the mask")
        if torch.equal(found, right):
            continue
        mistakes = [
            (some, "one known pixel is not enough: an unknown pixel in the square would leak in."),
            (~right, "that is the opposite: True must mean known."),
            (~some, "that is where nothing is known. True must mean that all pixels are known."),
            (share > 0.5, "most of the pixels are not all of them."),
            (known[::side, ::side], "you look at the first pixel of each square only."),
            (known[side // 2 :: side, side // 2 :: side], "you look at one pixel of each square only."),
        ]
        if known.numel() == right.numel() * side * side:
            mixed = known.reshape(rows, columns, side, side).all(3).all(2)
            mistakes.append((mixed, "these are not squares: view(rows, side, columns, side) keeps them together."))
        name_mistake(found, mistakes, torch.equal)
        raise Wrong(f"{int((found != right).sum())} of {right.numel()} squares are wrong in a mask with side {side}.")


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


CHECKS = {"16.1": two_in_one, "16.2": known_latents, "16.3": begin}
