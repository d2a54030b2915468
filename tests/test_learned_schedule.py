"""The schedule that is learned: still a schedule, and its learning does what the theory says."""

import json
import math

import pytest
import torch

import minidiffusion as md
from minidiffusion.objectives import LearnedSchedule

T64 = torch.float64


def crooked():
    return LearnedSchedule(9.0, -7.0, torch.linspace(-2, 2, 7).tolist())


def test_even_falls_are_a_straight_line():
    schedule, t = LearnedSchedule(10.0, -6.0), torch.linspace(0, 1, 21, dtype=T64)
    torch.testing.assert_close(schedule.log_snr(t), 10 - 16 * t)
    torch.testing.assert_close(schedule.alpha(t) ** 2, torch.sigmoid(10 - 16 * t))  # Kingma et al. 2021, eq. 3
    torch.testing.assert_close(schedule.alpha(t) ** 2 + schedule.sigma(t) ** 2, torch.ones_like(t))


def test_whatever_the_weights_log_snr_falls_and_has_its_inverse():
    schedule, t = crooked(), torch.linspace(0, 1, 501, dtype=T64)
    log_snr = schedule.log_snr(t)
    assert (log_snr.diff() < 0).all()
    assert schedule.log_snr(0.0) == pytest.approx(9) and schedule.log_snr(1.0) == pytest.approx(-7)
    torch.testing.assert_close(schedule.time(log_snr), t)
    h = 1e-6
    inside = t[1:-1] + 3e-4  # between the corners
    slope = (schedule.log_snr(inside + h) - schedule.log_snr(inside - h)) / (2 * h)
    torch.testing.assert_close(schedule.log_snr_slope(inside), slope, rtol=1e-6, atol=0)
    assert schedule.time(20.0) == 0 and schedule.time(-20.0) == 1


def test_the_gradient_reaches_the_weights():
    schedule = crooked()
    t = torch.tensor([0.2, 0.6], dtype=T64)
    for curve in (schedule.alpha, schedule.sigma, schedule.log_snr, schedule.log_snr_slope):
        (gradient,) = torch.autograd.grad(curve(t).sum(), schedule.falls)
        h, index = 1e-3, 2
        change = []
        for sign in (1, -1):
            moved = [f + sign * h * (i == index) for i, f in enumerate(schedule.falls.tolist())]
            other = LearnedSchedule(9.0, -7.0, moved)
            change.append(getattr(other, curve.__name__)(t).sum())
        assert gradient[index].item() == pytest.approx(((change[0] - change[1]) / (2 * h)).item(), rel=1e-3)


def test_it_can_be_written_down_and_read_again():
    schedule = crooked()
    again = md.training.schedule_from(json.loads(json.dumps(schedule.config())))
    assert torch.equal(again.falls, schedule.falls) and again.log_snr(0.3) == schedule.log_snr(0.3)


def test_it_trains_with_the_network_and_follows_the_average():
    denoiser = md.Denoiser(md.nets.MLP(2, width=16, depth=1), crooked(), md.heads.V)
    before = denoiser.schedule.falls.clone()
    data = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    for step in md.fit(denoiser, data, steps=3, weighting="elbo", precision="float32"):
        assert math.isfinite(step.loss)
    assert not torch.equal(denoiser.schedule.falls, before)
    assert not torch.equal(step.ema.schedule.falls, before)
    x_1 = md.prior((4, 2), step.ema.schedule, torch.Generator().manual_seed(0))
    assert md.sample(step.ema, x_1, steps=3).isfinite().all()


def few_steps_bound(schedule, variance, steps):
    """The diffusion term, in nats, of `steps` even steps of t for data N(0, variance) and its exact denoiser.

    Kingma et al. 2021, eq. 13: sum of (snr(s) - snr(t)) / 2 times the error of x0_hat, which for this data is
    variance / (1 + variance snr(t)).
    """
    snr = schedule.log_snr(torch.linspace(0, 1, steps + 1, dtype=T64)).exp()
    return (0.5 * (snr[:-1] - snr[1:]) * variance / (1 + variance * snr[1:])).sum()


def test_learning_finds_the_best_schedule_of_few_steps():
    # each step costs (1/2) (c - 1), c = (1 + variance snr(s)) / (1 + variance snr(t)), and the product of the c is
    # fixed by the ends: by the means' inequality the sum is least when all c are alike
    variance, steps = 0.5, 8
    schedule = LearnedSchedule(6.0, -6.0, [0.0] * steps)
    even = few_steps_bound(schedule, variance, steps).item()
    total = (1 + variance * math.exp(6)) / (1 + variance * math.exp(-6))
    best = 0.5 * steps * (total ** (1 / steps) - 1)
    exact = 0.5 * math.log(total)  # infinitely many steps (eq. 18)
    optimiser = torch.optim.Adam(schedule.parameters(), lr=0.05)
    for _ in range(400):
        optimiser.zero_grad()
        loss = few_steps_bound(schedule, variance, steps)
        loss.backward()
        optimiser.step()
    assert exact < best < even - 0.5
    assert loss.item() == pytest.approx(best, abs=1e-4)


def test_the_continuous_bound_does_not_care():
    # Kingma et al. 2021, sec. 5.1: between the same ends, the integral is the same whatever the curve
    def bound(schedule, n=210_000):  # whole pieces
        t = (torch.arange(n, dtype=T64) + 0.5) / n
        snr = schedule.log_snr(t).exp()
        return (-0.5 * snr * schedule.log_snr_slope(t) * 0.5 / (1 + 0.5 * snr)).mean().item()

    assert bound(LearnedSchedule(9.0, -7.0)) == pytest.approx(bound(crooked()), rel=1e-6)


@pytest.mark.parametrize("ends", [(1.0, 1.0), (-1.0, 1.0), (math.inf, 0.0), (0.0, -math.inf), (math.nan, 0.0)])
def test_bad_ends_are_named(ends):
    with pytest.raises(ValueError, match="start and end must be finite, start above end"):
        LearnedSchedule(*ends)


@pytest.mark.parametrize("falls", [[], [math.nan], [[0.0, 1.0]]])
def test_bad_falls_are_named(unchecked, falls):
    with pytest.raises(ValueError, match="falls must be finite numbers, one or more"):
        LearnedSchedule(falls=falls)
