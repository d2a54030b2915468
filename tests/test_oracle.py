"""The exact denoisers against brute force: integrals on a grid, sums over the data, gradients of log q."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minidiffusion as md

NAMED = {name: make() for name, make in md.schedule.NAMED.items()}
WEIGHTS = [0.5, 0.3, 0.2]
MEANS, STDS = [-1.0, 0.2, 1.5], [0.3, 0.1, 0.5]
LINE = dict(weights=WEIGHTS, means=[[m] for m in MEANS], covs=[[[s * s]] for s in STDS])  # in one dimension
PLANE = dict(  # in two, its axes turned
    weights=[0.3, 0.7],
    means=[[-1.0, 0.5], [0.8, -0.3]],
    covs=[[[0.3, 0.12], [0.12, 0.1]], [[0.05, -0.04], [-0.04, 0.2]]],
)


def mixture(data, schedule):
    return md.oracle.mixture(*(torch.tensor(data[k]) for k in ("weights", "means", "covs")), schedule)


def normal(x, mean, std):
    return np.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))


def trapezoid(y, x):
    return ((y[..., 1:] + y[..., :-1]) / 2 * np.diff(x)).sum(-1)


def noisy(schedule, t, count, dimension, seed=0):
    generator = torch.Generator().manual_seed(seed)
    spread = math.hypot(schedule.alpha(t), schedule.sigma(t))
    return 1.5 * spread * torch.randn(count, dimension, generator=generator, dtype=torch.float64)


# Mixtures


@pytest.mark.parametrize("t", [0.05, 0.3, 0.7, 1.0])
def test_mixture_is_the_integral_over_x0(schedule, t):
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    x_t = noisy(schedule, t, 7, 1)
    x0 = np.linspace(-6, 6, 40_001)
    density = sum(w * normal(x0, m, s) for w, m, s in zip(WEIGHTS, MEANS, STDS, strict=True))
    # Bayes: p(x0 | x_t) ~ p(x0) q(x_t | x0); in logs, for far from the data both are small
    log_joint = np.log(density + 1e-300) - 0.5 * ((x_t.numpy() - alpha * x0) / sigma) ** 2
    joint = np.exp(log_joint - log_joint.max(1, keepdims=True))
    by_hand = trapezoid(x0 * joint, x0) / trapezoid(joint, x0)
    log_density = np.log(trapezoid(joint, x0) / (sigma * math.sqrt(2 * math.pi))) + log_joint.max(1)
    oracle = mixture(LINE, schedule)
    np.testing.assert_allclose(oracle(x_t, t)[:, 0].numpy(), by_hand, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(oracle.log_density(x_t, t).numpy(), log_density, rtol=1e-6, atol=1e-6)


def test_one_gaussian_is_the_formula_for_conditioning(schedule):
    mean = np.array([1.0, -2.0])
    cov = np.array([[1.0, 0.6], [0.6, 0.5]])
    t = 0.4
    x_t = noisy(schedule, t, 5, 2)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    # joint normal of x0 and x_t: E[x0 | x_t] = m + Cov(x0, x_t) Cov(x_t)^-1 (x_t - alpha m)
    gain = alpha * cov @ np.linalg.inv(alpha**2 * cov + sigma**2 * np.eye(2))
    by_hand = mean + (x_t.numpy() - alpha * mean) @ gain.T
    oracle = md.oracle.gaussian(torch.from_numpy(mean), torch.from_numpy(cov), schedule)
    np.testing.assert_allclose(oracle(x_t, t).numpy(), by_hand, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
def test_tweedie_the_gradient_of_log_density_is_the_score(schedule, t):
    oracle = mixture(PLANE, schedule)
    x_t = noisy(schedule, t, 6, 2).requires_grad_()
    (gradient,) = torch.autograd.grad(oracle.log_density(x_t, t).sum(), x_t)
    # Efron 2011, eq. 1.4: score = -E[eps | x_t] / sigma
    score = -md.to_eps(oracle(x_t, t), x_t, t, schedule) / schedule.sigma(t)
    torch.testing.assert_close(gradient, score.detach(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("t", [0.2, 0.9])
def test_the_density_integrates_to_1(schedule, t):
    scale = 6 * math.hypot(schedule.alpha(t), schedule.sigma(t))
    side = torch.linspace(-scale, scale, 401, dtype=torch.float64)
    cell = (side[1] - side[0]).item()
    line = mixture(LINE, schedule).log_density(side[:, None], t).exp().sum() * cell
    plane = mixture(PLANE, schedule).log_density(torch.cartesian_prod(side, side), t).exp().sum() * cell**2
    assert line.item() == pytest.approx(1, abs=1e-4) and plane.item() == pytest.approx(1, abs=1e-4)


def test_scaled_weights_are_one_mixture():
    x_t, schedule = noisy(NAMED["cosine"], 0.5, 5, 1), NAMED["cosine"]
    scaled = {**LINE, "weights": [5.0, 3.0, 2.0]}
    torch.testing.assert_close(mixture(scaled, schedule)(x_t, 0.5), mixture(LINE, schedule)(x_t, 0.5))
    torch.testing.assert_close(
        mixture(scaled, schedule).log_density(x_t, 0.5), mixture(LINE, schedule).log_density(x_t, 0.5)
    )


def test_each_item_has_its_own_time(schedule):
    t = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    x_t = noisy(schedule, 0.5, 3, 2)
    for oracle in (mixture(PLANE, schedule), md.oracle.dataset(noisy(schedule, 0.5, 6, 2, seed=1), schedule)):
        together = oracle(x_t, t)
        for i in range(3):
            torch.testing.assert_close(oracle(x_t[i : i + 1], t[i].item())[0], together[i])
            torch.testing.assert_close(oracle(x_t[i : i + 1], t[i])[0], together[i])


def test_without_noise_a_mixture_with_width_knows_x0(schedule):
    x_t = noisy(schedule, 0.0, 4, 2)
    torch.testing.assert_close(
        mixture(PLANE, schedule)(x_t, 0.0), x_t, atol=1e-3 if schedule.sigma(0.0) else 1e-12, rtol=0
    )


def test_in_pure_noise_the_guess_is_the_mean():
    schedule = NAMED["flow"]
    mean = sum(w * np.array(m) for w, m in zip(PLANE["weights"], PLANE["means"], strict=True))
    guess = mixture(PLANE, schedule)(noisy(schedule, 1.0, 4, 2), 1.0)
    np.testing.assert_allclose(guess.numpy(), np.tile(mean, (4, 1)), rtol=1e-6)


# One component of a mixture: a class


@pytest.mark.parametrize("integer", [torch.int64, torch.uint8])
def test_the_guess_in_a_class_is_that_of_its_gaussian(schedule, integer):
    oracle, x_t, t = mixture(PLANE, schedule), noisy(schedule, 0.4, 6, 2), torch.linspace(0.1, 0.9, 6).double()
    cond = torch.tensor([0, 1, 1, 0, 1, 0], dtype=integer)
    alone = [md.oracle.gaussian(*(torch.tensor(PLANE[a][k]) for a in ("means", "covs")), schedule) for k in (0, 1)]
    by_hand = torch.stack([alone[k](x_t[i : i + 1], t[i])[0] for i, k in enumerate(cond.tolist())])
    torch.testing.assert_close(oracle(x_t, t, cond), by_hand, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
def test_the_class_of_x_t_is_bayes_rule(schedule, t):
    x_t = noisy(schedule, t, 6, 1)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    joint = np.stack([
        w * normal(x_t[:, 0].numpy(), alpha * m, math.hypot(alpha * s, sigma))
        for w, m, s in zip(WEIGHTS, MEANS, STDS, strict=True)
    ], axis=1)  # fmt: skip
    got = mixture(LINE, schedule).log_class(x_t, t)
    np.testing.assert_allclose(got.exp().numpy(), joint / joint.sum(1, keepdims=True), rtol=1e-5, atol=1e-8)


def test_the_classes_make_up_the_whole(schedule):
    oracle, x_t, t = mixture(PLANE, schedule), noisy(schedule, 0.5, 6, 2), 0.5
    guesses = torch.stack([oracle(x_t, t, torch.full((6,), k)) for k in (0, 1)], dim=1)
    whole = (oracle.log_class(x_t, t).exp()[:, :, None] * guesses).sum(1)
    torch.testing.assert_close(oracle(x_t, t), whole, rtol=1e-10, atol=1e-10)


def test_the_gradient_of_the_class_is_what_a_condition_adds_to_the_score(schedule):
    # Bayes: grad log p(k | x_t) = grad log q(x_t | k) - grad log q(x_t)  (Dhariwal and Nichol 2021, sec. 4)
    oracle, t = mixture(PLANE, schedule), 0.5
    x_t, cond = noisy(schedule, t, 6, 2).requires_grad_(), torch.tensor([0, 1, 1, 0, 1, 0])
    log_class = oracle.log_class(x_t, t)[torch.arange(6), cond].sum()
    (gradient,) = torch.autograd.grad(log_class, x_t)
    added = (oracle(x_t, t, cond) - oracle(x_t, t)) * schedule.alpha(t) / schedule.sigma(t) ** 2
    torch.testing.assert_close(gradient, added.detach(), rtol=1e-8, atol=1e-8)


def test_a_bad_cond_is_named(unchecked):
    oracle, x_t = mixture(PLANE, NAMED["cosine"]), torch.zeros(2, 2)
    for bad in (torch.tensor([0.0, 1.0]), torch.tensor([True, False]), [0, 1], 1):
        with pytest.raises(TypeError, match="cond must be None or a tensor of whole numbers"):
            oracle(x_t, 0.5, bad)
    for bad in (torch.tensor(1), torch.tensor([1]), torch.tensor([[0], [1]])):
        with pytest.raises(ValueError, match="cond must be one number for each of 2 items"):
            oracle(x_t, 0.5, bad)
    for bad in (torch.tensor([0, 2]), torch.tensor([-1, 0])):
        with pytest.raises(ValueError, match="cond must be in \\[0, 1\\], got"):
            oracle(x_t, 0.5, bad)


# Draws


def test_draws_have_the_moments_of_the_mixture():
    oracle, count = mixture(PLANE, NAMED["cosine"]), 200_000
    x0 = oracle.sample(count, torch.Generator().manual_seed(0))
    assert x0.shape == (count, 2) and x0.dtype == torch.float32
    weights, means, covs = (np.array(PLANE[k]) for k in ("weights", "means", "covs"))
    mean = weights @ means
    second = np.einsum("k,kde->de", weights, covs + means[:, :, None] * means[:, None, :])
    got = x0.double().numpy()
    products = got[:, :, None] * got[:, None, :]
    # 5 standard errors on each of 6 numbers: red by chance 4e-6 of the time, and the seed is fixed
    assert (abs(got.mean(0) - mean) < 5 * got.std(0) / math.sqrt(count)).all()
    assert (abs(products.mean(0) - second) < 5 * products.std(0) / math.sqrt(count)).all()
    # and of each component: the left one by its sign
    left = got[:, 0] - got[:, 1] < -0.1
    share = 0.3 * 0.5 * math.erfc((-0.1 + 1.5) / math.sqrt(2 * (0.3 + 0.1 - 0.24)) * -1)
    share += 0.7 * 0.5 * math.erfc((-0.1 - 1.1) / math.sqrt(2 * (0.05 + 0.2 + 0.08)) * -1)
    assert abs(left.mean() - share) < 5 * math.sqrt(share * (1 - share) / count)


def test_draws_in_float64_are_the_same_draws_with_all_their_digits():
    oracle = mixture(PLANE, NAMED["cosine"])
    short, long = (oracle.sample(9, torch.Generator().manual_seed(0), dtype=d) for d in (torch.float32, torch.float64))
    assert long.dtype == torch.float64 and torch.equal(long.float(), short) and not torch.equal(short.double(), long)


def test_a_seed_is_one_draw_and_the_global_generator_is_left_alone(global_rng_untouched):
    for oracle in (mixture(PLANE, NAMED["flow"]), md.oracle.dataset(torch.arange(9.0).view(9, 1), NAMED["flow"])):
        draws = [oracle.sample(50, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
        assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


# Data sets


@pytest.mark.parametrize("t", [0.02, 0.3, 0.7, 1.0])
def test_dataset_is_a_softmax_over_its_items(schedule, t):
    generator = torch.Generator().manual_seed(0)
    items = torch.randn(50, 1, 3, 4, generator=generator, dtype=torch.float64)
    eps = torch.randn(6, 1, 3, 4, generator=generator, dtype=torch.float64)
    x_t = md.diffuse(items[:6], t, eps, schedule)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    by_hand = np.zeros((6, 12))
    for b in range(6):
        logits = np.array(
            [-((x_t[b] - alpha * item).numpy() ** 2).sum() / (2 * sigma**2) for item in items]
        )  # fmt: skip
        weights = np.exp(logits - logits.max())
        by_hand[b] = (weights / weights.sum()) @ items.flatten(1).numpy()
    for chunk in (1, 7, 50, 4096):
        guess = md.oracle.DataSet(items, schedule, chunk=chunk)(x_t, t)
        np.testing.assert_allclose(guess.flatten(1).numpy(), by_hand, rtol=1e-8, atol=1e-8)


def test_dataset_is_a_mixture_of_points(schedule):
    items = torch.randn(9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points = md.oracle.mixture(torch.ones(9), items, torch.zeros(9, 2, 2), schedule)
    for t in (0.1, 0.6):
        x_t = noisy(schedule, t, 5, 2)
        torch.testing.assert_close(md.oracle.dataset(items, schedule)(x_t, t), points(x_t, t), rtol=1e-8, atol=1e-8)


def test_without_noise_a_dataset_gives_the_picture_back():
    items = torch.randn(9, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    oracle = md.oracle.dataset(items, NAMED["cosine"])
    torch.testing.assert_close(oracle(items[:3], 0.0), items[:3])
    # and only where there is none: the others in the batch are still denoised
    t = torch.tensor([0.0, 0.5, 0.0])
    together = oracle(items[:3], t)
    torch.testing.assert_close(together[::2], items[:3:2])
    torch.testing.assert_close(together[1:2], oracle(items[1:2], 0.5))


def test_a_dataset_draws_its_items():
    items = torch.arange(5.0).view(5, 1)
    drawn = md.oracle.dataset(items, NAMED["flow"]).sample(1000, torch.Generator().manual_seed(0))
    counts = torch.bincount(drawn[:, 0].long(), minlength=5)
    assert len(counts) == 5 and (abs(counts - 200) < 5 * math.sqrt(1000 * 0.2 * 0.8)).all()


@pytest.mark.parametrize("t", [0.1, 0.6, 1.0])
def test_the_density_of_a_dataset_is_that_of_a_mixture_of_points(schedule, t):
    items = torch.randn(9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points = md.oracle.mixture(torch.ones(9), items, torch.zeros(9, 2, 2), schedule)
    x_t = noisy(schedule, t, 5, 2)
    for chunk in (1, 4, 9):
        got = md.oracle.DataSet(items, schedule, chunk).log_density(x_t, t)
        torch.testing.assert_close(got, points.log_density(x_t, t), rtol=1e-9, atol=1e-9)


def test_where_the_noise_is_tiny_the_nearest_two_still_share():
    schedule, generator = NAMED["ve"], torch.Generator().manual_seed(0)  # alpha = 1, sigma(0) = 0.002
    items = torch.randn(12, 1, 28, 28, generator=generator, dtype=torch.float64)
    items[7] = items[3] + 0.1 * torch.randn(1, 28, 28, generator=generator, dtype=torch.float64)
    sigma, away = schedule.sigma(0.0), items[3] - items[7]
    # half way, then so far towards item 3 that its logit is log 3 above item 7's; both are about -2e5 there, and
    # the terms of 10^8 that they are made of must cancel
    x_t = (items[3] + items[7]) / 2 + sigma**2 * math.log(3) / away.square().sum() * away
    assert (x_t - items[7]).square().sum() / (2 * sigma**2) > 1e5 and x_t.square().sum() / (2 * sigma**2) > 5e7
    for chunk in (1, 5, 1024):
        guess = md.oracle.DataSet(items, schedule, chunk)(x_t[None], 0.0)[0]
        torch.testing.assert_close(guess, 0.75 * items[3] + 0.25 * items[7], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("logit", [-600.0, -100.0, -20.0, 20.0])
def test_an_item_far_away_keeps_its_small_share(schedule, logit):
    # of items 0 and 1, the guess is the share of 1: sigmoid(alpha (x_t - alpha / 2) / sigma^2)
    alpha, sigma = schedule.alpha(0.6), schedule.sigma(0.6)
    x_t = torch.tensor([[logit * sigma**2 / alpha + alpha / 2]], dtype=torch.float64)
    guess = md.oracle.dataset(torch.tensor([[0.0], [1.0]]), schedule)(x_t, 0.6).item()
    assert guess == pytest.approx(1 / (1 + math.exp(-logit)), rel=1e-9, abs=0)


def test_where_the_noise_is_tiny_the_density_keeps_its_digits():
    schedule, generator = NAMED["ve"], torch.Generator().manual_seed(0)
    x0, eps = torch.randn(2, 1, 1, 28, 28, generator=generator, dtype=torch.float64)
    sigma = schedule.sigma(0.0)
    by_hand = -0.5 * eps.square().sum().item() - 784 * math.log(sigma * math.sqrt(2 * math.pi))
    got = md.oracle.dataset(x0, schedule).log_density(x0 + sigma * eps, 0.0).item()
    assert got == pytest.approx(by_hand, abs=1e-5)


def test_sixty_thousand_pictures_fit_in_two_gibibytes():
    pytest.importorskip("resource", reason="Windows counts its memory otherwise")
    # of a process of its own, for the peak of this one is that of the test before
    program = """if True:
        import resource, sys, torch
        import minidiffusion as md

        def peak():  # Linux counts KiB, macOS bytes
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)

        levels = torch.randint(0, 256, (60_000, 1, 28, 28), dtype=torch.uint8, generator=torch.manual_seed(0))
        x0 = levels.float().div_(127.5).sub_(1)
        oracle = md.oracle.dataset(x0, md.schedule.cosine())
        eps = torch.randn(64, 1, 28, 28)
        before = peak()
        guess = oracle(md.diffuse(x0[-64:], 0.3, eps, oracle.schedule), 0.3)
        assert torch.equal(guess, x0[-64:])  # pictures of noise are far apart: the guess is the right one
        oracle.log_density(guess, 0.3)
        print(before, peak())
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, after = map(float, done.stdout.split())
    assert after < 2 and after - before < 0.1, f"the peak was {before:.2f} GiB without the oracle, {after:.2f} with it"


# The score


def test_the_score_is_the_gradient_of_the_log_density(schedule):
    items = noisy(schedule, 0.5, 9, 2, seed=1)
    t = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9, 1.0], dtype=torch.float64)
    for oracle in (mixture(PLANE, schedule), md.oracle.dataset(items, schedule)):
        x_t = noisy(schedule, 0.5, 6, 2).requires_grad_()
        (gradient,) = torch.autograd.grad(oracle.log_density(x_t, t).sum(), x_t)
        torch.testing.assert_close(oracle.score(x_t, t).detach(), gradient, rtol=1e-8, atol=1e-8)


def test_the_score_of_a_class_is_that_of_its_gaussian(schedule):
    oracle, x_t, cond = mixture(PLANE, schedule), noisy(schedule, 0.4, 3, 2), torch.tensor([1, 1, 1])
    alone = md.oracle.gaussian(*(torch.tensor(PLANE[a][1]) for a in ("means", "covs")), schedule)
    torch.testing.assert_close(oracle.score(x_t, 0.4, cond), alone.score(x_t, 0.4))


def test_the_score_in_float32_has_all_the_digits_of_float32():
    schedule = NAMED["ve"]
    items = noisy(schedule, 0.0, 9, 2)
    for oracle in (mixture(PLANE, schedule), md.oracle.dataset(items, schedule)):
        x_t = (items[:4] + 0.002).float()
        torch.testing.assert_close(oracle.score(x_t, 0.0), oracle.score(x_t.double(), 0.0).float())


def test_without_noise_there_is_no_score_and_a_dataset_has_no_density():
    schedule, x = NAMED["cosine"], torch.eye(2)
    for oracle in (mixture(PLANE, schedule), md.oracle.dataset(x, schedule)):
        for t in (0.0, torch.tensor([0.5, 0.0])):
            with pytest.raises(ValueError, match="t must not be where sigma = 0: the score is computed from the noise"):
                oracle.score(x, t)
    with pytest.raises(ValueError, match="t must not be where sigma = 0: without noise the data is points"):
        md.oracle.dataset(x, schedule).log_density(x, 0.0)


def test_gradients_pass_through_a_dataset():
    items = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    oracle = md.oracle.DataSet(items, NAMED["flow"], chunk=4)
    x_t, t = noisy(NAMED["flow"], 0.5, 3, 2).requires_grad_(), torch.tensor([0.3, 0.8, 0.5]).double()
    assert torch.autograd.gradcheck(lambda x: oracle(x, t), x_t)
    # without noise the guess is x_t, and so its gradient is 1
    (gradient,) = torch.autograd.grad(oracle(x_t, 0.0).sum(), x_t)
    assert torch.equal(gradient, torch.ones_like(x_t))


# Kinds of argument


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_guess_has_the_dtype_of_x_t(dtype):
    for oracle in (mixture(PLANE, NAMED["cosine"]), md.oracle.dataset(torch.eye(2), NAMED["cosine"])):
        assert oracle(torch.ones(3, 2, dtype=dtype), 0.5).dtype == dtype
    assert mixture(PLANE, NAMED["cosine"]).log_density(torch.ones(3, 2, dtype=dtype), 0.5).dtype == dtype


def test_points_without_width_have_no_density_without_noise():
    points = md.oracle.mixture(torch.ones(2), torch.eye(2), torch.zeros(2, 2, 2), NAMED["cosine"])
    with pytest.raises(ValueError, match=r"t must not be where sigma = 0"):
        points(torch.eye(2), 0.0)


def test_bad_mixtures_are_named(unchecked):
    good = {k: torch.tensor(v) for k, v in PLANE.items()}
    for name, bad in [
        ("weights", torch.ones(3)),
        ("weights", torch.tensor([0.5, -0.1])),
        ("weights", torch.zeros(2)),
        ("weights", torch.tensor([math.nan, 1.0])),
        ("means", torch.ones(2)),
        ("covs", torch.eye(2)),
        ("covs", torch.eye(3).repeat(2, 1, 1)),
        ("covs", -torch.eye(2).repeat(2, 1, 1)),
        ("covs", torch.tensor([[1.0, 0.5], [0.0, 1.0]]).repeat(2, 1, 1)),
        ("covs", torch.full((2, 2, 2), math.nan)),
    ]:
        with pytest.raises(ValueError, match=name):
            md.oracle.mixture(**{**good, name: bad}, schedule=NAMED["cosine"])
    with pytest.raises(ValueError, match="x_t must"):
        md.oracle.mixture(**good, schedule=NAMED["cosine"])(torch.zeros(2, 3), 0.5)
    for bad in (torch.zeros(0, 2), torch.zeros(3, 2).long(), [[0.0]]):
        with pytest.raises((TypeError, ValueError), match="x0 must"):
            md.oracle.dataset(bad, NAMED["cosine"])
    data = md.oracle.dataset(torch.zeros(3, 2), NAMED["cosine"])
    for ask in (data, data.score, data.log_density):
        with pytest.raises(ValueError, match="x_t must"):
            ask(torch.zeros(2, 3), 0.5)
    for ask in (data, data.score):
        with pytest.raises(ValueError, match="cond must be None"):
            ask(torch.zeros(2, 2), 0.5, torch.tensor([0, 1]))


@given(
    name=st.sampled_from(list(NAMED)),
    t=(st.floats(0, 1) | st.floats()).filter(lambda t: not 0 < t < 1e-100),  # sigma^2 still is a number
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
    scale=st.floats(0, 1e6),
    batch=st.integers(0, 3),
)
def test_an_oracle_is_finite_or_names_the_time(name, t, dtype, scale, batch):
    x_t = scale * torch.ones(batch, 2, dtype=dtype)
    for oracle in (mixture(PLANE, NAMED[name]), md.oracle.dataset(torch.eye(2), NAMED[name])):
        try:
            guess = oracle(x_t, t)
        except ValueError as error:
            assert str(error).startswith("t must") and not 0 <= t <= 1
        else:
            assert guess.shape == x_t.shape and guess.isfinite().all()
