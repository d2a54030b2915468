"""The times at which a sampler stops, falling from 1 to 0."""

import math

from .. import check
from ..schedule import Schedule


def uniform(steps: int) -> list[float]:
    """steps + 1 times from 1 to 0, evenly spaced; with T steps, the grid points of a schedule of T betas.

    With fewer steps it is what Lin et al. 2023, table 2, call trailing: the first time is the last grid point.
    """
    check.whole("steps", steps)
    return [(steps - i) / steps for i in range(steps + 1)]


def karras(
    schedule: Schedule, steps: int, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0
) -> list[float]:
    """steps + 1 times from 1 to 0, evenly spaced in (sigma / alpha)^(1 / rho) (Karras et al. 2022, eq. 5).

    rho may be infinite. Where the schedule begins above sigma_min, or ends below sigma_max, its own ends are used.
    """
    check.whole("steps", steps)
    check.instance("schedule", schedule, Schedule, "schedule.cosine()")
    check.must_be("above 0", "rho", rho, isinstance(rho, float | int) and rho > 0)
    low, high = (math.exp(-schedule.log_snr(end) / 2) for end in (0.0, 1.0))
    if not (0 < sigma_min < sigma_max < math.inf and sigma_min < high and sigma_max > low):
        ends = f"sigma_min below {high:g} and sigma_max above {low:g}, the ends of this schedule"
        raise ValueError(f"sigma_min must be above 0 and below sigma_max, {ends}; got {sigma_min!r} and {sigma_max!r}")
    low, high = max(low, sigma_min), min(high, sigma_max)
    points = steps if schedule.sigma(0.0) == 0 else steps + 1  # the step to sigma = 0, which no ratio reaches, is added
    shares = [i / (points - 1) for i in range(1, points)]
    if rho == math.inf:  # the limit of large rho is a straight line in the logarithm
        log_ratios = [math.log(high) + (math.log(low) - math.log(high)) * share for share in shares]
    else:
        a, b = high ** (1 / rho), low ** (1 / rho)
        log_ratios = [rho * math.log(a + (b - a) * share) for share in shares]
    times = [schedule.time(-2 * log_ratio) for log_ratio in log_ratios]
    return [1.0, *times, 0.0] if points == steps else [1.0, *times[:-1], 0.0]


def uniform_log_snr(schedule: Schedule, steps: int, sigma_min: float = 0.002, sigma_max: float = 80.0) -> list[float]:
    """steps + 1 times from 1 to 0, evenly spaced in log_snr from sigma / alpha = sigma_max to sigma_min."""
    return karras(schedule, steps, sigma_min, sigma_max, math.inf)
