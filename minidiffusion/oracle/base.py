"""What the exact denoisers share."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from .. import check
from ..schedule import Level, Schedule, Time


class Oracle:
    """An exact denoiser. It computes in float64, and answers in the dtype of x_t."""

    schedule: Schedule

    def __call__(self, x_t: Tensor, t: Time, cond: Any = None) -> Tensor:
        raise NotImplementedError

    def score(self, x_t: Float[Tensor, "batch *shape"], t: Time, cond: Any = None) -> Float[Tensor, "batch *shape"]:
        """grad log q(x_t) = (alpha E[x0 | x_t] - x_t) / sigma^2, Tweedie's formula (Efron 2011, eq. 1.4).

        t: where sigma > 0, because without noise this is 0 / 0. cond: as in a call.
        """
        x = x_t.double()  # where sigma is small the difference has few digits, and in float32 none
        level = self._at(t, x)
        check.nonzero("sigma", level.sigma, "the score is computed from the noise, and there is none")
        return ((level.alpha * self(x, t, cond) - x) / level.sigma**2).to(x_t.dtype)

    def _at(self, t: Time, x: Tensor) -> Level:
        """The level at t as float64 tensors with as many dimensions as x."""
        return self.schedule.at(torch.as_tensor(t, dtype=torch.float64, device=x.device).reshape(-1), like=x)
