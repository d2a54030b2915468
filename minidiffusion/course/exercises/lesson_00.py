"""Lesson 00: write the sampling loop, find the prediction between two noisy pictures, redraw a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ... import schedule as schedules
from ...process import diffuse
from ...samplers import sample, trajectory
from .judge import Wrong, call, check_times, close, name_mistake, recorded, same_kind, seeded, steady


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
    """00.1: draw(denoise, x_1, times, schedule) -> the picture at times[-1], with a step between neighbouring times.

    First with a denoiser that always predicts c, then with one that changes its mind at every step.
    """
    c, start = torch.randn(2, 3, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for schedule, times in ((schedules.cosine(), (1.0, 0.7, 0.3, 0.1)), (schedules.flow(), (1.0, 0.5, 0.0))):
        _check_constant(answer, c, start, times, schedule)
        _check_leaning(answer, c, start, times, schedule)


def _states(
    answer: Any,
    predict: Callable[[Tensor, float], Tensor],
    start: Tensor,
    times: Sequence[float],
    schedule: schedules.Schedule,
) -> tuple[list[Tensor], list[Tensor]]:
    """The states of the answer at `times`, the last of them what it returns; and the right ones."""
    denoise, calls = recorded(predict, start)
    end = same_kind(call(answer, denoise=denoise, x_1=start, times=times, schedule=schedule), start, "the picture")
    check_times([t for t, _ in calls], times)
    return [*(x for _, x in calls), end], [start, *(x for _, x, _ in trajectory(predict, start, schedule, times=times))]


def _check_constant(
    answer: Any, c: Tensor, start: Tensor, times: Sequence[float], schedule: schedules.Schedule
) -> None:
    (*found, end), right = _states(answer, lambda x_t, t: c.clone(), start, times, schedule)
    for i, x in enumerate(found):
        if i > 0 and close(x, found[i - 1]):
            raise Wrong("every call of denoise gets the same x. Give it the x that the last step returned.")
        if not close(x, right[i]):
            where = f"at t = {times[i]}"
            raise Wrong(f"{where}, x is not what the step before should return. Did that step end at this t?")
    if close(end, c) and times[-1] > 0:
        raise Wrong("you return the last x0_hat. Return the last x_s: the two are the same only at t = 0.")
    if close(end, right[-2]):
        raise Wrong("you return the x from before the last step. Return what that step gives.")
    if not close(end, right[-1]):
        raise Wrong(f"all calls of denoise are right, but the last step does not end at t = {times[-1]}.")


def _leaning(c: Tensor) -> Callable[[Tensor, float], Tensor]:
    """A denoiser whose prediction depends on x_t and t, so that no two steps share x0_hat or eps_hat."""
    return lambda x_t, t: 0.5 * x_t + t * c


def _check_leaning(answer: Any, c: Tensor, start: Tensor, times: Sequence[float], schedule: schedules.Schedule) -> None:
    """Whether each step uses its own x0_hat and its own eps_hat."""
    predict = _leaning(c)
    found, right = _states(answer, predict, start, times, schedule)
    for i, (x, wanted) in enumerate(zip(found[1:], right[1:], strict=True)):
        if close(x, wanted):
            continue
        t, s, x_t = times[i], times[i + 1], right[i]
        first, now, alpha, sigma = predict(start, times[0]), predict(x_t, t), schedule.alpha(s), schedule.sigma(s)
        first_eps = (start - schedule.alpha(times[0]) * first) / schedule.sigma(times[0])
        eps_for_first = (x_t - schedule.alpha(t) * first) / schedule.sigma(t)
        again = "of the first step. Compute it again in each step: the prediction changes as the noise goes away."
        mistakes = [
            (alpha * now + sigma * first_eps, f"your eps_hat is that {again}"),
            (alpha * first + sigma * first_eps, f"your x0_hat is that {again}"),
            (alpha * first + sigma * eps_for_first, f"your x0_hat is that {again}"),
        ]
        name_mistake(x, mistakes)
        raise Wrong(
            f"with a denoiser that changes its mind, the step from t = {t} to {s} goes wrong. It must use the x0_hat "
            "of this call, and the eps_hat that belongs to it."
        )


def guess_between(answer: Any) -> None:
    """00.2: guess_between(x_t, x_s, t, s, schedule) -> the x0_hat of the deterministic step from x_t to x_s.

    x0_hat = (sigma_t x_s - sigma_s x_t) / (alpha_s sigma_t - alpha_t sigma_s).
    """
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.flow(), schedules.linear()):
        for t, s in ((0.9, 0.6), (0.5, 0.25), (1.0, 0.7), (0.4, 0.0)):
            x0, eps = torch.randn(2, 4, 1, 4, 4, generator=generator, dtype=torch.float64)
            x_t, x_s = diffuse(x0, t, eps, schedule), diffuse(x0, s, eps, schedule)
            found = call(answer, x_t=x_t, x_s=x_s, t=t, s=s, schedule=schedule)
            if not close(same_kind(found, x_t, "x0_hat"), x0):
                name_mistake(found, _wrong_guesses(x_t, x_s, x0, eps, t, s, schedule))
                raise Wrong(
                    f"between t = {t} and s = {s} on {schedule.name}, yours is {(found - x0).abs().mean():.2g} away. "
                    "Both pictures contain the same x0_hat and the same eps_hat: two equations, two unknowns."
                )
    x = torch.randn(2, 3, generator=generator)
    same_kind(call(answer, x_t=x, x_s=0.5 * x, t=0.5, s=0.25, schedule=schedules.cosine()), x, "x0_hat")


def _wrong_guesses(
    x_t: Tensor, x_s: Tensor, x0: Tensor, eps: Tensor, t: float, s: float, schedule: schedules.Schedule
) -> list[tuple[Tensor, str]]:
    at, st, a, sd = schedule.alpha(t), schedule.sigma(t), schedule.alpha(s), schedule.sigma(s)
    determinant = a * st - at * sd
    return [
        (x_s, "that is x_s, which still contains noise. Solve for the x0_hat inside it."),
        (x_t, "that is x_t. Solve for the x0_hat inside it."),
        (eps, "that is eps_hat. Eliminate the noise from the two equations, not the picture."),
        (-eps, "that is -eps_hat. Eliminate the noise from the two equations, not the picture."),
        (-x0, "the sign is wrong: numerator and denominator must have their terms in the same order."),
        (determinant * x0, "divide by alpha(s) sigma(t) - alpha(t) sigma(s), the factor that x0_hat is left with."),
        ((x_s - x_t) / (a - at), "the difference of the two pictures still contains noise, unless the sigmas agree."),
        (x_s - x_t, "the difference of the two pictures still contains noise, unless the sigmas agree."),
        ((t * x_s - s * x_t) / (t - s), "extending the line in t is right on `flow` only. Use alpha and sigma."),
        (x_s / a, "x_s / alpha(s) still contains noise. Use both pictures to remove it."),
        (x_t / at if at else x_t, "x_t / alpha(t) still contains noise. Use both pictures to remove it."),
        ((sd * x_t - st * x_s) / (a * st + at * sd), "check the signs: the denominator is a difference."),
        ((st * x_s - sd * x_t) / (a * st + at * sd), "check the signs: the denominator is a difference."),
        ((st * x_s + sd * x_t) / (a * st + at * sd), "to make the noise cancel, subtract one equation from the other."),
    ]


def redraw(answer: Any) -> None:
    """00.3: redraw(denoise, picture, t, steps, schedule, generator) -> image to image from time t (SDEdit).

    The first call must see alpha(t) picture + sigma(t) eps, with eps from the generator; then come `steps` equal steps.
    """
    for schedule, t, steps in ((schedules.cosine(), 0.7, 4), (schedules.flow(), 0.6, 3)):
        _check_redraw(answer, t, steps, schedule)


def _check_redraw(answer: Any, t: float, steps: int, schedule: schedules.Schedule) -> None:
    picture, c = torch.randn(2, 8, 1, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    predict = _leaning(c)
    denoise, calls = recorded(predict, picture)

    def run(generator: torch.Generator) -> Tensor:
        calls.clear()
        inputs = dict(denoise=denoise, picture=picture, t=t, steps=steps, schedule=schedule, generator=generator)
        end = same_kind(call(answer, **inputs), picture, "the picture")
        if not calls:
            raise Wrong("you never call denoise. Add noise up to time t, and sample from there.")
        return torch.stack([calls[0][1], end])

    first, end = seeded(run)  # of one seed; `calls` are those of another
    times = [round(t * (1 - i / steps), 6) for i in range(steps + 1)]
    check_times([time for time, _ in calls], times)
    _check_noised(calls[0][1], picture, t, schedule)
    reached = [x for _, x, _ in trajectory(predict, calls[0][1], schedule, times=times)]
    for (time, x), right in zip(calls[1:], reached, strict=False):
        if not close(x, right):
            raise Wrong(f"at t = {time}, x is not what the step before should return. Use your own `draw` for this.")
    if not close(end, sample(predict, first, schedule, times=times)):
        raise Wrong("you start right and call denoise at the right times, but you do not return the end at t = 0.")


def _check_noised(x: Tensor, picture: Tensor, t: float, schedule: schedules.Schedule) -> None:
    """Whether x is alpha(t) picture + sigma(t) eps for some eps that looks like N(0, I)."""
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    kept = ((x * picture).sum() / picture.square().sum()).item()
    std = (x - kept * picture).std().item()
    if abs(kept - alpha) > 0.1:
        known = {1.0: "the picture has not faded", sigma: "alpha and sigma are swapped", 0.0: "it lacks the picture"}
        near = min(known, key=lambda factor: abs(kept - factor))
        if abs(kept - near) < 0.1:
            raise Wrong(f"the first x that denoise gets: {known[near]}. It should be alpha(t) picture + sigma(t) eps.")
        raise Wrong(f"the first x that denoise gets has the picture's factor {kept:.2g} instead of {alpha:.2g}.")
    if abs(std - sigma) > 0.1 * sigma:
        raise Wrong(
            f"the first x that denoise gets has noise of standard deviation {std:.2g} instead of sigma(t), {sigma:.2g}."
        )
    eps = (x - alpha * picture) / sigma
    if close(eps[0], eps[1]):
        raise Wrong("all pictures of the batch get the same noise. Draw noise in the shape of `picture`.")
    fourth = (eps - eps.mean()).pow(4).mean().item() / eps.var().item() ** 2  # 3 for a Gaussian, 1.8 for a uniform
    if abs(fourth - 3) > 0.6:
        raise Wrong("the noise has the right standard deviation, but it is not Gaussian. Use torch.randn.")


CHECKS = {"00.1": sampling_loop, "00.2": guess_between, "00.3": redraw}
