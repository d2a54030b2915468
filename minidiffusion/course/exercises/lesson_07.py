"""Lesson 07: the step with fresh noise, how much of the start survives, where fresh noise is worth most."""

from __future__ import annotations

import math
from collections.abc import Callable
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
        for times, eta in (((1.0, 0.7, 0.3, 0.0), 0.5), ((0.9, 0.4, 0.1), 1.0), ((0.8, 0.6, 0.5, 0.1), 0.0)):
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


def spend(answer: Any) -> None:
    """07.3: spend(times, count, schedule) -> for each step eta 1 or 0, at most count ones, so that least is left."""
    for schedule in (schedules.linear(), schedules.scaled_linear(), schedules.cosine()):
        for times, count in (
            ((1.0, 0.98, 0.96, 0.7, 0.65, 0.4, 0.2, 0.0), 2),
            ((1.0, 0.95, 0.8, 0.6, 0.5, 0.3, 0.1, 0.0), 4),
            ((0.9, 0.7, 0.65, 0.6, 0.3, 0.25, 0.0), 4),
            ((1.0, 0.9, 0.8, 0.65, 0.25, 0.1, 0.0), 1),
            ((0.95, 0.92, 0.82, 0.77, 0.05, 0.0), 1),  # steps so long that the law for small ones misjudges them
        ):
            without, fresh = (_factors(times, eta, schedule) for eta in (0.0, 1.0))
            plan = _plan(call(answer, times=times, count=count, schedule=schedule), len(without), count)
            found, least = (_left_by(chosen, without, fresh) for chosen in (plan, _best(count, without, fresh)))
            if _near(found, least):
                continue
            name_mistake(plan, _wrong_plans(times, count, schedule), lambda plan, wrong: plan == wrong)
            where = f"over the times {times} on {schedule.name}, with fresh noise in {count} steps,"
            if len(plan) < count:
                raise Wrong(f"{where} you may forget more: your plan has {len(plan)}.")
            if len(without) - 1 in plan:
                raise Wrong("your last step ends at t = 0, where there is no noise: fresh noise changes nothing there.")
            raise Wrong(f"{where} your plan leaves {found:.3g} of the start, but another one leaves {least:.3g}.")


def _plan(etas: Any, steps: int, count: int) -> set[int]:
    """The steps that get fresh noise."""
    if not isinstance(etas, (list, tuple, Tensor)) or (isinstance(etas, Tensor) and etas.ndim != 1):
        raise Wrong(f"return a list with one eta for each step, but yours is a {type(etas).__name__}.")
    values = [number(eta, "each eta") for eta in etas]
    if len(values) == steps + 1:
        raise Wrong(f"{steps + 1} times make {steps} steps: return one eta for each step, not one for each time.")
    if len(values) != steps:
        raise Wrong(f"return one eta for each of the {steps} steps, 0 or 1, but your list has {len(values)} entries.")
    if any(value not in (0.0, 1.0) for value in values):
        raise Wrong("each eta must be 0 or 1.")
    if sum(values) > count:
        raise Wrong(f"you use fresh noise in {sum(values):.0f} steps, but only {count} are allowed.")
    return {i for i, value in enumerate(values) if value}


def _left_by(plan: set[int], without: list[float], fresh: list[float]) -> float:
    return math.prod(b if i in plan else a for i, (a, b) in enumerate(zip(without, fresh, strict=True)))


def _best(count: int, without: list[float], fresh: list[float]) -> set[int]:
    return _largest([a / b for a, b in zip(without, fresh, strict=True)], count)


def _largest(values: list[float], count: int) -> set[int]:
    return set(sorted(range(len(values)), key=lambda i: -values[i])[:count])


def _wrong_plans(times: tuple[float, ...], count: int, schedule: schedules.Schedule) -> list[tuple[set[int], str]]:
    pairs = list(zip(times, times[1:], strict=False))
    without, fresh = (_factors(times, eta, schedule) for eta in (0.0, 1.0))
    last = len(pairs) - count
    ratios = [b / a for a, b in zip(without, fresh, strict=True)]
    differences = [a - b for a, b in zip(without, fresh, strict=True)]
    small = [-b for b in fresh]
    noise = [_fresh(t, s, 1.0, schedule) for t, s in pairs]
    rise = [schedule.log_snr(s) - schedule.log_snr(t) for t, s in pairs]
    long = [t - s for t, s in pairs]
    sigma, law = schedule.sigma, "that law is for small steps. Divide the factor with fresh noise by the one without."

    def by_law(square: Callable[[float, float], float]) -> set[int]:
        return _largest([square(*pair) * r if pair[1] else 0.0 for pair, r in zip(pairs, rise, strict=True)], count)

    return [
        (by_law(lambda t, s: sigma(t) * sigma(s)), law),
        (by_law(lambda t, s: sigma((t + s) / 2) ** 2), law),
        (by_law(lambda t, s: (sigma(t) ** 2 + sigma(s) ** 2) / 2), law),
        (_largest(ratios, count), "you chose the steps that forget least. What is left should be small."),
        (_largest(small, count), "a step without fresh noise has a factor below 1, too. Compare with that."),
        (_largest(differences, count), "factors multiply: take ratios, not differences."),
        (_largest(noise, count), "the steps with the most fresh noise are not always those that forget most."),
        (
            set(range(count)),
            "you chose the first steps. A step that hardly changes the SNR forgets little, even there.",
        ),
        (set(range(last, len(pairs))), "you chose the last steps. Near the picture, fresh noise changes little."),
        (_largest(long, count), "you chose the steps that are longest in t. Compute what they forget."),
        (
            _largest(rise, count),
            "a long step in log SNR forgets only if there is noise to replace. At t = 0 there is none.",
        ),
    ]


CHECKS = {"07.1": step, "07.2": left, "07.3": spend}
