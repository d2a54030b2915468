"""The Frechet distance against its closed forms, on rows that have their moments exactly."""

import math

import numpy as np
import pytest
import torch

from minidiffusion.metrics import frechet_distance


def rows_with(mean, cov, count=50, seed=0):
    """Rows whose mean and covariance are exactly these, by whitening a draw and colouring it."""
    cov = torch.as_tensor(cov, dtype=torch.float64)
    rows = torch.randn(count, len(cov), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    rows = rows - rows.mean(0)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(torch.cov(rows.T).view(cov.shape)), rows.T, upper=False)
    values, vectors = torch.linalg.eigh(cov)
    return torch.as_tensor(mean, dtype=torch.float64) + (vectors * values.clamp(min=0).sqrt() @ white).T


def some_covariance(size, seed):
    root = torch.randn(size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return root @ root.T + 0.1 * torch.eye(size)


def by_hand(mean_a, cov_a, mean_b, cov_b):
    """Dowson and Landau 1982, eq. 4, with the trace of (A B)^(1/2) from the eigenvalues of A B itself."""
    roots = np.sqrt(np.maximum(np.linalg.eigvals(np.asarray(cov_a) @ np.asarray(cov_b)).real, 0))
    apart = ((np.asarray(mean_a) - np.asarray(mean_b)) ** 2).sum()
    return apart + np.trace(cov_a) + np.trace(cov_b) - 2 * roots.sum()


def test_in_one_dimension_it_is_two_squares():
    a, b = rows_with([1.0], [[4.0]]), rows_with([-2.0], [[0.25]], count=80, seed=1)
    assert frechet_distance(a, b) == pytest.approx(3.0**2 + (2.0 - 0.5) ** 2, rel=1e-9)


def test_covariances_with_the_same_axes_differ_by_their_roots():
    a, b = rows_with([0.0, 0.0, 1.0], torch.diag(torch.tensor([1.0, 4.0, 9.0]))), rows_with([0.0] * 3, torch.eye(3))
    assert frechet_distance(a, b) == pytest.approx(1 + 0 + 1 + 4, rel=1e-9)


@pytest.mark.parametrize("size", [2, 5, 20])
def test_any_two_gaussians(size):
    means = torch.randn(2, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    covs = [some_covariance(size, seed) for seed in (1, 2)]
    a, b = (rows_with(mean, cov, seed=i) for i, (mean, cov) in enumerate(zip(means, covs, strict=True)))
    expected = by_hand(means[0], covs[0], means[1], covs[1])
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-8)  # symmetric
    turn = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(3)))[0]
    assert frechet_distance(a @ turn, b @ turn) == pytest.approx(expected, rel=1e-8)  # blind to rotation
    assert frechet_distance(a + 5, b + 5) == pytest.approx(expected, rel=1e-8)  # and to a common shift
    assert frechet_distance(3 * a, 3 * b) == pytest.approx(9 * expected, rel=1e-8)  # it is a squared distance


def test_a_set_is_not_far_from_itself():
    rows = torch.randn(40, 8, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    assert 0 <= frechet_distance(rows, rows[order]) < 1e-10
    assert frechet_distance(rows, rows + torch.tensor([3.0] + [0.0] * 7)) == pytest.approx(9, rel=1e-6)


def test_two_samples_of_one_gaussian_are_as_far_apart_as_documented():
    # E of the second-order terms for unit covariance: (d^2 + d) / (2 n) of the roots, 2 d / n of the means
    d, n = 32, 1000
    draws = torch.randn(20, 2, n, d, generator=torch.Generator().manual_seed(0))
    distances = torch.tensor([frechet_distance(a, b) for a, b in draws])
    expected = (d * d + d) / (2 * n) + 2 * d / n
    assert distances.mean().item() == pytest.approx(expected, rel=0.06)  # terms of third order left out
    assert expected == pytest.approx(d * d / (2 * n), rel=0.2)  # the docstring's rule of thumb: tr(I) features / 2n


def test_fewer_rows_than_features():
    # the covariances have rank 5 and 7 of 20: the root of a singular matrix, where rounding goes below zero
    a = torch.randn(6, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    b = torch.randn(8, 20, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    covs = [torch.cov(rows.T).numpy() for rows in (a, b)]
    expected = by_hand(a.mean(0).numpy(), covs[0], b.mean(0).numpy(), covs[1])
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    points = torch.zeros(3, 4), torch.ones(2, 4)  # no width at all
    assert frechet_distance(*points) == pytest.approx(4, rel=1e-12)


def test_float32_rows_are_measured_in_float64():
    a, b = torch.randn(2, 500, 64, generator=torch.Generator().manual_seed(0)) + 100
    assert frechet_distance(a, b) == frechet_distance(a.double(), b.double())


def test_bad_rows_are_named(unchecked):
    good = torch.zeros(3, 2)
    for name, a, b in [
        ("b", good, torch.zeros(3, 4)),
        ("b", good, torch.zeros(1, 2)),
        ("a", torch.zeros(1, 2), good),
        ("a", torch.zeros(3), good),
        ("b", good, torch.full((3, 2), math.nan)),
        ("a", torch.full((3, 2), math.inf), good),
    ]:
        with pytest.raises(ValueError, match=f"^{name} must"):
            frechet_distance(a, b)
