"""What the samplers draw, as a law: exactly, on a Gaussian, for every schedule, head and method.

With a Gaussian's denoiser each step is affine in x_t and in its noise z. One walk of a few rows says all: one from
x_1 = 0 without noise, one from x_1 = 1, and one row for each draw, which alone has z = 1 there. So

    x_0 = a x_1 + b + sum_j c_j z_j,    mean a m_1 + b,    variance a^2 v_1 + sum_j c_j^2

and no random number is drawn. x_1 has the exact law at t = 1, or where alpha(1) > 0 the prior's error would be left.
"""

import functools
import inspect
import math

import pytest
import torch

import minidiffusion as md
from minidiffusion.heads import HEADS
from minidiffusion.samplers import METHODS, karras

pytestmark = pytest.mark.usefixtures("unchecked")  # the checks of shapes would take most of the time here

NAMED = {name: make() for name, make in md.schedule.NAMED.items()}
SCHEDULES = NAMED | {
    "zero_terminal_snr": md.schedule.zero_terminal_snr(NAMED["linear"]),
    "shifted": md.schedule.shifted(NAMED["cosine"], 2.0),
    "learned": md.objectives.LearnedSchedule(9.0, -8.0, torch.linspace(-1, 1, 8).tolist()),
}
# the data: two coordinates without correlation, neither centred nor of unit variance
MEAN, VARIANCE = torch.tensor([0.7, -0.4], dtype=torch.float64), torch.tensor([0.3, 2.0], dtype=torch.float64)
WITH_A_MEAN = [method for method in METHODS if method != "consistency"]  # which asks for an end, not for a mean
ORDERS = dict.fromkeys(WITH_A_MEAN, 1) | {"heun": 2, "dpmpp_2m": 2, "unipc": 3}
ERRORS = {1: 0.22, 2: 0.015, 3: 0.005}  # of the variance, relative, after 48 steps, langevin 192
OPTIONS = {method: {} for method in METHODS} | {"ddim": {"eta": 0.5}, "edm_churn": {"eta": 0.5}}


class OneRowEach:
    """Noise number j is 1 in a row of its own, and 0 in all others."""

    drawn = 0

    def __call__(self, like):
        z = torch.zeros_like(like)
        z[2 + self.drawn] = 1
        self.drawn += 1
        return z


def with_noise(method, noise):
    """The step of this method, with this noise if it takes any."""
    takes = "noise" in inspect.signature(METHODS[method]).parameters
    return functools.partial(METHODS[method], noise=noise) if takes else METHODS[method]


def coefficients(denoise, schedule, method, times, options):
    """a, b and the c_j of both coordinates, as the rows of one tensor."""
    step = with_noise(method, OneRowEach())
    x_1 = torch.zeros(2 + 10 * len(times), 2, dtype=torch.float64)  # no method draws more often than langevin
    x_1[1] = 1
    b, *rest = md.sample(denoise, x_1, schedule, times=times, method=step, **options)
    return torch.stack([rest[0] - b, b, *(c - b for c in rest[1:])])


def law_at(schedule, t):
    """Mean and variance of x_t."""
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    return alpha * MEAN, alpha**2 * VARIANCE + sigma**2


def end_law(coefficients, schedule):
    """Mean and variance of the walk's end, if x_1 has the law of t = 1."""
    (a, b, *c), (m_1, v_1) = coefficients, law_at(schedule, 1.0)
    return a * m_1 + b, a**2 * v_1 + torch.stack(c).square().sum(0)


@functools.cache
def gaussian(name):
    """E[x0 | x_t] for the data above, written out; and alpha and sigma, read once at each t."""
    scales = functools.cache(lambda t: (SCHEDULES[name].alpha(t), SCHEDULES[name].sigma(t)))

    def denoise(x_t, t):
        alpha, sigma = scales(t)
        return MEAN + alpha * VARIANCE / (alpha**2 * VARIANCE + sigma**2) * (x_t - alpha * MEAN)

    return denoise, scales


def through(head, name):
    """The same denoiser, by way of what a network with this head would say."""
    guess, scales = gaussian(name)

    def net(x, t, exact_t):
        alpha, sigma = scales(exact_t)
        x_t = x * math.hypot(head.data_std * alpha, sigma)  # the network sees it scaled
        x0 = guess(x_t, exact_t)
        return head.target(x0, (x_t - alpha * x0) / sigma, exact_t, SCHEDULES[name])

    denoiser = md.Denoiser(net, SCHEDULES[name], head)
    return lambda x_t, t: denoiser(x_t, t, cond=t)  # the time again, for net would hear it in float32


@functools.cache
def by_itself(name, method, steps):
    """The coefficients of a walk from t = 1 to 0 with the denoiser as it is."""
    schedule = SCHEDULES[name]
    return coefficients(gaussian(name)[0], schedule, method, karras(schedule, steps), OPTIONS[method])


def error(name, method, steps):
    """Of the variance at t = 0, relative. The mean has none."""
    schedule = SCHEDULES[name]
    (mean, variance), (exact_mean, exact) = end_law(by_itself(name, method, steps), schedule), law_at(schedule, 0.0)
    torch.testing.assert_close(mean, exact_mean, rtol=0, atol=1e-9)
    return (variance / exact - 1).abs().max().item()


@pytest.mark.parametrize("method", WITH_A_MEAN)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_head_and_method_gives_a_gaussian_its_law(name, head, method):
    schedule, order = SCHEDULES[name], ORDERS[method]

    def walk():
        return coefficients(through(HEADS[head], name), schedule, method, karras(schedule, 4), OPTIONS[method])

    if head in ("eps", "score") and schedule.alpha(1.0) == 0:
        with pytest.raises(ValueError, match="alpha = 0: .* use V, X0 or FLOW"):
            walk()
        return
    # coefficient by coefficient the walk of the denoiser itself, and so its law at any number of steps
    torch.testing.assert_close(walk(), by_itself(name, method, 4), rtol=0, atol=1e-8)
    steps = 96 if method == "langevin" else 24  # it needs more levels before its order shows
    few, many = error(name, method, steps), error(name, method, 2 * steps)
    assert many < few / 2 ** (order - 0.25) and many < ERRORS[order], (few, many)


def test_langevins_own_error_is_that_of_its_step():
    # x <- (1 - step / v) x + sqrt(2 step) z comes to rest at v / (1 - step / (2 v)), and not at the true variance v
    level, rounds = NAMED["flow"].at(0.4), 120
    step = 2 * (0.2 * level.sigma) ** 2
    (_, v), noise = law_at(SCHEDULES["flow"], 0.4), OneRowEach()
    x = torch.zeros(2 + 10 * rounds, 2, dtype=torch.float64)
    for _ in range(rounds):  # from a level to itself the signal does not grow
        x, _ = METHODS["langevin"](gaussian("flow")[0], x, level, level, noise)
    rest = (x[2:] - x[0]).square().sum(0)
    torch.testing.assert_close(rest, v / (1 - step / (2 * v)), rtol=1e-4, atol=0)
