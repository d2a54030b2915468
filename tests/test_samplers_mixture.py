"""Samples of a mixture before two judges: those of the samplers pass, those of a sampler 5% too loud fail."""

from functools import partial

import pytest
import torch

import minidiffusion as md
from minidiffusion.samplers import METHODS, karras

pytestmark = pytest.mark.usefixtures("unchecked")  # the checks of shapes would take most of the time here
COSINE = md.schedule.cosine()

WEIGHTS, WIDTHS = torch.tensor([0.6, 0.4]), torch.tensor([0.3, 0.6])


class Two:
    """A mixture of two, one twice as wide as the other: too much noise on the way, and too many points take the wide
    one for their own. In 32 dimensions that shows best."""

    def __init__(self, dimension=32):
        self.dimension, self.centres = dimension, torch.zeros(2, dimension)
        self.centres[:, 0] = torch.tensor([2.0, -2.0])
        covs = WIDTHS[:, None, None] ** 2 * torch.eye(dimension)
        self.oracle = md.oracle.mixture(WEIGHTS, self.centres, covs, COSINE)

    def __call__(self, x_t, t):
        """E[x0 | x_t], by the radii alone: a tenth of the oracle's time."""
        alpha, sigma, centres = COSINE.alpha(t), COSINE.sigma(t), self.centres
        variance = alpha**2 * WIDTHS**2 + sigma**2
        squared = x_t.square().sum(1, keepdim=True) - 2 * alpha * x_t @ centres.T + alpha**2 * centres.square().sum(1)
        p = (WEIGHTS.log() - 0.5 * squared / variance - 0.5 * self.dimension * variance.log()).softmax(1)
        pull = alpha * WIDTHS**2 / variance  # towards x_t / alpha, from the centre
        return (p * (1 - alpha * pull)) @ centres + (p @ pull)[:, None] * x_t


def test_the_fast_denoiser_is_the_oracle():
    g, two = torch.Generator().manual_seed(0), Two()
    for t in (0.01, 0.3, 0.6, 0.99):
        x_t = md.diffuse(two.oracle.sample(50, g), t, torch.randn(50, 32, generator=g), COSINE)
        torch.testing.assert_close(two(x_t, t), two.oracle(x_t, t), rtol=0, atol=2e-4)


# ddpm stands for its other names too. So many steps that 2,500 samples do not show the bias of the first order;
# langevin, which goes ten rounds at each, would need more than a test has time for in 32 dimensions
@pytest.mark.parametrize(
    "method, options, steps, dimension",
    [
        ("ddpm", {}, 1000, 32),
        ("edm_churn", {"eta": 1.0}, 100, 32),
        ("predictor_corrector", {}, 400, 32),
        pytest.param("langevin", {}, 1000, 8, marks=pytest.mark.slow),  # its law is tested in test_samplers_laws
    ],
)
def test_samples_of_a_mixture_pass_and_those_of_a_louder_sampler_fail(method, options, steps, dimension):
    # Both p-values are uniform for an exact sampler, so a fresh seed would fail by chance in 1% of the tests
    false_alarms, two = 0.005, Two(dimension)

    def p_values(loudness):
        generator = torch.Generator().manual_seed(0)
        noise = partial(METHODS[method], noise=lambda like: loudness * torch.randn(like.shape, generator=generator))
        x_1 = md.prior((2500, dimension), COSINE, generator)
        x_0 = md.sample(two, x_1, COSINE, times=karras(COSINE, steps, 0.02, 20.0), method=noise, **options)
        exact = two.oracle.sample(1500, generator)
        width = 0.6 * (dimension / 32) ** 0.5  # of the kernel: of the size of the distances in a mode
        closeness = md.metrics.mmd(x_0[:1500], exact, bandwidth=width, permutations=249, generator=generator).p
        return closeness, md.metrics.mode_mass(x_0, two.centres, WEIGHTS).p

    assert min(p_values(1.0)) > false_alarms
    assert max(p_values(1.05)) < false_alarms
