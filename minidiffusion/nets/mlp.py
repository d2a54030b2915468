"""A multilayer perceptron for points and embeddings: the smallest network that learns a denoiser."""

from jaxtyping import Float
from torch import Tensor, nn

from ..check import must_be
from .base import Net
from .embedding import Cond, Condition


class MLP(Net):
    """net(x, t, cond) -> output of the shape of x, for x of shape (batch, dimension).

    Residual layers of `width` units; the embedding of time and condition is added to the input of each. classes,
    context: what cond holds (see Condition). answers: number of outputs side by side, 2 for a LearnedVariance.
    ValueError: x or cond of another shape.
    """

    def __init__(
        self, dimension: int = 2, width: int = 128, depth: int = 3, classes: int = 0, context: int = 0, answers: int = 1
    ):
        super().__init__()
        self.condition = Condition(width, classes, context)
        self.first = nn.Linear(dimension, width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)) for _ in range(depth)
        )
        self.last = nn.Sequential(nn.SiLU(), nn.Linear(width, answers * dimension))

    def forward(
        self, x: Float[Tensor, "batch dimension"], t: Float[Tensor, "batch"], cond: Cond | None = None
    ) -> Float[Tensor, "batch answers"]:
        dimension = self.first.in_features
        must_be(f"(batch, {dimension})", "x", x, x.ndim == 2 and x.shape[1] == dimension)
        embedded = self.condition(t, cond)
        h = self.first(x)
        for layer in self.layers:
            h = h + layer(h + embedded)
        return self.last(h)
