"""Metrics: how far samples are from data.

Every metric takes rows of features, (count, features), and computes in float64 on the CPU, with a generator of the
CPU. Images become rows by x.flatten(1) or, better, by the features of a network. The Frechet, MMD and Wasserstein
distances are squared; the energy distance is not. Report the count and the features with every number, and next to it
its `real_data_floor`, which is what a perfect model would have got.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from . import check

Score = TypeVar("Score")


def _rows(least: int, **named: Tensor) -> list[Tensor]:
    """The rows in float64 on the CPU. TypeError or ValueError unless all are finite and as wide as the first."""
    first, reference = next(iter(named.items()))
    for name, rows in named.items():
        if not isinstance(rows, Tensor):
            raise TypeError(f"{name} must be a tensor of rows of features, got {check.came(rows)}")
        if rows.ndim != 2 or len(rows) < least or rows.shape[1] == 0:
            raise ValueError(f"{name} must be (count, features), a count of at least {least}, got {check.came(rows)}")
        if rows.shape[1] != reference.shape[1]:
            raise ValueError(f"{name} must be as wide as {first}, {reference.shape[1]}, got {rows.shape[1]}")
        if not rows.isfinite().all():
            raise ValueError(f"{name} must be finite")
    return [rows.detach().cpu().double() for rows in named.values()]


def _distances(points: Tensor, rows: Tensor) -> Iterator[Tensor]:
    """Euclidean distances from 256 points at a time to all rows, (256, count), to save memory.

    |x - y|^2 = |x|^2 + |y|^2 - 2 x y needs one matrix product and is four times as fast as the differences, but where
    x = y it leaves a rounding error. So a distance below a millionth of |x| and |y| counts as 0.
    """
    centre = rows.median(0).values  # unlike the mean, it keeps whole numbers whole
    rows = rows - centre
    norms = rows.square().sum(1)
    for x in (points - centre).split(256):
        sizes = x.square().sum(1, keepdim=True) + norms
        squared = sizes - 2 * x @ rows.T
        yield squared.where(squared > 1e-12 * sizes, 0.0).sqrt()


def _nearest(points: Tensor, rows: Tensor, k: int) -> Tensor:
    """Distances from each point to its k nearest rows, the nearest first: (points, k)."""
    return torch.cat([distance.topk(k, largest=False).values for distance in _distances(points, rows)])


def _radii(rows: Tensor, k: int) -> Tensor:
    """Distance from each row to its k-th nearest other row; the nearest of all is the row itself."""
    return _nearest(rows, rows, k + 1)[:, k]


def _balls(points: Tensor, centres: Tensor, radii: Tensor) -> Tensor:
    """The number of balls that contain each point, (points,); a ball includes its surface."""
    return torch.cat([(distance <= radii).sum(1) for distance in _distances(points, centres)])


def real_data_floor(
    distance: Callable[[Tensor, Tensor], Score],
    real: Float[Tensor, "rows features"],
    count: int,
    generator: torch.Generator | None = None,
) -> Score:
    """The score of a perfect model: distance(one, other) for two disjoint random halves of 2 count real rows.

    A perfect model would generate real data, and not even that scores 0: this is the bias of `distance` at this count,
    and a model that does better on average has copied. real: 2 count rows or more. distance: any function of this
    module that compares two sets of rows.
    """
    _rows(2, real=real)
    check.whole("count", count, 1, len(real) // 2)
    order = torch.randperm(len(real), generator=generator)
    return distance(real[order[:count]], real[order[count : 2 * count]])


def frechet_distance(a: Float[Tensor, "count_a features"], b: Float[Tensor, "count_b features"]) -> float:
    """The squared Frechet distance between Gaussians fitted to the rows (Heusel et al. 2017, eq. 6).

        |mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)),   A and B the covariances of two rows or more

    Bias: for two samples of the same distribution about tr(covariance) features / (2 count) too high, so compare equal
    counts only.
    """
    a, b = _rows(2, a=a, b=b)
    apart = (a.mean(0) - b.mean(0)).square().sum()
    a, b = ((rows - rows.mean(0)) / math.sqrt(len(rows) - 1) for rows in (a, b))  # now A = a^T a
    # With a = Q R we have A = R^T R, and the eigenvalues of A B are the squared singular values of R_a R_b^T. So their
    # sum is the trace of (A B)^(1/2), and we need no root of a singular matrix, which would cost half of the digits.
    root_a, root_b = (torch.linalg.qr(rows, mode="r").R for rows in (a, b))
    cross = torch.linalg.svdvals(root_a @ root_b.T).sum()
    return max((apart + a.square().sum() + b.square().sum() - 2 * cross).item(), 0.0)


class PrecisionRecall(NamedTuple):
    """precision: share of fake rows that could be real. recall: share of real rows that could be fake. In [0, 1]."""

    precision: float
    recall: float


def precision_recall(
    real: Float[Tensor, "count_real features"], fake: Float[Tensor, "count_fake features"], k: int = 3
) -> PrecisionRecall:
    """Precision is the share of fake rows in the manifold of the real ones; recall is the reverse.

    The manifold of a set is the union of balls around its rows, each reaching to the k-th nearest other row
    (Kynkäänniemi et al. 2019, eq. 1 and 2). More than k rows of each. Bias: two samples of the same distribution score
    below 1 (3/4 in one dimension at k = 1), and lower with more features. The score changes with the count (for 128
    normal features it falls from 0.71 at 50 rows to 0.57 at 1,000), so compare equal counts only.
    """
    real, fake = _rows(2, real=real, fake=fake)
    check.whole("k", k, 1, min(len(real), len(fake)) - 1)
    precision = _balls(fake, real, _radii(real, k)) > 0
    recall = _balls(real, fake, _radii(fake, k)) > 0
    return PrecisionRecall(precision.double().mean().item(), recall.double().mean().item())


class DensityCoverage(NamedTuple):
    """density: 1 for equal distributions, above 1 if fakes crowd. coverage: share of real balls with a fake, [0, 1]."""

    density: float
    coverage: float


def density_coverage(
    real: Float[Tensor, "count_real features"], fake: Float[Tensor, "count_fake features"], k: int = 5
) -> DensityCoverage:
    """Density is the mean number of real balls around a fake row, over k; coverage is the share of balls with a fake.

    The balls are those of `precision_recall`, but around real rows only, so a stray fake row has no ball of its own
    (Naeem et al. 2020, sec. 3). More than k real rows. Bias: for two samples of the same continuous distribution the
    mean density is 1 at any count, and the mean coverage is 1 - (N-1)...(N-k) / ((N+M-1)...(N+M-k)) for N real and M
    fake rows (lemma 2), which is 0.97 at k = 5 and N = M large.
    """
    real, fake = _rows(1, real=real, fake=fake)
    check.whole("k", k, 1, len(real) - 1)
    radii = _radii(real, k)
    density = _balls(fake, real, radii).double().mean() / k
    coverage = _nearest(real, fake, 1)[:, 0] <= radii
    return DensityCoverage(density.item(), coverage.double().mean().item())


class MMD(NamedTuple):
    """value: MMD^2; for equal distributions it averages 0, so it may be negative. p: their chance of such a value."""

    value: float
    p: float


def mmd(
    a: Float[Tensor, "count_a features"],
    b: Float[Tensor, "count_b features"],
    bandwidth: float | None = None,
    permutations: int = 999,
    generator: torch.Generator | None = None,
) -> MMD:
    """The squared maximum mean discrepancy with a Gaussian kernel, and its p-value (Gretton et al. 2012, eq. 3).

        MMD^2 = mean_{i != j} k(a_i, a_j) + mean_{i != j} k(b_i, b_j) - 2 mean k(a_i, b_j)
        k(x, y) = exp(-|x - y|^2 / (2 bandwidth^2))

    Two rows or more of each. bandwidth: None takes the median distance between all rows (their sec. 8). Bias: none for
    a bandwidth that you fix. p: rows are exchanged at random between a and b `permutations` times, and p is the share
    of these and of the given order that reach this value. Because the given order counts, P(p <= level) <= level for
    equal distributions at any count (Phipson and Smyth 2010). Memory: matrices of (count_a + count_b)^2 numbers, half
    a gigabyte in all for two sets of 2,000 rows.
    """
    a, b = _rows(2, a=a, b=b)
    check.whole("permutations", permutations)
    if bandwidth is not None:
        check.positive("bandwidth", bandwidth)
    rows, m, n = torch.cat([a, b]), len(a), len(b)
    distance = torch.cat(list(_distances(rows, rows)))
    if bandwidth is None:
        bandwidth = distance[~torch.eye(m + n, dtype=torch.bool)].median().item()
        if bandwidth == 0:
            raise ValueError("bandwidth must be given, because most rows are equal and their median distance is 0")
    kernel = (-0.5 * (distance / bandwidth).square()).exp().fill_diagonal_(0)
    # one column for each division of the rows into a and b; the first is the given one
    shuffled = torch.rand(m + n, permutations, generator=generator, dtype=torch.float64).argsort(0) < m
    is_a = torch.cat([(torch.arange(m + n) < m)[:, None], shuffled], dim=1).double()
    from_a = kernel @ is_a
    aa = (is_a * from_a).sum(0)
    ab = from_a.sum(0) - aa
    bb = kernel.sum() - aa - 2 * ab
    values = aa / (m * (m - 1)) + bb / (n * (n - 1)) - 2 * ab / (m * n)
    p = (values >= values[0] - 1e-12).double().mean()  # the margin is for rounding
    return MMD(values[0].item(), p.item())


def sliced_wasserstein(
    a: Float[Tensor, "count_a features"],
    b: Float[Tensor, "count_b features"],
    directions: int = 256,
    generator: torch.Generator | None = None,
) -> float:
    """The mean of W_2^2 between projections onto random unit vectors (Rabin et al. 2012; Bonneel et al. 2015).

    W_2^2 is the squared Wasserstein distance. In one dimension it is exact, also for different counts: the integral
    over q in [0, 1] of the squared difference between the two q-quantiles. Bias: positive for two samples of the same
    distribution (1 / (3 (count + 1)) for the uniform one on [0, 1]), so compare equal counts only.
    """
    a, b = _rows(1, a=a, b=b)
    check.whole("directions", directions)
    unit = torch.randn(a.shape[1], directions, generator=generator, dtype=torch.float64)
    unit = unit / unit.norm(dim=0)
    quantile_a, quantile_b = (a @ unit).sort(0).values, (b @ unit).sort(0).values
    m, n = len(a), len(b)
    # a's quantile jumps at q = i / m and b's at q = j / n; in units of 1 / (m n) all of these are whole numbers
    ends = torch.cat([n * torch.arange(1, m + 1), m * torch.arange(1, n + 1)]).unique()
    widths = ends.diff(prepend=ends.new_zeros(1)).double() / (m * n)
    gaps = quantile_a[(ends - 1) // n] - quantile_b[(ends - 1) // m]
    return (widths @ gaps.square()).mean().item()


def energy_distance(a: Float[Tensor, "count_a features"], b: Float[Tensor, "count_b features"]) -> float:
    """The energy distance 2 E|a - b| - E|a - a'| - E|b - b'|, 0 only if the distributions are equal.

    (Székely and Rizzo 2013.) Two rows or more of each. It is not squared. Bias: none, because no row is paired with
    itself; so two samples of the same distribution average 0 and are often negative.
    """
    a, b = _rows(2, a=a, b=b)

    def total(x: Tensor, y: Tensor) -> float:
        return sum(distance.sum().item() for distance in _distances(x, y))

    m, n = len(a), len(b)
    return 2 * total(a, b) / (m * n) - total(a, a) / (m * (m - 1)) - total(b, b) / (n * (n - 1))


class ModeMass(NamedTuple):
    """share: of the samples at each mode. p: probability that those of a true sample are as far from the weights."""

    share: Float[Tensor, "K"]
    p: float


def mode_mass(
    samples: Float[Tensor, "count D"], modes: Float[Tensor, "K D"], weights: Float[Tensor, "K"] | None = None
) -> ModeMass:
    """The share of samples nearest to each of K modes, and Pearson's test of these shares against the weights.

        chi^2 = sum_k (n_k - count w_k)^2 / (count w_k),   p = P(chi^2 with K - 1 degrees of freedom is larger)

    weights: numbers above 0, scaled so that they sum to 1; None makes them equal. Bias: the shares have none if each
    sample is nearest to its own mode (modes that overlap exchange mass), but p is too small too often if count w_k is
    below 5 for some mode.
    """
    from scipy.stats import chisquare  # here, because importing it takes longer than importing this package

    samples, modes = _rows(1, samples=samples, modes=modes)
    if len(modes) < 2:
        raise ValueError("modes must be at least 2, got 1")
    weights = torch.as_tensor([1.0] * len(modes) if weights is None else weights).double().cpu()
    if weights.shape != modes.shape[:1] or not bool(((weights > 0) & weights.isfinite()).all()):
        raise ValueError(f"weights must be {len(modes)} finite numbers above 0, one a mode, got {check.came(weights)}")
    expected = len(samples) * weights / weights.sum()
    nearest = torch.cat([distance.argmin(1) for distance in _distances(samples, modes)])
    found = nearest.bincount(minlength=len(modes)).double()
    return ModeMass(found / len(samples), float(chisquare(found.numpy(), expected.numpy()).pvalue))


class CopyRatio(NamedTuple):
    """ratio: d1 / d2 of each sample, in [0, 1], 0 for an exact copy. share: of the samples below the threshold."""

    ratio: Float[Tensor, "count"]
    share: float


def copy_ratio(
    samples: Float[Tensor, "count features"], training: Float[Tensor, "N features"], threshold: float = 1 / 3
) -> CopyRatio:
    """The ratio d1 / d2 of the distances to the nearest and second nearest training item; below 1/3 we say "copy".

    (Yoon et al. 2023.) Equal items count once, because otherwise a copy of one that is there twice would have the
    ratio 1; there must be two different items. threshold: in (0, 1]. Bias: if the data have D dimensions and N is
    large, a fresh sample is below the threshold with probability threshold^D, which is 11% in the plane and next to
    nothing for images. So report the share for held-out data as well.
    """
    samples, training = _rows(1, samples=samples, training=training)
    check.positive("threshold", threshold)
    check.number("threshold", threshold, 0, 1)
    training = training.unique(dim=0)
    if len(training) < 2:
        raise ValueError("training must have at least two different items")
    nearest = _nearest(samples, training, 2)
    ratio = (nearest[:, 0] / nearest[:, 1]).nan_to_num(0.0)  # 0 / 0, on two items that rounding cannot tell apart
    return CopyRatio(ratio, (ratio < threshold).double().mean().item())


def sharpness(images: Float[Tensor, "count channels height width"]) -> float:
    """The share of the images' edges that a slight blur (1 px) removes, at most 1: the hazier they are, the less.

    An edge has a direction. In a window of 5 x 5 pixels, let a^2 be the mean square of the gradient along its main
    direction and b^2 that across it, the eigenvalues of the structure tensor (Foerstner and Guelch 1987). The edges
    are the mean of a - b over all windows. Speckle adds to a and b alike, so it does not make pictures sharper; nor
    does contrast, unless it is clipped, or having more edges. Compare with real pictures of the same things: thin lines
    lose more than broad edges do. ValueError: images under 13 pixels wide or high, or without any edge.
    """
    check.items("images", images)
    met = images.ndim == 4 and min(images.shape[2:]) >= 13
    check.must_be("(count, channels, height, width), 13 pixels or more", "images", images, met)
    x = images.detach().cpu().double().flatten(0, 1)[:, None]
    weights = torch.exp(-(torch.arange(-3, 4, dtype=torch.float64) ** 2) / 2)
    weights = weights / weights.sum()
    before = _edges(x[..., 3:-3, 3:-3])
    if not before > 0:
        raise ValueError("images must have edges, got none")
    return 1 - _edges(F.conv2d(F.conv2d(x, weights.view(1, 1, 1, 7)), weights.view(1, 1, 7, 1))) / before


def _edges(x: Tensor) -> float:
    sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=x.dtype) / 8
    across, down = F.conv2d(x, torch.stack([sobel, sobel.T])[:, None]).split(1, dim=1)
    xx, xy, yy = (F.avg_pool2d(g, 5, stride=1) for g in (across**2, across * down, down**2))
    mean, spread = (xx + yy) / 2, torch.hypot((xx - yy) / 2, xy)
    return ((mean + spread).sqrt() - (mean - spread).clamp(min=0).sqrt()).mean().item()
