"""Lesson 07: the step with fresh noise, how much of the start survives, mistakes of equal size."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ... import schedule as schedules
from ...process import diffuse
from .judge import Wrong, call, close, name_mistake, number, same_kind, steady


def _fresh(t: float, s: float, eta: float, schedule: schedules.Schedule) -> float:
    """The standard deviation of the fresh noise: eta sigma_s sqrt(1 - SNR(t) / SNR(s))."""
    ratio = schedule.alpha(t) * schedule.sigma(s) / (schedule.alpha(s) * schedule.sigma(t))
    return eta * schedule.sigma(s) * math.sqrt(1 - ratio**2)


def step(answer: Any) -> None:
    """07.1: step(x_t, x0_hat, t, s, eta, schedule, z) -> alpha_s x0_hat + sqrt(sigma_s^2 - tau^2) eps_hat + tau z."""
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.linear(), schedules.flow()):
        for t, s, eta in ((0.8, 0.3, 0.5), (0.6, 0.5, 1.0), (0.9, 0.4, 0.0), (0.7, 0.0, 1.0)):
            x0, eps, z = torch.randn(3, 4, 1, 4, 4, generator=generator, dtype=torch.float64)
            x_t, tau = diffuse(x0, t, eps, schedule), _fresh(t, s, eta, schedule)
            right = schedule.alpha(s) * x0 + math.sqrt(schedule.sigma(s) ** 2 - tau**2) * eps + tau * z
            inputs = dict(x_t=x_t, x0_hat=x0, t=t, s=s, eta=eta, schedule=schedule, z=z)
            x_s = call(answer, **inputs)
            if isinstance(x_s, Tensor) and x_s.is_complex():
                raise Wrong("you take the square root of a negative number. SNR(t) / SNR(s) should be below 1.")
            x_s = steady(answer, x_t, "x_s", "The fresh noise is the z that comes in.", **inputs)
            if not close(x_s, right):
                name_mistake(x_s, _wrong_steps(x0, eps, z, t, s, eta, schedule))
                raise Wrong(
                    f"from t = {t} to s = {s} with eta = {eta} on {schedule.name}, where tau is {tau:.3f}, "
                    f"yours is {(x_s - right).abs().mean():.2g} away."
                )
    x = torch.randn(2, 3, generator=generator)
    same_kind(call(answer, x_t=x, x0_hat=0.5 * x, t=0.5, s=0.2, eta=1.0, schedule=schedules.cosine(), z=x), x, "x_s")


def _wrong_steps(
    x0: Tensor, eps: Tensor, z: Tensor, t: float, s: float, eta: float, schedule: schedules.Schedule
) -> list[tuple[Tensor, str]]:
    a, sigma, tau, full = schedule.alpha(s), schedule.sigma(s), _fresh(t, s, eta, schedule), _fresh(t, s, 1.0, schedule)
    x_t, clean, old = diffuse(x0, t, eps, schedule), a * x0, math.sqrt(sigma**2 - tau**2)

    def noised(tau: float) -> Tensor:
        return clean + math.sqrt(sigma**2 - tau**2) * eps + tau * z

    return [
        (clean + sigma * eps + tau * z, "there is too much noise. Reduce the old noise to sqrt(sigma_s^2 - tau^2)."),
        (clean + old * eps, "the fresh noise is missing: add tau z."),
        (clean + sigma * eps, "that is the step of lesson 00, without fresh noise. It does not depend on eta."),
        (noised(full), "that is the step for eta = 1, whatever eta is. Multiply tau by eta."),
        (clean + (sigma - tau) * eps + tau * z, "variances add, standard deviations do not: sqrt(sigma_s^2 - tau^2)."),
        (clean + (sigma**2 - tau**2) * eps + tau * z, "sigma_s^2 - tau^2 is a variance. Take its square root."),
        (clean + old * eps + tau**2 * z, "multiply z by the standard deviation tau, not by tau^2."),
        (clean + old * z + tau * eps, "the old and the fresh noise are swapped: tau multiplies z."),
        (clean + sigma * z, "you replaced all of the old noise. Keep sqrt(sigma_s^2 - tau^2) of it."),
        (clean + old * eps - tau * z, "z has the wrong sign."),
        (clean - old * eps + tau * z, "the old noise has the wrong sign."),
        (clean + old * x_t + tau * z, "you used x_t as the noise. The noise is (x_t - alpha(t) x0_hat) / sigma(t)."),
        (x0 + old * eps + tau * z, "the prediction needs its factor alpha(s), because a picture at time s has faded."),
        (schedule.alpha(t) * x0 + old * eps + tau * z, "you multiply x0_hat by alpha(t). At s it needs alpha(s)."),
        (noised(eta**2 * full), "you squared eta in tau. Use it as it is."),
    ]


def left(answer: Any) -> None:
    """07.2: left(times, eta, schedule) -> the product of alpha_s alpha_t + sqrt(sigma_s^2 - tau^2) sigma_t."""
    for schedule in (schedules.scaled_linear(), schedules.linear(), schedules.cosine()):
        for times, eta in (((1.0, 0.7, 0.3, 0.0), 0.5), ((1.0, 0.4, 0.0), 1.0), ((0.8, 0.6, 0.5, 0.1), 0.0)):
            right, mistakes = math.prod(_factors(times, eta, schedule)), _wrong_products(times, eta, schedule)
            found = number(call(answer, times=times, eta=eta, schedule=schedule), "what is left")
            if not _near(found, right):
                name_mistake(found, mistakes, _near)
                where = f"over the times {times} with eta = {eta} on {schedule.name}"
                raise Wrong(f"{where}, {right:.4g} of the start is left, but yours is {found:.4g}.")


def _near(found: float, right: float) -> bool:
    return math.isclose(found, right, rel_tol=1e-4, abs_tol=1e-9)


def _factors(times: tuple[float, ...], eta: float, schedule: schedules.Schedule) -> list[float]:
    factors = []
    for t, s in zip(times, times[1:], strict=False):
        old = math.sqrt(schedule.sigma(s) ** 2 - _fresh(t, s, eta, schedule) ** 2)
        factors.append(schedule.alpha(s) * schedule.alpha(t) + old * schedule.sigma(t))
    return factors


def _wrong_products(times: tuple[float, ...], eta: float, schedule: schedules.Schedule) -> list[tuple[float, str]]:
    factors, pairs = _factors(times, eta, schedule), list(zip(times, times[1:], strict=False))
    last, (without, full) = schedule.alpha(1.0), (math.prod(_factors(times, eta, schedule)) for eta in (0.0, 1.0))
    signal = [schedule.alpha(s) * schedule.alpha(t) for t, s in pairs]
    noise = [f - a for f, a in zip(factors, signal, strict=True)]
    unmixed = [a + n / schedule.sigma(t) for a, n, (t, _) in zip(signal, noise, pairs, strict=True)]
    return [
        (last ** (eta**2), "that is the limit of many small steps. Multiply the factors of these steps."),
        (last**eta, "the limit of many small steps has eta^2. But here, multiply the factors of these steps."),
        (sum(factors), "you added the factors of the steps. Multiply them."),
        (factors[0], "that is the first step alone. Multiply the factors of all steps."),
        (factors[-1], "that is the last step alone. Multiply the factors of all steps."),
        (math.prod(factors[:-1]), "the last step is missing. There is one step fewer than there are times."),
        (math.prod(factors[1:]), "the first step is missing."),
        (math.prod(signal), "the path through the old noise is missing: sqrt(sigma_s^2 - tau^2) sigma_t."),
        (math.prod(noise), "the path through the prediction is missing: alpha_s alpha_t."),
        (without, "that is for eta = 0, whatever eta is. The old noise has the factor sqrt(sigma_s^2 - tau^2)."),
        (full, "that is for eta = 1, whatever eta is."),
        (math.prod(unmixed), "multiply the path through the old noise by sigma_t as well."),
        (1 - math.prod(factors), "that is the part that is lost. Return the part that is left."),
    ]


def equal_size(answer: Any) -> None:
    """07.3: equal_size(wrong, distance, target) -> the c in [0, 1] with distance(wrong(c)) = target, to 0.001."""
    for exponent, target in ((1.0, 0.3), (2.0, 0.05), (0.5, 0.8), (3.0, 0.6)):
        power, right = _Power(exponent), target ** (1 / exponent)
        found = number(call(answer, wrong=power.wrong, distance=power.distance, target=target), "c")
        if power.mixed_up:
            raise Wrong("distance wants a start, not a number: call distance(wrong(c)).")
        if abs(found - right) <= 0.001:
            continue
        mistakes = [
            (target, "you return the target. Return the c at which the distance is the target."),
            (1 - right, "you walk the wrong way: where the distance is too small, a larger c is needed."),
            (0.0, "you end at 0. Where the distance is below the target, c must grow."),
            (1.0, "you end at 1. Where the distance is above the target, c must shrink."),
            (0.5, "you stop after the first middle. Halve the interval again and again."),
        ]
        name_mistake(found, mistakes, lambda found, wrong: abs(found - wrong) < 1e-3)
        if abs(found - right) < 0.06:
            raise Wrong(f"nearly: c should be {right:.4f}, but yours is {found:.4f}. It must be right to 0.001.")
        at = max(found, 0.0) ** exponent
        raise Wrong(f"the target is {target}, but at your c = {found:.3g} the distance is {at:.3g}.")
    power = _Power(1.0, scale=0.2)
    found = number(call(answer, wrong=power.wrong, distance=power.distance, target=0.5), "c")
    if abs(found - 1) > 0.001:
        raise Wrong(f"where even wrong(1.0) is too near, return 1, but yours is {found:.3g}.")


class _Power:
    """wrong(c) is a start, and distance(wrong(c)) = scale c^exponent."""

    def __init__(self, exponent: float, scale: float = 1.0):
        self.exponent, self.scale, self.mixed_up = exponent, scale, False

    def wrong(self, c: Any) -> Tensor:
        return torch.full((3, 2), float(c), dtype=torch.float64)

    def distance(self, start: Any) -> float:
        if not isinstance(start, Tensor) or start.shape != (3, 2):
            self.mixed_up = True
            return 0.0
        return self.scale * max(start[0, 0].item(), 0.0) ** self.exponent


CHECKS = {"07.1": step, "07.2": left, "07.3": equal_size}
