"""Exact denoisers: data whose best guess E[x0 | x_t] can be written down. No training, no error.

Each is called like any denoiser, oracle(x_t, t) -> x0_hat, knows its schedule and gives the `score`. Where the
data has an exact law, `sample(count)` draws x0 from it and `log_density(x_t, t)` is log q(x_t).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from .process import Time, alpha_sigma
from .schedule import Schedule


class Oracle:
    """What the exact denoisers share. They compute in float64, and answer in the dtype of x_t."""

    schedule: Schedule

    def __call__(self, x_t: Tensor, t: Time, cond: Any = None) -> Tensor:
        raise NotImplementedError

    def score(self, x_t: Float[Tensor, "batch *shape"], t: Time, cond: Any = None) -> Float[Tensor, "batch *shape"]:
        """grad log q(x_t) = (alpha E[x0 | x_t] - x_t) / sigma^2, Tweedie's formula (Efron 2011, eq. 1.4).

        t: where sigma > 0, for without noise this is 0 / 0. cond: as in a call.
        """
        x = x_t.double()  # where sigma is small the difference has few digits, and float32 none of them
        alpha, sigma = self._scales(t, x)
        if bool((sigma == 0).any()):
            raise ValueError("t must not be where sigma = 0: the score is read off the noise, and there is none")
        return ((alpha * self(x, t, cond) - x) / sigma**2).to(x_t.dtype)

    def _scales(self, t: Time, x: Tensor) -> tuple[Tensor, Tensor]:
        """alpha(t) and sigma(t) in float64, with as many dimensions as x."""
        scales = alpha_sigma(self.schedule, t, x)
        shape = (-1,) + (1,) * (x.ndim - 1)
        alpha, sigma = (torch.as_tensor(a, dtype=torch.float64, device=x.device).reshape(shape) for a in scales)
        return alpha, sigma


class Mixture(Oracle):
    """Data from a mixture of K Gaussians in D dimensions.

    x_t given component k is N(alpha m_k, S_k) with S_k = alpha^2 C_k + sigma^2 I, so

        E[x0 | x_t, k] = m_k + alpha C_k S_k^-1 (x_t - alpha m_k)
        E[x0 | x_t]    = sum_k p(k | x_t) E[x0 | x_t, k],   p(k | x_t) ~ w_k N(x_t; alpha m_k, S_k)

    A component is a class: `cond` is its number, and `log_class` the classifier.
    """

    def __init__(
        self,
        weights: Float[Tensor, "K"],
        means: Float[Tensor, "K D"],
        covs: Float[Tensor, "K D D"],
        schedule: Schedule,
    ):
        weights, means, covs = (torch.as_tensor(a, dtype=torch.float64) for a in (weights, means, covs))
        if means.ndim != 2 or weights.shape != means.shape[:1]:
            raise ValueError(
                f"weights must be (K,) and means (K, D), got {tuple(weights.shape)} and {tuple(means.shape)}"
            )
        if covs.shape != (*means.shape, means.shape[1]):
            raise ValueError(f"covs must be {(*means.shape, means.shape[1])}, got {tuple(covs.shape)}")
        if bool((weights < 0).any()) or not weights.sum() > 0:
            raise ValueError(f"weights must be at least 0, and not all 0, got {weights.tolist()}")
        values, vectors = torch.linalg.eigh(covs)  # C_k = V diag(values) V^T serves every t at once
        if bool((values < -1e-9 * values.abs().max()).any()) or not torch.allclose(covs, covs.mT):
            raise ValueError("covs must be symmetric with eigenvalues of at least 0")
        self.weights, self.means, self.schedule = weights / weights.sum(), means, schedule
        self._values, self._vectors = values.clamp(min=0), vectors

    def _posterior(self, x_t: Tensor, t: Time) -> tuple[Tensor, Tensor]:
        """Log of w_k N(x_t; alpha m_k, S_k), (batch, K), and E[x0 | x_t, k], (batch, K, D)."""
        if x_t.ndim != 2 or x_t.shape[1] != self.means.shape[1]:
            raise ValueError(f"x_t must be (batch, {self.means.shape[1]}), got {tuple(x_t.shape)}")
        means, values, vectors = (a.to(x_t.device) for a in (self.means, self._values, self._vectors))
        x = x_t.double()[:, None]
        alpha, sigma = self._scales(t, x)
        away = torch.einsum("kde,bkd->bke", vectors, x - alpha * means)  # in C_k's axes
        variance = alpha**2 * values + sigma**2  # of x_t along them; 0 only for point masses at sigma = 0
        if bool((variance == 0).any()):
            raise ValueError("t must not be where sigma = 0: this oracle has components without width")
        log_density = -0.5 * (away**2 / variance + variance.log() + math.log(2 * math.pi)).sum(2)
        guess = means + torch.einsum("kde,bke->bkd", vectors, alpha * values / variance * away)
        return log_density + self.weights.to(x_t.device).log(), guess

    def __call__(
        self, x_t: Float[Tensor, "batch D"], t: Time, cond: Integer[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch D"]:
        """E[x0 | x_t]; with cond, the number k of a component for each item, E[x0 | x_t, k]."""
        if cond is not None:
            self._check_cond(cond, len(x_t))
        log_joint, guess = self._posterior(x_t, t)
        if cond is None:
            return (log_joint.softmax(1)[:, :, None] * guess).sum(1).to(x_t.dtype)
        return guess[torch.arange(len(x_t)), cond.to(guess.device).long()].to(x_t.dtype)

    def _check_cond(self, cond: Any, batch: int) -> None:
        if not isinstance(cond, Tensor) or cond.dtype == torch.bool or cond.is_floating_point() or cond.is_complex():
            raise TypeError(f"cond must be None or a tensor of whole numbers, got {getattr(cond, 'dtype', cond)}")
        if cond.shape != (batch,):
            raise ValueError(f"cond must be one number for each of {batch} items, got shape {tuple(cond.shape)}")
        if bool(((cond < 0) | (cond >= len(self.weights))).any()):
            raise ValueError(f"cond must be in 0 to {len(self.weights) - 1}, the components, got {cond.tolist()}")

    def log_class(self, x_t: Float[Tensor, "batch D"], t: Time) -> Float[Tensor, "batch K"]:
        """log p(k | x_t), exact: its gradient in x_t is what classifier guidance adds to the score."""
        return self._posterior(x_t, t)[0].log_softmax(1).to(x_t.dtype)

    def log_density(self, x_t: Float[Tensor, "batch D"], t: Time) -> Float[Tensor, "batch"]:
        """log q(x_t) in nats, of the noisy data at time t."""
        return self._posterior(x_t, t)[0].logsumexp(1).to(x_t.dtype)

    def sample(
        self, count: int, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "count D"]:
        """Exact draws of x0. They are made in float64; dtype is that of the answer."""
        k = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        z = torch.randn(count, self.means.shape[1], generator=generator, dtype=torch.float64)
        return (self.means[k] + torch.einsum("bde,be->bd", self._vectors[k], self._values[k].sqrt() * z)).to(dtype)


def logits(x: Float[Tensor, "batch D"], y: Float[Tensor, "n D"], alpha: Tensor, sigma: Tensor) -> Tensor:
    """-||x - alpha y||^2 / (2 sigma^2) for all pairs, (batch, n), less the -||x||^2 / (2 sigma^2) that all y share."""
    return (alpha / sigma**2 * x) @ y.T - 0.5 * (alpha / sigma) ** 2 * (y**2).sum(1)


def softmax_mean(chunks: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """sum_i softmax_i(logit) y_i, (batch, D), and log sum_i exp(logit_i), (batch,).

    chunks: pairs of logit (batch, n) and y (n, D) that pass by once, so that memory does not grow with their number.
    """
    highest, total, mean = torch.tensor(-math.inf), torch.tensor(0.0), torch.tensor(0.0)
    for logit, y in chunks:
        new = torch.maximum(highest.to(logit), logit.detach().amax(1, keepdim=True))
        # exp(-700) is as good as 0, and spares the processor the numbers beyond, with which it is slow
        weight, keep = (logit - new).clamp(min=-700).exp(), (highest - new).exp()
        total, mean, highest = keep * total + weight.sum(1, keepdim=True), keep * mean + weight @ y, new
    return mean / total, (highest + total.log())[:, 0]


class DataSet(Oracle):
    """Data that is one of N given items, all alike likely: E[x0 | x_t] is their softmax-weighted mean.

    The weight of item i is softmax_i(-||x_t - alpha x0_i||^2 / (2 sigma^2)). This is what a network trained on
    these items for ever would learn, and it can only give them back.
    """

    def __init__(self, x0: Float[Tensor, "N *shape"], schedule: Schedule, chunk: int = 1024):
        if not isinstance(x0, Tensor) or not x0.is_floating_point() or len(x0) == 0:
            raise TypeError("x0 must be a floating point tensor of one item or more")
        # chunk: so many items are float64 at a time; all 60,000 of MNIST would be 376 MB
        self.x0, self.schedule, self.chunk = x0, schedule, chunk

    def __call__(self, x_t: Float[Tensor, "batch *shape"], t: Time, cond: Any = None) -> Float[Tensor, "batch *shape"]:
        """E[x0 | x_t]; where sigma = 0 that is x_t. cond: must be None."""
        if cond is not None:
            raise ValueError(f"cond must be None: this oracle has no classes, got {cond!r}")
        x, alpha, sigma = self._rows(x_t, t)
        mean, _ = self._average(x, alpha, torch.where(sigma == 0, 1.0, sigma))  # without noise: no guess, but no nan
        return torch.where(sigma == 0, x, mean).view_as(x_t).to(x_t.dtype)

    def log_density(self, x_t: Float[Tensor, "batch *shape"], t: Time) -> Float[Tensor, "batch"]:
        """log q(x_t) = log (1/N) sum_i N(x_t; alpha x0_i, sigma^2 I) in nats. t: where sigma > 0."""
        x, alpha, sigma = self._rows(x_t, t)
        if bool((sigma == 0).any()):
            raise ValueError("t must not be where sigma = 0: without noise the data is points, which have no density")
        _, log_total = self._average(x, alpha, sigma)
        normal = (x / sigma).square().sum(1) + x.shape[1] * (2 * math.pi * sigma[:, 0] ** 2).log()
        return (log_total - math.log(len(self.x0)) - 0.5 * normal).to(x_t.dtype)

    def _rows(self, x_t: Tensor, t: Time) -> tuple[Tensor, Tensor, Tensor]:
        if x_t.shape[1:] != self.x0.shape[1:]:
            raise ValueError(f"x_t must be (batch, {tuple(self.x0.shape[1:])}), got {tuple(x_t.shape)}")
        x = x_t.double().flatten(1)
        return x, *self._scales(t, x)

    def _average(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        chunks = (items.double().flatten(1) for items in self.x0.to(x.device).split(self.chunk))
        return softmax_mean((logits(x, y, alpha, sigma), y) for y in chunks)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Float[Tensor, "count *shape"]:
        """Items drawn at random, with replacement, in their own dtype."""
        return self.x0[torch.randint(len(self.x0), (count,), generator=generator)]


def gaussian(mean: Float[Tensor, "D"], cov: Float[Tensor, "D D"], schedule: Schedule) -> Mixture:
    """Data from N(mean, cov): E[x0 | x_t] is linear in x_t."""
    mean, cov = torch.as_tensor(mean), torch.as_tensor(cov)
    return Mixture(torch.ones(1), mean[None], cov[None], schedule)


def mixture(
    weights: Float[Tensor, "K"], means: Float[Tensor, "K D"], covs: Float[Tensor, "K D D"], schedule: Schedule
) -> Mixture:
    """Data from sum_k weights_k N(means_k, covs_k); the weights are scaled to sum 1."""
    return Mixture(weights, means, covs, schedule)


def dataset(x0: Float[Tensor, "N *shape"], schedule: Schedule) -> DataSet:
    """Data that is one of the rows of x0."""
    return DataSet(x0, schedule)


def patches(
    x0: Float[Tensor, "N channel height width"], schedule: Schedule, size: int, equivariant: bool = True
) -> Oracle:
    """What a convolutional network that sees size x size pixels would best guess, trained on the pictures x0.

    size: odd. equivariant: patches from all places count, or only those from a pixel's own place. See patches.py.
    """
    from .patches import Patches  # here, for that file builds on this one

    return Patches(x0, schedule, size, equivariant)
