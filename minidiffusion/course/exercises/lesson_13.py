"""Lesson 13: the guided guess, guidance in an interval, and the law that guidance seems to promise."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .judge import NotAttempted, Wrong, call, close, name_mistake, number, same_kind


def guide_guess(answer: Any) -> None:
    """13.1: guide_guess(with_label, without, w) -> without + w (with_label - without); w = 1 is no guidance."""
    generator = torch.Generator().manual_seed(0)
    with_label, without = torch.randn(2, 3, 1, 4, 4, generator=generator, dtype=torch.float64)
    for w in (3.0, 1.5, 1.0, 0.0, 7.5):
        guess = same_kind(call(answer, with_label=with_label, without=without, w=w), with_label, "the guess")
        if not close(guess, without + w * (with_label - without)):
            name_mistake(guess, _wrong_guesses(with_label, without, w))
            raise Wrong(
                "w = 0 must give the guess without the label, w = 1 that with it, and w = 2 as far again beyond it. "
                f"At w = {w:g}, yours is {(guess - without - w * (with_label - without)).abs().mean():.2g} away."
            )
    x = torch.ones(2, 3)
    same_kind(call(answer, with_label=x, without=0.5 * x, w=2.0), x, "the guess")


def _wrong_guesses(with_label: Tensor, without: Tensor, w: float) -> list[tuple[Tensor, str]]:
    push = with_label - without
    return [
        (with_label + w * push, "that is w as Ho and Salimans count it. Here 1 is no guidance: start from `without`."),
        (with_label, "that is the guess with the label. Where is w?"),
        (without, "that is the guess without the label. Where is w?"),
        (with_label - w * push, "you walk from the guess with the label back to that without."),
        (without - w * push, "you walk away from the label: the push is with_label - without."),
        (
            w * with_label,
            "you made the guess with the label w times as strong. It is the difference that is stretched.",
        ),
        (w * push, "that is the push alone. It is added to the guess without the label."),
        (without + w * with_label, "you added w times the guess. What is added is w times the difference."),
        ((with_label + without) / 2, "that is the mean of the two guesses, w = 0.5."),
        (w * with_label + (1 + w) * without, "the factors of the two guesses must sum to 1: they are w and 1 - w."),
        (without + w**2 * push, "w stands in your guess twice."),
    ]


def guide_between(answer: Any) -> None:
    """13.2: guide_between(denoise, x_t, t, cond, w, low, high): guided from low to high, else plain and in one call."""
    generator = torch.Generator().manual_seed(0)
    x_t, with_label, without = torch.randn(3, 4, 2, generator=generator, dtype=torch.float64)
    cond, w, low, high = torch.tensor([0, 1, 1, 2]), 3.0, 0.2, 0.6
    for t in (0.4, 0.9, 0.1, 0.2, 0.6):
        seen: list[Any] = []

        def denoise(x: Any, time: Any, label: Any = None, seen: list = seen, t: float = t) -> Tensor:
            if abs(float(torch.as_tensor(time).flatten()[0]) - t) > 1e-6 or not close(x, x_t):
                raise Wrong("the denoiser must be shown x_t, at the time t.")
            seen.append(label)
            return (without if label is None else with_label).clone()

        guess = _asked(answer, denoise=denoise, x_t=x_t, t=t, cond=cond, w=w, low=low, high=high)
        guess = same_kind(guess, x_t, "the guess")
        if any(label is not None and label is not cond and not torch.equal(label, cond) for label in seen):
            raise Wrong("the label that the denoiser is asked with must be cond, as it came in.")
        right = without + w * (with_label - without)
        if low <= t <= high:
            if close(guess, right):
                continue
            name_mistake(guess, _wrong_guesses(with_label, without, w)[:1])
            if close(guess, with_label):
                where = "at an end of the interval, which belongs to it" if t in (low, high) else "inside the interval"
                raise Wrong(f"at t = {t}, {where}, yours does not guide.")
            name_mistake(guess, _wrong_guesses(with_label, without, w))
            raise Wrong(f"inside the interval, at t = {t}, the guess must be that of exercise 13.1.")
        if close(guess, right):
            raise Wrong(f"at t = {t}, outside [{low}, {high}], yours guides. There the guess with the label stands.")
        if close(guess, without):
            raise Wrong("outside the interval the label is still wanted: return the guess with it, not without it.")
        if not close(guess, with_label):
            raise Wrong(f"at t = {t}, outside the interval, the guess must be the plain one with the label.")
        if len(seen) > 1:
            raise Wrong(f"outside the interval one call is enough, and yours asks {len(seen)} times. That is the gain.")


def _asked(answer: Any, **inputs: Any) -> Any:
    """`call`, but what the denoiser has to say comes out as it is."""
    refused: list[Wrong] = []
    denoise = inputs["denoise"]

    def asked(*arguments: Any) -> Tensor:
        try:
            return denoise(*arguments)
        except Wrong as wrong:
            refused.append(wrong)
            raise

    try:
        return call(answer, **(inputs | {"denoise": asked}))
    except NotAttempted:
        raise
    except Wrong:
        if refused:
            raise refused[0] from None
        raise


def tilted_gaussian(answer: Any) -> None:
    """13.3: tilted_gaussian(m, c, C, w) -> mean, variance of N(m, c)^w N(0, C)^(1 - w), scaled to sum 1."""
    for m, c, big, w in ((1.0, 0.25, 2.0, 3.0), (-2.0, 0.5, 1.5, 1.5), (1.0, 0.25, 2.0, 1.0), (0.7, 1.0, 4.0, 5.0)):
        pair = call(answer, m=m, c=c, C=big, w=w)
        if not isinstance(pair, (tuple, list, Tensor)) or len(pair) != 2:
            raise Wrong(f"return two numbers, the mean and the variance, and not {pair!r}.")
        mean, variance = number(pair[0], "the mean"), number(pair[1], "the variance")
        right = 1 / (w / c + (1 - w) / big)
        where = f"for m = {m:g}, c = {c:g}, C = {big:g}, w = {w:g}"
        if not _near(variance, right):
            for wrong, sentence in (
                (w / c + (1 - w) / big, "that is one over the variance: turn it around."),
                (right**0.5, "that is the standard deviation: the variance is wanted."),
                (w * c + (1 - w) * big, "variances do not mix in a product of laws. Their inverses do."),
                (1 / (w / c + w / big), "the second law has the power 1 - w."),
                (1 / ((1 + w) / c - w / big), "that is w as Ho and Salimans count it. Here w = 1 is no guidance."),
                (c / w, "you left out the law of everything: it has the power 1 - w."),
                (1 / (w / c - (1 - w) / big), "the powers are w and 1 - w, and both inverses are added."),
                (w**2 / (w / c + (1 - w) / big), "w stands in your variance once too often."),
                (right * w * m / c, "the mean comes first and the variance second."),
            ):
                if _near(variance, wrong):
                    raise Wrong(sentence)
            raise Wrong(
                f"{where} the variance is 1 / (w / c + (1 - w) / C) = {right:.3g}, and yours is {variance:.3g}."
            )
        if not _near(mean, right * w * m / c):
            for wrong, sentence in (
                (m, "the variance is right. The mean moves too: the law of everything pulls it from 0."),
                (w * m, "the variance is right, and the mean is not w times m."),
                (w * m / c, "the variance is right. The factor of x is the mean over the variance: multiply by it."),
                (right * m / c, "the variance is right. In the mean, the class law counts w times."),
            ):
                if _near(mean, wrong):
                    raise Wrong(sentence)
            raise Wrong(f"the variance is right; {where} the mean is {right * w * m / c:.3g}, and yours is {mean:.3g}.")


def _near(a: float, b: float) -> bool:
    return abs(a - b) < 1e-4 * max(1.0, abs(b))


CHECKS = {"13.1": guide_guess, "13.2": guide_between, "13.3": tilted_gaussian}
