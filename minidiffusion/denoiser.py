"""A network as a denoiser: (x_t, t, cond) -> x0_hat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .heads import Head
from .process import Time, alpha_sigma
from .schedule import Schedule, VariancePreserving

Denoise = Callable[..., Tensor]  # the one shape of the house: denoise(x_t, t, cond=None) -> x0_hat


def schedule_of(denoise: Denoise, schedule: Schedule | None = None) -> Schedule:
    """The schedule given, or else the denoiser's own."""
    if not callable(denoise):
        raise TypeError(f"denoise must be callable, denoise(x_t, t) -> x0_hat, got {denoise!r}")
    schedule = schedule if schedule is not None else getattr(denoise, "schedule", None)
    if not isinstance(schedule, Schedule):
        raise TypeError(f"schedule must be a Schedule, because denoise has none of its own, got {schedule!r}")
    return schedule


class Denoiser(nn.Module):
    """denoise(x_t, t, cond=None) -> x0_hat, from a network, a schedule and what the network's output means.

    net(x, t, cond) -> output has the shape of x; t arrives there as one float32 time for each item. A plain
    function serves as well as a module. cond goes through untouched.
    """

    def __init__(self, net: Callable[..., Tensor], schedule: Schedule, head: Head):
        super().__init__()
        if not callable(net):
            raise TypeError(f"net must be callable, net(x, t, cond) -> output, got {type(net).__name__}")
        if not isinstance(schedule, Schedule):
            raise TypeError(f"schedule must be a Schedule, such as schedule.cosine(), got {schedule!r}")
        if not isinstance(head, Head):
            raise TypeError(f"head must be one of heads.EPS, X0, V, SCORE, FLOW, F, got {head!r}")
        self.net, self.schedule, self.head = net, schedule, head

    def _ask(self, x_t: Tensor, t: Time, cond: Any) -> Tensor:
        # Unit variance in, if the data's is data_std^2 (Karras et al. 2022, c_in of table 1). For all heads but F it is
        # 1 where alpha^2 + sigma^2 = 1. A sampler asks with one number as t, and is spared the division
        x = x_t
        if isinstance(t, Tensor) or self.head.data_std != 1 or not isinstance(self.schedule, VariancePreserving):
            alpha, sigma = alpha_sigma(self.schedule, t, x_t)
            x = x_t / ((alpha * self.head.data_std) ** 2 + sigma**2) ** 0.5
        if isinstance(t, Tensor):
            times = t.to(x_t.device, torch.float32).expand(len(x_t))
        else:
            times = x_t.new_full((len(x_t),), t, dtype=torch.float32)
        return self.net(x, times, cond).to(x_t.dtype)

    def output(self, x_t: Float[Tensor, "batch *shape"], t: Time, cond: Any = None) -> Float[Tensor, "batch *shape"]:
        """What the network says, in the head's own terms."""
        return self._ask(x_t, t, cond)

    def forward(self, x_t: Float[Tensor, "batch *shape"], t: Time, cond: Any = None) -> Float[Tensor, "batch *shape"]:
        """x0_hat, the best guess of the clean data, in the shape of x_t."""
        return self.head.to_x0(self.output(x_t, t, cond), x_t, t, self.schedule)
