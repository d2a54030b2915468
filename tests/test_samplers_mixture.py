"""Samples of a mixture before two judges: those of the samplers pass, those of a sampler 5% too loud fail."""

import pytest
import torch

import minidiffusion as md
from minidiffusion.samplers import METHODS, Walk, karras

pytestmark = pytest.mark.usefixtures("unchecked")  # the checks of shapes would take most of the time here
COSINE = md.schedule.cosine()

# A mixture of two in 32 dimensions, one twice as wide as the other: too much noise on the way, and too many points
# take the wide one for their own
CENTRES = torch.zeros(2, 32)
CENTRES[:, 0] = torch.tensor([2.0, -2.0])
WEIGHTS, WIDTHS = torch.tensor([0.6, 0.4]), torch.tensor([0.3, 0.6])
TWO = md.oracle.mixture(WEIGHTS, CENTRES, WIDTHS[:, None, None] ** 2 * torch.eye(32), COSINE)


def fast(x_t, t):
    """E[x0 | x_t] of TWO, by its radii alone: a tenth of the oracle's time."""
    alpha, sigma = COSINE.alpha(t), COSINE.sigma(t)
    variance = alpha**2 * WIDTHS**2 + sigma**2
    squared = x_t.square().sum(1, keepdim=True) - 2 * alpha * x_t @ CENTRES.T + alpha**2 * CENTRES.square().sum(1)
    p = (WEIGHTS.log() - 0.5 * squared / variance - 16 * variance.log()).softmax(1)
    pull = alpha * WIDTHS**2 / variance  # towards x_t / alpha, from the centre
    return (p * (1 - alpha * pull)) @ CENTRES + (p @ pull)[:, None] * x_t


def test_the_fast_denoiser_is_the_oracle():
    g = torch.Generator().manual_seed(0)
    for t in (0.01, 0.3, 0.6, 0.99):
        x_t = md.diffuse(TWO.sample(50, g), t, torch.randn(50, 32, generator=g), COSINE)
        torch.testing.assert_close(fast(x_t, t), TWO(x_t, t), rtol=0, atol=2e-4)


class TooLoud(Walk):
    def noise(self, like):
        return 1.05 * super().noise(like)


# ddpm stands for its other names too. So many steps that 2,500 samples do not show the bias of the first order
@pytest.mark.parametrize(
    "method, eta, steps", [("ddpm", 0.0, 1000), ("edm_churn", 1.0, 100), ("predictor_corrector", 0.0, 400)]
)
def test_samples_of_a_mixture_pass_and_those_of_a_louder_sampler_fail(method, eta, steps):
    # Both p-values are uniform for an exact sampler, so a fresh seed would fail by chance in 1% of the tests
    false_alarms = 0.005

    def p_values(walk):
        def step(denoise, x_t, t, s, _):
            return METHODS[method](denoise, x_t, t, s, walk)

        x_1 = md.prior((2500, 32), COSINE, walk.generator)
        x_0 = md.sample(fast, x_1, COSINE, times=karras(COSINE, steps, 0.02, 20.0), method=step)
        exact = TWO.sample(1500, walk.generator)
        closeness = md.metrics.mmd(x_0[:1500], exact, bandwidth=0.6, permutations=249, generator=walk.generator).p
        return closeness, md.metrics.mode_mass(x_0, CENTRES, WEIGHTS).p

    assert min(p_values(Walk(COSINE, eta, torch.Generator().manual_seed(0)))) > false_alarms
    assert max(p_values(TooLoud(COSINE, eta, torch.Generator().manual_seed(0)))) < false_alarms
