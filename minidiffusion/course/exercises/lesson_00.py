"""Lesson 00: choose the labels, take one denoising step, write the sampling loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ... import schedule as schedules
from ...process import diffuse
from .judge import Wrong, call, check_times, close, name_mistake, recorded, same_kind, steady

ANKLE_BOOT = 9


def four_boots(labels: Any) -> None:
    """00.1: the labels of four ankle boots, one whole number for each picture."""
    if type(labels) is not Tensor:
        raise Wrong(f"the labels must be a tensor, but yours are a {type(labels).__name__}. Use torch.tensor.")
    if labels.dtype not in (torch.int32, torch.int64):
        raise Wrong(f"a label is a whole number of type torch.int64, but yours are {labels.dtype}.")
    if labels.shape != (4,):
        raise Wrong(f"four pictures need labels of shape (4,), but yours have the shape {tuple(labels.shape)}.")
    if bool((labels == ANKLE_BOOT + 1).any()):
        raise Wrong("there is no class 10, because the ten classes are counted from 0.")
    if not bool((labels == ANKLE_BOOT).all()):
        raise Wrong("some of your labels are not the ankle boot's. Find its position in the list of class names.")


def step(answer: Any) -> None:
    """00.2: step(x_t, x0_hat, t, s, schedule) -> x_s, which mixes x0_hat and the noise in x_t for the time s."""
    check_step(answer, ((0.8, 0.3), (0.9, 0.6), (0.5, 0.0)))
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    same_kind(call(answer, x_t=x, x0_hat=0.5 * x, t=0.5, s=0.25, schedule=schedules.cosine()), x, "x_s")


def check_step(answer: Any, pairs: Sequence[tuple[float, float]]) -> None:
    """Take the step from each t to its s, down or up. If x0_hat is the true x0, x_s is x0 with the same eps, at s."""
    generator = torch.Generator().manual_seed(0)
    hint = "Use the noise that is already in x_t, not fresh noise."
    for schedule in (schedules.cosine(), schedules.flow(), schedules.linear()):
        for t, s in pairs:
            x0, eps = torch.randn(2, 4, 1, 4, 4, generator=generator, dtype=torch.float64)
            x_t, right = diffuse(x0, t, eps, schedule), diffuse(x0, s, eps, schedule)
            x_s = steady(answer, x_t, "x_s", hint, x_t=x_t, x0_hat=x0, t=t, s=s, schedule=schedule)
            if not close(x_s, right):
                name_mistake(x_s, _wrong_steps(x0, eps, t, s, schedule))
                raise Wrong(
                    "if the prediction is the true x0, x_s must be alpha(s) x0 + sigma(s) eps, with the eps that is in "
                    f"x_t. From t = {t} to s = {s} on {schedule.name}, yours is {(x_s - right).abs().mean():.2g} away."
                )


def _wrong_steps(x0: Tensor, eps: Tensor, t: float, s: float, schedule: schedules.Schedule) -> list[tuple[Tensor, str]]:
    x_t, sigma_t = diffuse(x0, t, eps, schedule), schedule.sigma(t)
    alpha, sigma = schedule.alpha(s), schedule.sigma(s)
    return [
        (x_t, "your x_s is still the x_t from time t. Mix it again with alpha(s) and sigma(s)."),
        (sigma * x0 + alpha * eps, "alpha and sigma are swapped: alpha(s) multiplies x0_hat, sigma(s) the noise."),
        (x0, "your x_s is the prediction itself. At s there is still noise: add sigma(s) eps_hat."),
        (alpha * x0, "your x_s has no noise. Add sigma(s) eps_hat to alpha(s) x0_hat."),
        (alpha * x0 - sigma * eps, "the noise has the wrong sign: x_s is a sum, just as x_t = alpha x0 + sigma eps."),
        (alpha * x0 + sigma * sigma_t * eps, "x_t - alpha(t) x0_hat is sigma(t) eps_hat, so divide it by sigma(t)."),
        (alpha * x0 + sigma * x_t, "you used x_t as the noise. The noise is (x_t - alpha(t) x0_hat) / sigma(t)."),
        (alpha * x0 + sigma * (x_t - x0) / sigma_t, "to find the noise, subtract alpha(t) x0_hat, not x0_hat itself."),
        (alpha * x0 + sigma * (x_t - x0), "to find the noise, subtract alpha(t) x0_hat, then divide by sigma(t)."),
        (s / t * x_t + (1 - s / t) * x0, "you mix in proportion to the times. Use alpha(s) and sigma(s) instead."),
        (x0 + sigma * eps, "the prediction needs its factor alpha(s), because a picture at time s has faded."),
        (alpha * x_t + sigma * eps, "the clean part of x_s should be x0_hat, but you used x_t."),
        (eps, "that is the noise alone. Mix it with x0_hat, using alpha(s) and sigma(s)."),
    ]


def sampling_loop(answer: Any) -> None:
    """00.3: draw(denoise, x_1, times, schedule) -> the picture at times[-1], with a step between neighbouring times.

    If the denoiser always predicts c, the trajectory is a straight line towards c, known at every time:
    x_t = alpha(t) c + sigma(t) / sigma(t_0) (x_1 - alpha(t_0) c).
    """
    c, start = torch.randn(2, 3, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for schedule, times in ((schedules.cosine(), (1.0, 0.7, 0.3, 0.1)), (schedules.flow(), (1.0, 0.5, 0.0))):
        noise = (start - schedule.alpha(1.0) * c) / schedule.sigma(1.0)
        states = [schedule.alpha(t) * c + schedule.sigma(t) * noise for t in times]
        denoise, calls = recorded(lambda x_t, t: c.clone(), start)
        end = call(answer, denoise=denoise, x_1=start, times=times, schedule=schedule)
        end = same_kind(end, start, "the picture")
        check_times([t for t, _ in calls], times)
        for i, (t, x_t) in enumerate(calls):
            if i > 0 and close(x_t, calls[i - 1][1]):
                raise Wrong("every call of denoise gets the same x. Give it the x that the last step returned.")
            if not close(x_t, states[i]):
                raise Wrong(f"at t = {t}, x is not what the step before should return. Did that step end at this t?")
        if close(end, c) and times[-1] > 0:
            raise Wrong("you return the last x0_hat. Return the last x_s: the two are the same only at t = 0.")
        if close(end, states[-2]):
            raise Wrong("you return the x from before the last step. Return what that step gives.")
        if not close(end, states[-1]):
            raise Wrong(f"all calls of denoise are right, but the last step does not end at t = {times[-1]}.")


CHECKS = {"00.1": four_boots, "00.2": step, "00.3": sampling_loop}
