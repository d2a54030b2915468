"""The bound against closed forms and integrals; the ODE's density against exact densities and its own integral."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

import minidiffusion as md
from minidiffusion import likelihood

COSINE, FLOW = md.schedule.cosine(), md.schedule.flow()
ZERO = md.schedule.zero_terminal_snr(md.schedule.linear())
WEIGHTS, MEANS, STDS = [0.5, 0.3, 0.2], [-1.0, 0.2, 1.5], [0.3, 0.1, 0.5]
MEAN, COV = 0.3, 0.25  # of the Gaussian in one dimension


def float64(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def line(schedule):
    return md.oracle.mixture(float64(*WEIGHTS), float64(*MEANS)[:, None], float64(*STDS)[:, None, None] ** 2, schedule)


def plane(schedule):
    covs = float64([[0.3, 0.12], [0.12, 0.1]], [[0.05, -0.04], [-0.04, 0.2]])
    return md.oracle.mixture(float64(0.3, 0.7), float64([-1.0, 0.5], [0.8, -0.3]), covs, schedule)


def gaussian(schedule):
    return md.oracle.gaussian(float64(MEAN), float64([COV]), schedule)


def noise(count=81, dimension=1):
    """Nodes and weights for a mean over eps ~ N(0, I): the trapezoid rule, exact to 1e-10 for smooth functions."""
    z = torch.linspace(-7, 7, count, dtype=torch.float64)
    weight = (-0.5 * z**2).exp()
    nodes, weights = (torch.cartesian_prod(*[a] * dimension).view(-1, dimension) for a in (z, weight / weight.sum()))
    return nodes, weights.prod(1)


def mean_terms(denoise, x0, schedule, grid, levels=None, count=81):
    """The bound's terms for each row of x0 in nats, their means over the noise exact: prior, each step, last."""
    eps, weight = noise(count, x0.shape[1])
    x, eps = x0.repeat_interleave(len(eps), 0), eps.repeat(len(x0), 1)

    def mean(nats):
        return nats.view(len(x0), -1) @ weight

    steps = [
        mean(likelihood.denoising_matching(denoise, x, eps, t, s, schedule))
        for t, s in zip(grid, grid[1:], strict=False)
    ]
    last = mean(likelihood.reconstruction(denoise, x, eps, grid[-1], schedule, levels))
    return (md.prior_kl(x0, schedule) * x0[0].numel() * math.log(2)), torch.stack(steps), last


def mean_bound(denoise, x0, schedule, grid, levels=None, count=81):
    prior, steps, last = mean_terms(denoise, x0, schedule, grid, levels, count)
    return prior + steps.sum(0) + last


def data_nodes(count=24):
    """Rows x0 and weights for a mean over the mixture on the line: Gauss and Hermite's rule for each component."""
    z, weight = np.polynomial.hermite_e.hermegauss(count)
    x0 = torch.cat([torch.from_numpy(m + s * z) for m, s in zip(MEANS, STDS, strict=True)])[:, None]
    return x0, torch.cat([w * torch.from_numpy(weight / weight.sum()) for w in WEIGHTS])


# The terms


def test_the_diffusion_term_is_the_kl_between_two_posteriors(schedule):
    generator = torch.Generator().manual_seed(0)
    x0, eps, other = torch.randn(3, 4, 1, 2, 3, generator=generator, dtype=torch.float64)
    for t, s in [(1.0, 0.8), (0.6, 0.55), (0.3, 0.01)]:
        x_t = md.diffuse(x0, t, eps, schedule)
        q, p = (Normal(*md.posterior(x_t, guess, t, s, schedule)) for guess in (x0, other))
        by_hand = kl_divergence(q, p).flatten(1).sum(1)
        term = likelihood.denoising_matching(lambda x, t: other, x0, eps, t, s, schedule)
        torch.testing.assert_close(term, by_hand, rtol=1e-7, atol=1e-9)


def test_the_denoiser_sees_the_noisy_data_and_its_time():
    x0, eps = torch.randn(2, 5, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    seen = []

    def denoise(x_t, t):
        seen.append((x_t, float(t)))
        return x_t

    likelihood.denoising_matching(denoise, x0, eps, 0.7, 0.5, FLOW)
    likelihood.reconstruction(denoise, x0, eps, 0.2, FLOW)
    for (x_t, t), expected in zip(seen, (0.7, 0.2), strict=True):
        assert t == expected
        torch.testing.assert_close(x_t, (1 - t) * x0 + t * eps, rtol=1e-13, atol=1e-13)


def test_the_prior_term_is_the_divergence_of_x_1_from_the_prior(schedule):
    x0 = torch.randn(4, 1, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    got = likelihood.elbo(lambda x_t, t: x_t, x0, schedule, steps=1).prior
    alpha, sigma = schedule.alpha(1.0), schedule.sigma(1.0)
    x_1 = torch.distributions.Normal(alpha * x0, sigma)
    prior = torch.distributions.Normal(torch.zeros_like(x0), math.hypot(alpha, sigma))
    nats = torch.distributions.kl_divergence(x_1, prior).flatten(1).sum(1)
    torch.testing.assert_close(got, likelihood.bits_per_dim(-nats, x0), rtol=1e-6, atol=1e-14)


def test_one_step_by_hand():
    # flow, t: 1 -> 1/2, so snr: 0 -> 1; x0_hat = 0 whatever the noise; x0 = (1, 1)
    got = likelihood.elbo(lambda x, t: 0 * x, torch.ones(3, 2), FLOW, times=[1.0, 0.5])
    nat = 1 / math.log(2)
    assert got.prior.tolist() == [0.0] * 3  # alpha(1) = 0
    # 1/2 (1 - 0) (1 + 1) = 1 nat, over 2 dimensions
    torch.testing.assert_close(got.steps, torch.full((1, 3), 0.5 * nat))
    # 1/2 (1 + log 2 pi) nats in each dimension
    torch.testing.assert_close(got.reconstruction, torch.full((3,), (0.5 + 0.5 * math.log(2 * math.pi)) * nat))
    torch.testing.assert_close(got.total, got.prior + got.diffusion + got.reconstruction)
    torch.testing.assert_close(got.diffusion, got.steps.sum(0))


def test_bits_per_dim_by_hand():
    # a probability of 2^-8 for four numbers
    assert likelihood.bits_per_dim(torch.tensor(-8 * math.log(2)), torch.zeros(1, 2, 2)).item() == pytest.approx(2)


def closed_form(x0, schedule, grid):
    """The Gaussian oracle's terms in nats: E(x0 - x0_hat)^2 = ((x0 - m)^2 + snr c^2) / (1 + snr c)^2."""
    snr = schedule.log_snr(grid).exp()
    error = ((x0 - MEAN) ** 2 + snr * COV**2) / (1 + snr * COV) ** 2  # (batch, times)
    steps = 0.5 * snr.diff() * error[:, :-1]
    last = 0.5 * (snr[-1] * error[:, -1] + math.log(2 * math.pi) - snr[-1].log())
    variance, mean = schedule.sigma(1.0) ** 2, schedule.alpha(1.0) * x0[:, 0]
    prior = 0.5 * (variance - 1 - math.log(variance) + mean**2)  # for schedules with alpha^2 + sigma^2 = 1
    return prior, steps.T, last


def test_the_gaussian_term_by_term():
    grid, x0 = float64(1.0, 0.8, 0.5, 0.3, 0.1), float64([0.9], [-2.0])
    for schedule in (COSINE, FLOW, md.schedule.scaled_linear(), ZERO):
        exact = closed_form(x0, schedule, grid)
        for got, by_hand in zip(mean_terms(gaussian(schedule), x0, schedule, grid), exact, strict=True):
            torch.testing.assert_close(got, by_hand, rtol=1e-8, atol=1e-10)


def test_elbo_draws_these_terms():
    count, x0, grid = 20_000, 0.9, float64(1.0, 0.8, 0.5, 0.3, 0.1)
    got = likelihood.elbo(
        gaussian(COSINE),
        torch.full((count, 1), x0, dtype=torch.float64),
        times=grid.tolist(),
        generator=torch.Generator().manual_seed(0),
    )
    prior, steps, last = (term / math.log(2) for term in closed_form(float64([x0]), COSINE, grid))
    torch.testing.assert_close(got.prior, prior.expand(count), rtol=1e-6, atol=1e-12)
    # 5 standard errors on each of 5 means: red by chance 3e-6 of the time, and the seed is fixed
    for draws, mean in zip([*got.steps, got.reconstruction], [*steps[:, 0], last], strict=True):
        assert abs(draws.mean() - mean) < 5 * draws.std() / math.sqrt(count)
    # fresh noise for each: 6 correlations of size 1 / sqrt(count), 5 of those: 4e-6
    together = torch.corrcoef(torch.stack([got.steps[0], got.steps[2], got.steps[3], got.reconstruction]))
    assert (together - torch.eye(4)).abs().max() < 5 / math.sqrt(count)


# The bound


def chain_density(denoise, schedule, times, x):
    """log p(x0) of the model on the grid x, by carrying the density of x_1 down on that grid; and its integral."""
    cell = (x[1] - x[0]).item()
    density = Normal(0.0, math.hypot(schedule.alpha(1.0), schedule.sigma(1.0))).log_prob(x).exp()
    for t, s in zip(times, times[1:], strict=False):
        mean, std = md.posterior(x[:, None], denoise(x[:, None], t), t, s, schedule)
        density = density @ Normal(mean, std).log_prob(x).exp() * cell
    t = times[-1]
    decoder = Normal(denoise(x[:, None], t), schedule.sigma(t) / schedule.alpha(t))
    density = density @ decoder.log_prob(x).exp() * cell
    return density.log(), density.sum().item() * cell


def test_it_bounds_the_density_of_its_own_model_at_every_point():
    x, times = torch.linspace(-7, 7, 1001, dtype=torch.float64), [1.0, 0.7, 0.4, 0.15]
    for schedule in (FLOW, COSINE):
        oracle = line(schedule)
        for denoise in (oracle, lambda x, t, oracle=oracle: 0.7 * oracle(x, t) + 0.2, lambda x, t: 0 * x):
            log_density, integral = chain_density(denoise, schedule, times, x)
            assert integral == pytest.approx(1, abs=1e-6)
            gap = mean_bound(denoise, x[200:-200:10, None], schedule, times) + log_density[200:-200:10]
            assert gap.min() > -1e-9 and gap.max() > 10
    # no gap where the decoder does not care for x_t and no step is between: p(x0 | x_t) = p(x0)
    log_density, _ = chain_density(lambda x, t: 0 * x, FLOW, [1.0, 0.5], x)
    bound = mean_bound(lambda x, t: 0 * x, x[:, None], FLOW, [1.0, 0.5])
    # but for the 1/2 snr x0^2 that q(x_t | x0) is away from p(x_t)
    torch.testing.assert_close(bound + log_density, 0.5 * x**2, rtol=1e-6, atol=1e-6)


def limit(a, b, c):
    """What a series in 1 / steps tends to, from its values at n, 2n, 4n steps: without its first two orders."""
    return (a - 6 * b + 8 * c) / 3


@pytest.mark.parametrize("schedule", [FLOW, md.schedule.ve()], ids=["flow", "ve"])
def test_it_bounds_the_entropy_and_reaches_it_like_1_over_steps(schedule):
    oracle = line(schedule)
    x0, weight = data_nodes()
    entropy = -(weight @ line(FLOW).log_density(x0, 0.0)).item()
    gaps = []
    for steps in (64, 128, 256):
        grid = likelihood.bound.time_grid(schedule, steps, None)
        gaps.append((weight @ mean_bound(oracle, x0, schedule, grid, count=41)).item() - entropy)
    assert gaps[0] > gaps[1] > gaps[2] > 0.2
    assert gaps[1] / gaps[2] == pytest.approx(2, rel=0.05)
    assert abs(limit(*gaps)) < 0.005


def test_a_bias_costs_its_square():
    # E ||x0 - (x0_hat + b)||^2 = E ||x0 - x0_hat||^2 + b^2, because x0_hat is the mean of x0 given x_t
    oracle, (x0, weight), b = line(COSINE), data_nodes(), 0.05
    grid = [1.0, 0.9, 0.6, 0.3, 0.1]
    right, wrong = (
        weight @ mean_bound(denoise, x0, COSINE, grid, count=161)
        for denoise in (oracle, lambda x_t, t: oracle(x_t, t) + b)
    )
    last, first = math.exp(COSINE.log_snr(0.1)), math.exp(COSINE.log_snr(1.0))
    assert (wrong - right).item() == pytest.approx(0.5 * (last - first) * b**2 + 0.5 * last * b**2, rel=1e-4)


# Grey levels


@pytest.mark.parametrize("guess", [-3.0, -1.0, -0.3, 0.999, 40.0])
@pytest.mark.parametrize("t", [1e-3, 0.1, 0.9])
def test_the_256_levels_sum_to_1(guess, t):
    x0 = torch.linspace(-1, 1, 256, dtype=torch.float64)[:, None]
    nats = likelihood.reconstruction(lambda x, t: 0 * x + guess, x0, 0 * x0, t, FLOW, 256)
    assert nats.isfinite().all() and nats.min() >= 0
    assert (-nats).exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_the_mass_of_a_level_by_hand():
    # flow, t = 1/3: sigma / alpha = 1/2. Four levels -1, -1/3, 1/3, 1, so the middles are -2/3, 0, 2/3
    def below(x):
        return 0.5 * math.erfc(-(x - 0.1) / 0.5 / math.sqrt(2))

    x0 = float64([-1.0], [-1 / 3], [1 / 3], [1.0])
    nats = likelihood.reconstruction(lambda x, t: 0 * x + 0.1, x0, 0 * x0, 1 / 3, FLOW, 4)
    by_hand = [below(-2 / 3), below(0) - below(-2 / 3), below(2 / 3) - below(0), 1 - below(2 / 3)]
    np.testing.assert_allclose((-nats).exp().numpy(), by_hand, rtol=1e-12)


def test_a_level_far_in_the_tail_still_has_a_mass_and_a_gradient():
    guess = float64(0.0).requires_grad_()
    x0 = torch.linspace(-1, 1, 256, dtype=torch.float64)[:, None]
    nats = likelihood.reconstruction(lambda x, t: guess.expand_as(x), x0, 0 * x0, 1e-3, FLOW, 256)
    nats.sum().backward()
    # the level x0 from 0 is some (|x0| - 1/255)^2 / (2 (sigma / alpha)^2) nats away
    expected = 0.5 * ((x0[:, 0].abs() - 1 / 255) * 999) ** 2
    torch.testing.assert_close(nats.detach()[:100], expected[:100], rtol=1e-3, atol=0)
    torch.testing.assert_close(nats.detach(), nats.detach().flip(0), rtol=1e-9, atol=0)
    assert guess.grad.isfinite().all() and abs(guess.grad.item()) < 1e-6 * nats.max().item()


PIXELS = {(-1.0, -1.0): 4, (1.0, -1 / 3): 3, (1.0, 1.0): 2, (-1 / 3, 1.0): 1}  # two pixels of four levels, in tenths


def test_pictures_of_known_probability():
    schedule = COSINE
    x0 = float64(*PIXELS)
    probability = float64(*PIXELS.values()) / 10
    oracle = md.oracle.dataset(x0.repeat_interleave(torch.tensor(list(PIXELS.values())), 0), schedule)
    bits = []
    for steps in (64, 128, 256):
        grid = likelihood.bound.time_grid(schedule, steps, None)
        bits.append(mean_bound(oracle, x0, schedule, grid, levels=4, count=25) / math.log(2))
    entropy = -(probability @ probability.log2())
    assert probability @ bits[0] > probability @ bits[1] > probability @ bits[2] > entropy + 0.05
    torch.testing.assert_close(limit(*bits), -probability.log2(), rtol=0, atol=4e-3)


# elbo as a function


def test_the_default_times_are_even_in_log_snr(schedule):
    grid = likelihood.bound.time_grid(schedule, 40, None)
    log_snr = schedule.log_snr(grid)
    assert grid[0] == 1 and len(grid) == 41 and schedule.sigma(grid[-1].item()) > 0
    assert log_snr[-1].item() == pytest.approx(min(13.3, schedule.log_snr(0.0)), abs=1e-6)
    assert log_snr[1:].diff().std() < 1e-6 * log_snr[1:].diff().mean()
    assert log_snr[1] - log_snr[2] == pytest.approx(-(log_snr[-1] - max(log_snr[0], -13.3)).item() / 40, rel=1e-6)


def test_a_learned_schedule_gets_its_gradient():
    schedule = md.objectives.LearnedSchedule(6.0, -2.0, falls=[0.3, -0.2, 0.5]).double()
    oracle = gaussian(COSINE)  # any function of x_t and t

    def total():
        generator = torch.Generator().manual_seed(0)
        x0 = torch.linspace(-1, 1, 6, dtype=torch.float64)[:, None]
        levels = torch.linspace(-1, 1, 6, dtype=torch.float64)[:, None]
        times = [1.0, 0.7, 0.4, 0.2]
        plain = likelihood.elbo(oracle, x0, schedule, times=times, generator=generator)
        grey = likelihood.elbo(oracle, levels, schedule, times=times, levels=6, generator=generator)
        return (plain.total + grey.total).mean()

    total().backward()
    gradient, h = schedule.falls.grad.clone(), 1e-5
    for i in range(3):
        ends = []
        for side in (h, -h):
            with torch.no_grad():
                schedule.falls[i] += side
                ends.append(total().item())
                schedule.falls[i] -= side
        assert gradient[i].item() == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-6, abs=1e-8)
    assert gradient.abs().min() > 1e-3


def test_the_ends_of_a_learned_schedule_get_theirs():
    class Steep(md.schedule.Schedule):
        name, scales = "steep", staticmethod(md.schedule.cosine().scales)

        def __init__(self):
            self.slope = torch.tensor(8.0, dtype=torch.float64, requires_grad=True)

        def _log_snr(self, t):
            return 5 - self.slope * t

        def _time(self, log_snr):
            return (5 - log_snr) / self.slope

    schedule, x0 = Steep(), float64([0.8, -0.4])
    (md.prior_kl(x0, schedule) * x0[0].numel() * math.log(2)).sum().backward()
    # d/dl of 1/2 sum(sigmoid(l) (x0^2 - 1) - logsigmoid(-l)) at l = 5 - slope, and dl/dslope = -1
    share = 1 / (1 + math.exp(3))
    by_hand = -0.5 * (share * (1 - share) * (x0**2 - 1) + share).sum()
    assert schedule.slope.grad.item() == pytest.approx(by_hand.item())
    assert not likelihood.elbo(gaussian(COSINE), x0[:, :1], schedule, steps=3).times.requires_grad


def test_the_label_reaches_the_denoiser_and_a_seed_repeats(global_rng_untouched):
    labels = torch.tensor([0, 2, 1])
    x0 = float64([-1.0], [1.4], [0.2])
    runs = [
        likelihood.elbo(line(FLOW), x0, steps=5, cond=cond, generator=torch.Generator().manual_seed(seed))
        for cond, seed in [(labels, 0), (labels, 0), (None, 0), (labels, 1)]
    ]
    assert torch.equal(runs[0].total, runs[1].total)
    assert not torch.equal(runs[0].total, runs[2].total) and not torch.equal(runs[0].total, runs[3].total)
    ode = [likelihood.ode_log_likelihood(line(FLOW), x0, rtol=1e-4, cond=cond) for cond in (labels, None)]
    own = float64(*[-0.5 * math.log(2 * math.pi) - math.log(STDS[k]) for k in (0, 2, 1)])  # near the top of each
    torch.testing.assert_close(ode[0], own, rtol=0, atol=0.05)
    assert (ode[1] < ode[0] - 0.3).all()


def test_pictures_in_float32():
    net = torch.nn.Conv2d(1, 1, 3, padding=1)
    denoise = md.Denoiser(lambda x, t, cond: net(x), COSINE, md.heads.V)
    x0 = md.datasets.to_float(torch.arange(0, 256, 32, dtype=torch.uint8).view(2, 1, 2, 2))
    bound = likelihood.elbo(denoise, x0, steps=8, levels=256)
    assert bound.total.shape == (2,) and bound.steps.shape == (8, 2) and bound.total.dtype == torch.float32
    assert (bound.steps >= 0).all() and (bound.reconstruction >= 0).all() and bound.total.requires_grad
    exact = likelihood.ode_log_likelihood(denoise, x0, rtol=1e-4)
    assert exact.shape == (2,) and exact.dtype == torch.float32 and not exact.requires_grad
    # the network ran in float32: the same one in float64 differs by that much, and no more
    net.double()
    in_float64 = likelihood.ode_log_likelihood(denoise, x0.double(), rtol=1e-4)
    torch.testing.assert_close(in_float64.float(), exact, rtol=1e-3, atol=0)
    assert in_float64.dtype == torch.float64


# The exact likelihood


def model_density(x0, mean, cov, schedule):
    """The Gaussian oracle's ODE is linear: along each axis of cov, x_t - alpha m keeps its number of standard
    deviations. So the density of N(0, n^2) at t = 1 comes down in closed form."""
    values, vectors = torch.linalg.eigh(cov)
    (a1, s1), (a0, s0) = ((schedule.alpha(t), schedule.sigma(t)) for t in (1.0, 0.0))
    ratio = ((a1**2 * values + s1**2) / (a0**2 * values + s0**2)).sqrt()
    x_1 = ratio * ((x0 - a0 * mean) @ vectors) + a1 * mean @ vectors
    return (Normal(0.0, math.hypot(a1, s1)).log_prob(x_1) + ratio.log()).sum(1)


@pytest.mark.parametrize("name", ["cosine", "scaled_linear", "flow", "ve"])
def test_the_model_of_a_gaussian_in_closed_form(name):
    mean, cov = float64(0.5, -1.0), float64([0.6, 0.3], [0.3, 0.4])
    oracle = md.oracle.gaussian(mean, cov, md.schedule.NAMED[name]())
    x0 = oracle.sample(6, torch.Generator().manual_seed(0), torch.float64)
    got = likelihood.ode_log_likelihood(oracle, x0, rtol=1e-7)
    torch.testing.assert_close(got, model_density(x0, mean, cov, oracle.schedule), rtol=0, atol=3e-6)


@pytest.mark.parametrize(
    # cosine keeps alpha(1) = 5e-5 of the data, so its model is that far from it
    ("make", "schedule", "tolerance"),
    [(line, FLOW, 1e-5), (line, ZERO, 1e-5), (plane, FLOW, 1e-5), (plane, COSINE, 1e-4)],
    ids=["line, flow", "line, zero terminal", "plane, flow", "plane, cosine"],
)
def test_where_the_prior_matches_it_is_the_density_of_the_data(make, schedule, tolerance):
    oracle = make(schedule)
    x0 = oracle.sample(12, torch.Generator().manual_seed(0), torch.float64)
    got = likelihood.ode_log_likelihood(oracle, x0, rtol=1e-6)
    torch.testing.assert_close(got, oracle.log_density(x0, 0.0), rtol=0, atol=tolerance)


def test_any_denoiser_has_a_density_that_integrates_to_1():
    x = torch.linspace(-12, 12, 401, dtype=torch.float64)[:, None]
    for schedule in (COSINE, md.schedule.scaled_linear(), md.schedule.ve()):

        def denoise(x_t, t, schedule=schedule):
            alpha, sigma = schedule.alpha(t), schedule.sigma(t)
            scale = alpha**2 + sigma**2  # nearly x_t at little noise, and not what any data would give
            return alpha * x_t / scale + sigma**2 / scale * (torch.tanh(2 * x_t / scale**0.5) + 0.1)

        density = likelihood.ode_log_likelihood(denoise, x, schedule).exp()
        assert density.sum().item() * 24 / 400 == pytest.approx(1, abs=1e-3)
        assert density[0] < 1e-6 and density[-1] < 1e-6


def test_hutchinson_on_a_linear_field():
    # v^T J v = tr J + 2 v_1 v_2 J_12 for signs v: two answers, as likely, the exact one in their middle
    oracle = md.oracle.gaussian(float64(0.5, -1.0), float64([0.6, 0.3], [0.3, 0.4]), FLOW)
    x0 = float64([0.2, -0.4]).repeat(64, 1)
    exact = likelihood.ode_log_likelihood(oracle, x0[:1], rtol=1e-8)
    got = likelihood.ode_log_likelihood(oracle, x0, trace="hutchinson", rtol=1e-8, generator=torch.Generator())
    low, high = got.min(), got.max()
    assert high - low > 0.1 and (((got - low) < 1e-6) | ((high - got) < 1e-6)).all()
    torch.testing.assert_close(((low + high) / 2)[None], exact, rtol=0, atol=1e-6)
    assert abs((got > exact).double().mean() - 0.5) < 5 * 0.5 / 8  # a fair coin: red by chance 6e-7 of the time


def test_hutchinson_is_unbiased():
    count, x0 = 2000, float64([-0.3, 0.2])
    exact = likelihood.ode_log_likelihood(plane(FLOW), x0, rtol=1e-6)
    draws = likelihood.ode_log_likelihood(
        plane(FLOW), x0.repeat(count, 1), trace="hutchinson", rtol=1e-5, generator=torch.Generator().manual_seed(0)
    )
    assert draws.std() > 0.1
    assert abs(draws.mean() - exact) < 5 * draws.std() / math.sqrt(count)  # red by chance 6e-7 of the time


def test_shapes_are_kept():
    # four independent numbers in a picture: the sum of four densities
    picture = torch.randn(2, 1, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def denoise(x_t, t):
        return gaussian(FLOW)(x_t.reshape(-1, 1), t).view_as(x_t)

    each = Normal(MEAN, math.sqrt(COV)).log_prob(picture).flatten(1).sum(1)
    for trace in ("exact", "hutchinson"):  # exact for a diagonal J, because signs have square 1
        got = likelihood.ode_log_likelihood(denoise, picture, FLOW, trace=trace, rtol=1e-6)
        torch.testing.assert_close(got, each, rtol=0, atol=1e-5)


# Bad arguments


def test_bad_arguments_are_named(unchecked):
    x0, denoise = torch.zeros(2, 3), lambda x_t, t: x_t
    for error, name, bad in [
        (TypeError, "denoise", dict(denoise=3)),
        (TypeError, "schedule", dict(schedule=None)),
        (TypeError, "schedule", dict(schedule="cosine")),
        (TypeError, "x0", dict(x0=[1.0])),
        (TypeError, "x0", dict(x0=torch.zeros(2, 3, dtype=torch.uint8))),
        (ValueError, "x0", dict(x0=torch.zeros(3))),
        (ValueError, "x0", dict(x0=torch.zeros(0, 3))),
    ]:
        arguments = dict(denoise=denoise, x0=x0, schedule=FLOW) | bad
        for function in (likelihood.elbo, likelihood.ode_log_likelihood):
            with pytest.raises(error, match=name):
                function(**arguments)
    for error, name, bad in [
        (ValueError, "steps", dict(steps=0)),
        (ValueError, "steps", dict(steps=2.0)),
        (TypeError, "times", dict(times=3)),
        (ValueError, "times", dict(times=[1.0])),
        (ValueError, "times", dict(times=[0.9, 0.1])),
        (ValueError, "times", dict(times=[1.0, 0.5, 0.6])),
        (ValueError, "times", dict(times=[1.0, -0.1])),
        (ValueError, "times", dict(times=[1.0, math.nan])),
        (ValueError, "sigma = 0", dict(times=[1.0, 0.5, 0.0])),
        (ValueError, "levels", dict(levels=1)),
        (ValueError, "levels", dict(levels=256.0)),
        (ValueError, "x0", dict(levels=256)),  # 0 lies between two levels
        (ValueError, "x0", dict(x0=torch.full((2, 3), 3.0), levels=3)),
        (ValueError, "x0", dict(x0=torch.full((2, 3), math.nan), levels=3)),
    ]:
        with pytest.raises(error, match=name):
            likelihood.elbo(**dict(denoise=denoise, x0=x0, schedule=FLOW) | bad)
    for error, name, bad in [
        (ValueError, "trace", dict(trace="full")),
        (ValueError, "rtol", dict(rtol=0.0)),
        (ValueError, "rtol", dict(rtol="low")),
        (TypeError, "differentiable", dict(denoise=torch.no_grad()(lambda x_t, t: 0.5 * x_t))),
        (ValueError, "finite", dict(denoise=lambda x_t, t: x_t * math.nan)),
    ]:
        with pytest.raises(error, match=name):
            likelihood.ode_log_likelihood(**dict(denoise=denoise, x0=x0, schedule=FLOW) | bad)


def test_a_solver_that_gives_up_is_no_answer(monkeypatch):
    failed = SimpleNamespace(success=False, message="step size too small", t=[2.0])
    monkeypatch.setattr("scipy.integrate.solve_ivp", lambda *arguments, **options: failed)
    with pytest.raises(RuntimeError, match="step size too small"):
        likelihood.ode_log_likelihood(gaussian(FLOW), torch.zeros(1, 1))
