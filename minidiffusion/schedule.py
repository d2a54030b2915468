"""The noise schedule: how much of x0 is left at time t, and how much noise has been added.

x_t = alpha(t) x0 + sigma(t) eps,    eps ~ N(0, I),    t = 0 is data, t = 1 is the prior
snr(t) = alpha(t)^2 / sigma(t)^2,    log_snr(t) = log snr(t),    time(log_snr(t)) = t

A schedule is a curve, log_snr(t) and its inverse, and a family, which splits log_snr into alpha and sigma. So every
published schedule is two formulas.
"""

import functools
import math
from collections import namedtuple
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from . import check

Times = TypeVar("Times", float, np.ndarray, Tensor)
Time = float | Float[Tensor, ""] | Float[Tensor, "batch"]
Scale = float | Tensor  # alpha or sigma, ready to multiply a batch
Batch = Float[Tensor, "batch *shape"]  # items of any shape: points, images, latents
Curve = Callable[[Tensor], Tensor]
Family = Callable[[Tensor], tuple[Tensor, Tensor]]  # log_snr -> (alpha, sigma)
Level = namedtuple("Level", "time alpha sigma log_snr")  # all about a time, as numbers or as tensors that broadcast


def variance_preserving(log_snr: Tensor) -> tuple[Tensor, Tensor]:  # alpha^2 + sigma^2 = 1
    return (F.logsigmoid(log_snr) / 2).exp(), (F.logsigmoid(-log_snr) / 2).exp()


def flow_matching(log_snr: Tensor) -> tuple[Tensor, Tensor]:  # alpha + sigma = 1
    return torch.sigmoid(log_snr / 2), torch.sigmoid(-log_snr / 2)


def variance_exploding(log_snr: Tensor) -> tuple[Tensor, Tensor]:  # alpha = 1
    return torch.ones_like(log_snr), (-log_snr / 2).exp()


class Schedule:
    """On t in [0, 1], alpha does not rise, sigma does not fall, and log_snr falls.

    A subclass has a family, `scales`, and two formulas in float64, `_log_snr(t)` and its inverse `_time(log_snr)`.
    The public curves take and return a number, a numpy array or a tensor of any shape.
    """

    name: str
    T: int | None = None  # for a schedule made from T betas: its grid points are i / T
    scales: Family
    _log_snr: Curve
    _time: Curve
    config: Callable[[], dict[str, Any]]  # its name and arguments, ready for JSON

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

    def time(self, log_snr: Times) -> Times:
        """The inverse of log_snr: the t in [0, 1] at which it has this value, or the nearer end."""
        return _in_float64(lambda log_snr: self._time(log_snr).clamp(0, 1), log_snr, "log_snr", math.inf)

    def _slope(self, t: Tensor) -> Tensor:
        with torch.enable_grad():
            t = t.detach().requires_grad_()
            return torch.autograd.grad(self._log_snr(t).sum(), t)[0]

    def at(self, t: Time, like: Tensor | None = None) -> Level:
        """The level at t: numbers for a number t, tensors that broadcast against `like` for a tensor t.

        t: one, or one for each item of `like`. float32 has too few digits of 1 - t, so curves are read in float64.
        """
        if isinstance(t, float) and (level := self._levels.get(t)):
            return level  # cached, because a sampler asks for the same few times again and again
        if isinstance(t, Tensor) and like is not None:
            check.one_for_each("t", t, like)
            shape = (*t.shape, *[1] * (like.ndim - 1)) if t.ndim else ()
            return Level(t, *(curve.to(like).view(shape) for curve in self._curves(t)))
        check.number("t", t, 0, 1)
        if len(self._levels) > 10_000:
            self._levels.clear()
        level = Level(float(t), *(curve.item() for curve in self._curves(torch.tensor(t, dtype=torch.float64))))
        return self._levels.setdefault(t, level)

    def _curves(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        log_snr = self._log_snr(check.within("t", exact(t)))
        return *self.scales(log_snr), log_snr

    @functools.cached_property
    def _levels(self) -> dict[Any, Level]:
        return {}


def exact(t: Tensor) -> Tensor:
    return t.to("cpu" if t.device.type == "mps" else t.device, torch.float64)  # Apple's MPS has no float64


def _in_float64(curve: Curve, value: Any, name: str = "t", high: float = 1.0) -> Any:
    low = -high if high == math.inf else 0.0
    if isinstance(value, Tensor):
        check.same_shape(**{name: value})
        return curve(check.within(name, exact(value), low, high)).to(value)
    try:  # a copy in order, because torch cannot read numpy's reversed views
        number = torch.from_numpy(np.array(value, dtype=np.float64, order="C"))
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, an array or a tensor, got {check.came(value)}") from None
    result = curve(check.within(name, number, low, high))
    return result.item() if result.ndim == 0 else result.detach().numpy()


@dataclass(frozen=True)
class Published(Schedule):  # given by its formulas; equal to another of the same name and arguments
    name: str
    scales: Family = field(compare=False, repr=False)
    _log_snr: Curve = field(compare=False, repr=False)
    _time: Curve = field(compare=False, repr=False)
    arguments: dict[str, Any] = field(default_factory=dict, hash=False)
    T: int | None = field(default=None, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:  # formulas cannot be pickled, and are made anew
        return globals()[self.name], tuple(self.arguments.values())

    def config(self) -> dict[str, Any]:  # type: ignore[override]
        given = self.arguments.items()
        return {"name": self.name} | {k: v.config() if isinstance(v, Schedule) else v for k, v in given}


def flow() -> Schedule:
    """alpha = 1 - t, sigma = t: the straight path of flow matching (Liu et al. 2022; Lipman et al. 2022)."""
    return Published("flow", flow_matching, lambda t: -2 * torch.logit(t), lambda log_snr: torch.sigmoid(-log_snr / 2))


def ve() -> Schedule:
    """alpha = 1, sigma = 0.002 (80 / 0.002)^t (Song et al. 2021, sec. 3.4, with the ends of Karras et al. 2022)."""
    a, b = math.log(0.002), math.log(80.0 / 0.002)
    return Published("ve", variance_exploding, lambda t: -2 * (a + t * b), lambda log_snr: (-log_snr / 2 - a) / b)


def cosine() -> Schedule:
    """alpha^2 = (f(t) / f(0) + floor) / (1 + floor), f(t) = cos^2(pi/2 (t + 0.008) / 1.008).

    Nichol and Dhariwal 2021, eq. 17. They clip each beta at 0.999, so that the last of 1,000 steps ends not at 0 but at
    alpha^2 = 0.001 f(0.999) / f(0) = 2.4e-9. `floor` is that number; it keeps log_snr(1) at -19.8 instead of -inf.
    """
    f0 = math.cos(0.5 * math.pi * 0.008 / 1.008) ** 2
    floor = 0.001 * math.cos(0.5 * math.pi * 1.007 / 1.008) ** 2 / f0

    def log_snr(t: Tensor) -> Tensor:
        f = torch.cos(0.5 * math.pi * ((t + 0.008) / 1.008)) ** 2
        return torch.logit(((f / f0 + floor) / (1 + floor)).clamp(max=1))

    def time(log_snr: Tensor) -> Tensor:
        f = f0 * ((1 + floor) * log_snr.sigmoid() - floor).clamp(0, 1)
        return f.sqrt().arccos() * 2 / math.pi * 1.008 - 0.008

    return Published("cosine", variance_preserving, log_snr, time)


def _log_snr_from(log_alpha: Tensor) -> Tensor:  # expm1 keeps all digits of 1 - alpha^2 where alpha is nearly 1
    return 2 * log_alpha - (-torch.expm1(2 * log_alpha)).log()


def from_betas(betas: Sequence[float] | np.ndarray | Tensor, _name: str = "from_betas") -> Schedule:
    """DDPM's time made continuous: alpha(i/T)^2 = (1 - beta_1)...(1 - beta_i) (eq. 4), and log alpha linear between."""
    try:
        values = np.asarray(betas, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    good = values.ndim == 1 and values.size > 0 and bool(((values > 0) & (values < 1)).all())
    check.must_be("a sequence of numbers in (0, 1), beta_1 first", "betas", betas, good)
    T, arguments = len(values), {"betas": values.tolist()} if _name == "from_betas" else {}
    grid = 0.5 * torch.log1p(-torch.from_numpy(np.insert(values, 0, 0.0))).cumsum(0)  # log alpha at i / T

    def log_snr(t: Tensor) -> Tensor:
        at, i = grid.to(t.device), (t * T).long().clamp(0, T - 1)
        return _log_snr_from(torch.lerp(at[i], at[i + 1], t * T - i))

    def time(log_snr: Tensor) -> Tensor:
        at, log_alpha = grid.to(log_snr.device), F.logsigmoid(log_snr) / 2
        i = torch.searchsorted(-at, -log_alpha.contiguous()).clamp(1, T)
        return (i - 1 + (at[i - 1] - log_alpha) / (at[i - 1] - at[i])) / T

    return Published(_name, variance_preserving, log_snr, time, arguments, T)


def linear() -> Schedule:
    """DDPM's 1,000 betas, evenly spaced from 1e-4 to 0.02 (Ho et al. 2020, sec. 4)."""
    return from_betas(np.linspace(1e-4, 0.02, 1000), "linear")


def scaled_linear() -> Schedule:
    """Stable Diffusion's 1,000 betas: square roots evenly spaced from sqrt(0.00085) to sqrt(0.012)."""
    return from_betas(np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, "scaled_linear")


def sigmoid() -> Schedule:
    """1,000 betas on the curve of GeoDiff (Xu et al. 2022), 1e-4 + (0.02 - 1e-4) / (1 + exp(-u)), u from -6 to 6."""
    return from_betas(1e-4 + (0.02 - 1e-4) / (1 + np.exp(-np.linspace(-6, 6, 1000))), "sigmoid")


def zero_terminal_snr(schedule: Schedule) -> Schedule:
    """alpha(t) = (a(t) - a(1)) a(t1) / (a(t1) - a(1)), a the schedule's alpha (Lin et al. 2023, algorithm 1). Its first
    grid point, t1 = 1 / T, and all times before it keep their alpha; without a grid, t1 = 0."""
    if schedule.alpha(1.0) == 0:
        return schedule
    if schedule.scales is not variance_preserving:
        raise ValueError(f"schedule must keep alpha^2 + sigma^2 = 1 to end without signal, got {schedule}")
    first = 1 / schedule.T if schedule.T else 0.0
    a1, a_last = schedule.alpha(first), schedule.alpha(1.0)

    def log_snr(t: Tensor) -> Tensor:
        a, _ = variance_preserving(schedule._log_snr(t))
        return _log_snr_from(torch.where(t <= first, a, (a - a_last) * a1 / (a1 - a_last)).log())

    def time(log_snr: Tensor) -> Tensor:
        alpha, _ = variance_preserving(log_snr)
        a = torch.where(alpha >= a1, alpha, alpha * (a1 - a_last) / a1 + a_last)
        return schedule._time(_log_snr_from(a.log()))

    return Published("zero_terminal_snr", variance_preserving, log_snr, time, {"schedule": schedule})


def shifted(schedule: Schedule, factor: float) -> Schedule:
    """More noise at every t: log_snr(t) - 2 log(factor), for pictures whose side is `factor` times as long.

    In a larger picture, averaging over neighbours removes more noise, so the same t destroys less (Hoogeboom et al.
    2023, eq. 4, factor = side / 64). On `flow`, t becomes f t / (1 + (f - 1) t), f = factor (Esser et al., eq. 23).
    """
    check.positive("factor", factor)
    old, down, arguments = schedule, 2 * math.log(factor), {"schedule": schedule, "factor": float(factor)}
    curves = lambda t: old._log_snr(t) - down, lambda log_snr: old._time(log_snr + down)
    return Published("shifted", old.scales, *curves, arguments)


NAMED: dict[str, Callable[[], Schedule]] = {m.__name__: m for m in (linear, scaled_linear, cosine, sigmoid, flow, ve)}
