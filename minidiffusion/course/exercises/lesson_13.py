"""Lesson 13: what an error of the network becomes in x0 and after a step, and where sampling can safely start."""

from __future__ import annotations

import math
from typing import Any

import torch

from ... import schedule as schedules
from .judge import Wrong, call, name_mistake, number, same_kind
from .judge import close as close_tensors


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-4 * abs(b) + 1e-9


def factor(answer: Any) -> None:
    """11.1: factor(name, t, schedule) -> the error in x0_hat that an error of 1 in this output causes."""
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


def thrown(answer: Any) -> None:
    """11.2: thrown(error, t, s, schedule) -> the error in x_s after a step, for an error in eps_hat.

    It is (sigma_s - alpha_s sigma_t / alpha_t) error.
    """
    generator = torch.Generator().manual_seed(0)
    error = torch.randn(5, 1, 3, 3, generator=generator, dtype=torch.float64)
    for schedule in (schedules.cosine(), schedules.linear(), schedules.flow()):
        for t, s in ((0.9, 0.7), (0.5, 0.45), (0.3, 0.0)):
            a, b, alpha, sigma = schedule.alpha(s), schedule.sigma(s), schedule.alpha(t), schedule.sigma(t)
            right = b - a * sigma / alpha
            yours = same_kind(call(answer, error=error, t=t, s=s, schedule=schedule), error, "the error of x_s")
            if close_tensors(yours, right * error):
                continue
            wrong = [
                (-right, "the sign is wrong: more predicted noise leaves less image, so x_s moves the other way."),
                (-a * sigma / alpha, "the error enters twice: the noise that the step adds back is wrong as well."),
                (b, "the error enters twice: x0_hat is wrong as well."),
                (-sigma / alpha, "that is the error of x0_hat. Now take the step to s."),
                (b + a * sigma / alpha, "the error of x0_hat has a minus sign: more noise is less image."),
                (a - alpha * b / sigma, "that is for an error in x0_hat, but here the network predicts eps."),
                (sigma - alpha * b / a, "t and s are swapped."),
                (b - a, "an error in eps becomes -sigma_t / alpha_t times that error in x0: the factor is missing."),
                (b - a * alpha / sigma, "the factor from eps to x0 is sigma_t / alpha_t: invert yours."),
                (0.0, "translate from eps to x0 at the time t at which the network made its prediction, not at s."),
                (b - sigma * a, "x0_hat = (x_t - sigma eps_hat) / alpha, so divide by alpha_t as well."),
                (1.0, "you return the error that came in. Take the step."),
            ]
            name_mistake(yours, [(factor * error, sentence) for factor, sentence in wrong])
            raise Wrong(
                f"on {schedule.name} from t = {t} to s = {s}, your error of x_s is wrong. Write x_s with eps_hat, then "
                "with eps_hat + error, and subtract."
            )


def safe_start(answer: Any) -> None:
    """11.3: safe_start(schedule, most) -> the latest time at which sigma / alpha is at most `most`."""
    for schedule in (schedules.cosine(), schedules.flow(), schedules.linear(), schedules.scaled_linear()):
        for most in (2.0, 10.0, 30.0):
            right = schedule.time(-2 * math.log(most))
            t = number(call(answer, schedule=schedule, most=most), "the time")
            if abs(t - right) < 2e-3:  # as precise as a search on a grid of a thousand times
                continue
            for wrong, sentence in (
                (2 * math.log(most), "the sign is wrong: a large factor belongs to an SNR below 1."),
                (-math.log(most), "the factor is 1 / sqrt(SNR), so square it first."),
                (math.log(most), "the sign is wrong, and a square is missing: the factor is 1 / sqrt(SNR)."),
                (-4 * math.log(most), "you squared once too often: the SNR is one over the factor squared."),
                (-2 * math.log10(most), "`time` expects the natural logarithm."),
                (-most, "`time` expects the logarithm of the SNR."),
                (-(most**2), "`time` expects the logarithm of the SNR."),
                (1 / most**2, "`time` expects the logarithm of the SNR."),
                (most, "`time` expects the logarithm of the SNR, which is one over the factor squared."),
            ):
                if abs(t - schedule.time(wrong)) < 1e-4 and abs(schedule.time(wrong) - right) > 2e-3:
                    raise Wrong(sentence)
            if not 0 <= t <= 1:
                raise Wrong(f"a time lies in [0, 1], but on {schedule.name} yours is {t:.3g}.")
            if abs(t - (1 - right)) < 2e-3:
                raise Wrong("your time runs backwards: t = 0 is the data and t = 1 is the noise.")
            alpha, sigma = schedule.alpha(t), schedule.sigma(t)
            grown = "infinite" if alpha == 0 else f"{sigma / alpha:.3g}"
            late = "too late" if t > right else "too early"
            raise Wrong(
                f"on {schedule.name} your time {t:.3g} is {late}: sigma / alpha is {grown} there, not {most:g}."
            )


CHECKS = {"13.1": factor, "13.2": thrown, "13.3": safe_start}
