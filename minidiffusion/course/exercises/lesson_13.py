"""Lesson 13: what an error of the network becomes in x0 and after a step, and times at which it stays small."""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ... import schedule as schedules
from .judge import Wrong, call, name_mistake, number, same_kind
from .judge import close as close_tensors
from .lesson_14 import falling


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-4 * abs(b) + 1e-9


def both_errors(answer: Any) -> None:
    """13.1: both_errors(a, b, alpha, sigma) -> the errors of x0_hat and eps_hat for an error of 1 in a x0 + b eps.

    Since alpha x0_hat + sigma eps_hat = x_t is known: sigma / (a sigma - b alpha) and -alpha / (a sigma - b alpha).
    """
    outputs = ((0.5, 2.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 1.0), (-0.8, 0.6))
    for a, b in outputs:
        for alpha, sigma in ((0.6, 0.8), (0.9, 0.3), (0.3, 0.7), (0.0, 1.0), (1.0, 0.0)):
            d = a * sigma - b * alpha
            if abs(d) < 1e-9:  # the output is x_t itself there, and says nothing
                continue
            right = (sigma / d, -alpha / d)
            pair = call(answer, a=a, b=b, alpha=alpha, sigma=sigma)
            if not isinstance(pair, (tuple, list, Tensor)) or len(pair) != 2:
                raise Wrong(f"return two numbers, the errors of x0_hat and eps_hat, not a {type(pair).__name__}.")
            yours = (number(pair[0], "the error of x0_hat"), number(pair[1], "the error of eps_hat"))
            if _equal(yours, right):
                continue
            where = f"for a = {a:g}, b = {b:g}, alpha = {alpha:g}, sigma = {sigma:g}"
            moved = alpha * yours[0] + sigma * yours[1]
            name_mistake(yours, _wrong_pairs(a, b, alpha, sigma), _equal)
            if abs(moved) > 1e-6:
                raise Wrong(f"{where}, your two errors change x_t by {moved:.3g}, but x_t is known exactly.")
            raise Wrong(f"{where}, your two errors change the output by {a * yours[0] + b * yours[1]:.3g}, not by 1.")


def _equal(mine: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(_close(*both) for both in zip(mine, other, strict=True))


def _wrong_pairs(a: float, b: float, alpha: float, sigma: float) -> list[tuple[tuple[float, float], str]]:
    d, length = a * sigma - b * alpha, alpha**2 + sigma**2
    other, squares = a * sigma + b * alpha, a**2 + b**2
    wrong = [
        ((-sigma / d, alpha / d), "both signs are wrong: is a e_x0 + b e_eps equal to 1 or to -1?"),
        ((-alpha / d, sigma / d), "the two are swapped: first the error of x0_hat, then that of eps_hat."),
        ((alpha / d, -sigma / d), "alpha and sigma are swapped: x_t = alpha x0 + sigma eps does not change."),
        ((sigma / d, alpha / d), "the second sign is wrong: if x0_hat is too large, eps_hat is too small."),
        ((abs(sigma / d), abs(alpha / d)), "keep the signs: if x0_hat is too large, eps_hat is too small."),
        ((sigma, -alpha), "in the right direction, but not of the right size: a e_x0 + b e_eps must be 1."),
        ((sigma / d**2, -alpha / d**2), "you divide by a sigma - b alpha once too often."),
        ((1 / d, -1 / d), "the errors of x0_hat and eps_hat must cancel in alpha x0_hat + sigma eps_hat."),
        ((a / squares, b / squares), "that would be right if x_t were unknown. It is known, and must not change."),
        ((-sigma / length, alpha / length), "that is right for v only, where a = -sigma and b = alpha."),
    ]
    if abs(other) > 1e-9:
        wrong.append(((sigma / other, -alpha / other), "a sign got lost in the bracket under the fraction."))
    if a and b:
        wrong.append(((1 / a, 1 / b), "not each of them on its own: both errors together make the error of 1."))
    return wrong


def thrown_by(answer: Any) -> None:
    """13.2: thrown_by(error, t, s, schedule) -> the error in x_s after a step, for an error in v_hat.

    It is (alpha_t sigma_s - sigma_t alpha_s) / (alpha_t^2 + sigma_t^2) error. Only on flow do all mistakes differ.
    """
    generator = torch.Generator().manual_seed(0)
    error = torch.randn(5, 1, 3, 3, generator=generator, dtype=torch.float64)
    for schedule in (schedules.flow(), schedules.cosine(), schedules.linear()):
        for t, s in ((0.9, 0.7), (0.5, 0.45), (0.3, 0.0), (1.0, 0.8)):
            a, b, alpha, sigma = schedule.alpha(s), schedule.sigma(s), schedule.alpha(t), schedule.sigma(t)
            bracket, step = alpha**2 + sigma**2, alpha * b - sigma * a
            right = step / bracket
            yours = same_kind(call(answer, error=error, t=t, s=s, schedule=schedule), error, "the error of x_s")
            if close_tensors(yours, right * error):
                continue
            wrong = [
                (-right, "the sign is wrong: a larger v means less image, so x_s moves the other way."),
                (step, "on flow alpha^2 + sigma^2 is not 1: divide by it, at the time t."),
                (step / bracket**0.5, "divide by alpha^2 + sigma^2 itself, not by its root."),
                (step / (a**2 + b**2), "divide by alpha^2 + sigma^2 at the time t of the prediction, not at s."),
                (step / bracket**2, "you divide by alpha^2 + sigma^2 once too often."),
                (-sigma * a / bracket, "the error enters twice: the noise that the step adds back is wrong as well."),
                (alpha * b / bracket, "the error enters twice: x0_hat is wrong as well."),
                (-sigma / bracket, "that is the error of x0_hat. Now take the step to s."),
                (alpha / bracket, "that is the error of eps_hat. Now take the step to s."),
                ((alpha * b + sigma * a) / bracket, "the error of x0_hat has a minus sign: a larger v is less image."),
                ((sigma * b - alpha * a) / bracket, "sigma_t goes with x0_hat, and alpha_t with eps_hat."),
                (-step / (a**2 + b**2), "t and s are swapped."),
                (0.0, "translate from v to x0 and eps at the time t of the prediction, not at s."),
                (1.0, "you return the error that came in. Take the step."),
            ]
            if alpha > 0:
                wrong += [
                    (b - a * sigma / alpha, "that is for an error in eps_hat, but here the network predicts v."),
                    (a - alpha * b / sigma, "that is for an error in x0_hat, but here the network predicts v."),
                ]
            name_mistake(yours, [(factor * error, sentence) for factor, sentence in wrong])
            raise Wrong(
                f"on {schedule.name} from t = {t} to s = {s}, your error of x_s is wrong. Write x_s with v_hat, then "
                "with v_hat + error, and subtract."
            )


def tame_times(answer: Any) -> None:
    """13.3: tame_times(schedule, steps) -> times from 1 to 0, no step with an amplification A_eps above 1 for S = 1."""
    for schedule, steps in ((schedules.cosine(), 20), (schedules.linear(), 12), (schedules.scaled_linear(), 12)):
        times = falling(call(answer, schedule=copy.deepcopy(schedule), steps=steps), steps)
        ratios = [schedule.sigma(t) / schedule.alpha(t) for t in times]
        factors = [(r_t - r_s) / math.hypot(1.0, r_s) for r_t, r_s in pairwise(ratios)]
        largest = max(factors)
        if largest <= 1 + 1e-6:
            continue
        if max(abs(t - (1 - i / steps)) for i, t in enumerate(times)) < 1e-6:
            raise Wrong(f"those are evenly spaced times. On {schedule.name} their step 1 amplifies by {largest:.3g}.")
        i = factors.index(largest)
        found = f"on {schedule.name}, step {i + 1} of {steps} takes r from {ratios[i]:.3g} to {ratios[i + 1]:.3g} and "
        found += f"amplifies an error by {largest:.3g}. "
        if i == steps - 1:
            raise Wrong(f"{found}The last step ends at r = 0, so it must begin at r = 1 or below.")
        if ratios[i + 1] > 3:
            raise Wrong(f"{found}In the noise, r may fall to about half of itself in one step, and not further.")
        raise Wrong(f"{found}Near the data, r may fall by about 1 in one step, and not further.")


CHECKS = {"13.1": both_errors, "13.2": thrown_by, "13.3": tame_times}
