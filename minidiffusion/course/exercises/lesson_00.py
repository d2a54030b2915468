"""Lesson 00: choose a label, take one step, walk the whole way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ... import schedule as schedules
from ...process import diffuse
from .judge import NotAttempted, Wrong, call, close, name_mistake, same_kind

ANKLE_BOOT = 9


def four_boots(labels: Any) -> None:
    """00.1: the labels that order four ankle boots, one whole number a picture."""
    if not isinstance(labels, Tensor):
        raise Wrong(f"the labels must be a tensor, and yours are a {type(labels).__name__}: see torch.tensor.")
    if labels.dtype not in (torch.int32, torch.int64):
        raise Wrong(f"a label is a whole number of type torch.int64, and yours are {labels.dtype}.")
    if labels.shape != (4,):
        raise Wrong(f"four pictures need labels of shape (4,), and yours have {tuple(labels.shape)}.")
    if bool((labels == ANKLE_BOOT + 1).any()):
        raise Wrong("there is no class 10: the ten classes are counted from 0.")
    if not bool((labels == ANKLE_BOOT).all()):
        raise Wrong("some of your labels are not the ankle boot's: look for its place in class_names.")


def step(answer: Any) -> None:
    """00.2: step(x_t, x0_hat, t, s, schedule) -> x_s on the line through x_t that aims at x0_hat."""
    check_step(answer, ((0.8, 0.3), (0.9, 0.6), (0.5, 0.0)))
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    same_kind(call(answer, x_t=x, x0_hat=0.5 * x, t=0.5, s=0.25, schedule=schedules.cosine()), x, "x_s")


def check_step(answer: Any, pairs: Sequence[tuple[float, float]]) -> None:
    """Steps from each t to its s, down or up. If x0_hat is the x0 of x_t, x_s is that x0 with the same eps, at s."""
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.flow(), schedules.linear()):
        for t, s in pairs:
            x0, eps = torch.randn(2, 4, 1, 4, 4, generator=generator, dtype=torch.float64)
            x_t, right = diffuse(x0, t, eps, schedule), diffuse(x0, s, eps, schedule)
            x_s = same_kind(call(answer, x_t=x_t, x0_hat=x0, t=t, s=s, schedule=schedule), x_t, "x_s")
            if not close(x_s, answer(x_t, x0, t, s, schedule)):
                raise Wrong("called twice, it gives two answers. The noise is the one in x_t, not a fresh one.")
            if not close(x_s, right):
                name_mistake(x_s, _wrong_steps(x0, eps, t, s, schedule))
                raise Wrong(
                    "if the guess is the true x0, x_s must be alpha(s) x0 + sigma(s) eps, with the eps that is in "
                    f"x_t. From t = {t} to s = {s} on {schedule.name}, yours is {(x_s - right).abs().mean():.2g} away."
                )


def _wrong_steps(x0: Tensor, eps: Tensor, t: float, s: float, schedule: schedules.Schedule) -> list[tuple[Tensor, str]]:
    x_t, sigma_t = diffuse(x0, t, eps, schedule), schedule.sigma(t)
    alpha, sigma = schedule.alpha(s), schedule.sigma(s)
    return [
        (x_t, "you are still at t: the picture at s needs alpha(s) and sigma(s)."),
        (sigma * x0 + alpha * eps, "alpha and sigma have changed places: alpha goes with x0_hat."),
        (x0, "your x_s is the guess itself. At s, some noise is still to be there: sigma(s) of it."),
        (alpha * x0, "your x_s has no noise. Beside alpha(s) x0_hat there must be sigma(s) eps_hat."),
        (alpha * x0 - sigma * eps, "the noise has the wrong sign: x_t = alpha x0 + sigma eps, and so has x_s."),
        (alpha * x0 + sigma * sigma_t * eps, "x_t - alpha(t) x0_hat is sigma(t) eps_hat: divide by sigma(t)."),
        (alpha * x0 + sigma * x_t, "you took x_t for the noise: that is (x_t - alpha(t) x0_hat) / sigma(t)."),
        (alpha * x0 + sigma * (x_t - x0) / sigma_t, "to find the noise in x_t, take off alpha(t) x0_hat, not x0_hat."),
        (alpha * x0 + sigma * (x_t - x0), "to find the noise, take off alpha(t) x0_hat and divide by sigma(t)."),
        (s / t * x_t + (1 - s / t) * x0, "you mix by the times. How much noise there is at s, sigma(s) says."),
        (x0 + sigma * eps, "the guess must be as faint as a picture is at s: multiply it by alpha(s)."),
        (alpha * x_t + sigma * eps, "the clean part of x_s is x0_hat, not x_t."),
        (eps, "that is the noise alone: mix it with x0_hat for the time s."),
    ]


def draw(answer: Any) -> None:
    """00.3: draw(denoise, x_1, times, schedule) -> the picture at times[-1], one step between each two times.

    A denoiser that always answers c draws a straight walk to c, known at every time:
    x_t = alpha(t) c + sigma(t) / sigma(t_0) (x_1 - alpha(t_0) c).
    """
    generator = torch.Generator().manual_seed(0)
    c, start = torch.randn(2, 3, 1, 4, 4, generator=generator, dtype=torch.float64)
    for schedule, times in ((schedules.cosine(), (1.0, 0.7, 0.3, 0.1)), (schedules.flow(), (1.0, 0.5, 0.0))):
        seen: list[tuple[float, Tensor]] = []

        def denoise(x_t: Any, t: Any, seen: list = seen) -> Tensor:
            if x_t is ...:  # the step of exercise 00.2 is not there yet
                raise NotAttempted
            seen.append((float(torch.as_tensor(t).flatten()[0]), x_t.clone()))
            return c.clone()

        def state(t: float, schedule: Any = schedule) -> Tensor:
            noise = (start - schedule.alpha(1.0) * c) / schedule.sigma(1.0)
            return schedule.alpha(t) * c + schedule.sigma(t) * noise

        end = same_kind(call(answer, denoise=denoise, x_1=start, times=times, schedule=schedule), start, "the picture")
        _check_calls([round(t, 6) for t, _ in seen], times)
        for (t, x_t), before in zip(seen, (None, *seen), strict=False):
            if before is not None and close(x_t, before[1]):
                raise Wrong("every call of denoise sees the same x. Hand it the x of the step before.")
            if not close(x_t, state(t)):
                raise Wrong(f"at t = {t} your x is not where the step should have led. Did it end at the next s?")
        if close(end, c) and times[-1] > 0:
            raise Wrong("you return the last x0_hat. Return the last x_s: only at t = 0 are they the same.")
        if close(end, seen[-1][1]):
            raise Wrong("you return the x before the last step.")
        if not close(end, state(times[-1])):
            raise Wrong(f"the calls are right, and the end is not what the last step to t = {times[-1]} gives.")


def _check_calls(called: list[float], times: tuple[float, ...]) -> None:
    """denoise must be asked at every time but the last, in order."""
    wanted = list(times[:-1])
    if called == wanted:
        return
    if called == list(times):
        raise Wrong("denoise is asked once too often: at the last time the walk is over.")
    if called == list(times[1:]):
        raise Wrong("denoise is asked at s, where the step ends. Ask it at t, where x is.")
    if called == wanted[::-1] or called == list(times[:0:-1]):
        raise Wrong("you walk from the last time to the first: `times` falls already, from noise to data.")
    raise Wrong(f"for the times {times}, denoise must be asked at {wanted}, and yours is asked at {called}.")


CHECKS = {"00.1": four_boots, "00.2": step, "00.3": draw}
