"""Data that is a list of items: the best guess is a weighted mean of them all, the nearest first."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from .. import check
from ..schedule import Schedule, Time
from .base import Oracle


def logits(x: Float[Tensor, "batch D"], y: Float[Tensor, "n D"], alpha: Tensor, sigma: Tensor) -> Tensor:
    """-||x - alpha y||^2 / (2 sigma^2) for all pairs, (batch, n), without -||x||^2 / (2 sigma^2), which all y share."""
    return (alpha / sigma**2 * x) @ y.T - 0.5 * (alpha / sigma) ** 2 * (y**2).sum(1)


def softmax_mean(chunks: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """sum_i softmax_i(logit) y_i, (batch, D), and log sum_i exp(logit_i), (batch,).

    chunks: pairs of logit (batch, n) and y (n, D), each used once, so that memory does not grow with their number.
    """
    highest, total, mean = torch.tensor(-math.inf), torch.tensor(0.0), torch.tensor(0.0)
    for logit, y in chunks:
        new = torch.maximum(highest.to(logit), logit.detach().amax(1, keepdim=True))
        # exp(-700) is practically 0, and smaller numbers are denormal, with which processors are slow
        weight, keep = (logit - new).clamp(min=-700).exp(), (highest - new).exp()
        total, mean, highest = keep * total + weight.sum(1, keepdim=True), keep * mean + weight @ y, new
    return mean / total, (highest + total.log())[:, 0]


class DataSet(Oracle):
    """Data that is one of N given items, all equally likely: E[x0 | x_t] is their softmax-weighted mean.

    The weight of item i is softmax_i(-||x_t - alpha x0_i||^2 / (2 sigma^2)). A network trained on these items perfectly
    would learn this function, and it can only give the items back.
    """

    def __init__(self, x0: Float[Tensor, "N *shape"], schedule: Schedule, chunk: int = 1024):
        check.items("x0", x0)
        # chunk: how many items are converted to float64 at a time; all 60,000 of MNIST would take 376 MB
        self.x0, self.schedule, self.chunk = x0, schedule, chunk

    def __call__(self, x_t: Float[Tensor, "batch *shape"], t: Time, cond: Any = None) -> Float[Tensor, "batch *shape"]:
        """E[x0 | x_t]; where sigma = 0 that is x_t. cond: must be None."""
        if cond is not None:
            raise ValueError(f"cond must be None: this oracle has no classes, got {check.came(cond)}")
        x, alpha, sigma = self._rows(x_t, t)
        mean, _ = self._average(x, alpha, torch.where(sigma == 0, 1.0, sigma))  # without noise: no guess, but no nan
        return torch.where(sigma == 0, x, mean).view_as(x_t).to(x_t.dtype)

    def log_density(self, x_t: Float[Tensor, "batch *shape"], t: Time) -> Float[Tensor, "batch"]:
        """log q(x_t) = log (1/N) sum_i N(x_t; alpha x0_i, sigma^2 I) in nats. t: where sigma > 0."""
        x, alpha, sigma = self._rows(x_t, t)
        check.nonzero("sigma", sigma, "without noise the data is points, which have no density")
        _, log_total = self._average(x, alpha, sigma)
        normal = (x / sigma).square().sum(1) + x.shape[1] * (2 * math.pi * sigma[:, 0] ** 2).log()
        return (log_total - math.log(len(self.x0)) - 0.5 * normal).to(x_t.dtype)

    def _rows(self, x_t: Tensor, t: Time) -> tuple[Tensor, Tensor, Tensor]:
        if x_t.shape[1:] != self.x0.shape[1:]:
            raise ValueError(f"x_t must be (batch, {tuple(self.x0.shape[1:])}), got {tuple(x_t.shape)}")
        x = x_t.double().flatten(1)
        level = self._at(t, x)
        return x, level.alpha, level.sigma

    def _average(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        chunks = (items.double().flatten(1) for items in self.x0.to(x.device).split(self.chunk))
        return softmax_mean((logits(x, y, alpha, sigma), y) for y in chunks)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Float[Tensor, "count *shape"]:
        """Items drawn at random, with replacement, in their own dtype."""
        return self.x0[torch.randint(len(self.x0), (count,), generator=generator)]


def dataset(x0: Float[Tensor, "N *shape"], schedule: Schedule) -> DataSet:
    """Data that is one of the rows of x0."""
    return DataSet(x0, schedule)
