"""Lesson 12: what becomes of a lost axis, how wide a network must be, the skip that leaves least to say."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor

from ... import schedule as schedules
from .judge import Wrong, call, name_mistake, number


def left_over(answer: Any) -> None:
    """12.1: left_over(output, times, schedule) -> what sampling makes of x = 1 if the output is always 0."""
    cosine = schedules.cosine()
    cases = ((cosine, [0.9, 0.6, 0.3, 0.1]), (schedules.linear(), [0.8, 0.5, 0.2]))
    for (schedule, times), output in itertools.product(cases, ("eps", "v", "x0")):
        levels = [(schedule.alpha(t), schedule.sigma(t)) for t in times]
        right = _left(output, levels)
        found = number(call(answer, output=output, times=list(times), schedule=schedule), "what is left")
        if _equal(found, right):
            continue
        mistakes = [
            (1.0, f"for {output!r} nothing has changed. Does your loop keep the new x?"),
            (_left(output, levels[:-1]), "one step is missing: n + 1 times make n steps."),
            (_left(output, levels[-2:]), "only the last step counts in yours. Does each step start from the new x?"),
            (_left(output, levels[:2]), "only the first step counts in yours. Return after the loop, not in it."),
            (_left(output, [levels[0], levels[-1]]), "take a step from each time to the next, not one long step."),
            (_left(output, levels[::-1]), "you go through the times backwards: they already fall."),
            (_guess(output, levels), "that is the last guess x0_hat. Return the state x after the last step."),
            (_left(output, [(cosine.alpha(t), cosine.sigma(t)) for t in times]), "use the schedule that comes in."),
            *_swaps(output, levels),
        ]
        name_mistake(found, mistakes, _equal)
        hints = {
            "x0": "x0_hat is 0, so all of x_t is noise: eps_hat = x_t / sigma_t.",
            "eps": "eps_hat is 0, so all of x_t is picture: x0_hat = x_t / alpha_t.",
            "v": "both guesses share x_t: x0_hat = alpha_t x_t and eps_hat = sigma_t x_t.",
        }
        raise Wrong(f"for {output!r} and the times {times}, yours is {found:.4g}. {hints[output]}")


def _left(output: str, levels: list[tuple[float, float]]) -> float:
    x = 1.0
    for (alpha, sigma), (alpha_s, sigma_s) in itertools.pairwise(levels):
        x *= {"x0": sigma_s / sigma, "eps": alpha_s / alpha, "v": alpha_s * alpha + sigma_s * sigma}[output]
    return x


def _guess(output: str, levels: list[tuple[float, float]]) -> float:
    alpha, x = levels[-2][0], _left(output, levels[:-1])
    return {"x0": math.nan, "eps": x / alpha, "v": alpha * x}[output]


def _swaps(output: str, levels: list[tuple[float, float]]) -> list[tuple[float, str]]:
    names = {"x0": "no picture", "eps": "no noise", "v": "alpha eps_hat = sigma x0_hat"}
    return [
        (_left(other, levels), f"that is the answer for {other!r}, but here {output!r} is 0: {names[output]}.")
        for other in ("x0", "eps", "v")
        if other != output
    ]


def _equal(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-9)


def _cases() -> list[tuple[Tensor, float, float]]:
    """Variances of 40 axes in no order, ten of them 0, at four noise levels.

    In the last, alpha^2 + sigma^2 is not 1: an answer that is wrong only there has taken it for granted.
    """
    some = 4 * 0.9 ** torch.arange(30, dtype=torch.float64)
    s = torch.cat([some, torch.zeros(10, dtype=torch.float64)])
    s = s[torch.randperm(40, generator=torch.Generator().manual_seed(0))]
    return [(s, 0.6, 0.8), (s, 0.8, 0.6), (2 * s + 0.1, 0.28, 0.96), (s, 1.0, 0.3)]


def width_needed(answer: Any) -> None:
    """12.2: width_needed(s, alpha, sigma, output, tolerance) -> the smallest rank that adds at most that share."""
    for (s, alpha, sigma), output, tolerance in itertools.product(_cases(), ("x0", "eps"), (0.05, 0.3, 2.0, 40.0)):
        inputs: dict[str, Any] = dict(s=s, alpha=alpha, sigma=sigma, output=output, tolerance=tolerance)
        right = _width(**inputs)
        found = number(call(answer, **inputs), "the width")
        if found == right:
            continue
        if found != int(found):
            raise Wrong(f"the width must be a whole number, but yours is {found:.4g}.")
        at = f"for {output!r}, alpha = {alpha:.2g}, sigma = {sigma:.2g}, tolerance {tolerance:g}"
        if not 0 <= found <= len(s):
            raise Wrong(f"{at}, your width is {found:.0f}. It must be from 0 to {len(s)}, the number of axes.")
        if alpha == 1:
            raise Wrong(f"{at}, the width is {right} and yours {found:.0f}: alpha^2 + sigma^2 need not be 1.")
        added, rest = _added(s, alpha, sigma, output)[int(found)], _rest(s, alpha, sigma)
        if found > right:
            raise Wrong(
                f"{at}, your width {found:.0f} is enough, but so is {right}. {_too_wide(answer, inputs, found)}"
            )
        raise Wrong(
            f"{at}, a width of {found:.0f} adds {added:.3g}, more than {tolerance:g} times {rest:.3g}. "
            + _too_narrow(inputs, int(found))
        )


def _said(s: Tensor, alpha: float, sigma: float, output: str) -> Tensor:
    total = alpha**2 * s + sigma**2
    return alpha**2 * s**2 / total if output == "x0" else sigma**2 / total


def _added(s: Tensor, alpha: float, sigma: float, output: str) -> list[float]:
    """The added squared error in x0 with 0, 1, ... axes."""
    lost = _said(s, alpha, sigma, output).sort(descending=True).values
    if output == "eps":
        lost = lost / (alpha / sigma) ** 2
    return [lost[rank:].sum().item() for rank in range(len(s) + 1)]


def _rest(s: Tensor, alpha: float, sigma: float) -> float:
    return (s * sigma**2 / (alpha**2 * s + sigma**2)).sum().item()


def _width(s: Tensor, alpha: float, sigma: float, output: str, tolerance: float) -> int:
    bound = tolerance * _rest(s, alpha, sigma)
    return next(rank for rank, added in enumerate(_added(s, alpha, sigma, output)) if added <= bound)


def _search(said: Tensor, bound: float) -> int:
    return next((rank for rank in range(len(said) + 1) if said[rank:].sum() <= bound), len(said))


def _too_wide(answer: Any, inputs: dict[str, Any], found: float) -> str:
    s, alpha, sigma, output, tolerance = inputs.values()
    said, bound = _said(s, alpha, sigma, output), tolerance * _rest(s, alpha, sigma)
    snr = (alpha / sigma) ** 2
    weighted = said / (snr if output == "eps" else 1.0)
    if found == _search(weighted, bound):
        return "Sort the axes first, by the variance of the answer and not by s, the largest first."
    if found == _search(weighted.sort().values, bound):
        return "Keep the axes on which the answer varies most, and drop the others."
    if found == _width(**inputs) + 1:
        return "You count one axis too many."
    if output == "eps" and found == _search(said.sort(descending=True).values, bound):
        return "An error in the noise is divided by the SNR to become one in the picture."
    return "Which axes may be dropped, and what does each of them cost in the picture?"


def _too_narrow(inputs: dict[str, Any], found: int) -> str:
    s, alpha, sigma, output, tolerance = inputs.values()
    said, bound = _said(s, alpha, sigma, output).sort(descending=True).values, tolerance * _rest(s, alpha, sigma)
    snr = (alpha / sigma) ** 2
    if output == "eps" and found == _search(said, bound):
        return "An error in the noise is divided by the SNR to become one in the picture."
    if output == "eps" and found == _search(said * snr, bound):
        return "Divide by the SNR, do not multiply by it."
    if output == "eps" and found == _width(s, alpha, sigma, "x0", tolerance):
        return "That is the width for x0. The noise needs more axes."
    if found == _search(said / (snr if output == "eps" else 1.0), tolerance * s.sum().item()):
        return "What remains anyway is not the whole variance of the data, but s sigma^2 / (alpha^2 s + sigma^2)."
    if found == _width(**inputs) - 1:
        return "You count one axis too few."
    return "Add up all the axes that are dropped."


def least_skip(answer: Any) -> None:
    """12.3: least_skip(s, a, b, alpha, sigma) -> the factor with least E|a x0 + b eps - factor x_t|^2, and that."""
    for s, alpha, sigma in _cases():
        for a, b in ((0.5, 3.0), (0.0, 1.0), (1.0, 0.0), (-sigma, alpha), (-1.0, 1.0)):
            target, shared, total = (a**2 * s + b**2, a * alpha * s + b * sigma, alpha**2 * s + sigma**2)
            factor = (shared.sum() / total.sum()).item()
            least = (target.sum() - shared.sum() ** 2 / total.sum()).item()
            found = call(answer, s=s, a=a, b=b, alpha=alpha, sigma=sigma)
            if isinstance(found, Tensor):
                found = found.flatten().tolist()
            if not isinstance(found, (tuple, list)) or len(found) != 2:
                raise Wrong("return two numbers, first the factor and then what is left.")
            mine, left = number(found[0], "the factor"), number(found[1], "what is left")
            if _equal(mine, factor) and _equal(left, least):
                continue
            at = f"for a = {a:.2g}, b = {b:.2g}, alpha = {alpha}, sigma = {sigma}"
            if _equal(mine, least) and _equal(left, factor):
                raise Wrong("you return what is left first: return the factor, and then what is left.")
            if alpha == 1:
                raise Wrong(f"{at}, {mine:.3g} and {left:.3g} are not both right: alpha^2 + sigma^2 need not be 1.")
            if not _equal(mine, factor):
                name_mistake(mine, _wrong_factors(s, a, b, alpha, sigma), _equal)
                raise Wrong(
                    f"{at}, your factor is {mine:.3g}. The mean square is a parabola: where is its lowest point?"
                )
            own = target - shared**2 / total
            rests = [
                (target.sum().item(), "that is all there is to say. Subtract what the skip says."),
                (
                    shared.sum().item() ** 2 / total.sum().item(),
                    "that is what the skip says. Subtract it from the whole.",
                ),
                ((target.sum() + shared.sum() ** 2 / total.sum()).item(), "the skip leaves less to say: subtract."),
                (least / len(s), "that is the mean over the axes. Take the sum: a squared length."),
                (math.sqrt(max(least, 0.0)), "that is a length. Return its square."),
                (
                    own.sum().item(),
                    "that would be left if each axis had a factor of its own. Here one serves all axes.",
                ),
            ]
            name_mistake(left, rests, _equal)
            raise Wrong(f"{at}, the factor is right, but what is left is {least:.3g}, and yours is {left:.3g}.")


def _wrong_factors(s: Tensor, a: float, b: float, alpha: float, sigma: float) -> list[tuple[float, str]]:
    n, shared, total = len(s), a * alpha * s + b * sigma, alpha**2 * s + sigma**2
    factor = (shared.sum() / total.sum()).item()
    return [
        (b / sigma, "that takes all the noise off its shoulders, at any price. Here the whole rest should be small."),
        (-factor, "the factor has the wrong sign."),
        ((shared / total).mean().item(), "an axis counts the more, the more x_t varies on it: first sum, then divide."),
        (
            ((a * alpha * s.sum() + b * sigma) / (alpha**2 * s.sum() + sigma**2)).item(),
            "noise is on every axis: n times.",
        ),
        (((a * alpha * s).sum() / total.sum()).item(), "the noise is shared by target and x_t as well: add b sigma."),
        (n * b * sigma / total.sum().item(), "the picture is shared by target and x_t as well: add a alpha s."),
        (shared.sum().item(), "divide by the variance of x_t, summed over the axes."),
        ((shared.sum() / (alpha * s + sigma).sum()).item(), "x_t has the variance alpha^2 s + sigma^2: square both."),
        ((shared.sum() / (n * sigma**2)).item(), "the picture in x_t varies too: its variance is alpha^2 s."),
        ((shared.sum() / (alpha**2 * s).sum()).item(), "the noise in x_t varies too: its variance is sigma^2."),
        (
            ((a * alpha * s**2 + b * sigma).sum() / (alpha**2 * s**2 + sigma**2).sum()).item(),
            "s holds variances, so do not square it.",
        ),
        ((total.sum() / shared.sum()).item(), "yours is upside down: what they share, over the variance of x_t."),
        (2 * factor, "a factor 2 is too much: the lowest point of A - 2 B c + C c^2 is at c = B / C."),
    ]


CHECKS = {"12.1": left_over, "12.2": width_needed, "12.3": least_skip}
