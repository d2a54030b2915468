"""A schedule with weights of its own, trained together with the network.

The continuous-time bound does not care for the curve between its ends (Kingma et al. 2021, sec. 5.1). Its estimate
from a few times does, and so does a bound of few steps: there one schedule is better than another, and the better
one can be learned (Luo's guide, "Learning Diffusion Noise Parameters").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .base import Level, VariancePreserving


class LearnedSchedule(nn.Module, VariancePreserving):
    """log_snr falls from `start` to `end` along straight pieces; how far along each one is learned.

    The shares of the fall are a softmax: whatever the weights are, log_snr falls everywhere, and the inverse is
    exact. Kingma et al. take a small monotone network instead; straight pieces are what a reader can check.
    start above end, both finite. falls: the logits of the shares, one for each piece; even by default.
    """

    name = "learned"

    def __init__(self, start: float = 13.0, end: float = -10.0, falls: Sequence[float] = (0.0,) * 32):
        if not math.inf > start > end > -math.inf:
            raise ValueError(f"start and end must be finite, start above end, got {start!r} and {end!r}")
        logits = torch.tensor(falls, dtype=torch.float32)
        if logits.ndim != 1 or len(logits) == 0 or not logits.isfinite().all():
            raise ValueError(f"falls must be finite numbers, one or more, got {falls!r}")
        super().__init__()
        self.start, self.end, self.falls = start, end, nn.Parameter(logits)

    @property
    def _levels(self) -> dict[float, Level]:  # type: ignore[override]
        return {}  # what is learned changes: nothing to remember

    def _corners(self) -> Tensor:
        """log_snr at the times i / pieces."""
        shares = self.falls.double().softmax(0)
        return self.start + (self.end - self.start) * torch.cat([shares.new_zeros(1), shares.cumsum(0)])

    def _piece(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The two corners about t, and how far it is from the one to the other."""
        corners, pieces = self._corners().to(t.device), len(self.falls)
        i = (t * pieces).long().clamp(max=pieces - 1)
        return corners[i], corners[i + 1], t * pieces - i

    def _log_snr(self, t: Tensor) -> Tensor:
        return torch.lerp(*self._piece(t))

    def _slope(self, t: Tensor) -> Tensor:
        high, low, _ = self._piece(t)
        return (low - high) * len(self.falls)

    def _log_alpha(self, t: Tensor) -> Tensor:
        return self._scales(self._log_snr(t))[0]

    def _log_sigma(self, t: Tensor) -> Tensor:
        return self._scales(self._log_snr(t))[1]

    def _time(self, log_snr: Tensor) -> Tensor:
        corners = self._corners().to(log_snr.device)
        i = (torch.searchsorted(-corners, -log_snr.contiguous()) - 1).clamp(0, len(self.falls) - 1)
        return (i + (corners[i] - log_snr) / (corners[i] - corners[i + 1])) / len(self.falls)

    def config(self) -> dict[str, Any]:
        return {"name": self.name, "start": self.start, "end": self.end, "falls": self.falls.tolist()}
