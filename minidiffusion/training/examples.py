"""What a network learns from: the items of a data set, each with its condition if it has one."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from ..check import came, items
from ..data import to_float
from ..denoiser import Denoiser, fitting
from ..nets.embedding import Condition


class Examples:
    """Images, uint8 or float in [-1, 1], points or latents (count, ...); or a pair (data, cond).

    cond: one label, embedding or row of words for each item, or a dictionary or tuple of such tensors. ValueError if
    these are no data, or if the network does not know these conditions; one of one's own is asked for both ends of the
    labels, so that wrong ones are named before the training begins.
    """

    def __init__(self, denoiser: Denoiser, data: Any):
        x0, cond = data if isinstance(data, tuple) and len(data) == 2 else (data, None)
        items("data", to_float(x0[:1]) if getattr(x0, "dtype", None) == torch.uint8 else x0)
        most = 100 if x0.ndim == 4 else math.inf  # latents may leave [-1, 1]
        if x0.dtype != torch.uint8 and not (top := x0.abs().max()) < most:
            raise ValueError(f"data must be finite, and images in [-1, 1] or uint8, got floats up to {top:.3g}")
        weight = next(denoiser.parameters())
        cond = fitting(cond, weight.dtype)
        known, count = getattr(denoiser.net, "condition", None), len(x0)
        self.forget = known.forget if isinstance(known, Condition) else None
        if isinstance(known, Condition):
            known.check(cond, count, null=False)
        rows, self.tree = tree_flatten(() if cond is None else cond)
        for row in rows:
            if not isinstance(row, Tensor) or row.shape[:1] != (count,) or not row.isfinite().all():
                raise ValueError(
                    f"cond must have one row for each of {count} items, in finite tensors, got {came(cond)}"
                )
        self.x0, self.rows, self.none = x0.to(weight.device), [row.to(weight.device) for row in rows], cond is None
        labels = [row.double() for row in self.rows if row.ndim == 1 and not self.forget]
        if labels:
            ends = torch.stack([end for row in labels for end in (row.argmin(), row.argmax())])
            with torch.no_grad():
                denoiser.eval().output(self.items(ends), 0.5, self.cond([row[ends] for row in self.rows]))

    def items(self, index: Tensor) -> Tensor:
        chosen = self.x0[index.to(self.x0.device)]
        return to_float(chosen) if chosen.dtype == torch.uint8 else chosen.float()

    def conditions(self, index: Tensor, drop: float, generator: Generator) -> list[Tensor]:
        """The rows of these items; each item loses its condition with the probability `drop`."""
        rows = [row[index.to(row.device)] for row in self.rows]
        if not self.none:  # otherwise nothing is drawn, so that the next batch stays the same
            dropped = (torch.rand(len(index), generator=generator) < drop).to(self.x0.device)
            rows = [self.forget(row, dropped) if self.forget else row for row in rows]
        return rows

    def cond(self, rows: Sequence[Tensor]) -> Any:
        """The rows in the form of the condition that came."""
        return None if self.none else tree_unflatten(list(rows), self.tree)
