"""Where the steps of a sampler stop: falling times, from 1 to 0."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..schedule import Schedule


def uniform(steps: int) -> list[float]:
    """steps + 1 times from 1 to 0, evenly spaced: for a schedule of T betas and steps = T, its grid points.

    For fewer steps it is what Lin et al. 2023, table 2, call trailing: the first time is the last grid point.
    """
    _whole(steps)
    return [(steps - i) / steps for i in range(steps + 1)]


def uniform_log_snr(schedule: Schedule, steps: int, sigma_min: float = 0.002, sigma_max: float = 80.0) -> list[float]:
    """steps + 1 times from 1 to 0, evenly in log_snr between sigma / alpha = sigma_max and sigma_min."""
    return _warped(schedule, steps, sigma_min, sigma_max, math.log, math.exp)


def karras(
    schedule: Schedule, steps: int, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0
) -> list[float]:
    """steps + 1 times from 1 to 0, evenly in (sigma / alpha)^(1 / rho) (Karras et al. 2022, eq. 5).

    Where the schedule begins above sigma_min, or ends below sigma_max, its own ends stand in.
    """
    if not 0 < rho < math.inf:
        raise ValueError(f"rho must be above 0 and finite, got {rho!r}")
    return _warped(schedule, steps, sigma_min, sigma_max, lambda r: r ** (1 / rho), lambda r: r**rho)


def _whole(steps: int) -> None:
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps must be a whole number of at least 1, got {steps!r}")


def _warped(
    schedule: Schedule,
    steps: int,
    sigma_min: float,
    sigma_max: float,
    warp: Callable[[float], float],
    unwarp: Callable[[float], float],
) -> list[float]:
    _whole(steps)
    if not isinstance(schedule, Schedule):
        raise TypeError(f"schedule must be a Schedule, got {schedule!r}")
    if not 0 < sigma_min < sigma_max < math.inf:
        raise ValueError(f"sigma_min must be above 0 and below sigma_max, got {sigma_min!r} and {sigma_max!r}")
    low, high = (math.exp(-schedule.log_snr(end) / 2) for end in (0.0, 1.0))
    if not (sigma_min < high and sigma_max > low):
        raise ValueError(
            f"sigma_min must be below {high:g} and sigma_max above {low:g}, the ends of this schedule, "
            f"got {sigma_min!r} and {sigma_max!r}"
        )
    low, high = max(low, sigma_min), min(high, sigma_max)
    points = steps if schedule.sigma(0.0) == 0 else steps + 1  # no ratio leads to 0: that step is added
    a, b = warp(high), warp(low)
    inner = [unwarp(a + (b - a) * i / (points - 1)) for i in range(1, points)]
    times = [1.0, *(schedule.time(-2 * math.log(ratio)) for ratio in inner)]
    return [*times, 0.0] if points == steps else [*times[:-1], 0.0]
