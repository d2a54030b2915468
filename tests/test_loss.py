"""The weightings against the table in loss.py, and that a seed means one number."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

import minidiffusion as md
from minidiffusion.heads import EPS, HEADS, X0, F, V
from minidiffusion.objectives import WEIGHTINGS, draw_times, loss_per_item
from minidiffusion.schedule import variance_preserving

COSINE = md.schedule.cosine()


def off_by(delta, x0, schedule, head):
    """A denoiser whose x0_hat is exactly x0 + delta, whatever it is asked: it says so in its head's terms."""

    def net(x, t, cond):
        alpha, sigma = (curve(t.double())[:, None] for curve in (schedule.alpha, schedule.sigma))
        x_t = x * ((head.data_std * alpha) ** 2 + sigma**2).sqrt()
        return head.target(x0 + delta, md.to_eps(x0 + delta, x_t, t, schedule), t, schedule)

    return md.Denoiser(net, schedule, head)


def documented_weight(weighting, head, t, schedule):
    """w(t) of the table in loss.py, with the gains of the table in heads.py, and a slope by central differences."""
    alpha, sigma, h = schedule.alpha(t), schedule.sigma(t), 1e-5
    snr, slope = alpha**2 / sigma**2, -(schedule.log_snr(t + h) - schedule.log_snr(t - h)) / (2 * h)
    gain = {
        "eps": alpha / sigma,
        "x0": 1.0,
        "v": (alpha**2 + sigma**2) / sigma,
        "score": alpha / sigma**2,
        "flow": (alpha + sigma) / sigma,
        "F": math.sqrt(snr + 4),
    }[head]
    return {
        "uniform": gain**2,
        "constant": 1.0,
        "snr": snr,
        "snr_plus_one": snr + 1,
        "truncated_snr": max(snr, 1.0),
        "min_snr": min(snr, 5.0),
        "p2": snr / (1 + snr),
        "edm": (snr + 4) * scipy.stats.norm.pdf(math.log(sigma / alpha), -1.2, 1.2) * slope / 2,
        "elbo": snr * slope / 2,
    }[weighting]


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("name", HEADS)
def test_the_loss_is_the_documented_weight_times_the_error_of_x0(name, weighting, schedule):
    # times that float32 holds exactly, where the network hears what the loss knows; between the betas' corners
    t = torch.tensor([0.0625, 0.2578125, 0.501953125, 0.751953125, 0.9375])
    x0, eps = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    delta = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
    losses = loss_per_item(off_by(delta, x0, schedule, HEADS[name]), x0, t, eps, weighting)
    for i, one in enumerate(t.tolist()):
        weight = documented_weight(weighting, name, one, schedule)
        assert losses[i].item() == pytest.approx(weight * (delta**2).mean().item(), rel=2e-5)


@pytest.mark.parametrize("name", ["linear", "cosine", "flow", "ve"])
def test_edm_draws_its_own_noise_levels_and_the_bound_does_not_care(name):
    # a weighting with a slope, integrated over t, is an integral over noise levels, whatever the schedule's curve
    schedule, n = md.schedule.NAMED[name](), 40_000
    t = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    snr, slope = schedule.log_snr(t).exp(), -schedule.log_snr_slope(t)

    def error(log_snr):  # some error of x0_hat, as a function of the noise level
        return 1 / (1 + torch.as_tensor(log_snr).exp())

    got = (WEIGHTINGS["edm"](snr, slope) * error(schedule.log_snr(t))).mean().item()
    # Karras et al. 2022, eq. 8: log_sigma from N(-1.2, 1.2^2), lambda = (sigma^2 + 0.5^2) / (0.5 sigma)^2
    s = np.linspace(-1.2 - 8 * 1.2, -1.2 + 8 * 1.2, 20_001)
    lam = (np.exp(2 * s) + 0.25) / (0.25 * np.exp(2 * s))
    edm = np.trapezoid(scipy.stats.norm.pdf(s, -1.2, 1.2) * lam * error(-2 * s).numpy(), s)
    assert got == pytest.approx(edm, rel=2e-3 if name != "ve" else 2e-2)  # ve stops at sigma = 0.002 and 80

    # Kingma et al. 2021, eq. 18: half the integral of the error over snr, between the ends
    inside = (t > 0.1) & (t < 0.9)
    got = (WEIGHTINGS["elbo"](snr, slope) * error(schedule.log_snr(t)))[inside].sum().item() / n
    high, low = math.exp(schedule.log_snr(0.1)), math.exp(schedule.log_snr(0.9))
    assert got == pytest.approx(0.5 * (math.log1p(high) - math.log1p(low)), rel=1e-4)  # of 1 / (1 + snr)


def test_a_head_with_uniform_is_another_weighting(schedule):
    # gain^2: eps is snr, v is snr + 1 where alpha^2 + sigma^2 = 1, F is EDM's lambda = snr + 1 / 0.5^2
    t = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    snr, x = schedule.log_snr(t).exp(), torch.zeros(3, 1)
    torch.testing.assert_close(F.gain(t, x, schedule)[:, 0] ** 2, snr + 4, rtol=1e-9, atol=0)
    torch.testing.assert_close(EPS.gain(t, x, schedule)[:, 0] ** 2, snr, rtol=1e-9, atol=0)
    if schedule.scales is variance_preserving:
        torch.testing.assert_close(V.gain(t, x, schedule)[:, 0] ** 2, snr + 1, rtol=1e-9, atol=0)


def test_eps_with_uniform_and_x0_with_snr_are_one_number(schedule):
    t = torch.tensor([0.0625, 0.25, 0.5, 0.75, 0.9375])
    x0, eps = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    # Ho et al. 2020, eq. 14 is a weighted error of x0
    l_simple = loss_per_item(off_by(0.3, x0, schedule, EPS), x0, t, eps, "uniform")
    weighted = loss_per_item(off_by(0.3, x0, schedule, X0), x0, t, eps, "snr")
    torch.testing.assert_close(l_simple, weighted, rtol=1e-6, atol=0)


def test_min_snr_clamps_from_above():
    # Hang et al. 2023, eq. 8, gamma = 5: nothing counts more than 5, what counts less stays
    x0 = torch.zeros(3, 1, dtype=torch.float64)
    flow = md.schedule.flow()
    t = torch.tensor([0.0625, 0.5, 0.75])  # snr 225, 1 and 1/9
    losses = loss_per_item(off_by(1.0, x0, flow, X0), x0, t, x0, "min_snr")
    assert losses.tolist() == pytest.approx([5.0, 1.0, 1 / 9], rel=1e-6)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("name", ["v", "x0", "flow", "F"])
def test_pure_noise_has_a_finite_loss(name, weighting):
    x0 = torch.ones(2, 3)
    denoiser = md.Denoiser(lambda x, t, cond: 0 * x, md.schedule.flow(), HEADS[name])
    losses = loss_per_item(denoiser, x0, torch.tensor([0.5, 1.0]), -x0, weighting)
    assert losses.isfinite().all()
    if weighting in ("snr", "min_snr"):
        assert losses[1] == 0  # there is nothing to learn from it


def test_the_least_loss_is_that_of_the_oracle():
    # data N(0, 1) and x0_hat = c x_t: E|c x_t - x0|^2 = (c - alpha)^2 + sigma^2, least at the exact c = alpha
    schedule, t = COSINE, torch.full((4096,), 0.5)
    x0, eps = torch.randn(2, 4096, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    # moments made exact, so that the minimum is where the formula says and not near it
    x0, eps = x0 - x0.mean(), eps - eps.mean()
    x0 = x0 / x0.square().mean().sqrt()
    eps = eps - (eps * x0).mean() * x0
    eps = eps / eps.square().mean().sqrt()
    alpha, sigma = schedule.alpha(0.5), schedule.sigma(0.5)

    def loss(c):
        return loss_per_item(
            md.Denoiser(lambda x, t, cond: c * x, schedule, X0), x0, t, eps, "constant"
        ).mean().item()  # fmt: skip

    assert loss(alpha) == pytest.approx(sigma**2, rel=1e-6)  # E|x0 - E[x0|x_t]|^2 of unit normals
    assert loss(alpha + 0.1) == pytest.approx(sigma**2 + 0.1**2, rel=1e-6)
    assert loss(alpha - 0.1) == pytest.approx(sigma**2 + 0.1**2, rel=1e-6)


# What is drawn


def test_times_lie_one_in_each_bin(global_rng_untouched):
    for count in (1, 7, 1000):
        t = draw_times(count, torch.Generator().manual_seed(0))
        assert t.shape == (count,) and t.dtype == torch.float32 and (t > 0).all() and (t <= 1).all()
        assert torch.equal((t * count).ceil().clamp(min=1).long() - 1, torch.arange(count))
    assert not torch.equal(draw_times(9, torch.Generator().manual_seed(1)), t[:9])


def test_times_are_uniform():
    t = torch.stack([draw_times(4, torch.Generator().manual_seed(seed)) for seed in range(2000)]).double()
    within = t * 4 - torch.arange(4)  # uniform in [0, 1] if the times are: mean 1/2, variance 1/12
    # 5 standard errors, of the mean and of the variance (whose fourth moment is 1/180): red 6e-7 of the time
    assert abs(within.mean() - 0.5) < 5 * math.sqrt(1 / 12 / 8000)
    assert abs(within.var() - 1 / 12) < 5 * math.sqrt(1 / 180 / 8000)


def test_a_seed_is_one_loss_and_the_global_generator_is_left_alone(global_rng_untouched):
    denoiser = md.Denoiser(lambda x, t, cond: 0.5 * x, COSINE, V)
    x0 = torch.linspace(-1, 1, 24).view(6, 4)
    loss = [md.denoising_loss(denoiser, x0, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert loss[0].shape == () and torch.equal(loss[0], loss[1]) and not torch.equal(loss[0], loss[2])


def test_the_loss_is_the_mean_over_the_batch():
    # a network that says 0 under the x0 head is wrong by x0, at any time and noise
    x0 = torch.linspace(-1, 1, 24).view(6, 4)
    denoiser = md.Denoiser(lambda x, t, cond: torch.zeros_like(x), COSINE, X0)
    loss = md.denoising_loss(denoiser, x0, "constant", generator=torch.Generator().manual_seed(0))
    assert loss.item() == pytest.approx(x0.square().mean().item(), rel=1e-5)


def test_the_condition_reaches_the_network():
    seen = []
    denoiser = md.Denoiser(lambda x, t, cond: seen.append(cond) or x, COSINE, X0)
    md.denoising_loss(denoiser, torch.zeros(2, 2), cond="a label", generator=torch.Generator().manual_seed(0))
    assert seen == ["a label"]


# Errors


@pytest.mark.parametrize("bad", ["p3", "", None, 3])
def test_a_bad_weighting_is_named(unchecked, bad):
    denoiser = md.Denoiser(lambda x, t, cond: x, COSINE, V)
    with pytest.raises(ValueError, match=r"weighting must be one of uniform, "):
        md.denoising_loss(denoiser, torch.zeros(2, 2), bad)


@given(
    head=st.sampled_from(list(HEADS.values())),
    name=st.sampled_from(list(md.schedule.NAMED)),
    weighting=st.sampled_from([*WEIGHTINGS, "none"]),
    shape=st.lists(st.integers(1, 3), min_size=2, max_size=4),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64]),
    seed=st.integers(0, 1000),
)
def test_a_loss_is_finite_or_names_an_argument(head, name, weighting, shape, dtype, seed):
    denoiser = md.Denoiser(lambda x, t, cond: 0.5 * x, md.schedule.NAMED[name](), head)
    x0 = torch.linspace(-1, 1, math.prod(shape)).view(shape).to(dtype)
    try:
        loss = md.denoising_loss(denoiser, x0, weighting, generator=torch.Generator().manual_seed(seed))
    except (ValueError, TypeError) as error:
        assert "weighting must" in str(error) or "x0" in str(error)
        assert weighting == "none" or not dtype.is_floating_point
    else:
        assert loss.shape == () and loss.isfinite() and loss >= 0
