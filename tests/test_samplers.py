"""The steps against their papers, and what a walk leaves alone. Laws, orders and grids have files of their own."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minidiffusion as md
from minidiffusion.samplers import METHODS, uniform

NAMED = {name: make() for name, make in md.schedule.NAMED.items()}
FLOW, COSINE, VE = NAMED["flow"], NAMED["cosine"], NAMED["ve"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64).to(dtype)


def bend(x_t, t, cond=None):
    """Some denoiser, smooth and not linear, that no formula here knows."""
    return torch.tanh(x_t + t)


# The published steps


@pytest.mark.parametrize("T", [50, 100, 1000, 4000])
def test_ddpm_is_algorithm_2_at_the_grid_points(T):
    betas = np.linspace(1e-4, 0.02, T) * 1000 / T
    alphas, alphas_bar = 1 - betas, np.cumprod(1 - betas)
    schedule, x_t = md.schedule.from_betas(betas), randn(4, 2)
    for i in (T, T // 2, 2, 1):  # the paper's t
        beta, alpha, bar, bar_before = betas[i - 1], alphas[i - 1], alphas_bar[i - 1], np.append(1.0, alphas_bar)[i - 1]
        eps = (x_t - math.sqrt(bar) * bend(x_t, i / T)) / math.sqrt(1 - bar)
        # Ho et al. 2020, algorithm 2, line 4, with sigma_t^2 = beta-tilde of eq. 7
        z = torch.randn(x_t.shape, generator=generator(5)).double() if i > 1 else 0.0
        by_hand = (x_t - beta / math.sqrt(1 - bar) * eps) / math.sqrt(alpha)
        by_hand = by_hand + math.sqrt((1 - bar_before) / (1 - bar) * beta) * z
        got = md.sample(bend, x_t, schedule, method="ddpm", times=[i / T, (i - 1) / T], generator=generator(5))
        torch.testing.assert_close(got, by_hand, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("T", [50, 100, 1000, 4000])
def test_ddim_is_equation_12_at_the_grid_points(T, eta):
    alphas = np.append(1.0, np.cumprod(1 - np.linspace(1e-4, 0.02, T) * 1000 / T))  # the paper's alpha is a product
    schedule, x_t = md.schedule.from_betas(np.linspace(1e-4, 0.02, T) * 1000 / T), randn(4, 2)
    for i, j in [(T, T - 1), (T, T // 2), (T // 2, T // 5), (2, 1), (T // 2, 0)]:
        a_t, a_s = alphas[i], alphas[j]
        eps = (x_t - math.sqrt(a_t) * bend(x_t, i / T)) / math.sqrt(1 - a_t)
        sigma = eta * math.sqrt((1 - a_s) / (1 - a_t)) * math.sqrt(1 - a_t / a_s)  # Song et al. 2021, eq. 16
        predicted_x0 = (x_t - math.sqrt(1 - a_t) * eps) / math.sqrt(a_t)  # eq. 9
        z = torch.randn(x_t.shape, generator=generator(5)).double()
        # eq. 12; at s = 0 with eta = 1 the root is of 0, which rounding may leave on either side
        by_hand = math.sqrt(a_s) * predicted_x0 + math.sqrt(max(1 - a_s - sigma**2, 0)) * eps + sigma * z
        got = md.sample(
            bend, x_t, schedule, method="ddim", eta=eta, times=[i / T, j / T], generator=generator(5)
        )  # fmt: skip
        torch.testing.assert_close(got, by_hand, rtol=1e-6, atol=1e-6)


def test_dpmpp_2m_is_algorithm_2(schedule):
    times = [1.0, 0.8, 0.55, 0.3, 0.2, 0.05] if schedule.alpha(1.0) > 0 else [0.95, 0.8, 0.55, 0.3, 0.2, 0.05]
    alpha, sigma = schedule.alpha(np.array(times)), schedule.sigma(np.array(times))
    lam = np.log(alpha / sigma)
    # Lu et al. 2022, DPM-Solver++, algorithm 2, line by line; Q is the buffer
    x = randn(4, 2)
    Q = [bend(x, times[0])]
    h = lam[1] - lam[0]
    x = sigma[1] / sigma[0] * x - alpha[1] * (math.exp(-h) - 1) * Q[-1]
    for i in range(2, len(times)):
        Q.append(bend(x, times[i - 1]))
        h, h_before = lam[i] - lam[i - 1], lam[i - 1] - lam[i - 2]
        r = h_before / h
        D = (1 + 1 / (2 * r)) * Q[-1] - 1 / (2 * r) * Q[-2]
        x = sigma[i] / sigma[i - 1] * x - alpha[i] * (math.exp(-h) - 1) * D
    got = md.sample(bend, randn(4, 2), schedule, method="dpmpp_2m", times=times)
    torch.testing.assert_close(got, x, rtol=1e-6, atol=1e-6)


def edm_heun(D, x, sigmas):
    """Karras et al. 2022, algorithm 1 with its second-order correction; D(x, sigma)."""
    for t, t_next in zip(sigmas, sigmas[1:], strict=False):
        d = (x - D(x, t)) / t
        x_next = x + (t_next - t) * d
        if t_next != 0:
            d_prime = (x_next - D(x_next, t_next)) / t_next
            x_next = x + (t_next - t) * (d / 2 + d_prime / 2)
        x = x_next
    return x


@pytest.mark.parametrize("N", [5, 18])
def test_heun_on_ve_is_edms_algorithm_1(N):
    # Karras et al. 2022, eq. 5, rho = 7, from 80 to 0.002
    sigmas = (80 ** (1 / 7) + np.arange(N) / (N - 1) * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    times = VE.time(-2 * np.log(sigmas)).tolist()
    by_hand = edm_heun(lambda x, sigma: torch.tanh(x / 2), 80 * randn(4, 2), sigmas)
    got = md.sample(lambda x, t: torch.tanh(x / 2), 80 * randn(4, 2), VE, method="heun", times=times)
    torch.testing.assert_close(got, by_hand, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["linear", "cosine", "flow"])
def test_heun_elsewhere_is_algorithm_1_on_x_over_alpha(name):
    # x / alpha solves EDM's equation with noise sigma / alpha, whatever the schedule (their eq. 4)
    schedule, times = NAMED[name], np.array([0.9, 0.6, 0.3, 0.1, 0.0])
    alpha, sigma = schedule.alpha(times), schedule.sigma(times)
    time_of = dict(zip(sigma / alpha, times, strict=True))
    alpha_of = dict(zip(sigma / alpha, alpha, strict=True))
    by_hand = edm_heun(
        lambda x, level: bend(alpha_of[level] * x, time_of[level]), randn(4, 2) / alpha[0], sigma / alpha
    )  # fmt: skip
    got = md.sample(bend, randn(4, 2), schedule, method="heun", times=times.tolist())
    torch.testing.assert_close(got, by_hand, rtol=1e-6, atol=1e-6)


def test_heun_begins_with_euler_where_almost_no_signal_is_left():
    # the documented bound is snr 1e-4: linear has 4e-5 at t = 1, cosine 1.0e-4 on either side of t = 0.9936
    edge = COSINE.time(math.log(1e-4))
    for schedule, t, same in [
        (NAMED["linear"], 1.0, True),
        (COSINE, edge + 1e-6, True),
        (COSINE, edge - 1e-6, False),
        (VE, 1.0, False),
    ]:
        heun, euler = (md.sample(bend, randn(4, 2), schedule, method=m, times=[t, 0.5]) for m in ("heun", "euler"))
        assert torch.equal(heun, euler) == same


@pytest.mark.parametrize("name", ["linear", "cosine", "ve", "learned"])
def test_unipc_is_algorithms_5_and_6_with_the_papers_matrix(name):
    schedule = NAMED[name] if name in NAMED else md.objectives.LearnedSchedule(8.0, -6.0)
    times = [1.0, 0.8, 0.55, 0.3, 0.2, 0.05]
    alpha, sigma = schedule.alpha(np.array(times)), schedule.sigma(np.array(times))
    lam = np.log(alpha / sigma)

    def weights(h, r):
        """a_p of R_p(h) a_p = b (Zhao et al. 2023, theorem 3.1), b_n = n! h phi_(n+1)(h) / B(h), B_2(h) = e^h - 1.

        phi_1 = (e^h - 1) / h, phi_(n+1) = (phi_n - 1 / n!) / h; their h is -h where x0 is predicted.
        """
        phi, b = [None, math.expm1(-h) / -h], []
        for n in range(1, len(r) + 1):
            phi.append((phi[n] - 1 / math.factorial(n)) / -h)
            b.append(math.factorial(n) * -h * phi[n + 1] / math.expm1(-h))
        return np.linalg.solve([[r_m**k for r_m in r] for k in range(len(r))], b)

    def move(x, i, m, guesses, extra, order):
        """x at times[i] from times[i - 1]: the predictor, or with `extra`, the guess found there, the corrector."""
        h = lam[i] - lam[i - 1]
        base = sigma[i] / sigma[i - 1] * x - alpha[i] * math.expm1(-h) * guesses[m]
        r = [(lam[i - 1 - k] - lam[i - 1]) / h for k in range(1, order)]
        D = [guesses[m - k] - guesses[m] for k in range(1, order)]
        if extra is None:
            a = [0.5] if r else []  # for order 2 the paper takes a_1 = 1/2, whatever h
        else:
            r, D = [*r, 1.0], [*D, extra - guesses[m]]
            a = weights(h, r) if len(r) > 1 else [0.5]  # and so for UniC-1
        return base - alpha[i] * math.expm1(-h) * sum(a_m * d / r_m for a_m, d, r_m in zip(a, D, r, strict=True))

    x = [randn(4, 2)]  # x[i], corrected, at times[i]
    guesses = [bend(x[0], times[0])]
    for i in range(1, len(times)):
        order = min(2, i)
        predicted = move(x[-1], i, i - 1, guesses, None, order)
        if i == len(times) - 1:  # the last is not corrected: that would cost another call
            break
        guesses.append(bend(predicted, times[i]))
        x.append(move(x[-1], i, i - 1, guesses[:-1], guesses[-1], order))
    got = md.sample(bend, randn(4, 2), schedule, method="unipc", times=times)
    torch.testing.assert_close(got, predicted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("method, options", [("euler_ancestral", {}), ("ddim", {"eta": 1.0}), ("ddpm", {})])
def test_three_names_are_k_diffusions_euler_ancestral(schedule, method, options):
    times = np.array([0.95, 0.7, 0.4, 0.1, 0.0])
    alpha, sigmas = schedule.alpha(times), schedule.sigma(times) / schedule.alpha(times)  # k-diffusion's sigma
    again, x = generator(4), randn(4, 2) / alpha[0]
    for i in range(4):
        # sigma_up and sigma_down of k_diffusion.sampling.get_ancestral_step, then Euler's step of to_d
        up = math.sqrt(sigmas[i + 1] ** 2 * (sigmas[i] ** 2 - sigmas[i + 1] ** 2) / sigmas[i] ** 2)
        down = math.sqrt(sigmas[i + 1] ** 2 - up**2)
        d = (x - bend(alpha[i] * x, times[i])) / sigmas[i]
        x = x + d * (down - sigmas[i])
        x = x + up * torch.randn(x.shape, generator=again).double()
    got = md.sample(
        bend, randn(4, 2), schedule, method=method, times=times.tolist(), generator=generator(4), **options
    )  # fmt: skip
    torch.testing.assert_close(got, alpha[-1] * x, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("eta", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("name", ["ve", "flow", "cosine"])
def test_edm_churn_is_algorithm_2(name, eta):
    schedule, times = NAMED[name], np.array([0.9, 0.6, 0.3, 0.1, 0.02])
    alpha, t = schedule.alpha(times), schedule.sigma(times) / schedule.alpha(times)  # Karras et al.'s t is their sigma
    N, again, x = 4, generator(4), randn(4, 2) / alpha[0]
    S_churn = eta * (math.sqrt(2) - 1) * N

    def D(x, sigma):
        time = schedule.time(-2 * math.log(sigma))
        return bend(schedule.alpha(time) * x, time)

    for i in range(N):  # line by line, S_noise = 1, S_tmin = 0, S_tmax = infinity
        gamma = min(S_churn / N, math.sqrt(2) - 1)
        t_hat = t[i] + gamma * t[i]
        if gamma > 0:
            x = x + math.sqrt(t_hat**2 - t[i] ** 2) * torch.randn(x.shape, generator=again).double()
        d = (x - D(x, t_hat)) / t_hat
        x_next = x + (t[i + 1] - t_hat) * d
        d_prime = (x_next - D(x_next, t[i + 1])) / t[i + 1]
        x = x + (t[i + 1] - t_hat) * (d / 2 + d_prime / 2)
    got = md.sample(
        bend, randn(4, 2), schedule, method="edm_churn", eta=eta, times=times.tolist(), generator=generator(4)
    )  # fmt: skip
    torch.testing.assert_close(got, alpha[-1] * x, rtol=1e-6, atol=1e-6)


def test_churn_does_not_rise_beyond_the_prior():
    for schedule in (FLOW, VE):  # at t = 1 no noise is drawn, and the step is heun's
        x = md.sample(bend, randn(4, 2), schedule, method="edm_churn", eta=1.0, times=[1.0, 0.4])
        assert torch.equal(x, md.sample(bend, randn(4, 2), schedule, method="heun", times=[1.0, 0.4]))


def score_of(schedule, t):
    """(alpha x0_hat - x) / sigma^2, Tweedie's formula, with the guess of `bend`."""
    return lambda x: (schedule.alpha(t) * bend(x, t) - x) / schedule.sigma(t) ** 2


def test_langevin_on_ve_is_algorithm_1():
    # Song and Ermon 2019, algorithm 1, T = 10. Their alpha_i = eps sigma_i^2 / sigma_L^2 is 4 (0.2 sigma_i)^2
    times, x, again = [0.8, 0.5, 0.3], randn(4, 2), generator(4)
    for t in times[1:]:
        alpha_i = 4 * 0.2**2 * VE.sigma(t) ** 2
        for _ in range(10):
            z = torch.randn(x.shape, generator=again).double()
            x = x + alpha_i / 2 * score_of(VE, t)(x) + math.sqrt(alpha_i) * z
    got = md.sample(bend, randn(4, 2), VE, method="langevin", times=times, generator=generator(4))
    torch.testing.assert_close(got, x, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["linear", "cosine", "flow"])
def test_langevin_elsewhere_lets_the_signal_of_the_guess_grow(name):
    schedule, x = NAMED[name], randn(4, 2)
    before = x + (schedule.alpha(0.5) - schedule.alpha(0.8)) * bend(x, 0.8)

    def silent(denoise, x_t, t, s):
        return METHODS["langevin"](denoise, x_t, t, s, torch.zeros_like)

    for _ in range(10):
        before = before + 2 * (0.2 * schedule.sigma(0.5)) ** 2 * score_of(schedule, 0.5)(before)
    got = md.sample(bend, x, schedule, method=silent, times=[0.8, 0.5])
    torch.testing.assert_close(got, before, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["linear", "ve"])
def test_predictor_corrector_is_song_and_others_algorithm(name):
    schedule, times, x, again = NAMED[name], [0.8, 0.5, 0.3], randn(4, 2), generator(4)
    for t, s in zip(times, times[1:], strict=False):
        mean, std = md.posterior(x, bend(x, t), t, s, schedule)  # the ancestral predictor of their appendix F
        x = mean + std * torch.randn(x.shape, generator=again).double()
        # the corrector of algorithms 4 and 5, eps = 2 (r |z| / |g|)^2 with r = 0.16, and sigma for |z| / |g|
        eps = 2 * (0.16 * schedule.sigma(s)) ** 2
        x = x + eps * score_of(schedule, s)(x) + math.sqrt(2 * eps) * torch.randn(x.shape, generator=again).double()
    got = md.sample(
        bend, randn(4, 2), schedule, method="predictor_corrector", times=times, generator=generator(4)
    )  # fmt: skip
    torch.testing.assert_close(got, x, rtol=1e-6, atol=1e-6)


def test_euler_is_ddim_without_noise(schedule):
    x_1 = randn(4, 2)
    assert torch.equal(md.sample(bend, x_1, schedule, 7, "euler"), md.sample(bend, x_1, schedule, 7, "ddim"))


def test_ddim_on_a_gaussian_is_a_recursion_of_two_numbers(schedule):
    m, c = 0.7, 0.3  # data N(m, c)
    oracle = md.oracle.gaussian(torch.tensor([m]).double(), torch.tensor([[c]]).double(), schedule)
    x = 1.3
    for t, x_t, x0_hat in md.trajectory(oracle, torch.tensor([[x]], dtype=torch.float64), steps=10):
        s, t = t, t + 0.1
        t = min(round(t, 12), 1.0)
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        x0 = m + alpha * c / (alpha**2 * c + sigma**2) * (x - alpha * m)
        eps = (x - alpha * x0) / sigma
        x = schedule.alpha(s) * x0 + schedule.sigma(s) * eps  # Song et al. 2021, eq. 12 with sigma_t = 0
        assert x0_hat.item() == pytest.approx(x0, rel=1e-6, abs=1e-9)
        assert x_t.item() == pytest.approx(x, rel=1e-6, abs=1e-9)
    assert s == 0


# The walk


def test_a_trajectory_yields_times_states_and_guesses(schedule):
    x_1, asked = randn(3, 2), []

    def denoise(x_t, t):
        asked.append((t, x_t))
        return bend(x_t, t)

    walk = list(md.trajectory(denoise, x_1, schedule, steps=5))
    assert [t for t, _, _ in walk] == [0.8, 0.6, 0.4, 0.2, 0.0] and [t for t, _ in asked] == [1.0, 0.8, 0.6, 0.4, 0.2]
    assert torch.equal(asked[0][1], x_1) and torch.equal(x_1, randn(3, 2))  # the caller's x_1 is left as it was
    for (_, x, x0_hat), (t, x_t), (_, x_next) in zip(walk, asked, [*asked[1:], (0.0, walk[-1][1])], strict=True):
        assert torch.equal(x0_hat, bend(x_t, t)) and torch.equal(x, x_next)
    assert torch.equal(md.sample(bend, x_1, schedule, steps=5), walk[-1][1])


def test_uniform_times_are_the_grid_points_of_betas():
    assert uniform(4) == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert uniform(1000) == [i / 1000 for i in range(1000, -1, -1)]


def test_times_replace_steps(schedule):
    x, times = randn(3, 2), [0.9, 0.5, 0.1]
    parts = md.sample(bend, md.sample(bend, x, schedule, times=times[:2]), schedule, times=times[1:])
    torch.testing.assert_close(md.sample(bend, x, schedule, steps=99, times=times), parts)


def test_a_schedule_of_the_callers_comes_before_the_denoisers_own():
    oracle = md.oracle.gaussian(torch.zeros(2), torch.eye(2), COSINE)
    x_1 = randn(3, 2)
    assert torch.equal(md.sample(oracle, x_1), md.sample(oracle, x_1, COSINE))
    assert not torch.allclose(md.sample(oracle, x_1, FLOW), md.sample(oracle, x_1))


def test_the_condition_reaches_the_denoiser():
    def denoise(x_t, t, cond):
        return torch.full_like(x_t, float(cond))

    for method in METHODS:
        x_0 = md.sample(denoise, randn(3, 2), FLOW, steps=3, method=method, cond=7)
        torch.testing.assert_close(x_0, torch.full_like(x_0, 7.0))


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_is_one_picture_and_the_global_generator_is_left_alone(method, global_rng_untouched):
    x_1 = md.prior((2, 1, 8, 8), COSINE, generator(3))
    pictures = [md.sample(bend, x_1, COSINE, 4, method, generator=generator(s)) for s in (1, 1, 2)]
    assert torch.equal(pictures[0], pictures[1])
    fresh = ("ddpm", "euler_ancestral", "langevin", "predictor_corrector", "consistency")
    assert torch.equal(pictures[0], pictures[2]) == (method not in fresh)
    if method not in fresh:  # a deterministic walk draws nothing, not even without a generator
        md.sample(bend, x_1, COSINE, 4, method)


def test_two_threads_draw_the_picture_of_one():
    # Stated tolerance: 1e-5 of float32 pictures in [-1, 1], for sums in another order; on most machines it is 0
    torch.manual_seed(0)
    net = md.nets.UNet(1, (16, 32), (1, 1))
    for parameter in net.parameters():  # else its zero layers would hide everything
        torch.nn.init.normal_(parameter, std=0.05)
    denoiser = md.Denoiser(net, COSINE, md.heads.V)
    threads = torch.get_num_threads()
    try:
        pictures = []
        for count in (1, 2, 2):
            torch.set_num_threads(count)
            x_1 = md.prior((4, 1, 16, 16), COSINE, generator(0))
            pictures.append(md.sample(denoiser, x_1, steps=4, method="ddpm", generator=generator(1)))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(pictures[1], pictures[2])
    torch.testing.assert_close(pictures[0], pictures[1], rtol=0, atol=1e-5)


def test_no_grad_does_not_leak_and_a_walk_can_be_left():
    weight = torch.ones(1, requires_grad=True, dtype=torch.float64)
    seen = []

    def denoise(x_t, t):
        seen.append(torch.is_grad_enabled())
        return weight * x_t

    walk = md.trajectory(denoise, randn(2, 2), COSINE, steps=5)
    assert seen == []  # nothing happens before the first step
    for number, (_, x, x0_hat) in enumerate(walk, 1):
        assert torch.is_grad_enabled() and not x.requires_grad and not x0_hat.requires_grad
        assert (weight * x).requires_grad
        if number == 2:
            break
    walk.close()
    assert torch.is_grad_enabled() and seen == [False, False]
    with torch.no_grad():
        for _ in md.trajectory(denoise, randn(2, 2), COSINE, steps=2):
            assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()


def test_two_walks_side_by_side_do_not_disturb_each_other():
    a, b = randn(2, 2, seed=1), randn(2, 2, seed=2)
    alone = [x for _, x, _ in md.trajectory(bend, a, COSINE, 5, "dpmpp_2m")]
    both = zip(
        md.trajectory(bend, a, COSINE, 5, "dpmpp_2m"), md.trajectory(bend, b, COSINE, 5, "dpmpp_2m"), strict=True
    )
    assert all(torch.equal(x, y) for x, ((_, y, _), _) in zip(alone, both, strict=True))


# Singular ends


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["v", "flow", "x0"])
def test_pure_noise_is_no_obstacle_for_v_flow_and_x0(name, method):
    for schedule in (FLOW, md.schedule.zero_terminal_snr(NAMED["linear"])):
        denoiser = md.Denoiser(lambda x, t, cond: 0.3 * x, schedule, md.heads.HEADS[name])
        for t, x, x0_hat in md.trajectory(denoiser, randn(3, 2), steps=6, method=method, generator=generator()):
            assert x.isfinite().all() and x0_hat.isfinite().all(), t


def test_pure_noise_stops_eps_by_name():
    denoiser = md.Denoiser(lambda x, t, cond: x, FLOW, md.heads.EPS)
    with pytest.raises(ValueError, match="alpha = 0"):
        md.sample(denoiser, randn(3, 2))


@pytest.mark.parametrize("method", METHODS)
def test_one_step_from_pure_noise_is_the_guess(method):
    x_0 = md.sample(bend, randn(3, 2), FLOW, steps=1, method=method, generator=generator())
    torch.testing.assert_close(x_0, bend(randn(3, 2), 1.0))


# Errors, before any work


def never(x_t, t):
    raise AssertionError("the denoiser was called")


@pytest.mark.parametrize(
    "name, bad, kind",
    [
        ("method", "dimm", ValueError),
        ("method", "", ValueError),
        ("method", None, ValueError),
        ("steps", 0, ValueError),
        ("steps", -1, ValueError),
        ("steps", 2.5, ValueError),
        ("steps", True, ValueError),
        ("steps", "ten", ValueError),
        ("times", [0.5], ValueError),
        ("times", [], ValueError),
        ("times", [0.5, 0.5], ValueError),
        ("times", [0.1, 0.5], ValueError),
        ("times", [1.1, 0.0], ValueError),
        ("times", [1.0, -0.1], ValueError),
        ("times", [1.0, math.nan], ValueError),
        ("times", ["a", "b"], (ValueError, TypeError)),
        ("times", 5, (ValueError, TypeError)),
        ("x_1", torch.zeros(2, 2, dtype=torch.uint8), TypeError),
        ("x_1", [[0.0]], TypeError),
        ("schedule", "cosine", TypeError),
        ("schedule", None, TypeError),
        ("denoise", None, TypeError),
    ],
)
def test_bad_arguments_are_named_at_the_call(unchecked, name, bad, kind):
    arguments = {"denoise": never, "x_1": torch.zeros(2, 2), "schedule": COSINE, name: bad}
    for call in (md.trajectory, md.sample):
        with pytest.raises(kind, match=f"{name} must"):
            call(**arguments)


def test_a_misspelt_method_is_guessed():
    with pytest.raises(ValueError, match="did you mean dpmpp_2m"):
        md.sample(never, torch.zeros(2, 2), COSINE, method="dpmpp2m")


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf, "none", None, True])
@pytest.mark.parametrize("method", ["ddim", "edm_churn"])
def test_a_bad_eta_is_named_before_the_denoiser_is_called(unchecked, method, bad):
    with pytest.raises(ValueError, match="eta must be a finite number"):
        md.sample(never, torch.zeros(2, 2), COSINE, method=method, eta=bad)


def test_an_option_belongs_to_its_method():
    with pytest.raises(TypeError, match="eta is not an option of heun: it has no options"):
        md.sample(never, torch.zeros(2, 2), COSINE, method="heun", eta=0.5)
    with pytest.raises(TypeError, match="etta is not an option of langevin: its options are rounds, size"):
        md.sample(never, torch.zeros(2, 2), COSINE, method="langevin", etta=0.5)
    with pytest.raises(TypeError, match="noise is not an option of ddim: its options are eta"):
        md.sample(never, torch.zeros(2, 2), COSINE, method="ddim", noise=0.5)
    x = randn(2, 2)
    ten, two = (md.sample(bend, x, FLOW, 3, "langevin", generator=generator(), rounds=n) for n in (10, 2))
    assert torch.equal(ten, md.sample(bend, x, FLOW, 3, "langevin", generator=generator()))
    assert not torch.allclose(ten, two)


def test_eta_above_1_leaves_less_of_the_old_noise_until_none_is_left():
    x, t, s = randn(3, 2), 0.5, 0.3
    level, kept = COSINE.at(s), math.exp(COSINE.log_snr(t) - COSINE.log_snr(s))
    most = 1 / math.sqrt(1 - kept)  # where std = sigma_s, so that all noise is fresh
    z = torch.randn(x.shape, generator=generator(1)).double()
    got = md.sample(bend, x, COSINE, times=[t, s], generator=generator(1), eta=most)
    torch.testing.assert_close(got, level.alpha * bend(x, t) + level.sigma * z, rtol=1e-7, atol=1e-7)
    assert md.sample(bend, x, COSINE, times=[t, s], generator=generator(1), eta=(1 + most) / 2).isfinite().all()
    with pytest.raises(
        ValueError, match="eta must be smaller, or the steps shorter, got eta = .*: from t = 0.5 to 0.3"
    ):
        md.sample(bend, x, COSINE, times=[t, s], eta=1.01 * most)


def test_a_step_of_your_own_gets_what_it_has_parameters_for_and_must_return_a_pair():
    told, drawn = [], []

    def step(denoise, x_t, t, s, schedule, noise, past, *, eta=0.0):
        told.append((t, s, schedule, eta, len(past)))
        drawn.append(noise(x_t))
        past.append("seen")
        return x_t + 1, denoise(x_t, t.time)

    g = generator()
    x_0 = md.sample(bend, randn(2, 2), COSINE, method=step, eta=0.3, times=[0.9, 0.4, 0.0], generator=g)
    torch.testing.assert_close(x_0, randn(2, 2) + 2)
    a, b, c = (COSINE.at(t) for t in (0.9, 0.4, 0.0))
    assert told == [(a, b, COSINE, 0.3, 0), (b, c, COSINE, 0.3, 1)]
    again = generator()
    assert all(torch.equal(z, torch.randn(2, 2, generator=again).double()) for z in drawn)
    plain = md.sample(bend, randn(2, 2), COSINE, method=lambda denoise, x_t, t, s: (x_t, x_t), steps=2)
    assert torch.equal(plain, randn(2, 2))
    for wrong in (lambda *_: randn(2, 2), lambda *_: None, lambda *_: (randn(2, 2),)):
        with pytest.raises(TypeError, match="method must return a pair"):
            md.sample(bend, randn(2, 2), COSINE, method=wrong)


def test_a_guess_of_the_wrong_shape_is_not_spread_out(unchecked):
    for method in METHODS:
        with pytest.raises(ValueError, match="x0 must have the shape of x_t"):
            md.sample(lambda x, t: x[:, :1], torch.zeros(3, 2), COSINE, method=method)


@given(
    method=st.sampled_from([*METHODS, "dpm"]),
    name=st.sampled_from(list(NAMED)),
    head=st.sampled_from(["v", "x0", "flow"]),
    shape=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    steps=st.integers(-1, 6),
    eta=st.sampled_from([0.0, 0.5, 1.0, 1.5]),
    times=st.none() | st.lists(st.floats(0, 1), min_size=2, max_size=4, unique=True).map(lambda t: sorted(t)[::-1]),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64]),
)
def test_a_sample_is_finite_or_an_argument_is_named(method, name, head, shape, steps, eta, times, dtype):
    denoiser = md.Denoiser(lambda x, t, cond: 0.5 * x, NAMED[name], md.heads.HEADS[head])
    x_1 = torch.ones(shape).to(dtype)
    options = {"eta": eta} if method in ("ddim", "edm_churn") else {}
    try:
        x_0 = md.sample(denoiser, x_1, steps=steps, method=method, times=times, generator=generator(), **options)
    except (ValueError, TypeError) as error:
        named = [n for n in ("method", "steps", "eta", "x_1") if f"{n} must" in str(error) or f"'{n}'" in str(error)]
        assert named
        assert method == "dpm" or steps < 1 or eta > 1 or dtype == torch.int64
    else:
        assert x_0.shape == x_1.shape and x_0.dtype == dtype and x_0.isfinite().all()
