"""The forward process against its formulas, Bayes' rule on a fine grid, and Ho et al. 2020."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minidiffusion as md

NAMED = {name: make() for name, make in md.schedule.NAMED.items()}
SHAPES = [(3,), (3, 2), (3, 1, 4, 5)]
COUNT = 100_000  # draws, where a test must draw


def normal(x, mean, std):
    return np.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))


def trapezoid(y, x):
    return float(((y[1:] + y[:-1]) / 2 * np.diff(x)).sum())


# diffuse


@pytest.mark.parametrize("shape", SHAPES)
def test_diffuse_is_alpha_x0_plus_sigma_eps(schedule, shape):
    x0, eps = torch.randn(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    together = md.diffuse(x0, t, eps, schedule)
    for i in range(3):
        by_hand = schedule.alpha(t[i].item()) * x0[i] + schedule.sigma(t[i].item()) * eps[i]
        torch.testing.assert_close(together[i], by_hand, rtol=1e-13, atol=1e-13)
        for one_time in (t[i].item(), t[i]):
            torch.testing.assert_close(md.diffuse(x0, one_time, eps, schedule)[i], by_hand, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_diffuse_keeps_the_dtype(schedule, dtype):
    x0 = torch.ones(2, 3, dtype=dtype)
    for t in (0.5, torch.tensor(0.5), torch.tensor([0.5, 0.5])):
        x_t = md.diffuse(x0, t, x0, schedule)
        assert x_t.dtype == dtype
        exact = schedule.alpha(0.5) + schedule.sigma(0.5)
        torch.testing.assert_close(x_t.double(), torch.full((2, 3), exact, dtype=torch.float64), rtol=1e-2, atol=0)


def test_the_curve_is_read_in_float64(schedule):
    # a float32 time that is exact, such as 1/4, must not leave float32 digits in float64 data
    x0, t = torch.ones(2, 1, dtype=torch.float64), torch.tensor([0.25, 0.75])
    x_t = md.diffuse(x0, t, torch.zeros_like(x0), schedule)
    assert x_t[:, 0].tolist() == pytest.approx([schedule.alpha(0.25), schedule.alpha(0.75)], rel=1e-14)


def test_the_last_float32_times_leave_their_share_of_x0():
    t = torch.tensor([1 - 2.0**-24, 1 - 2.0**-23])
    x_t = md.diffuse(torch.ones(2, 1), t, torch.zeros(2, 1), md.schedule.flow())
    torch.testing.assert_close(x_t[:, 0], torch.tensor([2.0**-24, 2.0**-23]), rtol=1e-6, atol=0)


# posterior


def test_posterior_is_bayes_rule_on_a_fine_grid(schedule):
    for s, t in [(0.05, 0.1), (0.2, 0.9), (0.5, 0.51), (0.9, 1.0), (0.001, 0.999)]:
        alpha_s, sigma_s = schedule.alpha(s), schedule.sigma(s)
        alpha_t, sigma_t = schedule.alpha(t), schedule.sigma(t)
        x0, x_t = 0.7, 0.7 * alpha_t - 0.4 * sigma_t
        # x_s given x0, times x_t given x_s: the noise added between s and t is what makes sigma_t of sigma_s
        keep = alpha_t / alpha_s
        added = math.sqrt(sigma_t**2 - keep**2 * sigma_s**2)
        x_s = np.linspace(alpha_s * x0 - 12 * sigma_s, alpha_s * x0 + 12 * sigma_s, 200_001)
        density = normal(x_s, alpha_s * x0, sigma_s) * normal(x_t, keep * x_s, added)
        density /= trapezoid(density, x_s)
        mean = trapezoid(x_s * density, x_s)
        std = math.sqrt(trapezoid((x_s - mean) ** 2 * density, x_s))
        got_mean, got_std = md.posterior(
            torch.full((1, 1), x_t, dtype=torch.float64),
            torch.full((1, 1), x0, dtype=torch.float64),
            t,
            s,
            schedule,
        )
        assert got_mean.item() == pytest.approx(mean, rel=1e-6, abs=1e-9)
        assert got_std == pytest.approx(std, rel=1e-6)


@pytest.mark.parametrize("T", [50, 100, 1000, 4000])
def test_posterior_is_ddpms_at_the_grid_points(T):
    betas = np.linspace(1e-4, 0.02, T) * 1000 / T
    alphas, alphas_bar = 1 - betas, np.cumprod(1 - betas)
    schedule = md.schedule.from_betas(betas)
    x_t, x0 = torch.randn(2, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for i in sorted({2, 3, T // 3, T // 2, T - 1, T}):  # the paper's t, from 1 to T
        beta, alpha, bar, bar_before = betas[i - 1], alphas[i - 1], alphas_bar[i - 1], alphas_bar[i - 2]
        # Ho et al. 2020, eq. 7
        mean = math.sqrt(bar_before) * beta / (1 - bar) * x0 + math.sqrt(alpha) * (1 - bar_before) / (1 - bar) * x_t
        beta_tilde = (1 - bar_before) / (1 - bar) * beta
        got_mean, got_std = md.posterior(x_t, x0, i / T, (i - 1) / T, schedule)
        torch.testing.assert_close(got_mean, mean, rtol=1e-8, atol=1e-8)
        assert got_std**2 == pytest.approx(beta_tilde, rel=1e-6)


def test_posterior_at_time_0_is_x0_itself(schedule):
    x_t, x0 = torch.randn(2, 4, 2, generator=torch.Generator().manual_seed(0))
    mean, std = md.posterior(x_t, x0, 0.5, 0.0, schedule)
    torch.testing.assert_close(mean, x0, rtol=0, atol=1e-2 if schedule.sigma(0.0) else 0)
    assert std == 0 or std < schedule.sigma(0.0)


@pytest.mark.parametrize("schedule", [NAMED["flow"], md.schedule.zero_terminal_snr(NAMED["linear"])])
def test_posterior_from_pure_noise_forgets_x_t(schedule):
    x0 = torch.ones(2, 1)
    mean, std = md.posterior(torch.tensor([[-5.0], [5.0]]), x0, 1.0, 0.6, schedule)
    torch.testing.assert_close(mean, schedule.alpha(0.6) * x0)
    assert std == schedule.sigma(0.6)


@pytest.mark.parametrize("t, s", [(0.5, 0.5), (0.4, 0.5), (1.1, 0.5), (0.5, -0.1), (math.nan, 0.1), (0.5, math.nan)])
def test_posterior_names_times_in_the_wrong_order(t, s):
    x = torch.zeros(1, 1)
    with pytest.raises(ValueError, match="s and t must"):
        md.posterior(x, x, t, s, NAMED["cosine"])


# prior


def test_prior_is_noise_of_the_last_time(schedule, global_rng_untouched):
    std = 80.00625 if schedule == NAMED["ve"] else 1.0  # sqrt(1 + 80^2)
    x_1 = md.prior((2, 1, 3, 3), schedule, torch.Generator().manual_seed(5))
    assert x_1.shape == (2, 1, 3, 3) and x_1.dtype == torch.float32
    noise = torch.randn(2, 1, 3, 3, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(x_1, std * noise, rtol=1e-6, atol=0)


def test_prior_has_the_variance_that_it_says(schedule):
    x_1 = md.prior((COUNT,), schedule, torch.Generator().manual_seed(0)).double()
    variance = schedule.alpha(1.0) ** 2 + schedule.sigma(1.0) ** 2
    # 5 standard errors each, of the mean and of the variance of a normal: red by chance 6e-7 of the time
    assert abs(x_1.mean()) < 5 * math.sqrt(variance / COUNT)
    assert abs(x_1.var() / variance - 1) < 5 * math.sqrt(2 / COUNT)


def test_prior_draws_from_the_caller_without_a_generator():
    torch.manual_seed(3)
    a, b = md.prior((4,), NAMED["flow"]), md.prior((4,), NAMED["flow"])
    torch.manual_seed(3)
    assert torch.equal(a, md.prior((4,), NAMED["flow"])) and not torch.equal(a, b)


@pytest.mark.parametrize("bad", [(-1, 2), (2.5,), 5, "ab", None])
def test_bad_shapes_of_the_prior_are_named(unchecked, bad):
    with pytest.raises((ValueError, TypeError), match="shape must"):
        md.prior(bad, NAMED["cosine"])


def test_prior_kl_is_its_integral(schedule):
    for x0 in (-1.0, 0.0, 0.7):
        mean, std = schedule.alpha(1.0) * x0, schedule.sigma(1.0)
        prior_std = math.sqrt(schedule.alpha(1.0) ** 2 + schedule.sigma(1.0) ** 2)
        x = np.linspace(mean - 12 * std, mean + 12 * std, 100_001)
        # log q / p, less the constant, without the cancellation of two small densities
        log_ratio = 0.5 * (x / prior_std) ** 2 - 0.5 * ((x - mean) / std) ** 2 + math.log(prior_std / std)
        bits = trapezoid(normal(x, mean, std) * log_ratio, x) / math.log(2)
        got = md.prior_kl(torch.full((2, 1, 3, 3), x0, dtype=torch.float64), schedule)
        assert got.shape == (2,) and got.tolist() == pytest.approx([bits, bits], rel=1e-6, abs=1e-12)


def test_prior_kl_of_ddpm_is_about_1e_minus_5_bits():
    # Ho et al. 2020, section 4: L_T = D_KL(q(x_T | x_0) || N(0, I)) is about 1e-5 bits per dimension
    grey_levels = torch.linspace(-1, 1, 256, dtype=torch.float64).repeat(12).view(1, 3, 32, 32)
    assert md.prior_kl(grey_levels, NAMED["linear"]).item() == pytest.approx(1e-5, rel=0.05)
    assert md.prior_kl(grey_levels, NAMED["flow"]).item() == 0
    darkest = -torch.ones(1, 3, 32, 32, dtype=torch.float64)
    assert 2.5e-5 < md.prior_kl(darkest, NAMED["linear"]).item() < 3e-5


# Wrong shapes, and whatever else comes


def test_wrong_shapes_are_named(unchecked):
    x, wide, schedule = torch.zeros(2, 3), torch.zeros(2, 4), NAMED["cosine"]
    with pytest.raises(ValueError, match=r"eps must .*x0.*\(2, 3\).*\(2, 4\)"):
        md.diffuse(x, 0.5, wide, schedule)
    with pytest.raises(ValueError, match=r"x0 must .*x_t"):
        md.posterior(x, wide, 0.5, 0.4, schedule)
    with pytest.raises(TypeError, match=r"^x0 must be a floating point"):
        md.diffuse(x.byte(), 0.5, x, schedule)
    for t in (torch.rand(3), torch.rand(2, 1)):
        with pytest.raises(ValueError, match=r"^t must be one number, or one for each of 2"):
            md.diffuse(x, t, x, schedule)
    for t in ([0.1, 0.2], np.array([0.1, 0.2]), torch.tensor([0, 1]), "half", None):
        with pytest.raises((ValueError, TypeError), match=r"^t must"):
            md.diffuse(torch.zeros(2, 2), t, torch.zeros(2, 2), schedule)


@given(
    schedule=st.sampled_from(list(NAMED.values())),
    shape=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    times=st.one_of(st.floats(), st.lists(st.floats(0, 1), max_size=4)),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64]),
)
def test_diffuse_is_finite_or_names_an_argument(schedule, shape, times, dtype):
    x0 = torch.ones(shape).to(dtype)
    t = torch.tensor(times, dtype=torch.float64) if isinstance(times, list) else times
    good = dtype.is_floating_point and (
        len(times) == shape[0] if isinstance(times, list) else 0 <= times <= 1  # false for nan
    )
    try:
        x_t = md.diffuse(x0, t, -x0, schedule)
    except (ValueError, TypeError) as error:
        assert not good and any(
            f"{name} must" in str(error) or f"'{name}'" in str(error) for name in ("t", "x0", "eps")
        )
    else:
        assert good and x_t.shape == x0.shape and x_t.dtype == dtype and x_t.isfinite().all()


@pytest.mark.parametrize("shape", [(2,), (1, 4, 4)])
def test_with_a_generator_for_each_an_item_does_not_depend_on_the_others(shape, schedule):
    def seeds(count):
        return [torch.Generator().manual_seed(seed) for seed in range(count)]

    many, few = (md.prior((count, *shape), schedule, seeds(count)) for count in (5, 2))
    assert torch.equal(many[:2], few)
    denoise = md.oracle.gaussian(torch.zeros(4), torch.eye(4), schedule)
    x_1 = md.prior((5, 4), schedule, seeds(5))
    for method in ("ddpm", "euler_ancestral", "predictor_corrector"):
        whole = md.sample(denoise, x_1, steps=4, method=method, generator=seeds(5))
        alone = md.sample(denoise, x_1[1:2], steps=4, method=method, generator=seeds(5)[1:2])
        torch.testing.assert_close(whole[1:2], alone)


@pytest.mark.parametrize("bad", [[torch.Generator()], [1, 2], (), [torch.Generator()] * 3])
def test_generators_that_are_not_one_for_each_are_named(unchecked, bad):
    with pytest.raises(ValueError, match="generator must be one, or one for each of 2 items, got"):
        md.prior((2, 3), md.schedule.cosine(), bad)


@pytest.mark.parametrize("bad", [0, "seed", 1.5])
def test_a_generator_that_is_none_is_named(unchecked, bad):
    with pytest.raises(TypeError, match=r"generator must be a Generator, such as torch.Generator\(\).manual_seed"):
        md.prior((2, 3), md.schedule.cosine(), bad)
