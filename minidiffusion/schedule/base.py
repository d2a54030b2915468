"""A schedule is a family times a curve: the curve says log_snr(t), the family splits it into alpha and sigma.

variance preserving   alpha^2 = sigmoid(log_snr),      sigma^2 = sigmoid(-log_snr)      alpha^2 + sigma^2 = 1
flow                  alpha = sigmoid(log_snr / 2),    sigma = sigmoid(-log_snr / 2)    alpha + sigma = 1
variance exploding    alpha = 1,                       sigma = exp(-log_snr / 2)
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from .. import check

Times = TypeVar("Times", float, np.ndarray, Tensor)
Time = float | Float[Tensor, ""] | Float[Tensor, "batch"]
Scale = float | Tensor  # alpha or sigma, ready to multiply a batch
Batch = Float[Tensor, "batch *shape"]  # items of any shape: points, images, latents
Curve = Callable[[Tensor], Tensor]
Family = Callable[[Tensor], tuple[Tensor, Tensor]]  # log_snr -> (alpha, sigma)


def variance_preserving(log_snr: Tensor) -> tuple[Tensor, Tensor]:
    return (F.logsigmoid(log_snr) / 2).exp(), (F.logsigmoid(-log_snr) / 2).exp()


def flow_matching(log_snr: Tensor) -> tuple[Tensor, Tensor]:
    return torch.sigmoid(log_snr / 2), torch.sigmoid(-log_snr / 2)


def variance_exploding(log_snr: Tensor) -> tuple[Tensor, Tensor]:
    return torch.ones_like(log_snr), (-log_snr / 2).exp()


class Level(NamedTuple):
    """A noise level: a time and what the schedule says about it, as numbers or as tensors that broadcast."""

    time: Any
    alpha: Any
    sigma: Any
    log_snr: Any


class Schedule:
    """On t in [0, 1], alpha does not rise, sigma does not fall, and log_snr falls.

    A subclass has a family, `scales`, and two formulas in float64: `_log_snr(t)` and its inverse `_time(log_snr)`.
    The public curves take and return a number, a numpy array or a tensor of any shape.
    """

    name: str
    T: int | None = None  # for a schedule made from T betas: its grid points are i / T
    scales: Family
    _log_snr: Curve
    _time: Curve
    config: Callable[[], dict[str, Any]]  # what `from_config` needs to make this schedule again, as JSON

    def alpha(self, t: Times) -> Times:
        """Signal scale alpha(t), t in [0, 1]."""
        return _in_float64(lambda t: self.scales(self._log_snr(t))[0], t)

    def sigma(self, t: Times) -> Times:
        """Noise scale sigma(t), t in [0, 1]."""
        return _in_float64(lambda t: self.scales(self._log_snr(t))[1], t)

    def log_snr(self, t: Times) -> Times:
        """log(alpha(t)^2 / sigma(t)^2), t in [0, 1]; +inf where sigma = 0, -inf where alpha = 0."""
        return _in_float64(self._log_snr, t)

    def log_snr_slope(self, t: Times) -> Times:
        """d log_snr / dt, below 0: how fast noise is added, t in (0, 1). At a corner, the slope to its right."""
        return _in_float64(self._slope, t)

    def _slope(self, t: Tensor) -> Tensor:
        with torch.enable_grad():
            t = t.detach().requires_grad_()
            return torch.autograd.grad(self._log_snr(t).sum(), t)[0]

    def time(self, log_snr: Times) -> Times:
        """The inverse of log_snr: the t in [0, 1] at which it has this value, or the nearer end."""
        return _in_float64(lambda log_snr: self._time(log_snr).clamp(0, 1), log_snr, "log_snr", math.inf)

    def at(self, t: Time, like: Tensor | None = None) -> Level:
        """The noise level at t: numbers for a number t, tensors that broadcast against `like` for a tensor t.

        t: one time, or one for each item of `like`. The curves are read in float64, because float32 has too few digits
        of 1 - t near the ends, and returned in the dtype of `like`.
        """
        if isinstance(t, Tensor) and like is not None:
            check.one_for_each("t", t, like)
            shape = (*t.shape, *[1] * (like.ndim - 1)) if t.ndim else ()
            return Level(t, *(curve.to(like).view(shape) for curve in self._curves(t)))
        if not isinstance(t, float):
            check.number("t", t, 0, 1)
        cache = self._levels  # a sampler asks for the same few times again and again
        if t not in cache:
            if len(cache) > 10_000:
                cache.clear()
            cache[t] = Level(float(t), *(curve.item() for curve in self._curves(torch.tensor(t, dtype=torch.float64))))
        return cache[t]

    def _curves(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        log_snr = self._log_snr(check.within("t", _exact(t)))
        return *self.scales(log_snr), log_snr

    @functools.cached_property
    def _levels(self) -> dict[float, Level]:
        return {}


@dataclass(frozen=True)
class Published(Schedule):
    """A schedule given by its formulas. Two are equal if they have the same name and arguments."""

    name: str
    scales: Family = field(compare=False, repr=False)
    _log_snr: Curve = field(compare=False, repr=False)
    _time: Curve = field(compare=False, repr=False)
    arguments: dict[str, Any] = field(default_factory=dict, hash=False)
    T: int | None = field(default=None, compare=False)

    def config(self) -> dict[str, Any]:  # type: ignore[override]
        given = self.arguments.items()
        return {"name": self.name} | {k: v.config() if isinstance(v, Schedule) else v for k, v in given}


def _exact(t: Tensor) -> Tensor:
    return t.to("cpu" if t.device.type == "mps" else t.device, torch.float64)  # Apple's MPS has no float64


def _in_float64(curve: Curve, value: Any, name: str = "t", high: float = 1.0) -> Any:
    low = -high if high == math.inf else 0.0
    if isinstance(value, Tensor):
        check.same_shape(**{name: value})
        return curve(check.within(name, _exact(value), low, high)).to(value)
    try:  # a copy in order, because torch cannot read numpy's reversed views
        exact = torch.from_numpy(np.array(value, dtype=np.float64, order="C"))
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, an array or a tensor, got {check.came(value)}") from None
    result = curve(check.within(name, exact, low, high))
    return result.item() if result.ndim == 0 else result.detach().numpy()
