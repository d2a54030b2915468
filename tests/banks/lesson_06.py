"""Answers that students give to the exercises of lesson 06."""

import math

import torch
from scipy.optimize import minimize_scalar
from torch.distributions import Normal, kl_divergence

import minidiffusion as md

# ---- 06.1: what a code costs ----


def code_cost(mean, std):
    return (0.5 * (mean**2 + std**2 - 1) - std.log()).sum(1)


def code_cost_torch(mean, std):
    return kl_divergence(Normal(mean, std), Normal(0.0, 1.0)).sum(-1)


def code_cost_log_variance(mean, std):
    log_variance = (std**2).log()
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(dim=1)


def code_cost_loop(mean, std):
    rows = [
        sum((m**2 + s**2 - 1) / 2 - s.log() for m, s in zip(*row, strict=True)) for row in zip(mean, std, strict=True)
    ]
    return torch.stack(rows)


def code_cost_in_place(mean, std):
    std *= std
    return 0.5 * (mean**2 + std - 1 - std.log()).sum(1)


CODE_RIGHT = [code_cost, code_cost_torch, code_cost_log_variance, code_cost_loop]
CODE_WRONG = [
    (lambda mean, std: None, "returns None"),
    (code_cost_in_place, "changes its input std in place"),
    (lambda mean, std: 0.5 * (mean**2 + std**2 - 1) - std.log(), "Sum the rest"),
    (lambda mean, std: code_cost(mean, std).mean(), "one number for the whole batch"),
    (lambda mean, std: (0.5 * (mean**2 + std**2 - 1) - std.log()).sum(0), "summed over the batch"),
    (lambda mean, std: code_cost(mean, std) / mean.shape[1], "that is the mean"),
    (lambda mean, std: -code_cost(mean, std), "never negative"),
    (lambda mean, std: (0.5 * (mean**2 + std**2 - 1) + std.log()).sum(1), "wrong sign"),
    (lambda mean, std: 0.5 * (mean**2 + std**2 - 1 - std.log()).sum(1), "gets no factor 1/2"),
    (lambda mean, std: (0.5 * (mean**2 + std**2 - 1) - (std**2).log()).sum(1), "Subtract half of it"),
    (lambda mean, std: (0.5 * (mean**2 + std**2) - std.log()).sum(1), "the - 1 is missing"),
    (lambda mean, std: (0.5 * (mean**2 + std - 1) - std.log()).sum(1), "square std"),
    (lambda mean, std: (0.5 * (mean + std**2 - 1) - std.log()).sum(1), "square the mean"),
    (lambda mean, std: 0.5 * ((mean**2 + std**2).sum(1) - len(mean)) - std.log().sum(1), "one for each code"),
    (lambda mean, std: code_cost(mean, std) / mean.shape[1] * len(mean), "by the number of codes"),
    (lambda mean, std: 2 * code_cost(mean, std), "1/2 is missing"),
    (lambda mean, std: code_cost(mean, std) / math.log(2), "in bits"),
    (lambda mean, std: kl_divergence(Normal(0.0, 1.0), Normal(mean, std)).sum(1), "The two distributions are swapped"),
    (lambda mean, std: code_cost(mean, std).float(), "keep the type"),
    (lambda mean, std: (0.5 * mean**2).sum(1), "A code with mean 0 and std 1 costs 0"),
    (lambda mean, std: code_cost(mean, std.log().exp().log()), "infinite values or nan"),
]

# ---- 06.2: what a step costs in noise ----


def snr(u, schedule):
    return schedule.alpha(u) ** 2 / schedule.sigma(u) ** 2


def step_cost(eps, eps_hat, t, s, schedule):
    return 0.5 * (snr(s, schedule) / snr(t, schedule) - 1) * (eps - eps_hat).square().flatten(1).sum(1)


def step_cost_log(eps, eps_hat, t, s, schedule):
    gain = math.expm1(schedule.log_snr(s) - schedule.log_snr(t))
    return gain / 2 * torch.stack([((a - b) ** 2).sum() for a, b in zip(eps, eps_hat, strict=True)])


def step_cost_package(eps, eps_hat, t, s, schedule):
    to_x0 = -schedule.sigma(t) / schedule.alpha(t)  # of the clean data under x_t = 0
    matching = md.likelihood.denoising_matching
    return matching(lambda x_t, t: x_t + to_x0 * (eps_hat - eps), 0 * eps, 0 * eps, t, s, schedule)


def step_cost_gaussians(eps, eps_hat, t, s, schedule):
    x_t = torch.zeros_like(eps)
    clean = [-schedule.sigma(t) / schedule.alpha(t) * noise for noise in (eps, eps_hat)]
    gaussians = [Normal(*md.posterior(x_t, x, t, s, schedule)) for x in clean]
    return kl_divergence(*gaussians).flatten(1).sum(1)


def weighted(weight):
    def cost(eps, eps_hat, t, s, schedule):
        return weight(snr(s, schedule), snr(t, schedule)) * (eps - eps_hat).square().flatten(1).sum(1)

    return cost


def summed(total):
    """total(eps - eps_hat) with the right weight."""

    def cost(eps, eps_hat, t, s, schedule):
        return 0.5 * (snr(s, schedule) / snr(t, schedule) - 1) * total(eps - eps_hat)

    return cost


def step_cost_in_place(eps, eps_hat, t, s, schedule):
    eps -= eps_hat
    return 0.5 * (snr(s, schedule) / snr(t, schedule) - 1) * eps.square().flatten(1).sum(1)


STEP_RIGHT = [step_cost, step_cost_log, step_cost_package, step_cost_gaussians]
STEP_WRONG = [
    (lambda eps, eps_hat, t, s, schedule: None, "returns None"),
    (step_cost_in_place, "changes its input eps in place"),
    (weighted(lambda high, low: 0.5 * (1 - high / low)), "never negative"),
    (weighted(lambda high, low: high / low - 1), "1/2 is missing"),
    (weighted(lambda high, low: 0.5 * (low / high - 1)), "upside down"),
    (weighted(lambda high, low: 0.5 * (high - low)), "for errors in x0"),
    (weighted(lambda high, low: 0.5 * (high - low) * low), "do not multiply"),
    (weighted(lambda high, low: 0.5 * (1 - low / high)), "guessed at t"),
    (weighted(lambda high, low: 0.5 * ((high / low) ** 0.5 - 1)), "square both"),
    (weighted(lambda high, low: 0.5 * math.log(high / low)), "a small step only"),
    (weighted(lambda high, low: 0.5 * high / low), "subtract 1"),
    (weighted(lambda high, low: 0.5), "needs a weight"),
    (weighted(lambda high, low: 0.5 * (high / low - 1) / math.log(2)), "in bits"),
    (weighted(lambda high, low: 0.7 * (high / low - 1)), "should cost"),
    (lambda x, y, t, s, schedule: (t - s) / 2 * (x - y).square().flatten(1).sum(1), "the difference of the times"),
    (summed(lambda error: error.square().flatten(1).mean(1)), "Each of them costs: sum"),
    (summed(lambda error: error.flatten(1).norm(dim=1)), "no square root"),
    (summed(lambda error: error.abs().flatten(1).sum(1)), "square the differences"),
    (summed(lambda error: error.flatten(1).sum(1) ** 2), "first square"),
    (summed(lambda error: error.square().sum()), "one number for the whole batch"),
    (summed(lambda error: error.square()), "Sum the rest"),
    (summed(lambda error: error.square().sum(0)), "summed over the batch"),
    (summed(lambda error: error.square().flatten(1).sum(1).float()), "keep the type"),
]

# ---- 06.3: a decoder that allows for its own error ----


def parts(t, s, error, schedule):
    """v, d, and 1 - rho: the variance of the encoder turned round, and what the mean of the decoder is off."""
    lost = 1 - snr(t, schedule) / snr(s, schedule)
    return schedule.sigma(s) ** 2 * lost, (schedule.alpha(s) * lost) ** 2 * error, lost


def wider_bell(t, s, error, schedule):
    v, d, _ = parts(t, s, error, schedule)
    return v + d, 0.5 * math.log(1 + d / v)


def wider_bell_snr(t, s, error, schedule):
    gain = (snr(s, schedule) - snr(t, schedule)) * error
    narrow = schedule.sigma(s) ** 2 * -math.expm1(schedule.log_snr(t) - schedule.log_snr(s))
    return [narrow * (1 + gain), math.log1p(gain) / 2]


def wider_bell_package(t, s, error, schedule):
    one, zero = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    (near, std), (far, _) = (md.posterior(zero, x, t, s, schedule) for x in (zero, one * error**0.5))
    distance = (far - near).square().sum()
    variance = torch.as_tensor(std, dtype=torch.float64).square().sum() + distance
    divergence = kl_divergence(Normal(near, std), Normal(far, variance.sqrt()))
    return variance, divergence.sum()


def bell(variance):
    """variance(v, d, error, lost, alpha, sigma) of the bell, and what a step then costs."""

    def wider(t, s, error, schedule):
        v, d, lost = parts(t, s, error, schedule)
        w = variance(v, d, error, lost, schedule.alpha(s), schedule.sigma(s))
        return w, 0.5 * (math.log(abs(w) / v) + (v + d) / w - 1)

    return wider


def priced(cost):
    """The right variance, and cost(v, d)."""

    def wider(t, s, error, schedule):
        v, d, _ = parts(t, s, error, schedule)
        return v + d, cost(v, d)

    return wider


def wider_bell_searched(t, s, error, schedule):
    v, d, _ = parts(t, s, error, schedule)

    def cost(w):
        return 0.5 * (math.log(w / v) + (v + d) / w - 1)

    found = minimize_scalar(cost, bounds=(v, v + 5 * d), method="bounded")
    return torch.tensor([found.x, found.fun])


BELL_RIGHT = [wider_bell, wider_bell_snr, wider_bell_package, wider_bell_searched]
BELL_WRONG = [
    (lambda t, s, error, schedule: None, "returns None"),
    (lambda t, s, error, schedule: wider_bell(t, s, error, schedule)[0], "return two numbers"),
    (lambda t, s, error, schedule: (*wider_bell(t, s, error, schedule), 0.0), "return two numbers"),
    (lambda t, s, error, schedule: wider_bell(t, s, error, schedule)[::-1], "the variance comes first"),
    (lambda t, s, error, schedule: wider_bell(s, t, error, schedule), "swapped"),
    (lambda t, s, error, schedule: (torch.ones(2), 0.1), "must be one number"),
    (bell(lambda v, d, error, lost, a, sigma: v), "the old bell"),
    (bell(lambda v, d, error, lost, a, sigma: d), "only how far the mean is off"),
    (bell(lambda v, d, error, lost, a, sigma: (v + d) ** 0.5), "Return its square"),
    (bell(lambda v, d, error, lost, a, sigma: (v**0.5 + d**0.5) ** 2), "add the variances"),
    (bell(lambda v, d, error, lost, a, sigma: v + error), "so it shrinks"),
    (bell(lambda v, d, error, lost, a, sigma: v + a**2 * error), "You left out 1 - rho"),
    (bell(lambda v, d, error, lost, a, sigma: v + lost**2 * error), "You left out alpha(s)"),
    (bell(lambda v, d, error, lost, a, sigma: v + a * lost * error), "the square of the factor"),
    (bell(lambda v, d, error, lost, a, sigma: v + (a * lost * error) ** 2), "a squared error already"),
    (bell(lambda v, d, error, lost, a, sigma: sigma**2 + d), "sigma(s)^2 (1 - rho)"),
    (bell(lambda v, d, error, lost, a, sigma: v - d), "not narrower"),
    (bell(lambda v, d, error, lost, a, sigma: v + d / 2), "the whole squared distance"),
    (bell(lambda v, d, error, lost, a, sigma: v + 2 * d), "counts once"),
    (bell(lambda v, d, error, lost, a, sigma: 1.1 * (v + d)), "the best variance is"),
    (priced(lambda v, d: d / (2 * v)), "with the old, narrow bell"),
    (priced(lambda v, d: d / (2 * (v + d))), "has a logarithm"),
    (priced(lambda v, d: math.log(1 + d / v)), "1/2 is missing"),
    (priced(lambda v, d: -0.5 * math.log(1 + d / v)), "never negative"),
    (priced(lambda v, d: 0.5 * math.log2(1 + d / v)), "in bits"),
    (priced(lambda v, d: 0.5 * (math.log(1 + d / v) + 1)), "two equal bells cost nothing"),
    (priced(lambda v, d: 0.5 * (math.log(1 + d / v) - 1)), "you left out a term"),
    (priced(lambda v, d: 0.5 * (math.log(1 + d / v) + v / (v + d) - 1)), "a perfect guess"),
    (priced(lambda v, d: 0.5 * math.log(v + d)), "the ratio of the variances"),
    (priced(lambda v, d: 0.4 * math.log(1 + d / v)), "the step costs"),
]

BANK = {
    "06.1": (CODE_RIGHT, CODE_WRONG),
    "06.2": (STEP_RIGHT, STEP_WRONG),
    "06.3": (BELL_RIGHT, BELL_WRONG),
}
