"""A network as a denoiser: (x_t, t, cond) -> x0_hat."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

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


def fitting(cond: Any, dtype: torch.dtype) -> Any:  # a condition, or a part of it, as layers take it
    if not isinstance(cond, Tensor):
        return cond if cond is None else tree_map_only(Tensor, lambda c: fitting(c, dtype), cond)
    whole = not (cond.is_floating_point() or cond.is_complex() or cond.dtype == torch.bool)
    return cond.long() if whole else cond.to(dtype) if cond.is_floating_point() else cond


class Denoiser(nn.Module):
    """denoise(x_t, t, cond=None) -> x0_hat, from a network, a schedule and a head that says what the output means.

    net(x, t, cond) -> output, or net(x, t), is a module or a plain function. It gets x = x_t / sqrt(alpha^2 d^2 +
    sigma^2), d the head's data_std, which is x_t itself where alpha^2 + sigma^2 = 1 and d = 1 but not on `flow` (so a
    network that was trained elsewhere on x_t has to multiply it again there); one time for each item; and cond as it
    came, labels as int64: a tensor, or a dictionary or tuple of tensors, with one row for each item. Floats come in the
    type of its weights. ValueError if its output does not have the shape of x. shape: of one item of the data, which
    `fit` notes and `md.save` keeps.
    """

    shape: tuple[int, ...] | None = None

    def __init__(self, net: Callable[..., Tensor], schedule: Schedule, head: Head):
        super().__init__()
        check.function("net", net, "net(x, t, cond) -> output")
        check.instance("schedule", schedule, Schedule, "schedule.cosine()")
        check.instance("head", head, Head, "heads.V")
        self.net, self.schedule, self.head, self.takes_cond = net, schedule, head, True
        try:
            inspect.signature(getattr(net, "forward", net)).bind("x", "t", "cond")
        except (TypeError, ValueError) as error:  # a ValueError, if it has none that can be read
            self.takes_cond = isinstance(error, ValueError)

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
            times = x_t.new_full(x_t.shape[:1], t, dtype=precision)
        x = x if x.dtype == dtype else x.to(dtype)  # even a `to` that changes nothing takes time at every step
        before = None if x_t.is_inference() else x_t._version
        if cond is not None:
            check.must_be("None, because net takes x and t only", "cond", cond, self.takes_cond)
            cond = fitting(cond, dtype)
        try:
            output, wanted = self.net(x, times, cond) if self.takes_cond else self.net(x, times), self.output_shape(x_t)
        except (IndexError, RuntimeError, TypeError) as error:
            if type(error).__module__ != "builtins":  # such as running out of memory
                raise
            kind = ValueError if isinstance(error, IndexError) else type(error)  # a label that it does not know
            raise kind(f"net failed on x, {check.came(x)}, and cond, {check.came(cond)}: {error}") from error
        if before is not None and x_t._version != before:
            raise ValueError("net must leave x as it is, for the sampler needs it again: write x = x * a, not x *= a")
        if not isinstance(output, Tensor) or output.shape != wanted:  # otherwise broadcasting hides a wrong shape
            raise ValueError(f"net must give the shape of x, {tuple(wanted)}, got {check.came(output)}")
        return output if output.dtype == x_t.dtype else output.to(x_t.dtype)

    def output_shape(self, x: Tensor) -> tuple[int, ...]:
        return x.shape

    def forward(self, x_t: Batch, t: Time, cond: Any = None) -> Batch:
        """x0_hat, the best guess of the clean data, in the shape of x_t."""
        return self.head.to_x0(self.output(x_t, t, cond), x_t, t, self.schedule)
