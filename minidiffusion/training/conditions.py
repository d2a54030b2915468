"""The conditions that a network learns with its data: labels, embeddings, words, or several of them at once."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from ..check import came
from ..denoiser import Denoiser
from ..nets.embedding import Condition


class Conditions:
    """One condition for each of `count` items: a tensor, or a dictionary or tuple of tensors; None for none at all.

    ValueError where the network does not know them, or where they are not one finite row for each item.
    """

    def __init__(self, denoiser: Denoiser, cond: Any, count: int):
        known = getattr(denoiser.net, "condition", None)
        self.forget = known.forget if isinstance(known, Condition) else None
        if isinstance(known, Condition):
            known.check(cond, count, null=False)
        rows, self.tree = tree_flatten(() if cond is None else cond)
        for row in rows:
            if not isinstance(row, Tensor) or row.shape[:1] != (count,) or not row.isfinite().all():
                raise ValueError(
                    f"cond must have one row for each of {count} items, in finite tensors, got {came(cond)}"
                )
        self.none, self.rows = cond is None, [row.to(next(denoiser.parameters()).device) for row in rows]

    def draw(self, index: Tensor, generator: torch.Generator, drop: float) -> list[Tensor]:
        """The rows of these items, except that each item loses its condition with the probability `drop`."""
        rows = [row[index] for row in self.rows]
        if not self.none:  # otherwise nothing is drawn, so that the noise stays the same
            dropped = (torch.rand(len(index), generator=generator) < drop).to(index.device)
            rows = [self.forget(row, dropped) if self.forget else row for row in rows]
        return rows

    def whole(self, rows: Sequence[Tensor]) -> Any:
        """The rows in the form of the condition that came."""
        return None if self.none else tree_unflatten(list(rows), self.tree)

    def attempt(self, denoiser: Denoiser, item: Callable[[Tensor], Tensor]) -> None:
        """Ask a network of one's own for the lowest and the highest label, so that a wrong one is named before work."""
        labels = [row.double() for row in self.rows if row.ndim == 1 and not self.forget]
        if labels:
            ends = torch.stack([end for row in labels for end in (row.argmin(), row.argmax())])
            with torch.no_grad():
                denoiser.eval().output(item(ends), 0.5, self.whole([row[ends] for row in self.rows]))
