"""How time and condition enter a network: one vector, added up."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def sinusoids(t: Float[Tensor, "batch"], size: int) -> Float[Tensor, "batch size"]:
    """Waves of t from slow to fast, so that near times look alike and far ones do not (Vaswani et al. 2017)."""
    frequencies = torch.exp(torch.linspace(0.0, math.log(1000.0), size // 2, device=t.device))
    angles = t[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class Condition(nn.Module):
    """(t, label) -> one vector. Label number `classes` is the null label: "anything"."""

    def __init__(self, size: int, classes: int = 0):
        super().__init__()
        self.size, self.classes = size, classes
        self.time = nn.Sequential(nn.Linear(size, size), nn.SiLU(), nn.Linear(size, size))
        self.label = nn.Embedding(classes + 1, size) if classes else None

    def forward(self, t: Float[Tensor, "batch"], cond: Int[Tensor, "batch"] | None = None) -> Tensor:
        embedded = self.time(sinusoids(t, self.size))
        if self.label is None:
            if cond is not None:
                raise ValueError("cond must be None: this network was made with classes=0")
            return nn.functional.silu(embedded)
        if cond is None:
            cond = torch.full((len(t),), self.classes, device=t.device)
        if cond.shape != t.shape or cond.is_floating_point():
            raise ValueError(f"cond must hold one whole number for each of {len(t)} items, got {cond!r}")
        return nn.functional.silu(embedded + self.label(cond))
