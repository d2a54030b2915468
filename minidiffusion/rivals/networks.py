"""One network for all rivals: encoder, decoder, generator and discriminator differ only in input and output."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn


class Body(nn.Module):
    """A residual network, x (batch, *into) -> (batch, *out), with the layers of `nets.MLP` but without a time.

    into, out: the shapes of one item, such as (16,) for a code or (1, 14, 14) for an image.
    """

    def __init__(self, into: Sequence[int], out: Sequence[int], width: int = 256, depth: int = 3):
        super().__init__()
        self.into, self.out = tuple(into), tuple(out)
        self.first = nn.Linear(math.prod(into), width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)) for _ in range(depth)
        )
        self.last = nn.Sequential(nn.SiLU(), nn.Linear(width, math.prod(out)))

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1:] != self.into:
            raise ValueError(f"x must be (batch, {', '.join(map(str, self.into))}), got {tuple(x.shape)}")
        h = self.first(x.flatten(1))
        for layer in self.layers:
            h = h + layer(h)
        return self.last(h).view(-1, *self.out)
