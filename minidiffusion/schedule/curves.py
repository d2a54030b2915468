"""The published schedules."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import check
from .base import Schedule, flow_matching, variance_exploding, variance_preserving


def log_snr_from(log_alpha: Tensor) -> Tensor:
    """log(alpha^2 / (1 - alpha^2)); expm1 keeps all digits of 1 - alpha^2 where alpha is nearly 1."""
    return 2 * log_alpha - (-torch.expm1(2 * log_alpha)).log()


@dataclass(frozen=True)
class FromBetas(Schedule):
    """Discrete DDPM time as continuous time: grid points t = i / T, and log alpha interpolated between them."""

    betas: tuple[float, ...]
    name: str = "from_betas"
    scales = staticmethod(variance_preserving)

    @property
    def T(self) -> int:  # type: ignore[override]
        return len(self.betas)

    @functools.cached_property
    def _grid(self) -> Tensor:
        """log alpha at i / T: alpha^2 is the product of all 1 - beta up to there."""
        steps = torch.log1p(-torch.tensor((0.0, *self.betas), dtype=torch.float64))
        return 0.5 * steps.cumsum(0)

    def _log_snr(self, t: Tensor) -> Tensor:
        grid = self._grid.to(t.device)
        i = (t * self.T).long().clamp(0, self.T - 1)
        return log_snr_from(torch.lerp(grid[i], grid[i + 1], t * self.T - i))

    def _time(self, log_snr: Tensor) -> Tensor:
        grid, log_alpha = self._grid.to(log_snr.device), F.logsigmoid(log_snr) / 2
        i = torch.searchsorted(-grid, -log_alpha.contiguous()).clamp(1, self.T)
        return (i - 1 + (grid[i - 1] - log_alpha) / (grid[i - 1] - grid[i])) / self.T

    def config(self) -> dict[str, Any]:
        return {"name": self.name} | ({"betas": list(self.betas)} if self.name == "from_betas" else {})


@dataclass(frozen=True)
class Cosine(Schedule):
    """alpha^2 = (f(t) / f(0) + floor) / (1 + floor), f(t) = cos^2(pi/2 (t + 0.008) / 1.008).

    Nichol and Dhariwal 2021, eq. 17. They clip each beta at 0.999 so that alpha never reaches 0, and the last of their
    1,000 steps ends at alpha^2 = 0.001 f(0.999) / f(0) = 2.4e-9. `floor` is that number: it changes alpha^2 by no more
    than itself, and keeps log_snr(1) at -19.8 instead of -inf.
    """

    name = "cosine"
    scales = staticmethod(variance_preserving)
    f0 = math.cos(0.5 * math.pi * 0.008 / 1.008) ** 2
    floor = 0.001 * math.cos(0.5 * math.pi * 1.007 / 1.008) ** 2 / f0

    def _log_snr(self, t: Tensor) -> Tensor:
        f = torch.cos(0.5 * math.pi * ((t + 0.008) / 1.008)) ** 2
        return torch.logit(((f / self.f0 + self.floor) / (1 + self.floor)).clamp(max=1))

    def _time(self, log_snr: Tensor) -> Tensor:
        f = self.f0 * ((1 + self.floor) * log_snr.sigmoid() - self.floor).clamp(0, 1)
        return f.sqrt().arccos() * 2 / math.pi * 1.008 - 0.008


@dataclass(frozen=True)
class Flow(Schedule):
    """alpha = 1 - t, sigma = t: the straight path of flow matching (Liu et al. 2022; Lipman et al. 2022)."""

    name = "flow"
    scales = staticmethod(flow_matching)

    def _log_snr(self, t: Tensor) -> Tensor:
        return -2 * torch.logit(t)

    def _time(self, log_snr: Tensor) -> Tensor:
        return torch.sigmoid(-log_snr / 2)


@dataclass(frozen=True)
class VarianceExploding(Schedule):
    """alpha = 1, sigma = 0.002 (80 / 0.002)^t: Song et al. 2021, sec. 3.4, with the ends of Karras et al. 2022.

    sigma(0) is 0.002, not 0: the final picture keeps that much noise, a quarter of one grey level of 256.
    """

    name = "ve"
    scales = staticmethod(variance_exploding)
    low, ratio = math.log(0.002), math.log(80.0 / 0.002)

    def _log_snr(self, t: Tensor) -> Tensor:
        return -2 * (self.low + t * self.ratio)

    def _time(self, log_snr: Tensor) -> Tensor:
        return (-log_snr / 2 - self.low) / self.ratio


def from_betas(betas: Sequence[float] | np.ndarray | Tensor) -> Schedule:
    """The schedule with alpha(i/T)^2 = (1 - beta_1) ... (1 - beta_i), log alpha interpolated between the i / T.

    betas: T numbers in (0, 1), beta_1 first (Ho et al. 2020, eq. 2 and 4).
    """
    try:
        values = np.asarray(betas, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"betas must be a sequence of numbers in (0, 1), got {check.came(betas)}") from None
    if values.ndim != 1 or values.size == 0 or not ((values > 0) & (values < 1)).all():
        raise ValueError(f"betas must be a sequence of numbers in (0, 1), got {check.came(betas)}")
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


cosine, flow, ve = Cosine, Flow, VarianceExploding
