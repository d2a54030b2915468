"""How far samples are from data: numbers for what the eye sees.

Each takes rows, (count, features), and measures in float64 on the CPU, with a generator of the CPU. Pictures
become rows by x.flatten(1) or, better, by the features of a network. The distances but one are squared. No number here
means anything without its count and its features, and beside it belongs its `real_data_floor`: what a perfect
model would have got.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

Score = TypeVar("Score")


def _rows(least: int, **named: Tensor) -> list[Tensor]:
    """The rows in float64 on the CPU; what is wrong with them, by name: few, not as wide as the first, not finite."""
    first, reference = next(iter(named.items()))
    for name, rows in named.items():
        if not isinstance(rows, Tensor):
            raise TypeError(f"{name} must be a tensor of rows of features, got {type(rows).__name__}")
        if rows.ndim != 2 or len(rows) < least or rows.shape[1] == 0:
            raise ValueError(f"{name} must be (count, features), a count of {least} or more, got {tuple(rows.shape)}")
        if rows.shape[1] != reference.shape[1]:
            raise ValueError(f"{name} must be as wide as {first}, {reference.shape[1]}, got {rows.shape[1]}")
        if not rows.isfinite().all():
            raise ValueError(f"{name} must be finite")
    return [rows.detach().cpu().double() for rows in named.values()]


def _whole(name: str, value: int, most: int | float = math.inf) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ValueError(f"{name} must be a whole number of at least 1 and at most {most}, got {value!r}")


def _distances(points: Tensor, rows: Tensor) -> Iterator[Tensor]:
    """Euclidean distances of the next 256 points to all rows, (256, count), so that memory does not grow with both.

    |x - y|^2 = |x|^2 + |y|^2 - 2 x y is one matrix product, and four times as fast as the differences; but what
    is left of it where x = y is rounding. So a distance below a millionth of |x| and |y| is 0.
    """
    centre = rows.median(0).values  # a number of the data itself: whole numbers stay whole
    rows = rows - centre
    norms = rows.square().sum(1)
    for x in (points - centre).split(256):
        sizes = x.square().sum(1, keepdim=True) + norms
        squared = sizes - 2 * x @ rows.T
        yield squared.where(squared > 1e-12 * sizes, 0.0).sqrt()


def _nearest(points: Tensor, rows: Tensor, k: int) -> Tensor:
    """Distances of each point to its k nearest rows, the nearest first: (points, k)."""
    return torch.cat([distance.topk(k, largest=False).values for distance in _distances(points, rows)])


def _radii(rows: Tensor, k: int) -> Tensor:
    """Distance of each row to its k-th nearest other row; the nearest of all is itself."""
    return _nearest(rows, rows, k + 1)[:, k]


def _balls(points: Tensor, centres: Tensor, radii: Tensor) -> Tensor:
    """In how many of the balls each point is, their surface included."""
    return torch.cat([(distance <= radii).sum(1) for distance in _distances(points, centres)])


def real_data_floor(
    distance: Callable[[Tensor, Tensor], Score],
    real: Float[Tensor, "rows features"],
    count: int,
    generator: torch.Generator | None = None,
) -> Score:
    """distance(one, other) of two disjoint random draws of `count` rows from real data, which has 2 count or more.

    Real data is the perfect model, and even it does not get 0: this is the bias of `distance` at this count, and
    no honest model does better on average. distance: any function here that compares two sets of rows.
    """
    _rows(2, real=real)
    _whole("count", count, len(real) // 2)
    order = torch.randperm(len(real), generator=generator)
    return distance(real[order[:count]], real[order[count : 2 * count]])


def frechet_distance(a: Float[Tensor, "count_a features"], b: Float[Tensor, "count_b features"]) -> float:
    """|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)), A and B the covariances (Heusel et al. 2017, eq. 6).

    The squared distance between two Gaussians fitted to the rows, two or more of each. Bias: for two samples of one
    law about tr(covariance) features / (2 count) too high, so compare equal counts only.
    """
    a, b = _rows(2, a=a, b=b)
    apart = (a.mean(0) - b.mean(0)).square().sum()
    a, b = ((rows - rows.mean(0)) / math.sqrt(len(rows) - 1) for rows in (a, b))  # now A = a^T a
    # With a = Q R, A = R^T R, and the eigenvalues of A B are the squared singular values of R_a R_b^T. So its root
    # has their sum for a trace, and no covariance is squared or rooted: a rank below full costs no digits.
    root_a, root_b = (torch.linalg.qr(rows, mode="r").R for rows in (a, b))
    cross = torch.linalg.svdvals(root_a @ root_b.T).sum()
    return max((apart + a.square().sum() + b.square().sum() - 2 * cross).item(), 0.0)


class PrecisionRecall(NamedTuple):
    """Shares in [0, 1]: of fake rows that could be real, and of real rows that could be fake."""

    precision: float
    recall: float


def precision_recall(
    real: Float[Tensor, "count_real features"], fake: Float[Tensor, "count_fake features"], k: int = 3
) -> PrecisionRecall:
    """Precision: the share of fake rows inside the real manifold; recall: the other way round.

    The manifold of a set is the union of balls around its rows, each as wide as to the k-th nearest other row
    (Kynkäänniemi et al. 2019, eq. 1 and 2). More than k rows of each. Bias: two samples of one law score below 1
    (on a line at k = 1 they tend to 3/4), less the more features there are, and the score drifts with the count,
    in many features downwards (128 normal ones: 0.71 at 50 rows, 0.57 at 1,000): compare equal counts only.
    """
    real, fake = _rows(2, real=real, fake=fake)
    _whole("k", k, min(len(real), len(fake)) - 1)
    precision = _balls(fake, real, _radii(real, k)) > 0
    recall = _balls(real, fake, _radii(fake, k)) > 0
    return PrecisionRecall(precision.double().mean().item(), recall.double().mean().item())


class DensityCoverage(NamedTuple):
    """density: 1 for like laws, above 1 where fakes crowd. coverage: share of real rows met, in [0, 1]."""

    density: float
    coverage: float


def density_coverage(
    real: Float[Tensor, "count_real features"], fake: Float[Tensor, "count_fake features"], k: int = 5
) -> DensityCoverage:
    """Density: how many real balls a fake row is in, over k; coverage: the share of real balls with a fake in them.

    The balls are those of `precision_recall`, of the real rows alone, so a stray fake opens no manifold of its own
    (Naeem et al. 2020, sec. 3). Bias: for two samples of one continuous law density is 1 on average at any count,
    coverage 1 - (N-1)...(N-k) / ((N+M-1)...(N+M-k)) for N real and M fake rows (lemma 2): 0.97 at k = 5, N = M.
    """
    real, fake = _rows(1, real=real, fake=fake)
    _whole("k", k, len(real) - 1)
    radii = _radii(real, k)
    density = _balls(fake, real, radii).double().mean() / k
    coverage = _nearest(real, fake, 1)[:, 0] <= radii
    return DensityCoverage(density.item(), coverage.double().mean().item())


class MMD(NamedTuple):
    """value: MMD^2, for like laws 0 on average and so often below. p: the chance of as large a value for like laws."""

    value: float
    p: float


def mmd(
    a: Float[Tensor, "count_a features"],
    b: Float[Tensor, "count_b features"],
    bandwidth: float | None = None,
    permutations: int = 999,
    generator: torch.Generator | None = None,
) -> MMD:
    """Squared maximum mean discrepancy of the kernel k(x, y) = exp(-|x - y|^2 / (2 bandwidth^2)), with a p-value.

        MMD^2 = mean_{i != j} k(a_i, a_j) + mean_{i != j} k(b_i, b_j) - 2 mean k(a_i, b_j)

    the U-statistic (Gretton et al. 2012, eq. 3), two or more rows of each. Bias: none at a given bandwidth; None
    takes the median distance of all rows (their sec. 8). p: the share, among `permutations` random exchanges of
    rows between a and b and the order as it came, that reach this value; counting the latter makes P(p <= level)
    <= level for like laws at any count (Phipson and Smyth 2010). Matrices of (count_a + count_b)^2 numbers stay in
    memory, half a gigabyte in all for two sets of 2,000.
    """
    a, b = _rows(2, a=a, b=b)
    _whole("permutations", permutations)
    if bandwidth is not None and not 0 < bandwidth < math.inf:
        raise ValueError(f"bandwidth must be above 0, or None for the median distance, got {bandwidth!r}")
    rows, m, n = torch.cat([a, b]), len(a), len(b)
    distance = torch.cat(list(_distances(rows, rows)))
    if bandwidth is None:
        bandwidth = distance[~torch.eye(m + n, dtype=torch.bool)].median().item()
        if bandwidth == 0:
            raise ValueError("bandwidth must be given: most rows are the same, and their median distance is 0")
    kernel = (-0.5 * (distance / bandwidth).square()).exp().fill_diagonal_(0)
    # One column for each way to say which rows are a; the first is the way they came
    shuffled = torch.rand(m + n, permutations, generator=generator, dtype=torch.float64).argsort(0) < m
    is_a = torch.cat([(torch.arange(m + n) < m)[:, None], shuffled], dim=1).double()
    from_a = kernel @ is_a
    aa = (is_a * from_a).sum(0)
    ab = from_a.sum(0) - aa
    bb = kernel.sum() - aa - 2 * ab
    values = aa / (m * (m - 1)) + bb / (n * (n - 1)) - 2 * ab / (m * n)
    p = (values >= values[0] - 1e-12).double().mean()  # equal ones are equal but for rounding
    return MMD(values[0].item(), p.item())


def sliced_wasserstein(
    a: Float[Tensor, "count_a features"],
    b: Float[Tensor, "count_b features"],
    directions: int = 256,
    generator: torch.Generator | None = None,
) -> float:
    """The mean over random unit vectors of W_2^2 between the projections (Rabin et al. 2012; Bonneel et al. 2015).

    Squared, as the Frechet distance is. On a line W_2^2 is exact, the integral over q in [0, 1] of the squared
    difference between the two q-quantiles; counts may differ. Bias: for two samples of one law positive, if that is
    uniform on [0, 1] by 1 / (3 (count + 1)), so compare equal counts only.
    """
    a, b = _rows(1, a=a, b=b)
    _whole("directions", directions)
    unit = torch.randn(a.shape[1], directions, generator=generator, dtype=torch.float64)
    unit = unit / unit.norm(dim=0)
    quantile_a, quantile_b = (a @ unit).sort(0).values, (b @ unit).sort(0).values
    m, n = len(a), len(b)
    # The first jumps at q = i / m, the second at j / n: in units of 1 / (m n) all of these are whole
    ends = torch.cat([n * torch.arange(1, m + 1), m * torch.arange(1, n + 1)]).unique()
    widths = ends.diff(prepend=ends.new_zeros(1)).double() / (m * n)
    gaps = quantile_a[(ends - 1) // n] - quantile_b[(ends - 1) // m]
    return (widths @ gaps.square()).mean().item()


def energy_distance(a: Float[Tensor, "count_a features"], b: Float[Tensor, "count_b features"]) -> float:
    """2 E|a - b| - E|a - a'| - E|b - b'|, 0 for equal laws only (Székely and Rizzo 2013).

    Not squared, and without a bias: no row is paired with itself, so of two samples of one law it is 0 on average, and
    often below 0. Two rows or more of each.
    """
    a, b = _rows(2, a=a, b=b)

    def total(x: Tensor, y: Tensor) -> float:
        return sum(distance.sum().item() for distance in _distances(x, y))

    m, n = len(a), len(b)
    return 2 * total(a, b) / (m * n) - total(a, a) / (m * (m - 1)) - total(b, b) / (n * (n - 1))


class ModeMass(NamedTuple):
    """share: of the samples at each mode. p: the chance that a true sample's shares are as far from the weights."""

    share: Float[Tensor, "K"]
    p: float


def mode_mass(
    samples: Float[Tensor, "count D"], modes: Float[Tensor, "K D"], weights: Float[Tensor, "K"] | None = None
) -> ModeMass:
    """The share of samples whose nearest mode is each of the K, and Pearson's test of them against the weights.

        chi^2 = sum_k (n_k - count w_k)^2 / (count w_k),   p = P(chi^2 with K - 1 degrees of freedom is larger)

    weights: above 0, scaled to sum 1; None is all alike. Bias: none of the shares where each sample is nearest to
    its own mode (modes that overlap trade mass), but p is too small too often where count w_k is below 5.
    """
    samples, modes = _rows(1, samples=samples, modes=modes)
    if len(modes) < 2:
        raise ValueError("modes must be two or more, got 1")
    weights = torch.as_tensor([1.0] * len(modes) if weights is None else weights).double().cpu()
    if weights.shape != modes.shape[:1] or not bool(((weights > 0) & weights.isfinite()).all()):
        raise ValueError(f"weights must be {len(modes)} numbers above 0, one for each mode, got {weights.tolist()}")
    expected = len(samples) * weights / weights.sum()
    nearest = torch.cat([distance.argmin(1) for distance in _distances(samples, modes)])
    found = nearest.bincount(minlength=len(modes)).double()
    chi2 = ((found - expected).square() / expected).sum()
    # the tail of chi^2 with K - 1 degrees of freedom is an incomplete gamma function
    p = torch.special.gammaincc(torch.tensor((len(modes) - 1) / 2, dtype=torch.float64), chi2 / 2)
    return ModeMass(found / len(samples), p.item())


class CopyRatio(NamedTuple):
    """ratio: d1 / d2 in [0, 1] of each sample, 0 for an exact copy. share: of the samples below the threshold."""

    ratio: Float[Tensor, "count"]
    share: float


def copy_ratio(
    samples: Float[Tensor, "count features"], training: Float[Tensor, "N features"], threshold: float = 1 / 3
) -> CopyRatio:
    """d1 / d2, the distances to the nearest and to the second nearest training item; below 1/3 a sample is a copy.

    (Yoon et al. 2023.) Items that are equal count once, or each copy of a pair would have the ratio 1; two
    different ones are needed. Bias: a fresh sample of data with D dimensions is below the threshold with chance
    threshold^D at any large N: 11% on a plane, nothing for pictures. So print the share of held-out data beside it.
    """
    samples, training = _rows(1, samples=samples, training=training)
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, got {threshold!r}")
    training = training.unique(dim=0)
    if len(training) < 2:
        raise ValueError("training must have two different items or more")
    nearest = _nearest(samples, training, 2)
    ratio = (nearest[:, 0] / nearest[:, 1]).nan_to_num(0.0)  # 0 / 0: on two items that rounding cannot tell apart
    return CopyRatio(ratio, (ratio < threshold).double().mean().item())
