"""A schedule made from another: without any signal at the end, or with more noise everywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .base import Schedule, VariancePreserving


@dataclass(frozen=True)
class ZeroTerminal(VariancePreserving):
    """A schedule shifted and scaled so that alpha(1) = 0 (Lin et al. 2023, algorithm 1), a the old alpha:

        alpha(t) = (a(t) - a(1)) a(t1) / (a(t1) - a(1))

    t1 = 1 / T, the first grid point, keeps its alpha, and so does all before it; without a grid t1 = 0.
    """

    schedule: Schedule
    name = "zero_terminal_snr"

    def _ends(self) -> tuple[float, float, float]:
        first = 1 / self.schedule.T if self.schedule.T else 0.0
        return first, self.schedule.alpha(first), self.schedule.alpha(1.0)

    def _log_alpha(self, t: Tensor) -> Tensor:
        first, a_first, a_last = self._ends()
        a = self.schedule.alpha(t)
        return torch.where(t <= first, a, (a - a_last) * a_first / (a_first - a_last)).log()

    def _time_of_log_alpha(self, log_alpha: Tensor) -> Tensor:
        _, a_first, a_last = self._ends()
        alpha = log_alpha.exp()
        a = torch.where(alpha >= a_first, alpha, alpha * (a_first - a_last) / a_first + a_last)
        return self.schedule.time(2 * a.log() - torch.log1p(-(a**2)))

    def config(self) -> dict[str, Any]:
        return {"name": self.name, "schedule": self.schedule.config()}


@dataclass(frozen=True)
class Shifted(Schedule):
    """The same curve of log_snr, lower by 2 log(factor) everywhere: at each t, sigma / alpha is `factor` as large."""

    schedule: Schedule
    factor: float
    name = "shifted"

    def _log_snr(self, t: Tensor) -> Tensor:
        return self.schedule._log_snr(t) - 2 * math.log(self.factor)

    def _slope(self, t: Tensor) -> Tensor:
        return self.schedule._slope(t)

    def _log_alpha(self, t: Tensor) -> Tensor:
        return self.schedule._scales(self._log_snr(t))[0]

    def _log_sigma(self, t: Tensor) -> Tensor:
        return self.schedule._scales(self._log_snr(t))[1]

    def _time(self, log_snr: Tensor) -> Tensor:
        return self.schedule._time(log_snr + 2 * math.log(self.factor))

    def _scales(self, log_snr: Tensor) -> tuple[Tensor, Tensor]:
        return self.schedule._scales(log_snr)

    def config(self) -> dict[str, Any]:
        return {"name": self.name, "schedule": self.schedule.config(), "factor": self.factor}


def zero_terminal_snr(schedule: Schedule) -> Schedule:
    """The same schedule, changed so that alpha(1) = 0; one that has it already comes back as it is."""
    if schedule.alpha(1.0) == 0:
        return schedule
    if not isinstance(schedule, VariancePreserving):
        raise ValueError(f"schedule must keep alpha^2 + sigma^2 = 1 to end without signal, got {schedule}")
    return ZeroTerminal(schedule)


def shifted(schedule: Schedule, factor: float) -> Schedule:
    """More noise at every t: log_snr(t) - 2 log(factor), for pictures whose side is `factor` times as long.

    A picture that is enlarged averages its noise away, so the same t hides less of it; the shift hides it again
    (Hoogeboom et al. 2023, eq. 4, with factor = side / 64). On `flow` it is t' = f t / (1 + (f - 1) t) (Esser et
    al. 2024, eq. 23). factor above 0; below 1 means less noise.
    """
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 < factor < math.inf:
        raise ValueError(f"factor must be a number above 0, got {factor!r}")
    return Shifted(schedule, float(factor))
