"""A multilayer perceptron for points: the smallest network that learns a denoiser."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor, nn

from .embedding import Condition


class MLP(nn.Module):
    """net(x, t, cond) -> output of the shape of x, for x of shape (batch, dimension).

    Residual layers of `width` units, each told the time anew. classes: number of labels, 0 for none; label
    number `classes` means "anything". answers: outputs side by side, 2 for a LearnedVariance.
    """

    def __init__(self, dimension: int = 2, width: int = 128, depth: int = 3, classes: int = 0, answers: int = 1):
        super().__init__()
        self.config = dict(dimension=dimension, width=width, depth=depth, classes=classes, answers=answers)
        self.condition = Condition(width, classes)
        self.first = nn.Linear(dimension, width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)) for _ in range(depth)
        )
        self.last = nn.Sequential(nn.SiLU(), nn.Linear(width, answers * dimension))

    def forward(
        self,
        x: Float[Tensor, "batch dimension"],
        t: Float[Tensor, "batch"],
        cond: Int[Tensor, "batch"] | None = None,
    ) -> Float[Tensor, "batch answers"]:
        if x.ndim != 2 or x.shape[1] != self.config["dimension"]:
            raise ValueError(f"x must be (batch, {self.config['dimension']}), got {tuple(x.shape)}")
        embedded = self.condition(t, cond)
        h = self.first(x)
        for layer in self.layers:
            h = h + layer(h + embedded)
        return self.last(h)
