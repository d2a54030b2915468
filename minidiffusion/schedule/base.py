"""What every schedule is: two curves, and the inverse of their ratio."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Times = TypeVar("Times", float, np.ndarray, Tensor)


class Level(NamedTuple):
    """One time t, and what the schedule says of it: the numbers that a step of a sampler is made of."""

    time: float
    alpha: float
    sigma: float
    log_snr: float


class Schedule:
    """Two curves on t in [0, 1]: alpha does not rise, sigma does not fall, log_snr falls. Frozen; equal if alike.

    Each method takes a float, a numpy array or a tensor of any shape, computes in float64, and gives the same
    kind back. A kind of schedule is a subclass with three formulas, `_log_alpha`, `_log_sigma` and `_time`, and
    one for its family: `_scales`, which log alpha and log sigma go with a log_snr.
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
        return _in_float64(self._log_snr, t, "t", 0.0, 1.0)

    def log_snr_slope(self, t: Times) -> Times:
        """d log_snr / dt, below 0: how fast the noise rises, t in (0, 1). At a corner, the slope to its right."""

        return _in_float64(self._slope, t, "t", 0.0, 1.0)

    def levels(self, times: Sequence[float]) -> list[Level]:
        """All that a sampler needs to know of these times, as floats; what was asked once is remembered."""
        known = self._levels
        if any(t not in known for t in times):
            t = np.array(times, dtype=np.float64)
            curves = (self.alpha(t), self.sigma(t), self.log_snr(t))
            rows = zip(t.tolist(), *(curve.tolist() for curve in curves), strict=True)
            if len(known) > 100_000:
                known.clear()
            known.update((row[0], Level(*row)) for row in rows)
        return [known[t] for t in times]

    def level(self, t: float) -> Level:
        """`levels` of one time."""
        return self._levels.get(t) or self.levels([t])[0]

    def time(self, log_snr: Times) -> Times:
        """The inverse of log_snr: the t in [0, 1] that has it, or the nearer end."""
        return _in_float64(lambda log_snr: self._time(log_snr).clamp(0, 1), log_snr, "log_snr", -math.inf, math.inf)

    @functools.cached_property
    def _levels(self) -> dict[float, Level]:
        return {}

    def config(self) -> dict[str, Any]:
        """What `from_config` needs to make this schedule again, as JSON."""
        return {"name": self.name}

    def _log_alpha(self, t: Tensor) -> Tensor:
        raise NotImplementedError

    def _log_sigma(self, t: Tensor) -> Tensor:
        raise NotImplementedError

    def _log_snr(self, t: Tensor) -> Tensor:
        return 2 * (self._log_alpha(t) - self._log_sigma(t))

    def _slope(self, t: Tensor) -> Tensor:
        with torch.enable_grad():
            t = t.detach().requires_grad_()
            return torch.autograd.grad(self._log_snr(t).sum(), t)[0]

    def _time(self, log_snr: Tensor) -> Tensor:
        raise NotImplementedError

    def _scales(self, log_snr: Tensor) -> tuple[Tensor, Tensor]:
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
    return result.item() if result.ndim == 0 else result.detach().numpy()


class VariancePreserving(Schedule):
    """alpha^2 + sigma^2 = 1, so that log alpha says everything (Ho et al. 2020, eq. 4)."""

    def _log_sigma(self, t: Tensor) -> Tensor:
        # expm1 keeps all digits of 1 - alpha^2 where alpha is nearly 1; abs because -expm1(0) is -0
        return 0.5 * torch.expm1(2 * self._log_alpha(t)).abs().log()

    def _scales(self, log_snr: Tensor) -> tuple[Tensor, Tensor]:
        return 0.5 * F.logsigmoid(log_snr), 0.5 * F.logsigmoid(-log_snr)  # alpha^2 = sigmoid(log_snr)

    def _time(self, log_snr: Tensor) -> Tensor:
        return self._time_of_log_alpha(self._scales(log_snr)[0])

    def _time_of_log_alpha(self, log_alpha: Tensor) -> Tensor:
        raise NotImplementedError
