"""Data from a Gaussian, or from several: the best guess is a formula."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from .. import check
from ..schedule import Schedule, Time
from .base import Oracle


class Mixture(Oracle):
    """Data from a mixture of K Gaussians in D dimensions.

    x_t given component k is N(alpha m_k, S_k) with S_k = alpha^2 C_k + sigma^2 I, so

        E[x0 | x_t, k] = m_k + alpha C_k S_k^-1 (x_t - alpha m_k)
        E[x0 | x_t]    = sum_k p(k | x_t) E[x0 | x_t, k],   p(k | x_t) = w_k N(x_t; alpha m_k, S_k) / q(x_t)

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
        values, vectors = torch.linalg.eigh(covs)  # C_k = V diag(values) V^T holds for every t at once
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
        _, alpha, sigma, _ = self._at(t, x)
        away = torch.einsum("kde,bkd->bke", vectors, x - alpha * means)  # in the axes of C_k
        variance = alpha**2 * values + sigma**2  # of x_t along them; 0 only for point masses at sigma = 0
        check.nonzero("sigma", variance, "this oracle has components without width")
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
        whole = isinstance(cond, Tensor) and not (
            cond.dtype == torch.bool or cond.is_floating_point() or cond.is_complex()
        )
        if not whole:
            raise TypeError(f"cond must be None or a tensor of whole numbers, got {check.came(cond)}")
        if cond.shape != (batch,):
            raise ValueError(f"cond must be one number for each of {batch} items, got shape {tuple(cond.shape)}")
        check.within("cond", cond.cpu(), 0, len(self.weights) - 1)

    def log_class(self, x_t: Float[Tensor, "batch D"], t: Time) -> Float[Tensor, "batch K"]:
        """log p(k | x_t), exact: its gradient in x_t is what classifier guidance adds to the score."""
        return self._posterior(x_t, t)[0].log_softmax(1).to(x_t.dtype)

    def log_density(self, x_t: Float[Tensor, "batch D"], t: Time) -> Float[Tensor, "batch"]:
        """log q(x_t) in nats, of the noisy data at time t."""
        return self._posterior(x_t, t)[0].logsumexp(1).to(x_t.dtype)

    def sample(
        self, count: int, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "count D"]:
        """Exact samples of x0. They are drawn in float64; dtype is that of the answer."""
        k = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        z = torch.randn(count, self.means.shape[1], generator=generator, dtype=torch.float64)
        return (self.means[k] + torch.einsum("bde,be->bd", self._vectors[k], self._values[k].sqrt() * z)).to(dtype)


def gaussian(mean: Float[Tensor, "D"], cov: Float[Tensor, "D D"], schedule: Schedule) -> Mixture:
    """Data from N(mean, cov): E[x0 | x_t] is linear in x_t."""
    mean, cov = torch.as_tensor(mean), torch.as_tensor(cov)
    return Mixture(torch.ones(1), mean[None], cov[None], schedule)


def mixture(
    weights: Float[Tensor, "K"], means: Float[Tensor, "K D"], covs: Float[Tensor, "K D D"], schedule: Schedule
) -> Mixture:
    """Data from sum_k weights_k N(means_k, covs_k); the weights are scaled to sum 1."""
    return Mixture(weights, means, covs, schedule)
