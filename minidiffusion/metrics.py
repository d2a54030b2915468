"""How far samples are from data: numbers for what the eye sees."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def frechet_distance(a: Float[Tensor, "count_a features"], b: Float[Tensor, "count_b features"]) -> float:
    """|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)), A and B the covariances, in float64 (Heusel et al. 2017).

    The distance between two Gaussians fitted to the rows, squared. Not zero for two samples of one
    distribution: about tr(covariance) features / (2 count) too high, so compare equal counts only, and print the
    distance between two sets of real data beside it.
    """
    for name, rows in (("a", a), ("b", b)):
        if rows.ndim != 2 or len(rows) < 2 or rows.shape[1] != a.shape[1]:
            raise ValueError(f"{name} must be rows of features, two or more, as wide as a, got {tuple(rows.shape)}")
        if not rows.isfinite().all():
            raise ValueError(f"{name} must be finite")
    a, b = a.double().cpu(), b.double().cpu()
    cov_a, cov_b = torch.cov(a.T).view(a.shape[1], -1), torch.cov(b.T).view(a.shape[1], -1)
    values, vectors = torch.linalg.eigh(cov_a)
    root_a = vectors * values.clamp(min=0).sqrt() @ vectors.T
    # (A B)^(1/2) has the trace of (A^(1/2) B A^(1/2))^(1/2), which is symmetric, so eigh can take it
    cross = torch.linalg.eigvalsh(root_a @ cov_b @ root_a).clamp(min=0).sqrt().sum()
    distance = (a.mean(0) - b.mean(0)).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross
    return max(distance.item(), 0.0)
