"""The learned variance: its bounds, its loss, and that the best one is the exact one."""

import math
from functools import partial

import numpy as np
import pytest
import torch

import minidiffusion as md
from minidiffusion.objectives.learned_variance import LearnedVariance, hybrid_loss, hybrid_terms

T64 = torch.float64
COSINE, FLOW = md.schedule.cosine(), md.schedule.flow()
VARIANCE = 0.3  # of the Gaussian data of these tests, N(0, VARIANCE)


def guess(x_t, t, schedule):
    """E[x0 | x_t] for data N(0, VARIANCE)."""
    alpha, sigma = (curve(t.double())[:, None] for curve in (schedule.alpha, schedule.sigma))
    return alpha * VARIANCE / (alpha**2 * VARIANCE + sigma**2) * x_t


def exact_variance(t, s, schedule):
    """Var(x_s | x_t) for data N(0, VARIANCE): x_t = (alpha_t / alpha_s) x_s + noise, both Gaussian."""
    at_t, at_s = (schedule.alpha(u) ** 2 * VARIANCE + schedule.sigma(u) ** 2 for u in (t, s))
    return at_s - (schedule.alpha(t) / schedule.alpha(s) * at_s) ** 2 / at_t


def bounds(t, s, schedule):
    gone = 1 - math.exp(schedule.log_snr(t) - schedule.log_snr(s))
    return schedule.sigma(t) ** 2 * gone, schedule.sigma(s) ** 2 * gone


def with_v(schedule, v, head=md.heads.X0):
    """The exact mean, and this v(t)."""

    def net(x, t, cond):
        x_t = x * (schedule.alpha(t.double()) ** 2 + schedule.sigma(t.double()) ** 2).sqrt()[:, None]
        x0 = guess(x_t, t, schedule)
        output = head.target(x0, md.to_eps(x0, x_t, t, schedule), t, schedule)
        return torch.cat([output, (2 * v(t.double()) - 1)[:, None].expand_as(output)], dim=1)

    return LearnedVariance(net, schedule, head)


def constant(v):
    return lambda t: torch.full_like(t, v)


def moments(count=2000):
    """x0 and eps whose second moments are exactly those of N(0, VARIANCE) and N(0, 1), so that means are exact."""
    x0, eps = torch.randn(2, count, 1, dtype=T64, generator=torch.Generator().manual_seed(0))
    x0 = x0 - x0.mean()
    x0 = x0 / x0.square().mean().sqrt()
    eps = eps - eps.mean() - (eps * x0).mean() * x0
    return x0 * math.sqrt(VARIANCE), eps / eps.square().mean().sqrt()


@pytest.mark.parametrize("v", [0.0, 0.3, 1.0])
def test_the_variance_is_equation_15_at_the_grid_points(v):
    betas = np.linspace(1e-4, 0.02, 1000)
    bar = np.cumprod(1 - betas)
    schedule, T = md.schedule.linear(), 1000
    denoiser, x = with_v(schedule, constant(v)), torch.zeros(1, 1, dtype=T64)
    for i in (1000, 400, 2):  # beta_t, and below eq. 7 of Ho et al.: beta_tilde
        beta, tilde = betas[i - 1], (1 - bar[i - 2]) / (1 - bar[i - 1]) * betas[i - 1]
        by_hand = v * math.log(beta) + (1 - v) * math.log(tilde)
        t, s = schedule.at(i / T), schedule.at((i - 1) / T)
        x_s, _ = denoiser.ancestral(denoiser, x, t, s, torch.ones_like)  # the mean is 0 there
        assert 2 * math.log(x_s.item()) == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("schedule", [COSINE, FLOW, md.schedule.ve()], ids=lambda schedule: schedule.name)
def test_the_bound_is_the_divergence_of_the_two_gaussians(schedule):
    x0, eps = torch.randn(2, 4, 3, dtype=T64, generator=torch.Generator().manual_seed(1))
    steps, v = 8, 0.4
    denoiser = with_v(schedule, constant(v))
    i = torch.tensor([2, 3, 5, 8])
    _, bound = hybrid_terms(denoiser, x0, i, eps, steps)
    for item, number in enumerate(i.tolist()):
        t, s = number / steps, (number - 1) / steps
        x_t = md.diffuse(x0[item : item + 1], t, eps[item : item + 1], schedule)
        x0_hat = guess(x_t, torch.tensor([t]), schedule)
        (true_mean, true_std), (mean, _) = (md.posterior(x_t, x, t, s, schedule) for x in (x0[item : item + 1], x0_hat))
        beta, tilde = bounds(t, s, schedule)
        std = math.sqrt(beta**v * tilde ** (1 - v))
        p, q = torch.distributions.Normal(mean, std), torch.distributions.Normal(true_mean, true_std)
        assert bound[item].item() == pytest.approx(torch.distributions.kl_divergence(q, p).mean().item(), rel=1e-6)


def test_the_last_step_is_scored_by_its_density_at_x0():
    x0, eps = torch.randn(2, 3, 2, dtype=T64, generator=torch.Generator().manual_seed(2))
    _, bound = hybrid_terms(with_v(COSINE, constant(0.7)), x0, torch.ones(3, dtype=torch.long), eps, 10)
    x_t = md.diffuse(x0, 0.1, eps, COSINE)
    p = torch.distributions.Normal(guess(x_t, torch.full((3,), 0.1), COSINE), math.sqrt(bounds(0.1, 0.0, COSINE)[0]))
    torch.testing.assert_close(bound, -p.log_prob(x0).mean(1), rtol=1e-6, atol=0)


@pytest.mark.parametrize("number", [2, 5, 8])
def test_the_least_bound_is_at_the_exact_variance(number):
    x0, eps = moments()
    steps, t, s = 8, number / 8, (number - 1) / 8
    beta, tilde = bounds(t, s, COSINE)
    exact = exact_variance(t, s, COSINE)
    assert tilde < exact < beta  # data between one point and pure noise
    best = math.log(exact / tilde) / math.log(beta / tilde)
    i = torch.full((len(x0),), number)

    def bound(v):
        return hybrid_terms(with_v(COSINE, constant(v)), x0, i, eps, steps)[1].mean().item()

    # what is left at the best v is what x_t cannot say of x_s: (1/2) log(exact / beta_tilde)
    assert bound(best) == pytest.approx(0.5 * math.log(exact / tilde), rel=1e-5)
    assert bound(best) < min(bound(best - 0.02), bound(best + 0.02))


def test_with_the_exact_variance_few_steps_keep_the_law():
    # every step is affine in x_t and z, so the variance of the end follows from two walks
    times = [1.0, 0.6, 0.3, 0.05]

    def v(t):
        s = torch.tensor([times[times.index(round(one, 6)) + 1] for one in t.tolist()], dtype=T64)
        pairs = [(*bounds(a, b, FLOW), exact_variance(a, b, FLOW)) for a, b in zip(t.tolist(), s.tolist(), strict=True)]
        return torch.tensor([math.log(exact / tilde) / math.log(beta / tilde) for beta, tilde, exact in pairs])

    denoiser = with_v(FLOW, lambda t: v((t * 1e6).round() / 1e6))

    def end(method):
        variance = 1.0  # of x_1
        for t, s in zip(map(FLOW.at, times), map(FLOW.at, times[1:]), strict=False):
            one = torch.tensor([[1.0], [0.0]], dtype=T64)
            x_s, _ = method(denoiser, one, t, s, lambda like: one.flip(0))  # noqa: B023
            variance = x_s[0].item() ** 2 * variance + x_s[1].item() ** 2
        return variance

    exact = FLOW.alpha(0.05) ** 2 * VARIANCE + FLOW.sigma(0.05) ** 2
    assert end(denoiser.ancestral) == pytest.approx(exact, rel=1e-5)

    def ddpm(denoise, x_t, t, s, noise):
        return md.samplers.ddpm(lambda x, time: guess(x, torch.full((2,), time), FLOW), x_t, t, s, noise)

    assert end(ddpm) < 0.8 * exact  # beta_tilde is too little when steps are few


def test_the_mean_learns_from_one_loss_and_v_from_the_other():
    net = md.nets.MLP(2, width=8, depth=1, answers=2)
    denoiser = LearnedVariance(net, COSINE, md.heads.EPS)
    x0, eps = torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(3))
    simple, bound = hybrid_terms(denoiser, x0, torch.arange(2, 7), eps, 10)
    row = net.last[1].weight
    for loss, own, other in ((simple, slice(0, 2), slice(2, 4)), (bound, slice(2, 4), slice(0, 2))):
        (gradient,) = torch.autograd.grad(loss.sum(), row, retain_graph=True)
        assert (gradient[other] == 0).all() and (gradient[own] != 0).any()


def test_the_hybrid_loss_is_its_two_terms():
    x0, eps = torch.randn(2, 4, 2, dtype=T64, generator=torch.Generator().manual_seed(4))
    denoiser, t = with_v(COSINE, constant(0.5)), torch.tensor([0.02, 0.051, 0.099, 1.0])
    loss = hybrid_loss(20)(denoiser, x0, t, eps)
    # step i leads from i / 20 to (i - 1) / 20
    simple, bound = hybrid_terms(denoiser, x0, torch.tensor([1, 2, 2, 20]), eps, 20)
    # Nichol and Dhariwal 2021, eq. 16, lambda = 0.001; L_vlb is a sum over the steps, 20 times the mean of one
    torch.testing.assert_close(loss, simple + 0.001 * 20 * bound)


def test_a_network_draws_and_trains_with_it():
    net = md.nets.UNet(1, (16, 32), (1, 1), classes=3, answers=2)
    denoiser = LearnedVariance(net, COSINE, md.heads.V)
    x0, labels = torch.zeros(4, 1, 8, 8), torch.tensor([0, 1, 2, 2])
    for step in md.fit(denoiser, (x0, labels), 2, batch_size=4, loss=hybrid_loss(100), precision="float32"):
        assert math.isfinite(step.loss) and step.gradient_norm > 0
    x_1 = md.prior(x0.shape, COSINE, torch.Generator().manual_seed(0))
    for method in (denoiser.ancestral, "ddim"):  # and it is a denoiser like any other
        x = md.sample(denoiser, x_1, steps=3, method=method, cond=labels, generator=torch.Generator().manual_seed(0))
        assert x.shape == x_1.shape and x.isfinite().all()


def test_the_last_step_adds_nothing():
    denoiser, x_t = with_v(COSINE, constant(0.5)), torch.ones(3, 1, dtype=T64)
    x_0 = md.sample(denoiser, x_t, times=[0.4, 0.0], method=denoiser.ancestral)
    torch.testing.assert_close(x_0, guess(x_t, torch.full((3,), 0.4), COSINE))


def test_what_wraps_it_reaches_its_own_step():
    # without noise in the last step, x_0 is x0_hat itself, so that clipping and guidance can be seen in it
    denoiser, x_t = with_v(COSINE, constant(0.5)), torch.full((3, 1), 4.0, dtype=T64)
    plain = md.sample(denoiser, x_t, times=[0.4, 0.0], method=denoiser.ancestral)
    assert plain.min() > 0.3
    clipped = md.guidance.clipped(denoiser, -0.2, 0.2)
    held = md.sample(clipped, x_t, times=[0.4, 0.0], method=denoiser.ancestral)
    torch.testing.assert_close(held, torch.full_like(held, 0.2))
    x_s = md.sample(clipped, x_t, times=[0.8, 0.4], method=partial(denoiser.ancestral, noise=torch.zeros_like))
    mean, _ = md.posterior(x_t, torch.full_like(x_t, 0.2), 0.8, 0.4, COSINE)
    torch.testing.assert_close(x_s, mean)


def test_guidance_reaches_its_own_step_and_v_is_that_of_the_condition():
    def net(x, t, cond):  # the condition is both x0 and v; without one both are 0
        told = torch.zeros_like(x) if cond is None else cond.expand_as(x)
        return torch.cat([told, 2 * told - 1], dim=1)

    denoiser = LearnedVariance(net, COSINE, md.heads.X0)
    guided, x_t = md.guidance.classifier_free(denoiser, 2.0), torch.zeros(2, 1, dtype=T64)
    cond = torch.tensor([[0.25], [0.5]], dtype=T64)
    step = partial(denoiser.ancestral, noise=torch.zeros_like)
    mean = md.sample(guided, x_t, times=[0.8, 0.4], method=step, cond=cond)
    torch.testing.assert_close(mean, md.posterior(x_t, 2 * cond, 0.8, 0.4, COSINE)[0])
    guided(x_t, 0.8, cond)
    torch.testing.assert_close(denoiser.v, cond)


def test_a_denoiser_that_was_not_called_has_no_variance():
    learned, other, x_t = with_v(COSINE, constant(0.5)), with_v(COSINE, constant(0.5)), torch.ones(3, 1, dtype=T64)
    learned(x_t, 0.4)
    md.sample(learned, x_t, times=[0.8, 0.4], method=learned.ancestral)
    with pytest.raises(ValueError, match="denoise must be this denoiser, or made from it"):
        md.sample(other, x_t, times=[0.8, 0.4], method=learned.ancestral)


def test_it_can_be_copied_and_trained_after_a_call_with_gradients():
    denoiser = LearnedVariance(md.nets.MLP(2, width=8, depth=1, answers=2), COSINE, md.heads.EPS)
    md.denoising_loss(denoiser, torch.ones(4, 2)).backward()
    (step,) = md.fit(denoiser, torch.ones(4, 2), 1, loss=hybrid_loss(10), precision="float32")
    assert math.isfinite(step.loss)


def test_one_answer_is_too_few():
    denoiser = LearnedVariance(md.nets.MLP(2, width=8, depth=1), COSINE, md.heads.V)
    with pytest.raises(
        ValueError, match=r"net must give the shape of x, \(3, 4\), got a torch.float32 tensor of shape \(3, 2\)"
    ):
        denoiser(torch.zeros(3, 2), 0.5)


@pytest.mark.parametrize("steps", [0, -1, 2.0, True, None])
def test_bad_steps_are_named(unchecked, steps):
    with pytest.raises(ValueError, match="steps must be a whole number of at least 1"):
        hybrid_loss(steps)
