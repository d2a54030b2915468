"""Answers that students give to the exercises of lesson 06."""

import math

import torch
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

# ---- 06.3: one step up ----


def climb(x_s, eps, s, t, schedule):
    ratio = schedule.alpha(t) / schedule.alpha(s)
    return ratio * x_s + (schedule.sigma(t) ** 2 - ratio**2 * schedule.sigma(s) ** 2) ** 0.5 * eps


def climb_package(x_s, eps, s, t, schedule):
    q = md.likelihood.hvae.forward(x_s, s, t, schedule)
    return q.mean + q.stddev * eps


def climb_snr(x_s, eps, s, t, schedule):
    added = 1 - snr(t, schedule) / snr(s, schedule)
    return schedule.alpha(t) * (x_s / schedule.alpha(s)) + schedule.sigma(t) * math.sqrt(added) * eps


def noised(mix):
    """mix(x_s, eps, r, fresh, alpha_t, sigma_s, sigma_t) with r = alpha_t / alpha_s and the right variance."""

    def climb(x_s, eps, s, t, schedule):
        r = schedule.alpha(t) / schedule.alpha(s)
        fresh = schedule.sigma(t) ** 2 - r**2 * schedule.sigma(s) ** 2
        return mix(x_s, eps, r, fresh, schedule.alpha(t), schedule.sigma(s), schedule.sigma(t))

    return climb


def climb_in_place(x_s, eps, s, t, schedule):
    x_s *= schedule.alpha(t) / schedule.alpha(s)
    return x_s + eps


CLIMB_RIGHT = [climb, climb_package, climb_snr]
CLIMB_WRONG = [
    (lambda x_s, eps, s, t, schedule: None, "returns None"),
    (climb_in_place, "changes its input x_s in place"),
    (lambda x_s, eps, s, t, schedule: climb(x_s, torch.randn_like(eps), s, t, schedule), "two different answers"),
    (lambda x_s, eps, s, t, schedule: climb(x_s, eps, t, s, schedule), "Are s and t swapped"),
    (noised(lambda x, e, r, f, a, ss, st: r * x + st * e), "too much noise"),
    (noised(lambda x, e, r, f, a, ss, st: r * x + f * e), "Multiply eps by its square root"),
    (noised(lambda x, e, r, f, a, ss, st: r * x + (st**2 - ss**2) ** 0.5 * e), "fades with the picture"),
    (noised(lambda x, e, r, f, a, ss, st: r * x + (st - r * ss) * e), "You subtracted standard deviations"),
    (noised(lambda x, e, r, f, a, ss, st: r * x + (st - ss) * e), "You subtracted standard deviations"),
    (noised(lambda x, e, r, f, a, ss, st: r * x), "no fresh noise"),
    (noised(lambda x, e, r, f, a, ss, st: r * x - f**0.5 * e), "wrong sign"),
    (noised(lambda x, e, r, f, a, ss, st: a * x + st * e), "x_s is not clean"),
    (noised(lambda x, e, r, f, a, ss, st: a * x + f**0.5 * e), "already faded by alpha(s)"),
    (noised(lambda x, e, r, f, a, ss, st: x + f**0.5 * e), "should fade from alpha(s)"),
    (noised(lambda x, e, r, f, a, ss, st: x / r + f**0.5 * e), "upside down"),
    (noised(lambda x, e, r, f, a, ss, st: r**2 * x + f**0.5 * e), "you squared the ratio"),
    (noised(lambda x, e, r, f, a, ss, st: r * x + e), "the square root of the missing variance"),
    (noised(lambda x, e, r, f, a, ss, st: r * x + (1 - r**2) ** 0.5 * st * e), "the missing variance is"),
    (noised(lambda x, e, r, f, a, ss, st: r * x + 2 * f**0.5 * e), "your x_t is"),
    (noised(lambda x, e, r, f, a, ss, st: (r * x + f**0.5 * e)[0]), "have the shape"),
    (noised(lambda x, e, r, f, a, ss, st: (r * x + f**0.5 * e).float()), "keep the type"),
]

BANK = {
    "06.1": (CODE_RIGHT, CODE_WRONG),
    "06.2": (STEP_RIGHT, STEP_WRONG),
    "06.3": (CLIMB_RIGHT, CLIMB_WRONG),
}
