"""Lesson 13: what an error of the network becomes in x0 and after a step, and times at which it stays small."""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from typing import Any

import torch

from ... import schedule as schedules
from .judge import Wrong, call, name_mistake, number, same_kind
from .judge import close as close_tensors
from .lesson_14 import falling


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-4 * abs(b) + 1e-9


def factor(answer: Any) -> None:
    """13.1: factor(name, t, schedule) -> the error in x0_hat that an error of 1 in this output causes."""
    for schedule in (schedules.cosine(), schedules.linear(), schedules.flow()):
        for name in ("x0", "eps", "v"):
            for t in (0.25, 0.6, 0.9):
                alpha, sigma = schedule.alpha(t), schedule.sigma(t)
                right = {"x0": 1.0, "eps": sigma / alpha, "v": sigma / (alpha**2 + sigma**2)}[name]
                yours = number(call(answer, name=name, t=t, schedule=schedule), f"the factor of {name}")
                if _close(yours, right):
                    continue
                if _close(yours, -right):
                    raise Wrong("we ask for the size of the error: leave the sign out.")
                for wrong, of, sentence in (
                    (1 / right, "eps", "that is the error in eps for an error of 1 in x0: invert the fraction."),
                    (right**2, "eps", "that is the factor of the squared error: take its root."),
                    (right**0.5, "eps", "you took a root too many: the factor is sigma / alpha itself."),
                    (sigma, "eps", "x0_hat = (x_t - sigma eps_hat) / alpha, so divide by alpha as well."),
                    (1 / alpha, "eps", "x0_hat = (x_t - sigma eps_hat) / alpha, so multiply by sigma as well."),
                    (alpha / sigma, "x0", "this output is x0_hat already, so its factor is 1."),
                    (sigma / alpha, "x0", "this output is x0_hat already, so its factor is 1."),
                    (sigma, "v", "sigma is right if alpha^2 + sigma^2 = 1. On flow it is not: divide by that sum."),
                    (sigma / (alpha + sigma), "v", "divide by the sum of the squares, alpha^2 + sigma^2."),
                    (alpha, "v", "alpha is the factor of x_t, which has no error. Use the factor of v."),
                    (alpha / (alpha**2 + sigma**2), "v", "that is the factor of x_t, which has no error."),
                    (1 / right, "v", "that is the error in v for an error of 1 in x0: invert the fraction."),
                    (sigma / alpha, "v", "that is the factor of eps. The one of v is finite even where alpha = 0."),
                ):
                    if name == of and _close(yours, wrong):
                        raise Wrong(f"for {name}: {sentence}")
                raise Wrong(f"for {name} on {schedule.name} at t = {t}, your factor is {yours:.4g}.")


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


CHECKS = {"13.1": factor, "13.2": thrown_by, "13.3": tame_times}
