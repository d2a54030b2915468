"""Lesson 15: guidance in an interval, the distribution that it seems to promise, and what a sampler does instead."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .judge import Wrong, call, close, name_mistake, number, same_kind


def _wrong_guesses(with_label: Tensor, without: Tensor, w: float) -> list[tuple[Tensor, str]]:
    push = with_label - without
    return [
        (with_label + w * push, "that is w as Ho and Salimans define it. Here, start at `without`."),
        (with_label, "that is the guess with the label, but w does nothing yet."),
        (without, "that is the guess without the label, but w does nothing yet."),
        (with_label - w * push, "you move towards the guess without the label: the sign is wrong."),
        (without - w * push, "you move away from the label: the difference must be with_label - without."),
        (w * with_label, "you multiplied the guess with the label by w. Multiply the difference of the guesses."),
        (w * push, "that is only the difference, times w. Add it to the guess without the label."),
        (without + w * with_label, "you added w times a guess. Add w times the difference of the guesses instead."),
        ((with_label + without) / 2, "that is the mean of the two guesses, which is right for w = 0.5 only."),
        (w * with_label + (1 + w) * without, "the two factors must sum to 1: they are w and 1 - w."),
        (without + w**2 * push, "you multiplied by w twice."),
    ]


def guide_between(answer: Any) -> None:
    """15.1: guide_between(denoise, x_t, t, cond, w, low, high): guide the pictures whose t lies in the interval.

    t and cond have one entry for each picture. Only the guided pictures may be passed without the label.
    """
    generator = torch.Generator().manual_seed(0)
    for shape, w, (low, high), times in (
        ((5, 2), 3.0, (0.2, 0.6), (0.4, 0.9, 0.2, 0.1, 0.6)),
        ((3, 2), 3.0, (0.3, 0.6), (0.9, 0.1, 0.7)),
        ((3, 1, 2, 2), 1.5, (0.35, 0.6), (0.3, 0.5, 0.4)),
        ((4, 1, 2, 2), 5.0, (0.25, 0.5), (0.9, 0.3, 0.8, 0.7)),
    ):
        x_t, with_label, without = torch.randn(3, *shape, generator=generator, dtype=torch.float64)
        t, cond = torch.tensor(times, dtype=torch.float64), torch.arange(shape[0]) % 3
        denoise, asked = _recording(x_t, t, cond, with_label, without)
        inputs = dict(x_t=x_t, t=t, cond=cond, w=w, low=low, high=high)
        guess = same_kind(call(answer, denoise=denoise, **inputs), x_t, "the guess")
        for i, time in enumerate(times):
            _judge_guess(guess[i], with_label[i], without[i], w, time, low, high)
        needed = sum(low <= time <= high for time in times)
        if asked["without"] > needed:
            raise Wrong(
                f"{needed} of the {len(times)} pictures are guided, but you ask for {asked['without']} of them without "
                "the label. Each one costs time: pass on only those that need it."
            )
        if asked["with"] > len(times):
            raise Wrong(f"you ask for {asked['with']} guesses with the label, and there are {len(times)} pictures.")


def _recording(x_t: Tensor, t: Tensor, cond: Tensor, with_label: Tensor, without: Tensor) -> tuple[Any, dict[str, int]]:
    """A denoiser that knows these pictures only, and how many of them it has been asked for."""
    asked = {"with": 0, "without": 0}

    def denoise(x: Any, time: Any, label: Any = None) -> Tensor:
        if type(x) is not Tensor or x.shape[1:] != x_t.shape[1:]:
            raise Wrong("call the denoiser with x_t or with some of its pictures, just as they come in.")
        if len(x) == 0:
            raise Wrong("you call the denoiser with no picture at all. Call it only if the mask has a yes somewhere.")
        same = [[i for i in range(len(x_t)) if torch.equal(one, x_t[i])] for one in x]
        if not all(same):
            raise Wrong("call the denoiser with x_t or with some of its pictures, just as they come in.")
        index = [places[0] for places in same]
        if type(time) is not Tensor or time.shape not in ((), (1,), (len(x),)):
            raise Wrong(
                f"you pass {len(x)} pictures to the denoiser, so pass just as many times, x_t[...] with t[...]."
            )
        if not torch.equal(time.expand(len(x)), t[index]):
            raise Wrong("each picture keeps its own time: with x_t[inside] goes t[inside].")
        if label is not None:
            label = torch.as_tensor(label) if type(label) in (int, Tensor) else torch.tensor([-1])
            if label.numel() not in (1, len(x)) or not torch.equal(label.reshape(-1).expand(len(x)), cond[index]):
                raise Wrong("each picture keeps its own label: with x_t[some] goes cond[some], or None for no label.")
        asked["without" if label is None else "with"] += len(x)
        return (without if label is None else with_label)[index].clone()

    return denoise, asked


def _judge_guess(
    guess: Tensor, with_label: Tensor, without: Tensor, w: float, t: float, low: float, high: float
) -> None:
    guided = without + w * (with_label - without)
    if low <= t <= high:
        if close(guess, guided):
            return
        name_mistake(guess, _wrong_guesses(with_label, without, w)[:1])
        if close(guess, with_label):
            where = "at an end of the interval, which belongs to it" if t in (low, high) else "inside the interval"
            raise Wrong(f"a picture at t = {t}, {where}, is not guided.")
        name_mistake(guess, _wrong_guesses(with_label, without, w))
        raise Wrong(f"inside the interval, at t = {t}, the guess must be without + w (with_label - without).")
    if close(guess, guided):
        raise Wrong(f"a picture at t = {t}, outside [{low}, {high}], is guided. Give it the guess with its label.")
    if close(guess, without):
        raise Wrong("outside the interval we still want the label: return the guess with it, not the one without.")
    if not close(guess, with_label):
        raise Wrong(f"a picture at t = {t}, outside the interval, must get the plain guess with its label.")


def tilted_gaussian(answer: Any) -> None:
    """15.2: tilted_gaussian(m, c, C, w) -> mean, variance of N(m, c)^w N(0, C)^(1 - w), normalised."""
    for m, c, big, w in ((1.0, 0.25, 2.0, 3.0), (-2.0, 0.5, 1.5, 1.5), (1.0, 0.25, 2.0, 1.0), (0.7, 1.0, 4.0, 5.0)):
        pair = call(answer, m=m, c=c, C=big, w=w)
        if not isinstance(pair, (tuple, list, Tensor)) or len(pair) != 2:
            raise Wrong(f"return two numbers, the mean and the variance. Yours is a {type(pair).__name__}.")
        mean, variance = number(pair[0], "the mean"), number(pair[1], "the variance")
        precision = w / c + (1 - w) / big
        right = 1 / precision
        where = f"for m = {m:g}, c = {c:g}, C = {big:g} and w = {w:g}"
        if not _near(variance, right):
            mistakes = [
                (precision, "that is one over the variance: invert it."),
                (right**0.5, "that is the standard deviation, but we want the variance."),
                (w * c + (1 - w) * big, "in a product of Gaussians, mix the inverses of the variances."),
                (1 / (w / c + w / big), "the second Gaussian has the exponent 1 - w."),
                (1 / ((1 + w) / c - w / big), "that is w as Ho and Salimans define it. Here w = 1 is no guidance."),
                (c / w, "you left out N(0, C): it has the exponent 1 - w."),
                (1 / (w / c - (1 - w) / big), "the exponents are w and 1 - w, and the two inverses are added."),
                (w**2 * right, "you multiplied by w once too often in the variance."),
                (right * w * m / c, "return the mean first and the variance second."),
            ]
            name_mistake(variance, mistakes, _near)
            raise Wrong(
                f"{where}, the variance is 1 / (w / c + (1 - w) / C) = {right:.3g}, but yours is {variance:.3g}."
            )
        if not _near(mean, right * w * m / c):
            mistakes = [
                (m, "the variance is right. The mean moves as well, because N(0, C) has an exponent, too."),
                (w * m, "the variance is right, but the mean is not w times m."),
                (w * m / c, "the variance is right. That is the mean over the variance: multiply by the variance."),
                (right * m / c, "the variance is right. In the mean, the exponent w of N(m, c) is missing."),
            ]
            name_mistake(mean, mistakes, _near)
            raise Wrong(f"the variance is right, but {where}, the mean is {right * w * m / c:.3g}, not {mean:.3g}.")


def sampled_variance(answer: Any) -> None:
    """15.3: sampled_variance(c, C, w) -> c^w C^(1 - w), the variance of the samples, and its ratio to the tilted one.

    d log u / dr = w r / (c + r^2) + (1 - w) r / (C + r^2), and u = r z for large r.
    """
    for c, big, w in ((0.5, 1.2, 3.0), (0.25, 2.0, 2.0), (1.0, 4.0, 1.5), (0.3, 1.2, 1.0), (2.0, 3.0, 5.0)):
        pair = call(answer, c=c, C=big, w=w)
        if not isinstance(pair, (tuple, list, Tensor)) or len(pair) != 2:
            raise Wrong(
                f"return two numbers, the variance and its ratio to the tilted one, not a {type(pair).__name__}."
            )
        found, ratio = number(pair[0], "the variance"), number(pair[1], "the ratio")
        right, tilted = c**w * big ** (1 - w), 1 / (w / c + (1 - w) / big)
        where = f"for c = {c:g}, C = {big:g} and w = {w:g}"
        if not _near(found, right):
            mistakes = [
                (tilted, "that is the variance of the tilted Gaussian. The samples do not follow it: integrate."),
                (right**0.5, "that is the standard deviation, but we want the variance."),
                (right / tilted, "that is the ratio. Return the variance first, and then the ratio."),
                (c ** (w + 1) * big**-w, "that is w as Ho and Salimans define it. Here w = 1 is no guidance."),
                (c ** (1 - w) * big**w, "you exchanged the factors: w belongs to c and 1 - w to C."),
                (c**w * big ** (w - 1), "the exponent of C has the wrong sign: it is 1 - w."),
                (c**w, "you left out the flow without the label, which has the factor 1 - w."),
                (c / w, "that is c / w, which would leave out C. Integrate the flow from large r down to 0."),
                (w * c + (1 - w) * big, "the factors w and 1 - w mix the slopes of log u, not the variances."),
                (c, "that is the variance of the class, but guidance narrows it."),
                (right**2, "in d log u / dr = r / (V + r^2), the integral has a factor 1/2: you lost it."),
            ]
            name_mistake(found, mistakes if w != 1 else mistakes[1:2], _near)
            raise Wrong(
                f"{where}, the flow arrives with the variance {right:.3g}, but yours is {found:.3g}. How does log u "
                "change from very large r down to 0?"
            )
        if not _near(ratio, right / tilted):
            mistakes = [
                (tilted / right, "the variance is right. The ratio is upside down: yours over the tilted one."),
                ((right / tilted) ** 0.5, "the variance is right. That is the ratio of the standard deviations."),
                (right / c, "the variance is right. Divide it by the tilted variance, not by that of the class."),
                (tilted, "the variance is right. Now divide it by the tilted one."),
                (right - tilted, "the variance is right. We want the ratio, not the difference."),
            ]
            name_mistake(ratio, mistakes, _near)
            raise Wrong(f"the variance is right, but {where}, its ratio to the tilted one is not {ratio:.3g}.")


def _near(a: float, b: float) -> bool:
    return abs(a - b) < 1e-4 * max(1.0, abs(b))


CHECKS = {"15.1": guide_between, "15.2": tilted_gaussian, "15.3": sampled_variance}
