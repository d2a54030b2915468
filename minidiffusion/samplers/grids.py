"""The times at which a sampler stops, falling from 1 to 0."""

import math
from collections.abc import Callable

from .. import check
from ..schedule import Schedule


def uniform(steps: int) -> list[float]:
    """steps + 1 times from 1 to 0, evenly spaced; with T steps, the grid points of a schedule of T betas.

    With fewer steps it is what Lin et al. 2023, table 2, call trailing: the first time is the last grid point.
    """
    check.whole("steps", steps)
    return [(steps - i) / steps for i in range(steps + 1)]


def uniform_log_snr(schedule: Schedule, steps: int, sigma_min: float = 0.002, sigma_max: float = 80.0) -> list[float]:
    """steps + 1 times from 1 to 0, evenly spaced in log_snr from sigma / alpha = sigma_max to sigma_min."""
    return _warped(schedule, steps, sigma_min, sigma_max, math.log, math.exp)


def karras(
    schedule: Schedule, steps: int, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0
) -> list[float]:
    """steps + 1 times from 1 to 0, evenly spaced in (sigma / alpha)^(1 / rho) (Karras et al. 2022, eq. 5).

    Where the schedule begins above sigma_min, or ends below sigma_max, its own ends take their place.
    """
    check.positive("rho", rho)
    return _warped(schedule, steps, sigma_min, sigma_max, lambda r: r ** (1 / rho), lambda r: r**rho)


def _warped(
    schedule: Schedule, steps: int, sigma_min: float, sigma_max: float, warp: Callable, unwarp: Callable
) -> list[float]:
    check.whole("steps", steps)
    check.instance("schedule", schedule, Schedule, "schedule.cosine()")
    low, high = (math.exp(-schedule.log_snr(end) / 2) for end in (0.0, 1.0))
    if not (0 < sigma_min < sigma_max < math.inf and sigma_min < high and sigma_max > low):
        ends = f"sigma_min below {high:g} and sigma_max above {low:g}, the ends of this schedule"
        raise ValueError(f"sigma_min must be above 0 and below sigma_max, {ends}; got {sigma_min!r} and {sigma_max!r}")
    low, high = max(low, sigma_min), min(high, sigma_max)
    points = steps if schedule.sigma(0.0) == 0 else steps + 1  # the step to sigma = 0, which no ratio reaches, is added
    a, b = warp(high), warp(low)
    times = [schedule.time(-2 * math.log(unwarp(a + (b - a) * i / (points - 1)))) for i in range(1, points)]
    return [1.0, *times, 0.0] if points == steps else [1.0, *times[:-1], 0.0]
