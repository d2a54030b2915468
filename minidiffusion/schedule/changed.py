"""A schedule made from another: one that ends without any signal, or one with more noise everywhere."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import check
from .base import Schedule, variance_preserving
from .curves import log_snr_from


@dataclass(frozen=True)
class ZeroTerminal(Schedule):
    """A schedule shifted and scaled so that alpha(1) = 0 (Lin et al. 2023, algorithm 1); with a(t) the old alpha,

        alpha(t) = (a(t) - a(1)) a(t1) / (a(t1) - a(1))

    t1 = 1 / T, the first grid point, keeps its alpha, and so do all times before it; without a grid, t1 = 0.
    """

    schedule: Schedule
    name = "zero_terminal_snr"
    scales = staticmethod(variance_preserving)

    def _ends(self) -> tuple[float, float, float]:
        first = 1 / self.schedule.T if self.schedule.T else 0.0
        return first, self.schedule.at(first).alpha, self.schedule.at(1.0).alpha

    def _log_snr(self, t: Tensor) -> Tensor:
        first, a_first, a_last = self._ends()
        a, _ = self.scales(self.schedule._log_snr(t))
        return log_snr_from(torch.where(t <= first, a, (a - a_last) * a_first / (a_first - a_last)).log())

    def _time(self, log_snr: Tensor) -> Tensor:
        _, a_first, a_last = self._ends()
        alpha, _ = self.scales(log_snr)
        a = torch.where(alpha >= a_first, alpha, alpha * (a_first - a_last) / a_first + a_last)
        return self.schedule._time(log_snr_from(a.log()))


@dataclass(frozen=True)
class Shifted(Schedule):
    """The same curve of log_snr, lowered by 2 log(factor): at every t, sigma / alpha is `factor` times as large."""

    schedule: Schedule
    factor: float
    name = "shifted"
    scales = property(lambda self: self.schedule.scales)

    def _log_snr(self, t: Tensor) -> Tensor:
        return self.schedule._log_snr(t) - 2 * math.log(self.factor)

    def _time(self, log_snr: Tensor) -> Tensor:
        return self.schedule._time(log_snr + 2 * math.log(self.factor))


def zero_terminal_snr(schedule: Schedule) -> Schedule:
    """The same schedule, changed so that alpha(1) = 0; a schedule that ends so already is returned as it is."""
    if schedule.alpha(1.0) == 0:
        return schedule
    if schedule.scales is not variance_preserving:
        raise ValueError(f"schedule must keep alpha^2 + sigma^2 = 1 to end without signal, got {schedule}")
    return ZeroTerminal(schedule)


def shifted(schedule: Schedule, factor: float) -> Schedule:
    """More noise at every t: log_snr(t) - 2 log(factor), for pictures whose side is `factor` times as long.

    In a larger picture, neighbouring pixels average more noise away, so the same t destroys less of it; the shift makes
    up for that (Hoogeboom et al. 2023, eq. 4, with factor = side / 64). On `flow` it is t' = f t / (1 + (f - 1) t)
    (Esser et al. 2024, eq. 23). factor above 0; below 1 means less noise.
    """
    check.positive("factor", factor)
    return Shifted(schedule, float(factor))
