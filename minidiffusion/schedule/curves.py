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

from .base import Schedule, VariancePreserving


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
        return {"name": self.name} | ({"betas": list(self.betas)} if self.name == "from_betas" else {})


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
class Flow(Schedule):
    """alpha = 1 - t, sigma = t: the straight path of flow matching (Liu et al. 2022; Lipman et al. 2022)."""

    name = "flow"

    def _log_alpha(self, t: Tensor) -> Tensor:
        return torch.log1p(-t)

    def _log_sigma(self, t: Tensor) -> Tensor:
        return t.log()

    def _time(self, log_snr: Tensor) -> Tensor:
        return torch.sigmoid(-log_snr / 2)

    def _scales(self, log_snr: Tensor) -> tuple[Tensor, Tensor]:
        return F.logsigmoid(log_snr / 2), F.logsigmoid(-log_snr / 2)


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

    def _scales(self, log_snr: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(log_snr), -log_snr / 2


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


cosine, flow, ve = Cosine, Flow, VarianceExploding
