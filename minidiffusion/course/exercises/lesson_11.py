"""Lesson 11: what an error becomes in x0, where a step throws a point, from where on a walk is safe."""

from __future__ import annotations

import math
from typing import Any

import torch

from ... import heads
from ... import schedule as schedules
from .judge import Wrong, call, name_mistake, number, same_kind
from .judge import close as close_tensors


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-4 * abs(b) + 1e-9


def factor(answer: Any) -> None:
    """11.1: factor(name, t, schedule) -> the error of x0_hat for an error of 1 in that output, 1 / gain."""
    for schedule in (schedules.cosine(), schedules.linear(), schedules.flow()):
        for name in ("x0", "eps", "v"):
            for t in (0.25, 0.6, 0.9):
                yours = number(call(answer, name=name, t=t, schedule=schedule), f"the factor of {name}")
                alpha, sigma = schedule.alpha(t), schedule.sigma(t)
                right = 1 / float(heads.HEADS[name].gain(t, torch.zeros(1, 1), schedule))
                if _close(yours, right):
                    continue
                if _close(yours, -right):
                    raise Wrong("the size of an error is asked for: leave the sign out.")
                for wrong, of, sentence in (
                    (1 / right, "eps", "that is the error in eps for one in x0: turn the fraction over."),
                    (right**2, "eps", "that is the factor of the squared error: take its root."),
                    (right**0.5, "eps", "one root too many: the factor is sigma over alpha as they stand."),
                    (sigma, "eps", "x_t - sigma eps_hat is still divided by alpha."),
                    (1 / alpha, "eps", "eps_hat is multiplied by sigma before x_t is divided by alpha."),
                    (alpha / sigma, "x0", "an output that is x0_hat needs no translation: its factor is 1."),
                    (sigma / alpha, "x0", "an output that is x0_hat needs no translation: its factor is 1."),
                    (sigma, "v", "sigma is right where alpha^2 + sigma^2 = 1. On flow it is not: divide by the sum."),
                    (sigma / (alpha + sigma), "v", "divide by alpha^2 + sigma^2, the sum of the squares."),
                    (alpha, "v", "alpha stands before x_t, which has no error. What stands before v?"),
                    (alpha / (alpha**2 + sigma**2), "v", "that stands before x_t, which has no error."),
                    (1 / right, "v", "that is the error in v for one in x0: turn the fraction over."),
                    (sigma / alpha, "v", "that is the factor of eps; v can be translated even where alpha = 0."),
                ):
                    if name == of and _close(yours, wrong):
                        raise Wrong(f"for {name}: {sentence}")
                raise Wrong(f"for {name} on {schedule.name} at t = {t}, yours is {yours:.4g}.")


def thrown(answer: Any) -> None:
    """11.2: thrown(error, t, s, schedule) -> (sigma_s - alpha_s sigma_t / alpha_t) error, the error of x_s."""
    generator = torch.Generator().manual_seed(0)
    error = torch.randn(5, 1, 3, 3, generator=generator, dtype=torch.float64)
    for schedule in (schedules.cosine(), schedules.linear(), schedules.flow()):
        for t, s in ((0.9, 0.7), (0.5, 0.45), (0.3, 0.0)):
            yours = same_kind(call(answer, error=error, t=t, s=s, schedule=schedule), error, "the error of x_s")
            a, b, alpha, sigma = schedule.alpha(s), schedule.sigma(s), schedule.alpha(t), schedule.sigma(t)
            right = b - a * sigma / alpha
            if close_tensors(yours, right * error):
                continue
            wrong = [
                (-right, "the direction is wrong: more noise claimed is less picture, and so a step the other way."),
                (abs(right), "the direction is missing: keep the sign."),
                (-a * sigma / alpha, "the error enters twice: the noise that is put back is off as well."),
                (b, "the error enters twice: x0_hat is off as well."),
                (-sigma / alpha, "that is the error of x0_hat. Take the step too."),
                (b + a * sigma / alpha, "more noise claimed is less picture: the error of x0_hat has a minus."),
                (a - alpha * b / sigma, "that is for an error in x0_hat. Here the network says eps."),
                (sigma - alpha * b / a, "t and s have changed places."),
                (b - a, "an error in eps is not one in x0_hat: it is multiplied by sigma_t / alpha_t."),
                (b - a * alpha / sigma, "the factor from eps to x0 is sigma_t / alpha_t: turn it over."),
                (b - a * b / a, "translate from eps to x0 at the time t at which the network was asked, not at s."),
                (b - sigma * a, "x_t - sigma eps_hat is still divided by alpha."),
                (1.0, "that is the error that came in. Take the step."),
            ]
            name_mistake(yours, [(factor * error, sentence) for factor, sentence in wrong])
            raise Wrong(f"on {schedule.name} from t = {t} to s = {s}, yours is off by a factor of another kind.")


def safe_start(answer: Any) -> None:
    """11.3: safe_start(schedule, most) -> the latest time with sigma / alpha <= most."""
    for schedule in (schedules.cosine(), schedules.flow(), schedules.linear(), schedules.scaled_linear()):
        for most in (2.0, 10.0, 30.0):
            t = number(call(answer, schedule=schedule, most=most), "the time")
            right = schedule.time(-2 * math.log(most))
            if abs(t - right) < 2e-3:  # a search on a grid of a thousand times is good enough
                continue
            for wrong, sentence in (
                (2 * math.log(most), "the sign is wrong: large factors belong to an SNR below 1."),
                (-math.log(most), "the factor is one over the ROOT of SNR: its square enters."),
                (math.log(most), "the sign is wrong, and the factor is one over the ROOT of SNR: its square enters."),
                (-4 * math.log(most), "squared once too often: SNR is one over the factor squared."),
                (-2 * math.log10(most), "`time` takes the natural logarithm."),
                (-most, "`time` takes the logarithm of the SNR."),
                (-(most**2), "`time` takes the logarithm of the SNR."),
                (1 / most**2, "`time` takes the logarithm of the SNR."),
                (most, "`time` takes the logarithm of the SNR, which is one over the factor squared."),
            ):
                if abs(t - schedule.time(wrong)) < 1e-4 and abs(schedule.time(wrong) - right) > 2e-3:
                    raise Wrong(sentence)
            if not 0 <= t <= 1:
                raise Wrong(f"a time lies in [0, 1], and yours on {schedule.name} is {t:.3g}.")
            if abs(t - (1 - right)) < 2e-3:
                raise Wrong("your clock runs backwards: t = 0 is data and t = 1 is noise.")
            alpha, sigma = schedule.alpha(t), schedule.sigma(t)
            grown = "infinite" if alpha == 0 else f"{sigma / alpha:.3g}"
            late = "Too late" if t > right else "It could be later"
            raise Wrong(f"on {schedule.name}, at your {t:.3g} the factor is {grown}, and {most:g} was asked. {late}.")


CHECKS = {"11.1": factor, "11.2": thrown, "11.3": safe_start}
