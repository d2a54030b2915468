"""What the exact denoisers share."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..process import Time, alpha_sigma
from ..schedule import Schedule


class Oracle:
    """An exact denoiser. It computes in float64, and answers in the dtype of x_t."""

    schedule: Schedule

    def __call__(self, x_t: Tensor, t: Time, cond: Any = None) -> Tensor:
        raise NotImplementedError

    def score(self, x_t: Float[Tensor, "batch *shape"], t: Time, cond: Any = None) -> Float[Tensor, "batch *shape"]:
        """grad log q(x_t) = (alpha E[x0 | x_t] - x_t) / sigma^2, Tweedie's formula (Efron 2011, eq. 1.4).

        t: where sigma > 0, for without noise this is 0 / 0. cond: as in a call.
        """
        x = x_t.double()  # where sigma is small the difference has few digits, and float32 none of them
        alpha, sigma = self._scales(t, x)
        if bool((sigma == 0).any()):
            raise ValueError("t must not be where sigma = 0: the score is read off the noise, and there is none")
        return ((alpha * self(x, t, cond) - x) / sigma**2).to(x_t.dtype)

    def _scales(self, t: Time, x: Tensor) -> tuple[Tensor, Tensor]:
        """alpha(t) and sigma(t) in float64, with as many dimensions as x."""
        scales = alpha_sigma(self.schedule, t, x)
        shape = (-1,) + (1,) * (x.ndim - 1)
        alpha, sigma = (torch.as_tensor(a, dtype=torch.float64, device=x.device).reshape(shape) for a in scales)
        return alpha, sigma
