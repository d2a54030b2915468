"""The noise schedule: how much of x0 is left at time t, and how much noise is beside it.

x_t = alpha(t) x0 + sigma(t) eps,    eps ~ N(0, I),    t = 0 is data, t = 1 is the prior
snr(t) = alpha(t)^2 / sigma(t)^2,    log_snr(t) = log snr(t),    time(log_snr(t)) = t
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

Times = TypeVar("Times", float, np.ndarray, Tensor)


class Schedule:
    """Two curves on t in [0, 1]: alpha does not rise, sigma does not fall, log_snr falls. Frozen; equal if alike.

    Each method takes a float, a numpy array or a tensor of any shape, computes in float64, and gives the same
    kind back. A kind of schedule is a subclass with three formulas: `_log_alpha`, `_log_sigma` and `_time`.
    """

    name: str
    T: int | None = None  # where the schedule was made from T betas: its grid points are i / T

    def alpha(self, t: Times) -> Times:
        """Signal scale alpha(t), t in [0, 1]."""
        return _in_float64(lambda t: self._log_alpha(t).exp(), t, "t", 0.0, 1.0)

    def sigma(self, t: Times) -> Times:
        """Noise scale sigma(t), t in [0, 1]."""
        return _in_float64(lambda t: self._log_sigma(t).exp(), t, "t", 0.0, 1.0)

    def log_snr(self, t: Times) -> Times:
        """log(alpha(t)^2 / sigma(t)^2), t in [0, 1]; +inf where sigma = 0, -inf where alpha = 0."""
        return _in_float64(lambda t: 2 * (self._log_alpha(t) - self._log_sigma(t)), t, "t", 0.0, 1.0)

    def time(self, log_snr: Times) -> Times:
        """The inverse of log_snr: the t in [0, 1] that has it, or the nearer end."""
        return _in_float64(lambda log_snr: self._time(log_snr).clamp(0, 1), log_snr, "log_snr", -math.inf, math.inf)

    def config(self) -> dict[str, Any]:
        """What `from_config` needs to make this schedule again, as JSON."""
        return {"name": self.name}

    def _log_alpha(self, t: Tensor) -> Tensor:
        raise NotImplementedError

    def _log_sigma(self, t: Tensor) -> Tensor:
        raise NotImplementedError

    def _time(self, log_snr: Tensor) -> Tensor:
        raise NotImplementedError


def _in_float64(curve: Callable[[Tensor], Tensor], value: Any, name: str, low: float, high: float) -> Any:
    if isinstance(value, Tensor):
        if not value.is_floating_point():
            raise TypeError(f"{name} must be floating point, got a tensor of {value.dtype}")
        # Apple's MPS has no float64: there, the curve is read on the CPU
        exact = value.to("cpu" if value.device.type == "mps" else value.device, torch.float64)
    else:
        try:
            # a copy in order: torch cannot read numpy's reversed views
            exact = torch.from_numpy(np.array(value, dtype=np.float64, order="C"))
        except (TypeError, ValueError):
            raise TypeError(f"{name} must be a number, an array or a tensor, got {value!r}") from None
    if not bool(((exact >= low) & (exact <= high)).all()):  # false for nan too
        raise ValueError(f"{name} must be in [{low:g}, {high:g}], got {value!r}")
    result = curve(exact)
    if isinstance(value, Tensor):
        return result.to(value)
    return result.item() if result.ndim == 0 else result.numpy()


class VariancePreserving(Schedule):
    """alpha^2 + sigma^2 = 1, so that log alpha says everything (Ho et al. 2020, eq. 4)."""

    def _log_sigma(self, t: Tensor) -> Tensor:
        # expm1 keeps all digits of 1 - alpha^2 where alpha is nearly 1; abs because -expm1(0) is -0
        return 0.5 * torch.expm1(2 * self._log_alpha(t)).abs().log()

    def _time(self, log_snr: Tensor) -> Tensor:
        return self._time_of_log_alpha(0.5 * torch.nn.functional.logsigmoid(log_snr))  # alpha^2 = sigmoid(log_snr)

    def _time_of_log_alpha(self, log_alpha: Tensor) -> Tensor:
        raise NotImplementedError


@dataclass(frozen=True)
class FromBetas(VariancePreserving):
    """Discrete DDPM time seen as continuous: grid points t = i / T, log alpha straight between them."""

    betas: tuple[float, ...]
    name: str = "from_betas"

    @property
    def T(self) -> int:  # type: ignore[override]
        return len(self.betas)

    @functools.cached_property
    def _grid(self) -> Tensor:
        """log alpha at i / T: alpha^2 is the product of the 1 - beta so far."""
        steps = torch.log1p(-torch.tensor(self.betas, dtype=torch.float64))
        return torch.cat([torch.zeros(1, dtype=torch.float64), 0.5 * steps.cumsum(0)])

    def _log_alpha(self, t: Tensor) -> Tensor:
        grid = self._grid.to(t.device)
        i = (t * self.T).long().clamp(max=self.T - 1)
        return torch.lerp(grid[i], grid[i + 1], t * self.T - i)

    def _time_of_log_alpha(self, log_alpha: Tensor) -> Tensor:
        grid = self._grid.to(log_alpha.device)
        i = torch.searchsorted(-grid, -log_alpha.contiguous()).clamp(1, self.T)
        return (i - 1 + (grid[i - 1] - log_alpha) / (grid[i - 1] - grid[i])) / self.T

    def config(self) -> dict[str, Any]:
        return {"name": self.name} | ({} if self.name in NAMED else {"betas": list(self.betas)})


@dataclass(frozen=True)
class Cosine(VariancePreserving):
    """alpha^2 = (f(t) / f(0) + floor) / (1 + floor), f(t) = cos^2(pi/2 (t + 0.008) / (1.008)).

    Nichol and Dhariwal 2021, eq. 17. They clip each beta at 0.999 so that alpha never reaches 0, and the last
    of 1,000 steps ends at alpha^2 = 0.001 f(0.999) / f(0) = 2.4e-9. `floor` is that number: it moves alpha^2
    nowhere by more, and keeps log_snr(1) at -19.8 instead of -inf.
    """

    name = "cosine"
    floor = 0.001 * (math.cos(0.5 * math.pi * 1.007 / 1.008) / math.cos(0.5 * math.pi * 0.008 / 1.008)) ** 2
    f0 = math.cos(0.5 * math.pi * 0.008 / 1.008) ** 2

    def _log_alpha(self, t: Tensor) -> Tensor:
        f = torch.cos(0.5 * math.pi * ((t + 0.008) / 1.008)) ** 2
        return 0.5 * ((f / self.f0 + self.floor) / (1 + self.floor)).log()

    def _time_of_log_alpha(self, log_alpha: Tensor) -> Tensor:
        f = self.f0 * ((1 + self.floor) * (2 * log_alpha).exp() - self.floor).clamp(0, 1)
        return f.sqrt().arccos() * 2 / math.pi * 1.008 - 0.008


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
class Flow(Schedule):
    """alpha = 1 - t, sigma = t: the straight path of flow matching (Liu et al. 2022; Lipman et al. 2022)."""

    name = "flow"

    def _log_alpha(self, t: Tensor) -> Tensor:
        return torch.log1p(-t)

    def _log_sigma(self, t: Tensor) -> Tensor:
        return t.log()

    def _time(self, log_snr: Tensor) -> Tensor:
        return torch.sigmoid(-log_snr / 2)


@dataclass(frozen=True)
class VarianceExploding(Schedule):
    """alpha = 1, sigma = 0.002 (80 / 0.002)^t: Song et al. 2021, sec. 3.4, with the ends of Karras et al. 2022.

    sigma(0) is 0.002, not 0: the last picture keeps that much noise, a quarter of one grey level of 256.
    """

    name = "ve"

    def _log_alpha(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    def _log_sigma(self, t: Tensor) -> Tensor:
        return math.log(0.002) + t * math.log(80.0 / 0.002)

    def _time(self, log_snr: Tensor) -> Tensor:
        return (-log_snr / 2 - math.log(0.002)) / math.log(80.0 / 0.002)


def from_betas(betas: Sequence[float] | np.ndarray | Tensor) -> Schedule:
    """The schedule with alpha(i/T)^2 = (1 - beta_1) ... (1 - beta_i), log alpha straight between the i / T.

    betas: T numbers in (0, 1), beta_1 first (Ho et al. 2020, eq. 2 and 4).
    """
    try:
        values = np.asarray(betas, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"betas must be a row of numbers in (0, 1), got {betas!r}") from None
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
    """GeoDiff's 1,000 betas, 1e-4 + (0.02 - 1e-4) / (1 + exp(-u)), u evenly from -6 to 6 (Xu et al. 2022)."""
    u = np.linspace(-6, 6, 1000)
    return FromBetas(tuple((1e-4 + (0.02 - 1e-4) / (1 + np.exp(-u))).tolist()), "sigmoid")


def zero_terminal_snr(schedule: Schedule) -> Schedule:
    """The same schedule, changed so that alpha(1) = 0; one that has it already comes back as it is."""
    if schedule.alpha(1.0) == 0:
        return schedule
    if not isinstance(schedule, VariancePreserving):
        raise ValueError(f"schedule must keep alpha^2 + sigma^2 = 1 to end without signal, got {schedule}")
    return ZeroTerminal(schedule)


cosine, flow, ve = Cosine, Flow, VarianceExploding
NAMED: dict[str, Callable[[], Schedule]] = dict(
    linear=linear, scaled_linear=scaled_linear, cosine=cosine, sigmoid=sigmoid, flow=flow, ve=ve
)


def from_config(config: dict[str, Any]) -> Schedule:
    """The schedule whose `config()` this is; ValueError if there is no such schedule."""
    name = config.get("name") if isinstance(config, dict) else None
    if name == "from_betas":
        return from_betas(config.get("betas", []))
    if name == "zero_terminal_snr":
        return zero_terminal_snr(from_config(config.get("schedule", {})))
    if name not in NAMED:
        raise ValueError(f"name must be one of {', '.join(NAMED)}, got {name!r}")
    return NAMED[name]()
