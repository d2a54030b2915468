"""The ladder against linear-Gaussian models, whose likelihood is known, and the two forms of the bound against
each other: in means and variances that are exact, because what is averaged is a polynomial in the noise."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal, Normal, kl_divergence

import minidiffusion as md
from minidiffusion import likelihood
from minidiffusion.likelihood import hvae

COSINE, FLOW = md.schedule.cosine(), md.schedule.flow()
ZERO = md.schedule.zero_terminal_snr(md.schedule.linear())
TIMES = [1.0, 0.8, 0.5, 0.3, 0.1]


def float64(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def gaussian(schedule):
    return md.oracle.gaussian(float64(0.3), float64([0.25]), schedule)


def mixture(schedule):
    return md.oracle.mixture(float64(0.6, 0.4), float64([-1.0], [0.9]), float64([[0.2]], [[0.1]]), schedule)


def noise(kind, dimension):
    """Nodes (dimension, count, 1) and weights for a mean over N(0, I): Gauss and Hermite's rule with 3 points is
    exact for polynomials up to degree 5 in each direction; the trapezoid rule is for what is no polynomial."""
    if kind == "polynomial":
        z, weight = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(3))
    else:
        z = torch.linspace(-6, 6, 37, dtype=torch.float64)
        weight = (-0.5 * z**2).exp()
    nodes, weights = (torch.cartesian_prod(*[a] * dimension).view(-1, dimension) for a in (z, weight / weight.sum()))
    return nodes.T[:, :, None], weights.prod(1)


def moments(kind, dimension, nats):
    """Exact mean and variance of nats(eps), eps: `dimension` standard normals."""
    eps, weight = noise(kind, dimension)
    values = nats(eps)
    mean = weight @ values
    return mean, weight @ (values - mean) ** 2


def matching_form(denoise, x0, schedule, times, kind="polynomial"):
    """Mean and variance of each term of the denoising-matching form at one x0 (1, 1): prior, steps, reconstruction."""
    count = len(noise(kind, 1)[1])
    x = x0.expand(count, 1)
    terms = [((md.prior_kl(x0, schedule) * x0[0].numel() * math.log(2))[0], torch.zeros(()).double())]
    for t, s in zip(times, times[1:], strict=False):
        terms.append(
            moments(
                kind,
                1,
                lambda eps, t=t, s=s: likelihood.denoising_matching(denoise, x, eps[0], t, s, schedule),
            )
        )
    terms.append(moments(kind, 1, lambda eps: likelihood.reconstruction(denoise, x, eps[0], times[-1], schedule)))
    return torch.tensor(terms)


def consistency_form(denoise, x0, schedule, times, kind="polynomial"):
    one, three = (x0.expand(len(noise(kind, n)[1]), 1) for n in (1, 3))

    def top(eps):
        below = md.diffuse(one, times[1], eps[0], schedule)
        prior = Normal(0 * below, math.hypot(schedule.alpha(1.0), schedule.sigma(1.0)))
        return kl_divergence(hvae.forward(below, times[1], 1.0, schedule), prior).sum(1)

    terms = [moments(kind, 1, top)]
    for u, t, s in zip(times, times[1:], [*times[2:], None], strict=False):
        terms.append(
            moments(
                kind,
                3,
                lambda eps, u=u, t=t, s=s: hvae.consistency_matching(denoise, three, eps, u, t, s, schedule),
            )
        )
    terms.append(moments(kind, 1, lambda eps: likelihood.reconstruction(denoise, one, eps[0], times[-1], schedule)))
    return torch.tensor(terms)


# VAE and HVAE


def probabilistic_pca(stretch=1.0):
    """x = W z + m + 0.5 noise with orthogonal columns in W, so that the true posterior has a diagonal covariance."""
    w, m, std = float64([2.0, 0.5], [-2.0, 0.5], [1.0, 0.0]), float64(0.1, -0.3, 0.7), 0.5
    square = (w**2).sum(0)
    assert (w.T @ w - square.diag()).abs().max() < 1e-12
    # Tipping and Bishop 1999, eq. 8: p(z | x) = N(M^-1 W^T (x - m), std^2 M^-1), M = W^T W + std^2 I
    posterior = square + std**2
    model = hvae.HVAE(
        encoder=[lambda x: Normal((x - m) @ w / posterior, stretch * std / posterior.sqrt())],
        decoder=[lambda z: Normal(z @ w.T + m, std)],
        prior=Normal(0.0, 1.0),
    )
    return model, MultivariateNormal(m, w @ w.T + std**2 * torch.eye(3))


def test_a_vae_with_the_true_posterior_knows_the_likelihood():
    model, data = probabilistic_pca()
    x = float64([0.3, -1.0, 2.0], [0.0, 0.0, 0.0], [-3.0, 1.0, 5.0])
    for seed in range(3):  # every draw, for log p(x, z) - log q(z | x) = log p(x) whatever z
        got = model.elbo(x, torch.Generator().manual_seed(seed))
        torch.testing.assert_close(got, data.log_prob(x), rtol=1e-12, atol=1e-12)


def test_any_other_encoder_pays_its_kl_to_the_posterior():
    stretch, count = 1.6, 20_000
    model, data = probabilistic_pca(stretch)
    x = float64([0.3, -1.0, 2.0])
    draws = model.elbo(x.expand(count, 3), torch.Generator().manual_seed(0))
    kl = 2 * 0.5 * (stretch**2 - 1 - math.log(stretch**2))  # of two dimensions
    # 5 standard errors: red by chance 6e-7 of the time, and the seed is fixed
    assert abs(draws.mean() - (data.log_prob(x) - kl)) < 5 * draws.std() / math.sqrt(count)
    assert draws.std() > 0.5


def test_one_latent_is_reconstruction_less_kl():
    # Luo 2022, eq. 19, with a decoder that is not linear
    count, x = 40_000, float64([0.8])
    encode, decode = (lambda x: Normal(0.5 * x, 0.7)), (lambda z: Normal(z.sin() + z, 0.4))
    draws = hvae.HVAE([encode], [decode], Normal(0.0, 1.0)).elbo(x.expand(count, 1), torch.Generator().manual_seed(0))
    z = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    q = encode(x).log_prob(z)[0].exp() * (z[1] - z[0])
    kl = kl_divergence(encode(x), Normal(0.0, 1.0)).item()
    by_hand = (q @ decode(z).log_prob(x[0])).item() - kl
    assert abs(draws.mean() - by_hand) < 5 * draws.std() / math.sqrt(count)  # red by chance 6e-7 of the time


def test_a_ladder_with_the_true_posteriors_knows_the_likelihood():
    # z_3 ~ N(0, 1), z_i = a_i z_{i+1} + b_i noise: variances v_i, and q(z_{i+1} | z_i) by Bayes' rule
    a, b, v = [0.9, -1.3, 0.5], [0.3, 0.8, 0.6], [0.0, 0.0, 0.0, 1.0]
    for i in (2, 1, 0):
        v[i] = a[i] ** 2 * v[i + 1] + b[i] ** 2

    def up(i):
        gain = a[i] * v[i + 1] / v[i]
        return lambda z: Normal(gain * z, math.sqrt(v[i + 1] * b[i] ** 2 / v[i]))

    def down(i):
        return lambda z: Normal(a[i] * z, b[i])

    model = hvae.HVAE([up(i) for i in range(3)], [down(i) for i in range(3)], Normal(0.0, 1.0))
    x = float64([0.3, 0.1], [-2.0, 1.0])  # two independent ladders
    exact = Normal(0 * x, math.sqrt(v[0])).log_prob(x).sum(1)
    torch.testing.assert_close(model.elbo(x, torch.Generator().manual_seed(0)), exact, rtol=1e-12, atol=1e-12)


# The three restrictions


def test_the_encoder_is_the_forward_process(schedule):
    up, x0 = list(reversed(TIMES)), float64([0.7, -0.2])
    encoder = hvae.diffusion(lambda x, t: x, schedule, TIMES).encoder
    mean, variance = x0, 0.0
    for encode, t in zip(encoder, up, strict=True):
        step = encode(mean)
        gain = encode(mean + 1).mean - step.mean  # linear: what it does to a difference of 1
        mean, variance = step.mean, variance * gain[0, 0].item() ** 2 + step.variance.max().item()
        torch.testing.assert_close(mean, schedule.alpha(t) * x0, rtol=1e-10, atol=1e-14)
        assert variance == pytest.approx(schedule.sigma(t) ** 2, rel=1e-9)
        assert step.mean.shape == x0.shape  # the first restriction


def test_the_last_latent_is_the_prior_whatever_the_data_was():
    for schedule in (FLOW, ZERO):
        model = hvae.diffusion(lambda x, t: x, schedule, TIMES)
        last = model.encoder[-1](float64([3.0, -5.0]))
        assert (last.mean == 0).all() and (last.stddev == 1).all()
        assert model.prior.mean == 0 and model.prior.stddev == 1


def test_bayes_joins_one_step_up_to_one_step_down(schedule):
    # q(x_s | x0) q(x_t | x_s) = q(x_t | x0) q(x_s | x_t, x0), at any three points
    x0, x_s, x_t = torch.randn(3, 20, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for t, s in [(0.9, 0.85), (0.5, 0.1)]:
        up = hvae.forward(x0, None, s, schedule).log_prob(x_s) + hvae.forward(x_s, s, t, schedule).log_prob(x_t)
        down = Normal(*md.posterior(x_t, x0, t, s, schedule)).log_prob(x_s)
        down = down + hvae.forward(x0, None, t, schedule).log_prob(x_t)
        torch.testing.assert_close(up, down, rtol=1e-7, atol=1e-7)


def test_the_lowest_rung_is_the_reconstruction(schedule):
    x0, eps = torch.randn(2, 6, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    denoise, t = gaussian(schedule), 0.6
    read = hvae.diffusion(denoise, schedule, [1.0, t]).decoder[0](md.diffuse(x0, t, eps, schedule))
    term = likelihood.reconstruction(denoise, x0, eps, t, schedule)
    torch.testing.assert_close(-read.log_prob(x0)[:, 0], term, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("schedule", [COSINE, FLOW, ZERO, md.schedule.ve()], ids=lambda schedule: schedule.name)
def test_the_ladder_of_a_diffusion_model_has_its_bound(schedule):
    count, x0 = 20_000, float64([0.9])
    draws = hvae.diffusion(gaussian(schedule), schedule, TIMES).elbo(
        x0.expand(count, 1), torch.Generator().manual_seed(0)
    )
    bound = matching_form(gaussian(schedule), x0, schedule, TIMES)[:, 0].sum()
    # 5 standard errors: red by chance 6e-7 of the time a schedule, and the seed is fixed
    assert abs(draws.mean() + bound) < 5 * draws.std() / math.sqrt(count)


# The two forms


@pytest.mark.parametrize("schedule", [COSINE, FLOW, ZERO], ids=lambda schedule: schedule.name)
@pytest.mark.parametrize("times", [TIMES, [1.0, 0.3], [1.0, 0.99, 0.05]], ids=len)
def test_both_forms_have_one_mean(schedule, times):
    for denoise in (gaussian(schedule), lambda x, t: 0.3 * x - 0.1):  # the truth, and any other linear guess
        matching, consistency = (
            form(denoise, float64([0.9]), schedule, times)[:, 0] for form in (matching_form, consistency_form)
        )
        assert matching.sum().item() == pytest.approx(consistency.sum().item(), rel=1e-9)
        if times is TIMES:
            assert not torch.allclose(matching[1:-1], consistency[1:-1], rtol=0.05)  # but not term by term


def test_both_forms_have_one_mean_where_the_guess_is_not_linear():
    matching, consistency = (
        form(mixture(FLOW), float64([0.4]), FLOW, [1.0, 0.7, 0.4, 0.2], "any")[:, 0].sum().item()
        for form in (matching_form, consistency_form)
    )
    assert matching == pytest.approx(consistency, rel=1e-6)


def test_the_variance_of_one_grows_with_the_steps_and_of_the_other_falls():
    matching, consistency = {}, {}
    for steps in (128, 256):
        times = likelihood.bound.time_grid(FLOW, steps, None).tolist()
        # the middle of the walk; both forms share the reconstruction, whose variance does not depend on the steps
        matching[steps], consistency[steps] = (
            form(gaussian(FLOW), float64([0.9]), FLOW, times)[1:-2, 1].sum().item()
            for form in (matching_form, consistency_form)
        )
    assert matching[256] / matching[128] == pytest.approx(1 / 2, rel=0.1)
    # (z^2 - z'^2) / 2 has variance 1: one more for each step more
    assert consistency[256] - consistency[128] == pytest.approx(128, rel=0.01)


def test_the_terms_are_no_kl_divergences():
    # Were they, x_t would be drawn without knowing x_u, and the sum would be nearly a nat a step above the bound
    eps, weight = noise("polynomial", 3)
    x0, gaps = float64([0.9]).expand(27, 1), {}
    denoise = gaussian(FLOW)
    for steps in (32, 128):
        times = likelihood.bound.time_grid(FLOW, steps, None).tolist()
        as_kl = 0.0
        for u, t, s in zip(times, times[1:], times[2:], strict=False):
            x_s = md.diffuse(x0, s, eps[0], FLOW)
            up = hvae.forward(x_s, s, u, FLOW)
            x_u = up.mean + up.stddev * eps[2]
            p = Normal(*md.posterior(x_u, denoise(x_u, u), u, t, FLOW))
            as_kl += (weight @ kl_divergence(hvae.forward(x_s, s, t, FLOW), p)[:, 0]).item()
        gaps[steps] = as_kl - consistency_form(denoise, x0[:1], FLOW, times)[1:-2, 0].sum().item()
    assert gaps[128] - gaps[32] == pytest.approx(96, rel=0.1)


@pytest.mark.parametrize(
    # ve has noise at t = 0: there, the clean x0 and x_0 are two things
    ("schedule", "times"),
    [(COSINE, TIMES), (md.schedule.ve(), [1.0, 0.13, 0.1])],
    ids=["cosine", "ve"],
)
def test_consistency_draws_these_terms(schedule, times):
    count, x0 = 20_000, float64([0.9])
    got = hvae.consistency_bound(
        gaussian(schedule), x0.expand(count, 1), times=times, generator=torch.Generator().manual_seed(0)
    )
    exact = consistency_form(gaussian(schedule), x0, schedule, times) / math.log(2)
    draws = torch.stack([got.prior, *got.steps, got.reconstruction])
    # 5 standard errors on each of 6 means: red by chance 4e-6 of the time, and the seed is fixed
    assert ((draws.mean(1) - exact[:, 0]).abs() < 5 * draws.std(1) / math.sqrt(count)).all()
    # fresh noise for each: 15 correlations, 5 of their standard errors: 9e-6
    assert (torch.corrcoef(draws) - torch.eye(len(draws))).abs().max() < 5 / math.sqrt(count)
    assert got.times.tolist() == times


def test_a_seed_repeats(global_rng_untouched):
    x0 = torch.ones(3, 1)
    for run in (
        lambda generator: hvae.consistency_bound(gaussian(FLOW), x0, steps=4, generator=generator).total,
        lambda generator: hvae.diffusion(gaussian(FLOW), FLOW, TIMES).elbo(x0, generator),
    ):
        a, b, c = (run(torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
        assert torch.equal(a, b) and not torch.equal(a, c) and a.dtype == torch.float32


def test_bad_arguments_are_named(unchecked):
    x0 = torch.zeros(2, 1)
    with pytest.raises(ValueError, match="encoder and decoder"):
        hvae.HVAE([], [], Normal(0.0, 1.0))
    with pytest.raises(ValueError, match="encoder and decoder"):
        hvae.HVAE([Normal], [Normal, Normal], Normal(0.0, 1.0))
    with pytest.raises(ValueError, match="times"):
        hvae.diffusion(gaussian(FLOW), FLOW, [0.9, 0.1])
    with pytest.raises(ValueError, match="sigma = 0"):
        hvae.diffusion(gaussian(FLOW), FLOW, [1.0, 0.0])
    with pytest.raises(ValueError, match="steps"):
        hvae.consistency_bound(gaussian(FLOW), x0, steps=0)
    with pytest.raises(TypeError, match="schedule"):
        hvae.consistency_bound(lambda x, t: x, x0)
    with pytest.raises(TypeError, match="x0"):
        hvae.consistency_bound(gaussian(FLOW), [1.0])
