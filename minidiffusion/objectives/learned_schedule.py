"""A schedule with weights of its own, trained together with the network.

The continuous-time bound depends on the schedule through its two ends only (Kingma et al. 2021, sec. 5.1). Its estimate
from a few times depends on the curve between them, and so does a bound of few steps: there, one schedule is better than
another, and the better one can be learned (Luo 2022, "Learning Diffusion Noise Parameters").
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..schedule import Schedule, variance_preserving


class LearnedSchedule(nn.Module, Schedule):
    """log_snr falls from `start` to `end` in straight pieces; how much of the fall each piece takes is learned.

    The shares of the fall are a softmax: whatever the weights are, log_snr falls everywhere, and its inverse is exact.
    Kingma et al. use a small monotone network instead; straight pieces are easier to check. start above end, both
    finite. falls: the logits of the shares, one for each piece; all equal by default.
    """

    name = "learned"
    scales = staticmethod(variance_preserving)
    _levels = property(lambda self: {})  # type: ignore[assignment]  # nothing is cached, because training changes it

    def __init__(self, start: float = 13.0, end: float = -10.0, falls: Sequence[float] = (0.0,) * 32):
        logits = torch.tensor(falls, dtype=torch.float32)
        if not math.inf > start > end > -math.inf:
            raise ValueError(f"start and end must be finite, start above end, got {start!r} and {end!r}")
        if logits.ndim != 1 or len(logits) == 0 or not logits.isfinite().all():
            raise ValueError(f"falls must be finite numbers, one or more, got {falls!r}")
        super().__init__()
        self.start, self.end, self.falls = start, end, nn.Parameter(logits)

    def _corners(self, device: torch.device) -> Tensor:
        """log_snr at the times i / pieces."""
        shares = self.falls.double().softmax(0)
        return (self.start + (self.end - self.start) * torch.cat([shares.new_zeros(1), shares.cumsum(0)])).to(device)

    def _log_snr(self, t: Tensor) -> Tensor:
        corners, pieces = self._corners(t.device), len(self.falls)
        i = (t * pieces).long().clamp(0, pieces - 1)
        return torch.lerp(corners[i], corners[i + 1], t * pieces - i)

    def _slope(self, t: Tensor) -> Tensor:  # written out, because its own gradient must reach the weights
        pieces = len(self.falls)
        return self._corners(t.device).diff()[(t * pieces).long().clamp(0, pieces - 1)] * pieces

    def _time(self, log_snr: Tensor) -> Tensor:
        corners = self._corners(log_snr.device)
        i = (torch.searchsorted(-corners, -log_snr.contiguous()) - 1).clamp(0, len(self.falls) - 1)
        return (i + (corners[i] - log_snr) / (corners[i] - corners[i + 1])) / len(self.falls)

    def config(self) -> dict[str, Any]:
        return {"name": self.name, "start": self.start, "end": self.end, "falls": self.falls.tolist()}
