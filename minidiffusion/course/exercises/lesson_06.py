"""Lesson 06: the step with fresh noise, what a walk remembers of its start, a prior that is wrong in its shape."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ... import schedule as schedules
from ...process import diffuse
from .judge import Wrong, call, close, name_mistake, number, same_kind


def _fresh(t: float, s: float, eta: float, schedule: schedules.Schedule) -> float:
    """The standard deviation of the new noise: eta sigma_s sqrt(1 - SNR(t) / SNR(s))."""
    kept = schedule.alpha(t) * schedule.sigma(s) / (schedule.alpha(s) * schedule.sigma(t))
    return eta * schedule.sigma(s) * math.sqrt(1 - kept**2)


def step(answer: Any) -> None:
    """06.1: step(x_t, x0_hat, t, s, eta, schedule, z) -> alpha_s x0_hat + sqrt(sigma_s^2 - tau^2) eps_hat + tau z."""
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.linear(), schedules.flow()):
        for t, s, eta in ((0.8, 0.3, 0.5), (0.6, 0.5, 1.0), (0.9, 0.4, 0.0), (0.7, 0.0, 1.0)):
            x0, eps, z = torch.randn(3, 4, 1, 4, 4, generator=generator, dtype=torch.float64)
            x_t = diffuse(x0, t, eps, schedule)
            inputs = dict(x_t=x_t, x0_hat=x0, t=t, s=s, eta=eta, schedule=schedule, z=z)
            x_s = call(answer, **inputs)
            if isinstance(x_s, Tensor) and x_s.is_complex():
                raise Wrong("a root of a negative number came up. SNR(t) / SNR(s) lies below 1: s has less noise.")
            x_s = same_kind(x_s, x_t, "x_s")
            if not close(x_s, answer(*inputs.values())):
                raise Wrong("called twice, it gives two answers. The new noise is the z that comes in.")
            tau = _fresh(t, s, eta, schedule)
            right = schedule.alpha(s) * x0 + math.sqrt(schedule.sigma(s) ** 2 - tau**2) * eps + tau * z
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
    alpha, sigma, tau, full = (
        schedule.alpha(s),
        schedule.sigma(s),
        _fresh(t, s, eta, schedule),
        _fresh(t, s, 1.0, schedule),
    )
    x_t, old = diffuse(x0, t, eps, schedule), math.sqrt(sigma**2 - tau**2)
    squared = eta**2 * full
    return [
        (
            alpha * x0 + sigma * eps + tau * z,
            "there is too much noise: the old must make room, sqrt(sigma_s^2 - tau^2).",
        ),
        (alpha * x0 + old * eps, "the new noise is missing: tau z."),
        (alpha * x0 + sigma * eps, "that is the step of lesson 00, without new noise: eta is not in it."),
        (
            alpha * x0 + math.sqrt(sigma**2 - full**2) * eps + full * z,
            "that is the step for eta = 1, whatever eta is: tau comes with the factor eta.",
        ),
        (
            alpha * x0 + (sigma - tau) * eps + tau * z,
            "variances add, not standard deviations: sqrt(sigma_s^2 - tau^2).",
        ),
        (alpha * x0 + (sigma**2 - tau**2) * eps + tau * z, "sigma_s^2 - tau^2 is a variance: take its root."),
        (alpha * x0 + old * eps + tau**2 * z, "the new noise comes with its standard deviation tau, not with tau^2."),
        (alpha * x0 + old * z + tau * eps, "old and new noise have changed places: tau goes with z."),
        (alpha * x0 + sigma * z, "you threw all the old noise away. sqrt(sigma_s^2 - tau^2) of it stays."),
        (alpha * x0 + old * eps - tau * z, "z has the wrong sign."),
        (alpha * x0 - old * eps + tau * z, "the old noise has the wrong sign."),
        (alpha * x0 + old * x_t + tau * z, "you took x_t for the noise: that is (x_t - alpha(t) x0_hat) / sigma(t)."),
        (x0 + old * eps + tau * z, "the guess must be as faint as a picture is at s: multiply it by alpha(s)."),
        (
            schedule.alpha(t) * x0 + old * eps + tau * z,
            "the guess comes with alpha(t) in yours; at s it needs alpha(s).",
        ),
        (
            alpha * x0 + math.sqrt(sigma**2 - squared**2) * eps + squared * z,
            "eta is squared in your tau: it is the factor as it stands.",
        ),
    ]


def left(answer: Any) -> None:
    """06.2: left(times, eta, schedule) -> the product of alpha_s alpha_t + sqrt(sigma_s^2 - tau^2) sigma_t."""
    for schedule in (schedules.scaled_linear(), schedules.linear(), schedules.cosine()):
        for times, eta in (((1.0, 0.7, 0.3, 0.0), 0.5), ((1.0, 0.4, 0.0), 1.0), ((0.8, 0.6, 0.5, 0.1), 0.0)):
            found = number(call(answer, times=times, eta=eta, schedule=schedule), "what is left")
            right = math.prod(_factors(times, eta, schedule))
            if math.isclose(found, right, rel_tol=1e-4, abs_tol=1e-9):
                continue
            for wrong, sentence in _wrong_products(times, eta, schedule):
                if math.isclose(found, wrong, rel_tol=1e-4, abs_tol=1e-9):
                    raise Wrong(sentence)
            raise Wrong(f"over the times {times} with eta = {eta} on {schedule.name}, yours is {found:.4g}.")


def _factors(times: tuple[float, ...], eta: float, schedule: schedules.Schedule) -> list[float]:
    factors = []
    for t, s in zip(times, times[1:], strict=False):
        old = math.sqrt(schedule.sigma(s) ** 2 - _fresh(t, s, eta, schedule) ** 2)
        factors.append(schedule.alpha(s) * schedule.alpha(t) + old * schedule.sigma(t))
    return factors


def _wrong_products(times: tuple[float, ...], eta: float, schedule: schedules.Schedule) -> list[tuple[float, str]]:
    factors, pairs = _factors(times, eta, schedule), list(zip(times, times[1:], strict=False))
    signal = [schedule.alpha(s) * schedule.alpha(t) for t, s in pairs]
    noise = [f - a for f, a in zip(factors, signal, strict=True)]
    full = [a + schedule.sigma(s) * schedule.sigma(t) for a, (t, s) in zip(signal, pairs, strict=True)]
    unmixed = [a + n / schedule.sigma(t) for a, n, (t, _) in zip(signal, noise, pairs, strict=True)]
    return [
        (
            schedule.alpha(1.0) ** (eta**2),
            "that is the limit of many small steps. Multiply the factors of these steps.",
        ),
        (schedule.alpha(1.0) ** eta, "in the limit eta is squared; and here the factors of these steps are asked for."),
        (sum(factors), "factors of one step after the other multiply, they do not add."),
        (factors[0], "that is the first step alone: multiply over all of them."),
        (factors[-1], "that is the last step alone: multiply over all of them."),
        (math.prod(factors[:-1]), "the last step is missing: there is one less step than there are times."),
        (math.prod(factors[1:]), "the first step is missing."),
        (math.prod(signal), "the part that goes through the old noise is missing: sqrt(sigma_s^2 - tau^2) sigma_t."),
        (math.prod(noise), "the part that goes through the guess is missing: alpha_s alpha_t."),
        (
            math.prod(full),
            "that is the walk without new noise, whatever eta is: the old noise comes with sqrt(sigma_s^2 - tau^2).",
        ),
        (math.prod(_factors(times, 1.0, schedule)), "that is the walk with eta = 1, whatever eta is."),
        (math.prod(unmixed), "the old noise in x_t is sigma_t x_t: its part comes with the factor sigma_t."),
        (1 - math.prod(factors), "that is what is lost; what is left is asked for."),
    ]


def even_prior(answer: Any) -> None:
    """06.3: even_prior(shape, generator) -> independent numbers, uniform on an interval about 0, of variance 1."""
    shape = (20_000, 2)

    def drawn(seed: int) -> Tensor:
        x = call(answer, shape=shape, generator=torch.Generator().manual_seed(seed))
        return same_kind(x, torch.zeros(shape, dtype=x.dtype if isinstance(x, Tensor) else None), "the start")

    x = drawn(0)
    if not x.is_floating_point():
        raise Wrong(f"the start must be numbers with a fraction, and yours are {x.dtype}.")
    if not torch.equal(x, drawn(0)):
        raise Wrong("the same seed gives two answers: hand the generator on to torch.rand.")
    if torch.equal(x, drawn(1)):
        raise Wrong("another seed gives the same answer: draw with the generator that comes in.")
    mean, variance, longest = x.mean().item(), x.var().item(), x.abs().max().item()
    if abs(mean) > 0.05:
        raise Wrong(f"the mean must be 0, and yours is {mean:.2f}: torch.rand lies between 0 and 1.")
    if abs(variance - 1) > 0.05:
        hint = " Spread evenly from -a to a, numbers have the variance a^2 / 3."
        raise Wrong(f"the variance must be 1, and yours is {variance:.2f}.{hint}")
    if longest > math.sqrt(3) + 1e-3:
        raise Wrong(f"mean and variance are right, but {longest:.2f} lies outside the interval that variance 1 leaves.")
    if abs((x.abs() < math.sqrt(3) / 2).double().mean().item() - 0.5) > 0.02:
        raise Wrong("mean and variance are right, but not spread evenly: half of it must lie in the inner half.")
    if abs(torch.corrcoef(x.T.double())[0, 1].item()) > 0.05 or abs((x[1:, 0] * x[:-1, 0]).mean().item()) > 0.05:
        raise Wrong("the numbers hang together: each place needs a draw of its own.")


CHECKS = {"06.1": step, "06.2": left, "06.3": even_prior}
