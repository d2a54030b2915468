"""Each metric against closed forms, double loops and cases worked by hand; its bias as its docstring states it.

Where a mean over draws is compared with its exact value the bound is 5 standard errors: a false alarm in 2 million.
"""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
import torch

from minidiffusion.metrics import (
    copy_ratio,
    density_coverage,
    energy_distance,
    frechet_distance,
    mmd,
    mode_mass,
    precision_recall,
    real_data_floor,
    sharpness,
    sliced_wasserstein,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def line(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)[:, None]


def assert_mean(draws, expected):
    """The mean of independent draws is within 5 standard errors of what it should be."""
    draws = torch.as_tensor(draws, dtype=torch.float64)
    assert abs(draws.mean() - expected) < 5 * draws.std() / math.sqrt(len(draws)), (draws.mean(), expected)


# Frechet distance


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
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-13)  # no digit lost: the root of 1e-16 would be 1e-8
    points = torch.zeros(3, 4), torch.ones(2, 4)  # no width at all
    assert frechet_distance(*points) == pytest.approx(4, rel=1e-12)


def test_float32_rows_are_measured_in_float64():
    a, b = torch.randn(2, 500, 64, generator=torch.Generator().manual_seed(0)) + 100
    assert frechet_distance(a, b) == frechet_distance(a.double(), b.double())


def test_the_floor_is_the_distance_of_two_disjoint_draws(global_rng_untouched):
    real = torch.arange(20.0)[:, None]
    one, other = real_data_floor(lambda a, b: (a, b), real, 10, seeded())
    assert sorted(torch.cat([one, other])[:, 0].tolist()) == list(range(20))
    again, _ = real_data_floor(lambda a, b: (a, b), real, 10, seeded())
    third, _ = real_data_floor(lambda a, b: (a, b), real, 10, seeded(1))
    assert torch.equal(one, again) and not torch.equal(one, third)
    assert one[:, 0].tolist() != list(range(10))  # shuffled: data may come in order
    assert [len(rows) for rows in real_data_floor(lambda a, b: (a, b), real, 3, seeded())] == [3, 3]


# Precision, recall, density, coverage

REAL, FAKE = line(0, 1, 3, 7), line(-1.5, 2, 5, 11)
# k = 1: the radii are 1, 1, 2, 4, the real balls [-1, 1], [0, 2], [1, 5], [3, 11]; a surface belongs to its ball
# k = 2: the radii are 3, 2, 3, 6, the real balls [-3, 3], [-1, 3], [0, 6], [1, 13]


def test_four_reals_and_four_fakes_by_hand():
    assert precision_recall(REAL, FAKE, k=1) == (3 / 4, 1)  # -1.5 is in no ball; 11 is on the surface of one
    assert precision_recall(REAL, FAKE, k=2) == (1, 1)
    assert density_coverage(REAL, FAKE, k=1) == (5 / 4, 3 / 4)  # 0, 2, 2 and 1 balls; [-1, 1] holds no fake
    assert density_coverage(REAL, FAKE, k=2) == (8 / 8, 1)  # 1, 4, 2 and 1 balls, over 2
    # the fake balls at k = 1 are [-5, 2], [-1, 5], [2, 8], [5, 17]: they hold -5 on a surface, and 2
    assert precision_recall(line(-6, -5, 2, 18), FAKE, k=1) == (1, 2 / 4)
    # all on the surfaces of [-1, 1], [0, 2] and [1, 5]: measured from the mean, 4/3, rounding would lose one
    assert precision_recall(line(0, 1, 3), line(-1, 2, 5), k=1).precision == 1


@pytest.mark.parametrize("count_real, count_fake", [(300, 280), (7, 520)])
def test_neighbours_against_a_double_loop(count_real, count_fake):
    real, fake = normal(count_real, 4), 1.2 * normal(count_fake, 4, seed=1) + 0.5
    k = 2

    def away(a, b):
        return np.array([[math.dist(x, y) for y in b.tolist()] for x in a.tolist()])

    radii = {name: np.sort(away(rows, rows), 1)[:, k] for name, rows in (("real", real), ("fake", fake))}
    cross = away(fake, real)
    inside = cross <= radii["real"]
    precision, recall = inside.any(1).mean(), (cross <= radii["fake"][:, None]).any(0).mean()
    assert precision_recall(real, fake, k) == pytest.approx((precision, recall))
    assert density_coverage(real, fake, k) == pytest.approx((inside.sum() / (k * count_fake), inside.any(0).mean()))
    assert 0 < precision < 1 and 0 < recall < 1


def test_disjoint_sets_and_a_set_and_itself():
    rows = normal(50, 3)
    assert precision_recall(rows, rows + 100) == (0, 0)
    assert density_coverage(rows, rows + 100) == (0, 0)
    assert precision_recall(rows, rows) == (1, 1)
    density, coverage = density_coverage(rows, rows, k=5)
    # each is in its own ball and k others on average; in floating point, the k-th may fall off the surface
    assert 1 <= density <= 6 / 5 and coverage == 1


def test_a_lost_mode_costs_recall_and_junk_costs_precision():
    both = torch.cat([normal(100, 2), normal(100, 2, seed=1) + 50])
    one, junk = normal(200, 2, seed=2), torch.cat([both + 0.01, normal(50, 2, seed=3) - 1000])
    dropped, stray = precision_recall(both, one), precision_recall(both, junk)
    assert dropped.precision > 0.9 and 0.4 < dropped.recall <= 0.5
    assert stray.precision == pytest.approx(200 / 250) and stray.recall == 1
    assert density_coverage(both, one).coverage <= 0.5 and density_coverage(both, junk).coverage == 1
    # a single stray real row opens a wide ball to precision, and hardly any density
    outlier = torch.cat([normal(200, 2), line(60, 60).T])
    assert precision_recall(outlier, normal(100, 2, seed=1) + 30).precision == 1
    assert density_coverage(outlier, normal(100, 2, seed=1) + 30).density == pytest.approx(1 / 5)


def test_rows_that_are_the_same_share_a_ball_of_radius_0():
    point, other = normal(2, 1, 784)
    real = torch.cat([point.expand(4, -1), other.expand(4, -1)])
    assert precision_recall(real, point.expand(5, -1), k=3) == (1, 4 / 8)
    assert density_coverage(real, point.expand(2, -1), k=3) == (4 / 3, 4 / 8)


@pytest.mark.parametrize("name", ["normal", "exponential"])
def test_density_and_coverage_are_the_same_for_any_two_equal_distributions(name):
    # Of N - 1 reals and a fake around a real row, the fake is among the k nearest with chance k / N: density is 1.
    # That of N - 1 reals and M fakes no fake is among them: (N-1)...(N-k) / ((N+M-1)...(N+M-k))
    n, m, k = 12, 7, 3
    draws = normal(600, n + m, 3) if name == "normal" else -torch.rand(600, n + m, 1, generator=seeded()).log()
    scores = torch.tensor([density_coverage(rows[:n], rows[n:], k) for rows in draws], dtype=torch.float64)
    missed = math.prod((n - i) / (n + m - i) for i in range(1, k + 1))
    assert_mean(scores[:, 0], 1)
    assert_mean(scores[:, 1], 1 - missed)
    assert 1 - math.prod((1000 - i) / (2000 - i) for i in range(1, 6)) == pytest.approx(0.97, abs=0.002)


def test_precision_of_equal_distributions_on_a_line_is_three_quarters():
    # k = 1: a point in a gap, u from one end and v from the other, is in no ball if the gaps beyond the two ends are
    # shorter than u and v. All four are exponential and independent: chance 1/2 * 1/2
    scores = [precision_recall(*torch.rand(2, 1000, 1, generator=seeded(seed)), k=1) for seed in range(10)]
    assert_mean([score.precision for score in scores], 3 / 4)
    assert_mean([score.recall for score in scores], 3 / 4)


def test_precision_of_equal_distributions_falls_with_the_count_in_many_features():
    few = np.mean([precision_recall(*normal(2, 50, 128, seed=seed)) for seed in range(20)])
    many = np.mean([precision_recall(*normal(2, 1000, 128, seed=seed)) for seed in range(2)])
    assert few == pytest.approx(0.71, abs=0.02) and many == pytest.approx(0.57, abs=0.02)  # as documented


# Maximum mean discrepancy


def test_mmd_is_the_double_loop():
    a, b = normal(5, 2), normal(7, 2, seed=1) + 0.5

    def mean_kernel(pairs, h):
        return np.mean([math.exp(-(math.dist(x, y) ** 2) / (2 * h * h)) for x, y in pairs])

    def by_hand(h):
        within = [mean_kernel(itertools.combinations(rows.tolist(), 2), h) for rows in (a, b)]
        return sum(within) - 2 * mean_kernel(itertools.product(a.tolist(), b.tolist()), h)

    median = np.median([math.dist(x, y) for x, y in itertools.combinations([*a.tolist(), *b.tolist()], 2)])
    lower = max(  # of 66 distances there are two in the middle: the lower is taken
        d for x, y in itertools.combinations([*a.tolist(), *b.tolist()], 2) if (d := math.dist(x, y)) <= median
    )
    assert mmd(a, b, bandwidth=0.7).value == pytest.approx(by_hand(0.7), rel=1e-9)
    assert mmd(a, b).value == pytest.approx(by_hand(lower), rel=1e-9)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_mmd_is_unbiased_at_any_count(shift):
    # For x ~ N(m, S), y ~ N(n, T): E k = h^D det(h^2 I + S + T)^(-1/2) exp(-(m - n)^T (h^2 I + S + T)^-1 (m - n) / 2)
    h, d, spread = 0.8, 2, 1.0 + shift / 2  # the second distribution is N(shift, spread^2 I)

    def kernel(apart, variance):
        return (h * h / (h * h + variance)) ** (d / 2) * math.exp(-0.5 * d * apart**2 / (h * h + variance))

    expected = kernel(0, 2) + kernel(0, 2 * spread**2) - 2 * kernel(shift, 1 + spread**2)
    draws = normal(1000, 7, d)
    values = torch.tensor([mmd(x[:3], shift + spread * x[3:], h, 1, seeded()).value for x in draws])
    assert_mean(values, expected)
    assert (expected == 0) == (shift == 0) and (values < 0).any() and (values > 0).any()


def test_the_p_value_counts_exchanges():
    # Of the 6 ways to split 4 rows in two pairs, 2 have a on one side and b on the other: p tends to 1/3, and the
    # way they came counts too
    p = np.array([mmd(line(0, 0.1), line(10, 10.1), 1.0, 9, seeded(seed)).p for seed in range(300)])
    assert_mean(p, (1 + 9 / 3) / 10)
    assert ((10 * p).round(9) % 1 == 0).all() and p.min() >= 0.1
    # and with unequal counts, of 10 ways only one is as far
    assert_mean([mmd(line(0, 0.1), line(10, 10.2, 10.3), 1.0, 9, seeded(s)).p for s in range(300)], (1 + 9 / 10) / 10)
    # Ties, which rounding must not break: of two values a has the first 13 times of 20, b 7. At most 7 or at least 13
    # in a is as far
    a, b = line(*[0] * 13, *[1] * 7), line(*[0] * 7, *[1] * 13)
    as_far = 2 * scipy.stats.hypergeom(40, 20, 20).cdf(7)
    reached = 4001 * mmd(a, b, 1.0, 4000, seeded()).p - 1
    assert abs(reached - 4000 * as_far) < 5 * math.sqrt(4000 * as_far)
    a, b = normal(100, 3), normal(100, 3, seed=1) + 0.7
    assert mmd(a, b, permutations=199, generator=seeded()).p == pytest.approx(1 / 200)  # never 0
    assert mmd(a, b - 0.7, permutations=199, generator=seeded()).p > 0.01


def test_the_p_value_is_uniform_for_equal_distributions():
    draws = normal(600, 16, 2)
    p = [mmd(x[:6], x[6:], permutations=9, generator=seeded(seed)).p for seed, x in enumerate(draws)]
    counts = np.bincount(np.rint(10 * np.array(p)).astype(int), minlength=11)
    # on 1/10, ..., 10/10, each as likely; red by chance 1e-4 of the time, and the seed is fixed
    assert counts[0] == 0 and scipy.stats.chisquare(counts[1:]).pvalue > 1e-4


# Sliced Wasserstein


def on_a_line(a, b):
    """W_2^2 of rows on a line: each row as often as there are rows of the other, then sorted, pair by pair."""
    a, b = a[:, 0].repeat_interleave(len(b)).sort().values, b[:, 0].repeat_interleave(len(a)).sort().values
    return (a - b).square().mean().item()


@pytest.mark.parametrize("m, n", [(5, 5), (4, 6), (3, 7), (1, 4), (9, 1)])
def test_on_a_line_it_is_exact_for_any_counts(m, n):
    a, b = normal(m, 1), 2 * normal(n, 1, seed=1) + 1
    assert sliced_wasserstein(a, b, directions=3) == pytest.approx(on_a_line(a, b), rel=1e-12)
    assert sliced_wasserstein(b, a, directions=1) == pytest.approx(on_a_line(a, b), rel=1e-12)


def test_two_gaussians_on_a_line():
    # N(m, s^2) and N(0, 1): W_2^2 = m^2 + (s - 1)^2
    a = rows_with([0.0], [[1.0]], count=50)
    b = 3.0 + 0.5 * a
    assert sliced_wasserstein(a, b) == pytest.approx(3.0**2 + 0.5**2 * 49 / 50, rel=1e-12)  # a has 49/50, not 1


def test_a_shift_is_seen_from_every_side():
    # along theta, rows and the same rows shifted by m are (theta m)^2 apart: |m|^2 / D on average over directions
    a, shift = normal(6, 3), torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)
    seen = [sliced_wasserstein(a, a + shift, 1, seeded(seed)) for seed in range(1000)]
    assert_mean(seen, shift.square().sum() / 3)
    assert min(seen) < 0.05 and max(seen) == pytest.approx(shift.square().sum().item(), rel=0.01)  # across, and along
    assert sliced_wasserstein(a, a + shift, 20_000, seeded()) == pytest.approx(np.mean(seen), rel=0.1)


def test_two_samples_of_one_distribution_are_as_far_apart_as_documented():
    # on [0, 1] the i-th of n has variance i (n + 1 - i) / ((n + 1)^2 (n + 2)); twice its mean over i is 1 / (3 (n + 1))
    for n in (1, 6):
        draws = torch.rand(500, 2, n, 1, generator=seeded(n), dtype=torch.float64)
        assert_mean([sliced_wasserstein(a, b, 1) for a, b in draws], 1 / (3 * (n + 1)))


# Energy distance


def test_energy_distance_is_the_double_loop():
    a, b = normal(5, 2), normal(7, 2, seed=1) + 0.5
    between = np.mean([math.dist(x, y) for x, y in itertools.product(a.tolist(), b.tolist())])
    within = [np.mean([math.dist(x, y) for x, y in itertools.combinations(rows.tolist(), 2)]) for rows in (a, b)]
    assert energy_distance(a, b) == pytest.approx(2 * between - sum(within), rel=1e-9)


@pytest.mark.parametrize(("shift", "spread"), [(0.0, 1.0), (1.0, 1.0), (0.5, 2.0)])
def test_energy_distance_is_unbiased_at_any_count(unchecked, shift, spread):
    # E|z| of z ~ N(m, s^2), the folded normal: s sqrt(2 / pi) exp(-m^2 / (2 s^2)) + m erf(m / (s sqrt(2)))
    def length(m, s):
        return s * math.sqrt(2 / math.pi) * math.exp(-0.5 * (m / s) ** 2) + m * math.erf(m / (s * math.sqrt(2)))

    expected = 2 * length(shift, math.hypot(1, spread)) - (1 + spread) * length(0, math.sqrt(2))
    draws = normal(500, 7, 1)
    assert_mean([energy_distance(x[:3], shift + spread * x[3:]) for x in draws], expected)


# Mode mass

RING = torch.tensor([[math.cos(a), math.sin(a)] for a in torch.arange(8) * math.pi / 4])


def at(modes, counts):
    """Samples close to the modes, as many at each as counts say."""
    return modes.repeat_interleave(torch.tensor(counts), 0) + 0.05 * normal(sum(counts), modes.shape[1]).float()


def test_the_share_of_each_mode_and_its_test():
    counts = [10, 12, 9, 8, 11, 14, 6, 10]
    share, p = mode_mass(at(RING, counts), RING)
    assert (80 * share).tolist() == counts
    assert p == pytest.approx(scipy.stats.chisquare(counts).pvalue, rel=1e-9)
    weights = torch.tensor([1.0, 2, 1, 1, 1, 2, 1, 1])
    expected = 80 * weights.double() / 10
    assert mode_mass(at(RING, counts), RING, weights).p == pytest.approx(
        scipy.stats.chisquare(counts, expected).pvalue, rel=1e-9
    )
    assert mode_mass(at(RING, [10] * 8), RING).p == 1
    assert mode_mass(at(RING, [0, *[10] * 7]), RING).share[0] == 0
    assert mode_mass(at(RING, [0, *[100] * 7]), RING).p < 1e-12


def test_the_p_of_mode_mass_is_right_where_each_mode_expects_5():
    # exactly: the chance, over all outcomes, that a true sample has p <= 0.01
    modes, count = line(0, 1, 2), 30

    def false_alarms(weights):
        true = scipy.stats.multinomial(count, weights)
        outcomes = [(i, j, count - i - j) for i in range(count + 1) for j in range(count + 1 - i)]
        p = [mode_mass(modes.repeat_interleave(torch.tensor(o), 0), modes, torch.tensor(weights)).p for o in outcomes]
        return sum(true.pmf(o) for o, p in zip(outcomes, p, strict=True) if p <= 0.01)

    assert 0.005 < false_alarms([0.5, 0.3, 0.2]) < 0.015  # 15, 9 and 6 expected
    assert false_alarms([0.98, 0.01, 0.01]) > 0.02  # 0.3 expected: too many, as documented


def test_modes_that_overlap_trade_mass():
    quantiles = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    z = torch.special.ndtri(quantiles)  # as good as N(0, 1) can be with 1,000 numbers
    samples = torch.cat([*[z - 1] * 9, z + 1])[:, None]  # 0.9 N(-1, 1) + 0.1 N(1, 1), cut at 0
    tail = 0.5 * math.erfc(1 / math.sqrt(2))
    share = mode_mass(samples, line(-1, 1)).share
    assert share.tolist() == pytest.approx([0.9 * (1 - tail) + 0.1 * tail, 0.9 * tail + 0.1 * (1 - tail)], abs=2e-3)


# Copies


def test_copies_by_hand():
    training = line(0, 3, 10)
    ratio, share = copy_ratio(line(0, 0.5, 1.5, 9, 0.75, 0.74), training)
    assert ratio.tolist() == pytest.approx([0, 0.5 / 2.5, 1, 1 / 6, 1 / 3, 0.74 / 2.26], rel=1e-12)
    assert share == 4 / 6  # 1/3 itself is not below
    assert copy_ratio(line(0, 0.5, 1.5, 9, 0.75), training, threshold=0.19).share == 2 / 5
    assert copy_ratio(line(1e5 + 0.5), line(0, 1, 1e5, 1e5 + 2)).ratio.item() == pytest.approx(1 / 3, abs=1e-4)


def test_copies_are_found_among_pictures():
    training, fresh, noise = normal(300, 784), normal(20, 784, seed=1), 0.01 * normal(20, 784, seed=2)
    ratio, share = copy_ratio(torch.cat([training[:10], training[10:30] + noise, fresh]), training)
    assert (ratio[:10] == 0).all()  # not the rounding of |x|^2 + |y|^2 - 2 x y
    assert (ratio[10:30] < 0.05).all() and (ratio[30:] > 0.8).all()
    assert share == 30 / 50


def test_items_that_are_equal_count_once():
    samples = line(0, 0.1, 2.9, 5)
    once, twice = copy_ratio(samples, line(0, 3)), copy_ratio(samples, line(0, 3, 0, 3, 3))
    assert torch.equal(once.ratio, twice.ratio) and once.share == twice.share == 3 / 4
    # nor may two items that rounding cannot tell apart give 0 / 0
    assert copy_ratio(line(1), line(-3, -2, -1, 1, 1 + 1e-15)).ratio.item() == 0


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_fresh_samples_pass_for_copies_as_often_as_documented(dimension):
    # in the ball around the sample that ends at the second nearest item the nearest is uniform: (d1 / d2)^D is too.
    # The ball leaves the cube if fewer than 2 of 30 items are within 1: at most once in 10^8
    training = 2 * torch.rand(500, 30, dimension, generator=seeded(), dtype=torch.float64) - 1
    sample = torch.zeros(1, dimension, dtype=torch.float64)
    ratios = torch.cat([copy_ratio(sample, items).ratio for items in training])
    assert_mean(ratios**dimension, 1 / 2)
    assert_mean([copy_ratio(sample, items, 0.7).share for items in training], 0.7**dimension)


# All of them

METRICS = {
    "frechet": lambda a, b: frechet_distance(a, b),
    "precision": lambda a, b: precision_recall(a, b).precision,
    "recall": lambda a, b: precision_recall(a, b).recall,
    "density": lambda a, b: density_coverage(a, b).density,
    "coverage": lambda a, b: density_coverage(a, b).coverage,
    "mmd": lambda a, b: mmd(a, b, None, 1, seeded()).value,
    "sliced": lambda a, b: sliced_wasserstein(a, b, generator=seeded()),
    "energy": lambda a, b: energy_distance(a, b),
    "copies": lambda a, b: copy_ratio(a, b).ratio.mean().item(),
    "modes": lambda a, b: mode_mass(a, b[:4]).share.square().sum().item(),
}


@pytest.mark.parametrize("name", METRICS)
def test_what_none_of_them_sees(name, global_rng_untouched):
    metric, unit = METRICS[name], {"frechet": 9, "sliced": 9, "energy": 3}.get(name, 1)
    a, b = normal(60, 3), 1.3 * normal(60, 3, seed=1) + 0.4
    value = metric(a, b)
    order, turn = torch.randperm(60, generator=seeded()), torch.linalg.qr(normal(3, 3))[0]
    assert metric(a[order], b if name == "modes" else b[order]) == pytest.approx(value, rel=1e-9)
    assert metric(a + 1e6, b + 1e6) == pytest.approx(value, rel=1e-6)
    assert metric(3 * a, 3 * b) == pytest.approx(unit * value, rel=1e-9)
    assert metric(-a, -b) == pytest.approx(value, rel=1e-9)
    if name != "sliced":  # it looks along 256 directions only
        assert metric(a @ turn, b @ turn) == pytest.approx(value, rel=1e-9)
    assert metric(a.float(), b.float()) == metric(a.float().double(), b.float().double())


def test_a_seed_is_one_answer(global_rng_untouched):
    a, b = normal(30, 2), normal(30, 2, seed=1)
    for metric in (lambda g: mmd(a, b, permutations=500, generator=g).p, lambda g: sliced_wasserstein(a, b, 5, g)):
        assert metric(seeded()) == metric(seeded()) != metric(seeded(1))


def test_bad_rows_are_named(unchecked):
    good = torch.zeros(6, 2)
    for metric, names, least in [
        (frechet_distance, "ab", 2),
        (precision_recall, ["real", "fake"], 1),
        (density_coverage, ["real", "fake"], 1),
        (mmd, "ab", 2),
        (sliced_wasserstein, "ab", 1),
        (energy_distance, "ab", 2),
        (mode_mass, ["samples", "modes"], 1),
        (copy_ratio, ["samples", "training"], 1),
    ]:
        for bad in (
            torch.zeros(least - 1, 2),
            torch.zeros(3),
            torch.zeros(3, 0),
            torch.full((6, 2), math.nan),
            torch.full((6, 2), math.inf),
        ):
            with pytest.raises(ValueError, match=f"^{names[0]} must"):
                metric(bad, good)
            with pytest.raises(ValueError, match=f"^{names[1]} must"):
                metric(good, bad)
        with pytest.raises(ValueError, match=f"^{names[1]} must be as wide as {names[0]}, 2, got 4"):
            metric(good, torch.zeros(6, 4))
        with pytest.raises(TypeError, match=f"^{names[1]} must be a tensor"):
            metric(good, [[0.0, 1.0]])


def test_bad_numbers_are_named(unchecked):
    a, b = normal(6, 2), normal(5, 2)
    for name, call in [
        ("k", lambda: precision_recall(a, b, k=5)),
        ("k", lambda: precision_recall(b, a, k=5)),
        ("k", lambda: precision_recall(a, b, k=0)),
        ("k", lambda: precision_recall(a, b, k=1.0)),
        ("k", lambda: precision_recall(a, b, k=True)),
        ("k", lambda: density_coverage(b, a, k=5)),
        ("count", lambda: real_data_floor(frechet_distance, a, 4)),
        ("real", lambda: real_data_floor(frechet_distance, a[:1], 1)),
        ("permutations", lambda: mmd(a, b, permutations=0)),
        ("bandwidth", lambda: mmd(a, b, bandwidth=0.0)),
        ("bandwidth", lambda: mmd(a, b, bandwidth=math.nan)),
        ("bandwidth", lambda: mmd(0 * a, 0 * b)),
        ("directions", lambda: sliced_wasserstein(a, b, directions=0)),
        ("modes", lambda: mode_mass(a, b[:1])),
        ("weights", lambda: mode_mass(a, b, torch.ones(4))),
        ("weights", lambda: mode_mass(a, b, torch.tensor([1.0, 1, 1, 1, 0]))),
        ("weights", lambda: mode_mass(a, b, torch.tensor([1.0, 1, 1, 1, math.inf]))),
        ("threshold", lambda: copy_ratio(a, b, threshold=0.0)),
        ("threshold", lambda: copy_ratio(a, b, threshold=2.0)),
        ("threshold", lambda: copy_ratio(a, b, threshold="low")),
        ("training", lambda: copy_ratio(a, b[:1].expand(3, -1))),
    ]:
        with pytest.raises(ValueError, match=f"^{name} must"):
            call()
    # as many as there can be is not too many
    assert density_coverage(b, a, k=4) and precision_recall(a, b, k=4) and real_data_floor(frechet_distance, a, 3) >= 0


# Sharpness


def blurred(x, width):
    far = torch.arange(-8, 9, dtype=torch.float64)
    weights = torch.exp(-(far**2) / 2 / width**2)
    kernel = (weights[:, None] * weights / weights.sum() ** 2)[None, None]
    return torch.nn.functional.conv2d(torch.nn.functional.pad(x, (8, 8, 8, 8), mode="replicate"), kernel)


def discs(count=20, size=28, seed=0):
    """Sharp white discs of many sizes and places, with the fine steps of a camera: every edge in every direction."""
    x, y, r = (torch.rand(3, count, 1, 1, generator=seeded(seed), dtype=torch.float64) * 8 + 7).unbind(0)
    far = (torch.arange(4 * size, dtype=torch.float64) + 0.5) / 4
    inside = (far - x - 3) ** 2 + (far[:, None] - y - 3) ** 2 < (r / 2) ** 2
    return torch.nn.functional.avg_pool2d(2 * inside.double()[:, None] - 1, 4)


@pytest.mark.parametrize("k", [0.3, 0.9, 1.7])
@pytest.mark.parametrize("turned", [False, True])
def test_sharpness_of_a_wave_is_what_the_blur_takes_of_its_frequency(k, turned):
    wave = torch.cos(k * torch.arange(40.0, dtype=torch.float64) + 0.4).expand(2, 3, 40, 40)
    far = torch.arange(-3, 4, dtype=torch.float64)
    weights = torch.exp(-(far**2) / 2)
    kept = (weights * torch.cos(k * far)).sum() / weights.sum()  # the transfer function of the kernel
    assert sharpness(wave.mT if turned else wave) == pytest.approx(1 - abs(kept.item()), rel=1e-9)


def test_sharpness_falls_with_every_blur_and_knows_no_contrast():
    x = discs()
    found = [sharpness(y) for y in (x, *(blurred(x, width) for width in (0.4, 0.7, 1.0, 1.5)))]
    assert all(a > 1.05 * b for a, b in itertools.pairwise(found)), found
    assert sharpness(0.3 * x + 0.5) == pytest.approx(sharpness(x), rel=1e-9)
    hazy = blurred(x, 1.5)
    assert sharpness((3 * hazy).clamp(-1, 1)) > 1.1 * sharpness(hazy)  # clipping makes edges, as the docstring warns


def test_speckle_does_not_make_a_picture_sharper():
    x, noise = discs(), normal(20, 1, 28, 28, seed=1)
    for y in (x, blurred(x, 0.7), blurred(x, 1.5)):
        found = [sharpness(y + size * noise) for size in (0.0, 0.02, 0.05, 0.1)]
        assert all(a > b for a, b in itertools.pairwise(found)), found


def test_sharpness_is_not_more_because_there_are_more_edges():
    near, far = (torch.nn.functional.pad(discs(), (width,) * 4, value=-1.0) for width in (8, 30))
    assert sharpness(far) == pytest.approx(sharpness(near), rel=1e-4)  # the roots of rounding errors


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (torch.zeros(2, 1, 12, 28), "13 pixels or more"),
        (torch.zeros(2, 1, 28, 28), "images must have edges, got none"),
        (torch.zeros(0, 1, 28, 28), "at least one item"),
    ],
)
def test_sharpness_says_what_it_cannot_judge(images, said):
    with pytest.raises(ValueError, match=said):
        sharpness(images)
