"""A network as a denoiser: (x_t, t, cond) -> x0_hat."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from . import check
from .heads import Head
from .schedule import Batch, Schedule, Time

Denoise = Callable[..., Tensor]  # the one function of this package: denoise(x_t, t, cond=None) -> x0_hat
SIGNATURE = "denoise(x_t, t, cond) -> x0_hat"


def schedule_of(denoise: Denoise, schedule: Schedule | None = None) -> Schedule:
    """The schedule that was given, or else the denoiser's own; TypeError if there is neither."""
    check.function("denoise", denoise, SIGNATURE)
    schedule = schedule if schedule is not None else getattr(denoise, "schedule", None)
    check.instance("schedule", schedule, Schedule, "schedule.cosine(), because denoise has none of its own")
    return schedule  # type: ignore[return-value]


class Denoiser(nn.Module):
    """denoise(x_t, t, cond=None) -> x0_hat, from a network, a schedule and a head that says what the output means.

    net(x, t, cond) -> output, a module or a plain function, gets one time for each item, cond untouched, and
    x = x_t / sqrt(alpha^2 d^2 + sigma^2), d the head's data_std: x_t itself where alpha^2 + sigma^2 = 1 and d = 1. Both
    come in the type of its weights. ValueError if its output does not have the shape of x. shape: of one item of the
    data, which `fit` notes here and `md.save` keeps.
    """

    shape: tuple[int, ...] | None = None

    def __init__(self, net: Callable[..., Tensor], schedule: Schedule, head: Head):
        super().__init__()
        check.function("net", net, "net(x, t, cond) -> output")
        check.instance("schedule", schedule, Schedule, "schedule.cosine()")
        check.instance("head", head, Head, "heads.V")
        self.net, self.schedule, self.head = net, schedule, head

    def output(self, x_t: Batch, t: Time, cond: Any = None) -> Tensor:
        """The network's prediction in the terms of its head (c_in in Karras et al. 2022, table 1, scales its input)."""
        level, d = self.schedule.at(t, like=x_t), self.head.data_std
        weight = next(self.net.parameters(), None) if isinstance(self.net, nn.Module) else None
        dtype, precision = (x_t.dtype, torch.float32) if weight is None else (weight.dtype, weight.dtype)
        if isinstance(t, Tensor):
            x = x_t / ((level.alpha * d) ** 2 + level.sigma**2) ** 0.5
            times = t.to(x_t.device, precision).expand(len(x_t))
        else:
            scale = math.hypot(level.alpha * d, level.sigma)
            x = x_t if abs(scale - 1) < 1e-12 else x_t / scale
            times = x_t.new_full((len(x_t),), t, dtype=precision)
        output, wanted = self.net(x.to(dtype), times, cond), self.output_shape(x_t)
        if not isinstance(output, Tensor) or output.shape != wanted:  # otherwise broadcasting hides a wrong shape
            raise ValueError(f"net must give the shape of x, {tuple(wanted)}, got {check.came(output)}")
        return output.to(x_t.dtype)

    def output_shape(self, x: Tensor) -> tuple[int, ...]:
        return x.shape

    def forward(self, x_t: Batch, t: Time, cond: Any = None) -> Batch:
        """x0_hat, the best guess of the clean data, in the shape of x_t."""
        return self.head.to_x0(self.output(x_t, t, cond), x_t, t, self.schedule)
