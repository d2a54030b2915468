"""The noise schedule: how much of x0 is left at time t, and how much noise is beside it.

    x_t = alpha(t) x0 + sigma(t) eps,    eps ~ N(0, I),    t = 0 is data, t = 1 is the prior
    snr(t) = alpha(t)^2 / sigma(t)^2,    log_snr(t) = log snr(t),    time(log_snr(t)) = t

A schedule is two curves, alpha and sigma, and nothing else. Every method takes a float, a numpy array or a
tensor of any shape, computes in float64, and gives the same kind back.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

Times = TypeVar("Times", float, np.ndarray, Tensor)


def _elementwise(argument: str, in_unit_interval: bool) -> Callable:
    """Lets a formula of float64 arrays take floats, arrays and tensors; `xp` is numpy or torch, as the input is."""

    def decorate(formula: Callable) -> Callable:
        @functools.wraps(formula)
        def apply(schedule: Schedule, value: Any) -> Any:
            xp: Any = torch if isinstance(value, Tensor) else np
            if isinstance(value, Tensor):
                if not value.is_floating_point():
                    raise TypeError(f"{argument} must be floating point, got a tensor of {value.dtype}")
                # Apple's MPS has no float64, so there the curve is computed on the CPU.
                exact = value.to("cpu" if value.device.type == "mps" else value.device, torch.float64)
            else:
                try:
                    exact = np.asarray(value, dtype=np.float64)
                except (TypeError, ValueError):
                    raise TypeError(f"{argument} must be a number, array or tensor, got {value!r}") from None
            valid = (exact >= 0) & (exact <= 1) if in_unit_interval else ~xp.isnan(exact)
            if not bool(valid.all()):
                raise ValueError(
                    f"{argument} must be {'in [0, 1]' if in_unit_interval else 'a number'}, got {value!r}"
                )
            with np.errstate(divide="ignore"):  # log_snr is +inf where sigma = 0 and -inf where alpha = 0
                result = formula(schedule, exact, xp)
            if isinstance(value, Tensor):
                return result.to(value.device, value.dtype)
            return float(result) if np.ndim(result) == 0 else result

        return apply

    return decorate


_of_time = _elementwise("t", in_unit_interval=True)
_of_log_snr = _elementwise("log_snr", in_unit_interval=False)


class Schedule:
    """Two curves on t in [0, 1]: alpha falls, sigma rises or stays, log_snr falls. Frozen; equal if alike."""

    T: int | None = None  # number of grid points i / T where the schedule was made from T betas

    def alpha(self, t: Times) -> Times:
        """Signal scale alpha(t), t in [0, 1]."""
        raise NotImplementedError

    def sigma(self, t: Times) -> Times:
        """Noise scale sigma(t), t in [0, 1]."""
        raise NotImplementedError

    def log_snr(self, t: Times) -> Times:
        """log alpha(t)^2 / sigma(t)^2, t in [0, 1]; +inf where sigma = 0, -inf where alpha = 0."""
        raise NotImplementedError

    def time(self, log_snr: Times) -> Times:
        """The inverse of log_snr: the t in [0, 1] at which it is reached, clipped to the ends."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """What `from_config` needs to make this schedule again, in JSON's types."""
        raise NotImplementedError


class VariancePreserving(Schedule):
    """alpha^2 + sigma^2 = 1: one curve, log alpha(t), says everything (DDPM, Ho et al. 2020)."""

    def _log_alpha(self, t: Any, xp: Any) -> Any:
        raise NotImplementedError

    def _time_of_log_alpha(self, log_alpha: Any, xp: Any) -> Any:
        raise NotImplementedError

    @_of_time
    def alpha(self, t, xp):
        return xp.exp(self._log_alpha(t, xp))

    @_of_time
    def sigma(self, t, xp):
        # expm1 keeps the digits of 1 - alpha^2 where alpha is nearly 1; abs because -expm1(0) is -0
        return xp.sqrt(xp.abs(xp.expm1(2 * self._log_alpha(t, xp))))

    @_of_time
    def log_snr(self, t, xp):
        log_alpha = self._log_alpha(t, xp)
        return 2 * log_alpha - xp.log(xp.abs(xp.expm1(2 * log_alpha)))

    @_of_log_snr
    def time(self, log_snr, xp):
        log_alpha = -0.5 * xp.logaddexp(xp.zeros_like(log_snr), -log_snr)  # alpha^2 = sigmoid(log_snr)
        return xp.clip(self._time_of_log_alpha(log_alpha, xp), 0.0, 1.0)


@dataclass(frozen=True)
class FromBetas(VariancePreserving):
    """Discrete DDPM time seen as continuous: grid points t = i / T, log alpha straight between them."""

    betas: tuple[float, ...]
    name: str = "from_betas"

    @property
    def T(self) -> int:  # type: ignore[override]
        return len(self.betas)

    @functools.cached_property
    def _grid(self) -> np.ndarray:
        return np.concatenate([[0.0], 0.5 * np.cumsum(np.log1p(-np.array(self.betas)))])

    def _log_alpha(self, t, xp):
        grid = self._grid if xp is np else torch.from_numpy(self._grid).to(t.device)
        i = xp.clip(xp.floor(t * self.T), 0, self.T - 1)
        left = grid[i.astype(int) if xp is np else i.long()]
        right = grid[i.astype(int) + 1 if xp is np else i.long() + 1]
        return left + (t * self.T - i) * (right - left)

    def _time_of_log_alpha(self, log_alpha, xp):
        grid = self._grid if xp is np else torch.from_numpy(self._grid).to(log_alpha.device)
        i = xp.clip(xp.searchsorted(-grid, -log_alpha), 1, self.T)
        return (i - 1 + (grid[i - 1] - log_alpha) / (grid[i - 1] - grid[i])) / self.T

    def config(self):
        return {"name": self.name} if self.name in _MAKERS else {"name": self.name, "betas": list(self.betas)}


@dataclass(frozen=True)
class Cosine(VariancePreserving):
    """alpha^2 = (f(t) / f(0) + floor) / (1 + floor), f(t) = cos^2(pi/2 (t + s) / (1 + s)).

    Nichol and Dhariwal 2021, eq. 17, s = 0.008. There, betas are clipped at 0.999 so that alpha never reaches
    0: the last of 1,000 steps ends at alpha^2 = f(0.999) / f(0) * 0.001. `floor` is that value. It changes
    alpha^2 by less than 3e-9 anywhere, and keeps log_snr(1) at -19.8 instead of -inf.
    """

    s: float = 0.008

    def _f(self, t: Any, xp: Any) -> Any:
        return xp.cos(0.5 * np.pi * (t + self.s) / (1 + self.s)) ** 2

    @property
    def _floor(self) -> float:
        return float(0.001 * self._f(0.999, np) / self._f(0.0, np))

    def _log_alpha(self, t, xp):
        f0 = float(self._f(0.0, np))
        return 0.5 * xp.log((self._f(t, xp) / f0 + self._floor) / (1 + self._floor))

    def _time_of_log_alpha(self, log_alpha, xp):
        ratio = xp.clip((1 + self._floor) * xp.exp(2 * log_alpha) - self._floor, 0.0, 1.0)
        angle = xp.arccos(xp.sqrt(ratio * float(self._f(0.0, np))))
        return angle * 2 / np.pi * (1 + self.s) - self.s

    def config(self):
        return {"name": "cosine"}


@dataclass(frozen=True)
class ZeroTerminal(VariancePreserving):
    """A schedule shifted and scaled so that alpha(1) = 0: x_1 is pure noise (Lin et al. 2023, algorithm 1).

    alpha(t) = (a(t) - a(1)) a(t1) / (a(t1) - a(1)), where a is the old alpha and t1 = 1 / T is the first grid
    point, which the algorithm keeps. Before t1 nothing changes. A schedule without a grid has t1 = 0.
    """

    schedule: Schedule

    @property
    def _ends(self) -> tuple[float, float, float]:
        first = 1 / self.schedule.T if self.schedule.T else 0.0
        return first, self.schedule.alpha(first), self.schedule.alpha(1.0)

    def _log_alpha(self, t, xp):
        first, a_first, a_last = self._ends
        old = self.schedule.alpha(t)
        new = xp.clip((old - a_last) * a_first / (a_first - a_last), 0.0, 1.0)
        return xp.log(xp.where(t <= first, old + 0.0 * t, new))

    def _time_of_log_alpha(self, log_alpha, xp):
        _, a_first, a_last = self._ends
        new = xp.exp(log_alpha)
        old = xp.where(new >= a_first, new, new * (a_first - a_last) / a_first + a_last)
        old = xp.clip(old, 0.0, 1.0)
        return self.schedule.time(2 * xp.log(old) - xp.log1p(-(old**2)))

    def config(self):
        return {"name": "zero_terminal_snr", "schedule": self.schedule.config()}


@dataclass(frozen=True)
class Flow(Schedule):
    """alpha = 1 - t, sigma = t: the straight path of flow matching (Liu et al. 2022; Lipman et al. 2022)."""

    @_of_time
    def alpha(self, t, xp):
        return 1 - t

    @_of_time
    def sigma(self, t, xp):
        return t + 0.0

    @_of_time
    def log_snr(self, t, xp):
        return 2 * (xp.log1p(-t) - xp.log(t))

    @_of_log_snr
    def time(self, log_snr, xp):
        return xp.exp(-xp.logaddexp(xp.zeros_like(log_snr), log_snr / 2))

    def config(self):
        return {"name": "flow"}


@dataclass(frozen=True)
class VarianceExploding(Schedule):
    """alpha = 1, sigma = sigma_min (sigma_max / sigma_min)^t (Song et al. 2021, sec. 3.4), with EDM's ends.

    sigma(0) is 0.002, not 0: the last picture keeps that much noise, a quarter of one grey level of 256.
    """

    sigma_min: float = 0.002
    sigma_max: float = 80.0

    @_of_time
    def alpha(self, t, xp):
        return xp.ones_like(t)

    @_of_time
    def sigma(self, t, xp):
        return self.sigma_min * (self.sigma_max / self.sigma_min) ** t

    @_of_time
    def log_snr(self, t, xp):
        return -2 * (np.log(self.sigma_min) + t * np.log(self.sigma_max / self.sigma_min))

    @_of_log_snr
    def time(self, log_snr, xp):
        t = (-log_snr / 2 - np.log(self.sigma_min)) / np.log(self.sigma_max / self.sigma_min)
        return xp.clip(t, 0.0, 1.0)

    def config(self):
        return {"name": "ve"}


def from_betas(betas: Sequence[float] | np.ndarray | Tensor) -> Schedule:
    """The schedule with alpha(i/T)^2 = (1 - beta_1) ... (1 - beta_i); log alpha is straight between i/T.

    betas: T numbers in (0, 1), beta_1 first (Ho et al. 2020, eq. 2 and 4).
    """
    values = np.asarray(betas, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not ((values > 0) & (values < 1)).all():
        raise ValueError(f"betas must be a row of numbers in (0, 1), got shape {values.shape}: {values}")
    return FromBetas(tuple(values.tolist()))


def linear() -> Schedule:
    """DDPM's 1,000 betas, evenly spaced from 1e-4 to 0.02 (Ho et al. 2020, sec. 4)."""
    return FromBetas(tuple(np.linspace(1e-4, 0.02, 1000).tolist()), "linear")


def scaled_linear() -> Schedule:
    """Stable Diffusion's 1,000 betas: square roots evenly spaced from sqrt(0.00085) to sqrt(0.012)."""
    return FromBetas(tuple((np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2).tolist()), "scaled_linear")


def sigmoid() -> Schedule:
    """GeoDiff's 1,000 betas, 1e-4 + (0.02 - 1e-4) / (1 + exp(-u)), u from -6 to 6 (Xu et al. 2022)."""
    u = np.linspace(-6, 6, 1000)
    return FromBetas(tuple((1e-4 + (0.02 - 1e-4) / (1 + np.exp(-u))).tolist()), "sigmoid")


def cosine() -> Schedule:
    """The cosine schedule of Nichol and Dhariwal 2021, eq. 17."""
    return Cosine()


def flow() -> Schedule:
    """alpha = 1 - t, sigma = t."""
    return Flow()


def ve() -> Schedule:
    """alpha = 1, sigma from 0.002 to 80, evenly in log sigma."""
    return VarianceExploding()


def zero_terminal_snr(schedule: Schedule) -> Schedule:
    """The same schedule, changed so that alpha(1) = 0 (Lin et al. 2023, algorithm 1)."""
    if schedule.alpha(1.0) == 0:
        return schedule
    if not isinstance(schedule, VariancePreserving):
        raise ValueError(f"schedule must be variance preserving to end at SNR 0, got {schedule}")
    return ZeroTerminal(schedule)


_MAKERS: dict[str, Callable[[], Schedule]] = {
    maker.__name__: maker for maker in (linear, scaled_linear, cosine, sigmoid, flow, ve)
}


def names() -> tuple[str, ...]:
    """The schedules that have a name of their own."""
    return tuple(_MAKERS)


def from_config(config: dict[str, Any]) -> Schedule:
    """The schedule whose `config()` this is; ValueError if there is no such schedule."""
    name = config.get("name")
    if name == "from_betas":
        return from_betas(config["betas"])
    if name == "zero_terminal_snr":
        return zero_terminal_snr(from_config(config["schedule"]))
    if name not in _MAKERS:
        raise ValueError(f"name must be one of {', '.join(_MAKERS)}, got {name!r}")
    return _MAKERS[name]()
