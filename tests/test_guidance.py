"""Steered denoisers against closed forms on Gaussians, and laws of whole walks without a single random number."""

import math
from functools import partial
from unittest import mock

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

import minidiffusion as md
from minidiffusion import guidance

NAMED = {name: make() for name, make in md.schedule.NAMED.items()}
FLOW, COSINE, VE = NAMED["flow"], NAMED["cosine"], NAMED["ve"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64).to(dtype)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def bend(x_t, t, cond=None):
    """Some denoiser, smooth and not linear, that a condition moves."""
    return torch.tanh(x_t + 1) + (0 if cond is None else cond)


def two_classes(mean, cov, schedule):
    """Class 0 around mean, class 1 around -mean, alike in width and in weight."""
    mean, cov = (torch.as_tensor(a, dtype=torch.float64) for a in (mean, cov))
    return md.oracle.mixture(torch.ones(2), torch.stack([mean, -mean]), torch.stack([cov, cov]), schedule)


def exact_classifier(oracle):
    return lambda x_t, t, cond: oracle.log_class(x_t, t).gather(1, cond[:, None])[:, 0]


def slope(steps, errors):
    """The order of the error: minus the slope of log(error) over log(steps)."""
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0]


def even_log_snr(schedule, start, end, steps):
    """Times from start to end, evenly in log-SNR, both ends exact."""
    a, b = schedule.log_snr(start), schedule.log_snr(end)
    return [start, *(schedule.time(a + (b - a) * i / steps) for i in range(1, steps)), end]


def law(walk, x_1, noise_of_x_1, draws=0):
    """Mean and covariance of the items that walk(x_1) makes, if every step is affine: exact, without sampling.

    x_1 is of shape (1, D), the mean of the start, noise_of_x_1, (D,), its standard deviations, and draws how often
    the walk draws noise, or more. It runs once for all: item 0 without noise, and each other item with a single 1
    in a single place of the noise.
    """
    D = x_1.shape[1]
    count = 1 + D * (1 + draws)
    start, places = x_1.repeat(count, 1), iter(range(1 + D, count, D))
    start[1 : 1 + D] += torch.diag(noise_of_x_1)

    def unit(*size, **_):
        noise, place = torch.zeros(count, D, dtype=torch.float64), next(places)
        noise[place : place + D] = torch.eye(D)
        return noise

    with mock.patch.object(torch, "randn", unit):
        end = walk(start)
    columns = end[1:] - end[0]
    return end[0], columns.T @ columns


# Classifier-free and classifier guidance


@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0, -2.0])
@pytest.mark.parametrize("t", [0.1, 0.95])
def test_guided_guess_on_a_line_is_the_closed_form(t, scale):
    # Data N(m, 1) and N(-m, 1), alpha^2 + sigma^2 = 1: q(x_t | y) is N(+-alpha m, 1), so that
    # log p(y = 0 | x_t) = log sigmoid(2 alpha m x_t), and E[x0 | x_t] = alpha x_t + sigma^2 m tanh(alpha m x_t)
    m, x_t, oracle = 1.3, 2 * randn(7, 1), two_classes([1.3], [[1.0]], COSINE)
    alpha, sigma = COSINE.alpha(t), COSINE.sigma(t)
    tanh = torch.tanh(alpha * m * x_t)
    by_hand = alpha * x_t + sigma**2 * m * (tanh + scale * (1 - tanh))
    y = torch.zeros(7, dtype=torch.long)
    log_sigmoid = lambda x_t, t, cond: torch.nn.functional.logsigmoid(2 * alpha * m * x_t[:, 0])  # noqa: E731
    free = guidance.classifier_free(oracle, scale)(x_t, t, y)
    for guided in (free, guidance.classifier(oracle, log_sigmoid, scale)(x_t, t, y)):
        torch.testing.assert_close(guided, by_hand, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("scale", [0.0, 4.0])
@pytest.mark.parametrize("t", [0.05, 0.9])
def test_guided_guess_in_a_plane_is_the_closed_form(schedule, t, scale):
    mean, cov = tensor(0.8, -0.3), torch.tensor([[0.5, 0.2], [0.2, 0.3]], dtype=torch.float64)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    S = alpha**2 * cov + sigma**2 * torch.eye(2, dtype=torch.float64)
    x_t = math.hypot(alpha, sigma) * randn(6, 2)
    # log p(0 | x_t) - log p(1 | x_t) = 2 alpha mean^T S^-1 x_t, and E[x0 | x_t, y] = +-mean + alpha C S^-1 (...)
    p = torch.sigmoid(2 * alpha * x_t @ torch.linalg.solve(S, mean))[:, None]
    away = [(x_t - alpha * y * mean) @ torch.linalg.solve(S, alpha * cov) + y * mean for y in (1, -1)]
    uncond = p * away[0] + (1 - p) * away[1]
    y = torch.tensor([0, 1, 0, 1, 1, 0])
    cond = torch.where(y[:, None] == 0, *away)
    oracle = two_classes(mean, cov, schedule)
    free = guidance.classifier_free(oracle, scale)
    torch.testing.assert_close(free(x_t, t, y), uncond + scale * (cond - uncond), rtol=1e-9, atol=1e-9)
    # Bayes: the exact classifier is worth exactly the condition
    by_classifier = guidance.classifier(oracle, exact_classifier(oracle), scale)
    torch.testing.assert_close(by_classifier(x_t, t, y), free(x_t, t, y), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_the_guided_score_is_that_of_the_tempered_density(schedule, scale):
    t, x_t, y = 0.4, randn(5, 2), torch.tensor([0, 1, 1, 0, 0])
    mean, cov = tensor(0.8, -0.3), torch.eye(2, dtype=torch.float64) * 0.3
    oracle = two_classes(mean, cov, schedule)
    x = x_t.clone().requires_grad_()
    log_q = oracle.log_density(x, t)  # q(x | y) = q(x) p(y | x) / p(y)
    log_q_given_y = log_q + exact_classifier(oracle)(x, t, y) - math.log(0.5)
    (gradient,) = torch.autograd.grad((scale * log_q_given_y + (1 - scale) * log_q).sum(), x)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    score = (alpha * guidance.classifier_free(oracle, scale)(x_t, t, y) - x_t) / sigma**2
    torch.testing.assert_close(score, gradient, rtol=1e-9, atol=1e-9)


def test_in_eps_classifier_free_is_equation_6_and_classifier_is_algorithm_2(schedule):
    t, scale, x_t, y = 0.7, 3.0, randn(4, 2), torch.zeros(4, dtype=torch.long)
    oracle = two_classes([0.5, 1.0], [[0.4, 0.1], [0.1, 0.2]], schedule)
    eps_cond, eps_uncond = (md.to_eps(oracle(x_t, t, c), x_t, t, schedule) for c in (y, None))
    eps = md.to_eps(guidance.classifier_free(oracle, scale)(x_t, t, y), x_t, t, schedule)
    w = scale - 1  # Ho and Salimans 2022, eq. 6
    torch.testing.assert_close(eps, (1 + w) * eps_cond - w * eps_uncond, rtol=1e-9, atol=1e-9)
    x = x_t.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(exact_classifier(oracle)(x, t, y).sum(), x)
    eps = md.to_eps(guidance.classifier(oracle, exact_classifier(oracle), scale)(x_t, t, y), x_t, t, schedule)
    # Dhariwal and Nichol 2021, algorithm 2, its gradient times the scale
    torch.testing.assert_close(eps, eps_uncond - schedule.sigma(t) * scale * gradient, rtol=1e-9, atol=1e-9)


def test_with_small_ddpm_steps_classifier_is_algorithm_1():
    # The mean moves by scale Sigma grad log p (Dhariwal and Nichol 2021, algorithm 1), Sigma = beta on a fine grid
    T, i, scale, x_t, y = 1000, 400, 2.0, randn(4, 1), torch.zeros(4, dtype=torch.long)
    schedule, oracle = NAMED["linear"], two_classes([1.0], [[0.5]], NAMED["linear"])
    times, beta = [i / T, (i - 1) / T], np.linspace(1e-4, 0.02, T)[i - 1]
    plain, guided = (
        md.sample(denoise, x_t, schedule, method="ddpm", times=times, cond=c, generator=generator())
        for denoise, c in [(oracle, None), (guidance.classifier(oracle, exact_classifier(oracle), scale), y)]
    )
    x = x_t.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(exact_classifier(oracle)(x, i / T, y).sum(), x)
    torch.testing.assert_close(guided - plain, scale * beta * gradient, rtol=beta, atol=0)


def test_guided_samples_have_less_variety_and_not_the_tempered_law():
    # In one dimension the ODE is a rising map, so the quantiles of the prior become those of the samples
    m, share = 1.0, (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    oracle, y = two_classes([m], [[1.0]], COSINE), torch.zeros(1000, dtype=torch.long)
    x = np.linspace(-10, 12, 20_001)
    variances, gaps = [], []
    for scale in (0.0, 1.0, 2.0, 4.0, 8.0):
        guided = guidance.classifier_free(oracle, scale)
        x_0 = md.sample(guided, torch.special.ndtri(share)[:, None], steps=40, method="heun", cond=y)[:, 0].numpy()
        log_q_given_y, log_q = -0.5 * (x - m) ** 2, np.logaddexp(-0.5 * (x - m) ** 2, -0.5 * (x + m) ** 2)
        tempered = np.exp(scale * log_q_given_y + (1 - scale) * log_q)
        cdf = np.interp(x_0, x, tempered.cumsum() / tempered.sum())
        variances.append(x_0.var())
        gaps.append(abs(cdf - share.numpy()).max())  # Kolmogorov and Smirnov's distance
    assert variances[0] == pytest.approx(1 + m**2, rel=0.01) and variances[1] == pytest.approx(1, rel=0.01)
    assert np.diff(variances).max() < -0.05
    # 0 and 1 are the data's own laws. Past them the walk ends elsewhere: measured 0.17, 0.48, 0.81, which do not
    # fall with finer steps
    assert max(gaps[:2]) < 0.005 and gaps[2] > 0.15 and gaps[3] > 0.45 and gaps[4] > 0.75


def test_outside_the_interval_the_condition_stands_alone_for_one_call():
    calls = []

    def denoise(x_t, t, cond=None):
        calls.append(cond)
        return bend(x_t, t, cond)

    x_t = randn(3, 2)
    guided = guidance.classifier_free(denoise, 5.0, interval=(0.2, 0.6))
    for t, inside in [(0.1, False), (0.2, True), (0.4, True), (0.6, True), (0.7, False)]:
        for time in (t, torch.tensor(t, dtype=torch.float64), torch.full((3,), t, dtype=torch.float64)):
            calls.clear()
            torch.testing.assert_close(guided(x_t, time, 2.0), torch.tanh(x_t + 1) + (10.0 if inside else 2.0))
            assert calls == ([None, 2.0] if inside else [2.0])
    calls.clear()
    torch.testing.assert_close(guidance.classifier_free(denoise, 1.0)(x_t, 0.4, 2.0), bend(x_t, 0.4, 2.0))
    assert calls == [2.0]
    # each item by its own time
    together = guided(x_t, tensor(0.1, 0.4, 0.7), 2.0)
    torch.testing.assert_close(together - torch.tanh(x_t + 1), tensor(2, 10, 2)[:, None].expand(3, 2))


def test_who_differentiates_a_classifier_guided_guess_gets_all_of_it():
    oracle, y = two_classes([0.5, 1.0], [[0.4, 0.1], [0.1, 0.2]], COSINE), torch.zeros(1, dtype=torch.long)
    guided = guidance.classifier(oracle, exact_classifier(oracle), 1.0)
    x_t = randn(1, 2)
    jacobians = [torch.autograd.functional.jacobian(lambda x, d=d: d(x, 0.5, y), x_t) for d in (guided, oracle)]
    torch.testing.assert_close(*jacobians)
    assert not guided(x_t, 0.5, y).requires_grad  # and who does not, carries no graph along
    weight = x_t.clone().requires_grad_()
    with torch.no_grad():
        assert not guided(weight, 0.5, y).requires_grad


def test_guidance_without_a_condition_is_named():
    with pytest.raises(ValueError, match="cond must say"):
        md.sample(guidance.classifier_free(bend, 2.0), randn(3, 2), COSINE)


def test_a_classifier_of_pure_noise_is_named():
    guided = guidance.classifier(two_classes([1.0], [[1.0]], FLOW), lambda x_t, t, cond: x_t[:, 0], 1.0)
    for t in (1.0, tensor(0.5, 1.0, 0.5)):
        with pytest.raises(ValueError, match="t must not be where alpha = 0"):
            guided(randn(3, 1), t)


@pytest.mark.parametrize("wrong", [lambda x, t, c: x, lambda x, t, c: x.sum(), lambda x, t, c: torch.zeros(len(x))])
def test_a_classifier_without_a_gradient_for_each_item_is_named(wrong, unchecked):
    with pytest.raises(ValueError, match="log_prob must give"):
        guidance.classifier(two_classes([1.0], [[1.0]], COSINE), wrong, 1.0)(randn(3, 1), 0.5)


# Clipping


def test_clipped_holds_the_guess_in_range():
    x_t = 3 * randn(4, 2)
    guess = torch.tanh(x_t + 1) + 0.5
    torch.testing.assert_close(guidance.clipped(bend)(x_t, 0.5, 0.5), guess.clamp(-1, 1))
    torch.testing.assert_close(guidance.clipped(bend, 0.2, 0.4)(x_t, 0.5, 0.5), guess.clamp(0.2, 0.4))


@pytest.mark.parametrize("percentile", [0.5, 0.9, 0.995, 1.0])
def test_dynamic_threshold_is_imagens_recipe(percentile):
    x0 = torch.stack([3 * randn(1, 10, 10), 0.2 * randn(1, 10, 10, seed=1)])  # too bright, and within the range
    got = guidance.dynamic_threshold(lambda x_t, t, cond: x0, percentile)(torch.zeros_like(x0), 0.5)
    for picture, held in zip(x0.numpy(), got.numpy(), strict=True):
        s = max(np.quantile(abs(picture), percentile), 1)
        np.testing.assert_allclose(held, np.clip(picture, -s, s) / s, rtol=1e-12)
    assert abs(got[0]).max() == 1 and torch.equal(got[1], x0[1])


# What a steered denoiser keeps


def steered(denoise):
    log_prob = lambda x_t, t, cond: -(x_t.flatten(1) ** 2).sum(1)  # noqa: E731
    return {
        "classifier_free": guidance.classifier_free(denoise, 2.0),
        "classifier": guidance.classifier(denoise, log_prob, 1.0),
        "clipped": guidance.clipped(denoise),
        "dynamic_threshold": guidance.dynamic_threshold(denoise),
        "inpaint": guidance.inpaint(denoise, torch.zeros(1, 2), torch.tensor([True, False])),
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", list(steered(two_classes([1.0], [[1.0]], COSINE))))
def test_a_steered_denoiser_samples_without_naming_its_schedule(name, dtype):
    oracle = two_classes([1.0, 0.3], [[0.5, 0.0], [0.0, 0.2]], COSINE)
    denoise, y = steered(oracle)[name], torch.zeros(3, dtype=torch.long)
    assert denoise.schedule is COSINE
    x_0 = md.sample(denoise, randn(3, 2, dtype=dtype), steps=4, cond=y)
    assert x_0.dtype == dtype and x_0.isfinite().all()
    torch.testing.assert_close(x_0, md.sample(denoise, randn(3, 2, dtype=dtype), COSINE, steps=4, cond=y))
    again = guidance.clipped(denoise)  # they nest
    assert again.schedule is COSINE and abs(again(3 * randn(3, 2, dtype=dtype), 0.5, y)).max() <= 1


def test_a_bare_function_can_be_steered_and_still_needs_a_schedule():
    with pytest.raises(TypeError, match="schedule must be"):
        md.sample(guidance.clipped(bend), randn(3, 2))
    assert md.sample(guidance.clipped(bend), randn(3, 2), COSINE, steps=2).isfinite().all()


# Inpainting: a Gaussian of two pixels with correlation RHO, the first of them known

RHO = 0.9
KNOWN, MASK = tensor(1.5, math.nan)[None], torch.tensor([1, 0])
PRIOR = tensor(0, 0)[None], tensor(1, 1)


def pair(schedule, rho=RHO):
    return md.oracle.gaussian(tensor(0, 0), torch.tensor([[1.0, rho], [rho, 1.0]]), schedule)


@pytest.mark.parametrize("method", ["ddim", "ddpm", "heun", "dpmpp_2m"])
def test_the_known_part_follows_its_forward_law_and_ends_known(schedule, method):
    denoise, known = guidance.inpaint(pair(schedule), KNOWN, MASK), KNOWN[0, 0].item()
    alpha, sigma = schedule.alpha(1.0), schedule.sigma(1.0)
    start, spread = tensor(alpha * known, 0.0)[None], tensor(sigma, math.hypot(alpha, sigma))
    for steps, t in [(1, 0.9), (5, 0.2)]:
        times = [1 - (1 - t) * i / steps for i in range(steps + 1)]
        mean, cov = law(partial(md.sample, denoise, method=method, times=times), start, spread, draws=steps)
        assert mean[0].item() == pytest.approx(schedule.alpha(t) * known, rel=1e-8, abs=1e-10)  # q(x_t | known)
        assert cov[0, 0].item() == pytest.approx(schedule.sigma(t) ** 2, rel=1e-8)
    x_0 = md.sample(denoise, randn(5, 2), steps=4, method=method, generator=generator())
    left = 5 * schedule.sigma(0.0)  # ve keeps a little noise at t = 0
    torch.testing.assert_close(x_0[:, 0], torch.full_like(x_0[:, 0], known), rtol=0, atol=max(left, 1e-12))
    assert x_0.isfinite().all()


@pytest.mark.parametrize("name", ["linear", "scaled_linear"])
def test_what_the_prior_misses_of_the_known_part_is_as_documented(name):
    schedule, known, t = NAMED[name], KNOWN[0, 0].item(), 0.3
    alpha, sigma = schedule.alpha(np.array([1.0, t])), schedule.sigma(np.array([1.0, t]))
    snr = alpha**2 / sigma**2
    denoise = guidance.inpaint(pair(schedule), KNOWN, MASK)
    for method, kept in [("ddim", sigma[1] / sigma[0]), ("ddpm", snr[0] / snr[1] * alpha[1] / alpha[0])]:
        mean, _ = law(partial(md.sample, denoise, method=method, times=[1.0, 0.8, 0.5, t]), *PRIOR, draws=3)
        missed = mean[0].item() - alpha[1] * known
        assert missed == pytest.approx(-alpha[0] * known * kept, rel=1e-6)


def limit(rho, k):
    """Mean of the unknown pixel over the known one, and its variance, after infinitely many small steps.

    It should be (rho, 1 - rho^2). In x / alpha, with s = sigma / alpha falling to 0, w = 1 + s^2 and z the state of
    the known pixel, the unknown u moves by -k 2 s (w u - rho z) / (w^2 - rho^2) d(-s), with noise of variance
    (2 k - 1) 2 s d(-s): k = 1/2 for the probability-flow ODE and 1 for ancestral steps (Song et al. 2021, Score SDE,
    eq. 13 and 6). For RePaint k is the number of looks: so many ways down, and one less back up, of noise alone.
    """

    def move(log_s, moments):
        u, zu, uu = moments  # mean of u if known is 1; covariance with z; variance. z has mean 1 and variance s^2
        s = math.exp(log_s)
        w, D = 1 + s * s, (1 + s * s) ** 2 - rho**2
        pull = k * 2 * s / D
        du = -pull * (w * u - rho)
        dzu = -2 * k * zu / s - pull * (w * zu - rho * s * s)  # q(x_s | x_t, known) pulls z to known, k times
        duu = -2 * pull * (w * uu - rho * zu) + (2 * k - 1) * 2 * s
        return [-s * du, -s * dzu, -s * duu]

    start, end = math.log(1e3), math.log(1e-5)
    walk = solve_ivp(move, (start, end), [0.0, 0.0, math.exp(2 * start)], "LSODA", rtol=1e-8, atol=1e-12)
    u, _, uu = walk.y[:, -1]
    return u, uu


def filling(walk, draws=0):
    """Mean (over known) and variance of what the walk makes of the unknown pixel."""
    mean, cov = law(walk, *PRIOR, draws)
    return np.array([mean[1].item() / KNOWN[0, 0].item(), cov[1, 1].item()])


@pytest.mark.parametrize("rho", [0.3, 0.9])
@pytest.mark.parametrize("method, k", [("ddim", 0.5), ("ddpm", 1)])
def test_replacement_is_biased_however_many_steps(method, k, rho):
    denoise, target = guidance.inpaint(pair(FLOW, rho), KNOWN, MASK), limit(rho, k)
    if method == "ddpm":  # the formula in the docstring, which is the integral of limit's first equation
        assert target[0] == pytest.approx((1 - math.sqrt(1 - rho**2)) / rho, rel=1e-6)
    coarse, fine = (filling(partial(md.sample, denoise, steps=n, method=method), draws=n) for n in (40, 80))
    np.testing.assert_allclose(2 * fine - coarse, target, atol=1e-2)  # Richardson: the error of order 1 cancels
    # what the steps converge to is not what is right: of the mean, at most 0.7
    assert target[0] < 0.7 * rho and target[1] > 1 - rho**2 + 0.02


def test_with_the_gradient_that_inpainting_lacks_it_is_exact():
    # Ho et al. 2022, Video diffusion models, sec. 3.1: add sigma^2 / alpha grad log q(known | x_t)
    C, known = torch.tensor([[1.0, RHO], [RHO, 1.0]], dtype=torch.float64), KNOWN[0, 0]

    def log_q_known(x_t, t, cond):  # of a Gaussian, without its constant
        across = FLOW.alpha(t) * C[0]
        gain = torch.linalg.solve(FLOW.alpha(t) ** 2 * C + FLOW.sigma(t) ** 2 * torch.eye(2).double(), across)
        return -0.5 * (known - x_t @ gain) ** 2 / (1 - across @ gain)

    denoise = guidance.inpaint(guidance.classifier(pair(FLOW), log_q_known, 1.0), KNOWN, MASK)
    times = [(1 - 1e-6) * i / 50 for i in range(50, -1, -1)]
    got = filling(partial(md.sample, denoise, method="heun", times=times))
    np.testing.assert_allclose(got, [RHO, 1 - RHO**2], atol=1e-3)


def test_repaint_with_one_look_is_inpainting():
    schedule, x_1 = NAMED["linear"], randn(4, 2)
    once = guidance.repaint(pair(schedule), KNOWN, MASK, x_1, steps=6, resample=1, generator=generator(1))
    denoise = guidance.inpaint(pair(schedule), KNOWN, MASK)
    torch.testing.assert_close(once, md.sample(denoise, x_1, steps=6, method="ddpm", generator=generator(1)))


@pytest.mark.parametrize("looks", [2, 3])
def test_repaint_comes_closer_with_every_look(looks):
    coarse, fine = (
        filling(partial(guidance.repaint, pair(FLOW), KNOWN, MASK, steps=n, resample=looks), draws=2 * n * looks)
        for n in (20, 40)
    )
    np.testing.assert_allclose(2 * fine - coarse, limit(RHO, looks), atol=0.02)
    # where the steps converge to is closer to the truth than with half the looks, and in the end the truth
    far = [math.dist(limit(RHO, k), (RHO, 1 - RHO**2)) for k in (looks / 2, looks, 100 * looks)]
    assert far[1] < 0.7 * far[0] and far[2] < 0.02 * far[1]


def test_repaint_with_many_looks_and_few_steps_is_too_narrow():
    # The last look is all that counts then. Down from 2 h to h and back, h small, v the variance there should be:
    # a way down contracts by 1 - 3 h^2 / v and adds 3 h^2 / 4, a way up adds 3 h^2. They balance at 5 / 8 v, and
    # not at v, because ddpm's step has the smaller variance of the two that its paper names
    got = filling(partial(guidance.repaint, pair(FLOW), KNOWN, MASK, steps=16, resample=20), draws=2 * 16 * 20)
    np.testing.assert_allclose(got, [RHO, 5 / 8 * (1 - RHO**2)], atol=0.03)


def test_the_mask_says_what_is_known_and_broadcasts():
    known = torch.where(torch.arange(4) < 2, randn(3, 2, 4), math.nan)  # what is not known is not looked at
    for mask in (torch.arange(4) < 2, (torch.arange(4) < 2).float(), (torch.arange(4) < 2)[None, None].long()):
        x0_hat = guidance.inpaint(bend, known, mask)(randn(3, 2, 4, seed=1), 0.5, 0.25)
        assert torch.equal(x0_hat[..., :2], known[..., :2])
        assert torch.equal(x0_hat[..., 2:], bend(randn(3, 2, 4, seed=1), 0.5, 0.25)[..., 2:])
    one = guidance.inpaint(bend, known[:1], torch.arange(4) < 2)  # one picture for a batch of fillings
    assert torch.equal(one(randn(3, 2, 4), 0.5)[:, :, :2], known[:1, :, :2].expand(3, 2, 2))


# Image to image


@pytest.mark.parametrize("t", [0.2, 0.7])
@pytest.mark.parametrize("name", ["cosine", "flow"])
def test_sdedit_of_a_gaussian_has_the_exact_law(name, t):
    schedule, m, c, x = NAMED[name], 0.5, 0.3, tensor(2.0)[None]
    oracle = md.oracle.gaussian(tensor(m), tensor(c)[None], schedule)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    v = alpha**2 * c + sigma**2
    # the ODE scales x_t - alpha m by the ratio of the widths; ancestral steps draw from q(x0 | x_t)
    ratio, gain = math.sqrt(c / v), alpha * c / v
    ode = (m + ratio * alpha * (x.item() - m), (ratio * sigma) ** 2)
    ancestral = (m + gain * alpha * (x.item() - m), (gain * sigma) ** 2 + c * sigma**2 / v)
    for method, (mean, variance), close in [("heun", ode, 2e-3), ("ddpm", ancestral, 2e-2)]:
        walk = partial(guidance.sdedit, oracle, t=t, steps=80, method=method)
        got_mean, got_cov = law(walk, x, torch.zeros(1).double(), draws=81)
        assert got_mean.item() == pytest.approx(mean, abs=close), method
        assert got_cov.item() == pytest.approx(variance, abs=close), method


def test_sdedit_from_the_very_end_is_plain_sampling_and_from_0_is_x():
    oracle, x, y = two_classes([1.0, 0.0], torch.eye(2) * 0.1, FLOW), randn(3, 2), torch.tensor([0, 1, 0])
    eps = torch.randn(3, 2, generator=generator(1)).double()
    edited = guidance.sdedit(oracle, x, 1.0, steps=7, method="heun", cond=y, generator=generator(1))
    torch.testing.assert_close(edited, md.sample(oracle, eps, steps=7, method="heun", cond=y))  # alpha(1) = 0
    assert torch.equal(guidance.sdedit(oracle, x, 0, cond=y), x)


def test_sdedit_takes_its_steps_from_t(schedule):
    asked = []

    def denoise(x_t, t, cond=None):
        asked.append(t)
        return bend(x_t, t, cond)

    x, eps = randn(3, 2), torch.randn(3, 2, generator=generator(1)).double()
    edited = guidance.sdedit(denoise, x, 0.6, schedule, steps=3, generator=generator(1))
    assert asked == pytest.approx([0.6, 0.4, 0.2])
    start = md.diffuse(x, 0.6, eps, schedule)
    torch.testing.assert_close(edited, md.sample(bend, start, schedule, times=[0.6, 0.4, 0.2, 0.0]))


# Inversion


def test_inversion_is_ddim_backwards_at_the_grid_points():
    betas, x = np.linspace(1e-4, 0.02, 1000), randn(4, 2)
    a = np.append(1.0, np.cumprod(1 - betas))  # Song et al. 2021: their alpha is a product
    for i, j in [(1, 2), (100, 150), (700, 1000)]:
        x0_hat = bend(x, i / 1000, 0.3)
        eps = (x - math.sqrt(a[i]) * x0_hat) / math.sqrt(1 - a[i])
        by_hand = math.sqrt(a[j]) * x0_hat + math.sqrt(1 - a[j]) * eps
        got = guidance.invert(bend, x, NAMED["linear"], times=[i / 1000, j / 1000], cond=0.3)
        torch.testing.assert_close(got, by_hand, rtol=1e-6, atol=1e-6)


PLANE = tensor(0.4, -0.3), torch.tensor([[0.5, 0.3], [0.3, 0.4]], dtype=torch.float64)


def ode(schedule, x, t, s):
    """The exact walk of the probability-flow ODE for the Gaussian PLANE: along each axis, the ratio of the widths."""
    mean, (values, axes) = PLANE[0], torch.linalg.eigh(PLANE[1])
    ratio = ((schedule.alpha(s) ** 2 * values + schedule.sigma(s) ** 2)
             / (schedule.alpha(t) ** 2 * values + schedule.sigma(t) ** 2)).sqrt()  # fmt: skip
    return schedule.alpha(s) * mean + ((x - schedule.alpha(t) * mean) @ axes * ratio) @ axes.T


@pytest.mark.parametrize("method, order", [("euler", 1), ("heun", 2)])
@pytest.mark.parametrize("name", ["linear", "cosine", "ve"])
def test_the_error_of_inversion_falls_with_the_order_of_the_method(name, method, order):
    schedule, steps, x = NAMED[name], (12, 24, 48), randn(8, 2)
    oracle = md.oracle.gaussian(*PLANE, schedule)
    off, back = [], []
    for n in steps:
        times = even_log_snr(schedule, 0.05, 0.95, n)
        x_t = guidance.invert(oracle, x, method=method, times=times)
        off.append((x_t - ode(schedule, x, 0.05, 0.95)).norm().item())
        back.append((md.sample(oracle, x_t, method=method, times=times[::-1]) - x).norm().item())
    assert slope(steps, off) == pytest.approx(order, abs=0.2), off
    # there and back again; on the way the errors of heun may cancel
    assert slope(steps, back) > order - 0.2, back


@pytest.mark.parametrize("method, order", [("euler", 1), ("heun", 2)])
@pytest.mark.parametrize("name", ["linear", "flow"])
def test_inversion_keeps_its_order_from_clean_data_to_the_end(name, method, order):
    # at t = 0 there is no noise to read eps_hat from, and at t = 1 of flow no signal
    schedule, steps, x0 = NAMED[name], (16, 32, 64), randn(8, 2)
    oracle = md.oracle.gaussian(*PLANE, schedule)
    exact = ode(schedule, x0, 0.0, 1.0)
    off = [(guidance.invert(oracle, x0, steps=n, method=method) - exact).norm().item() for n in steps]
    assert slope(steps, off) == pytest.approx(order, abs=0.2), off


def test_heun_ends_with_euler_where_almost_no_signal_is_left():
    edge = COSINE.time(math.log(1e-4))
    for schedule, s, same in [(COSINE, edge + 1e-6, True), (COSINE, edge - 1e-6, False), (FLOW, 1.0, True)]:
        ends = [guidance.invert(bend, randn(4, 2), schedule, method=m, times=[0.5, s]) for m in ("heun", "euler")]
        assert torch.equal(*ends) == same


def test_inversion_calls_without_a_graph_and_hands_on_the_condition():
    seen = []

    def denoise(x_t, t, cond=None):
        seen.append((torch.is_grad_enabled(), t, cond))
        return bend(x_t, t, cond)

    x0 = randn(2, 2).requires_grad_()
    x_1 = guidance.invert(denoise, x0, COSINE, steps=4, cond=0.5)
    assert not x_1.requires_grad and torch.is_grad_enabled()
    assert seen == [(False, 0.25, 0.5), (False, 0.5, 0.5), (False, 0.75, 0.5)]  # nothing to ask at sigma = 0


# Interpolation


def test_the_arc_has_its_ends_its_length_and_even_speed():
    x = randn(4, 3, 5)
    y = randn(4, 3, 5, seed=1)
    weights = torch.linspace(0, 1, 9, dtype=torch.float64)
    y = y / y.flatten(1).norm(dim=1).view(4, 1, 1) * x.flatten(1).norm(dim=1).view(4, 1, 1)  # as long as x
    arc = guidance.interpolate(x, y, weights)
    assert arc.shape == (9, 4, 3, 5)
    torch.testing.assert_close(arc[0], x)
    torch.testing.assert_close(arc[-1], y)
    flat, length = arc.flatten(2), x.flatten(1).norm(dim=1)
    torch.testing.assert_close(flat.norm(dim=2), length.expand(9, 4))
    cosines = (flat[1:] * flat[:-1]).sum(2) / length**2  # of the angle between neighbours: an eighth of the whole
    whole = ((x * y).flatten(1).sum(1) / length**2).arccos()
    torch.testing.assert_close(cosines.arccos(), (whole / 8).expand(8, 4))


def test_of_vectors_unlike_in_length_it_is_shoemakes_formula():
    x, y = randn(4, 6), 2 * randn(4, 6, seed=1)
    angle = ((x * y).sum(1) / x.norm(dim=1) / y.norm(dim=1)).arccos()[:, None]
    for w, point in zip((0.2, 0.7), guidance.interpolate(x, y, [0.2, 0.7]), strict=True):
        by_hand = torch.sin((1 - w) * angle) / torch.sin(angle) * x + torch.sin(w * angle) / torch.sin(angle) * y
        torch.testing.assert_close(point, by_hand)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_parallel_vectors_are_joined_by_a_line(dtype):
    x = randn(3, 8, dtype=dtype)
    y = torch.stack([x[0], 3 * x[1], x[2] * (1 + torch.finfo(dtype).eps)])
    for w, point in zip((0.0, 0.3, 1.0), guidance.interpolate(x, y, [0.0, 0.3, 1.0]), strict=True):
        assert point.dtype == dtype
        torch.testing.assert_close(point, (1 - w) * x + w * y)


def test_opposite_vectors_and_zeros_have_no_arc():
    x = randn(3, 8)
    for y in (-x, torch.zeros_like(x), torch.cat([x[:2], -2 * x[2:]])):
        with pytest.raises(ValueError, match="x and y must not"):
            guidance.interpolate(x, y, [0.5])


# Seeds, and errors before any work


def test_a_seed_is_one_picture_and_the_global_generator_is_left_alone(global_rng_untouched):
    x, mask = randn(3, 2), torch.tensor([1, 0])
    for walk in (
        lambda g: guidance.repaint(bend, x, mask, x, COSINE, steps=3, resample=2, generator=g),
        lambda g: guidance.sdedit(bend, x, 0.5, COSINE, steps=3, generator=g),
    ):
        pictures = [walk(generator(s)) for s in (1, 1, 2)]
        assert torch.equal(pictures[0], pictures[1]) and not torch.equal(pictures[0], pictures[2])
    guidance.invert(bend, x, COSINE, steps=3)


def never(x_t, t, cond=None):
    raise AssertionError("the denoiser was called")


X = torch.zeros(2, 2)
HALF = torch.tensor([1, 0])


@pytest.mark.parametrize(
    "name, kind, call",
    [
        ("denoise", TypeError, lambda: guidance.clipped(3)),
        ("denoise", TypeError, lambda: guidance.classifier_free("net", 2.0)),
        ("scale", ValueError, lambda: guidance.classifier_free(never, "2")),
        ("scale", ValueError, lambda: guidance.classifier_free(never, math.nan)),
        ("scale", ValueError, lambda: guidance.classifier_free(never, math.inf)),
        ("interval", ValueError, lambda: guidance.classifier_free(never, 2.0, interval=(0.5, 0.2))),
        ("interval", ValueError, lambda: guidance.classifier_free(never, 2.0, interval=(-0.5, 0.2))),
        ("interval", ValueError, lambda: guidance.classifier_free(never, 2.0, interval=(0.5, 1.2))),
        ("interval", TypeError, lambda: guidance.classifier_free(never, 2.0, interval=0.5)),
        ("scale", ValueError, lambda: guidance.classifier(never, never, None)),
        ("log_prob", TypeError, lambda: guidance.classifier(never, 5, 2.0)),
        ("schedule", TypeError, lambda: guidance.classifier(never, never, 2.0)),
        ("high", ValueError, lambda: guidance.clipped(never, 1, 0)),
        ("high", ValueError, lambda: guidance.clipped(never, 0, math.inf)),
        ("low", ValueError, lambda: guidance.clipped(never, math.nan)),
        ("percentile", ValueError, lambda: guidance.dynamic_threshold(never, 99.5)),
        ("known", TypeError, lambda: guidance.inpaint(never, X.long(), HALF)),
        ("known", TypeError, lambda: guidance.inpaint(never, None, HALF)),
        ("known", ValueError, lambda: guidance.inpaint(never, torch.zeros(3, 2), HALF)(X, 0.5)),
        ("known", ValueError, lambda: guidance.inpaint(never, torch.zeros(2, 3), torch.ones(1))(X, 0.5)),
        ("mask", ValueError, lambda: guidance.inpaint(never, X, torch.tensor([0.5, 1.0]))),
        ("mask", ValueError, lambda: guidance.inpaint(never, X, torch.ones(3))),
        ("mask", ValueError, lambda: guidance.inpaint(never, X, torch.ones(3, 2, 2))),
        ("mask", ValueError, lambda: guidance.inpaint(never, X, [1, 0])),
        ("steps", ValueError, lambda: guidance.repaint(never, X, HALF, X, COSINE, steps=0)),
        ("resample", ValueError, lambda: guidance.repaint(never, X, HALF, X, COSINE, resample=1.5)),
        ("schedule", TypeError, lambda: guidance.repaint(never, X, HALF, X)),
        ("t", ValueError, lambda: guidance.sdedit(never, X, 1.5, COSINE)),
        ("t", ValueError, lambda: guidance.sdedit(never, X, "all", COSINE)),
        ("steps", ValueError, lambda: guidance.sdedit(never, X, 0.5, COSINE, steps=True)),
        ("method", ValueError, lambda: guidance.sdedit(never, X, 0.5, COSINE, method="dimm")),
        ("x0", TypeError, lambda: guidance.sdedit(never, X.byte(), 0.5, COSINE)),
        ("schedule", TypeError, lambda: guidance.sdedit(never, X, 0.5)),
        ("steps", ValueError, lambda: guidance.invert(never, X, COSINE, steps=-1)),
        ("method", ValueError, lambda: guidance.invert(never, X, COSINE, method="ddpm")),
        ("times", ValueError, lambda: guidance.invert(never, X, COSINE, times=[1.0, 0.0])),
        ("times", ValueError, lambda: guidance.invert(never, X, COSINE, times=[0.5])),
        ("times", ValueError, lambda: guidance.invert(never, X, COSINE, times=[0.5, 1.1])),
        ("times", TypeError, lambda: guidance.invert(never, X, COSINE, times=["a", "b"])),
        ("x0", TypeError, lambda: guidance.invert(never, X.byte(), COSINE)),
        ("schedule", TypeError, lambda: guidance.invert(never, X, "cosine")),
        ("y", ValueError, lambda: guidance.interpolate(X, torch.zeros(3, 2), [0.5])),
        ("weights", ValueError, lambda: guidance.interpolate(X, X, torch.ones(2, 2))),
        ("weights", ValueError, lambda: guidance.interpolate(X, X, 0.5)),
    ],
)
def test_bad_arguments_are_named_before_any_work(name, kind, call, unchecked):
    with pytest.raises(kind, match=rf"^{name} must"):
        call()
