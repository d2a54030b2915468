"""Answers that students give to the exercises of lesson 05."""

import math

import torch
from torch.distributions import Normal, kl_divergence

import minidiffusion as md

# ---- 05.1: what a code costs ----


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
    (lambda mean, std: 0.5 * (mean**2 + std**2 - 1) - std.log(), "sum the rest"),
    (lambda mean, std: code_cost(mean, std).mean(), "one number for the whole batch"),
    (lambda mean, std: (0.5 * (mean**2 + std**2 - 1) - std.log()).sum(0), "summed over the batch"),
    (lambda mean, std: code_cost(mean, std) / mean.shape[1], "that is the mean"),
    (lambda mean, std: -code_cost(mean, std), "never negative"),
    (lambda mean, std: (0.5 * (mean**2 + std**2 - 1) + std.log()).sum(1), "wrong sign"),
    (lambda mean, std: 0.5 * (mean**2 + std**2 - 1 - std.log()).sum(1), "one half too many"),
    (lambda mean, std: (0.5 * (mean**2 + std**2 - 1) - (std**2).log()).sum(1), "with the full weight"),
    (lambda mean, std: (0.5 * (mean**2 + std**2) - std.log()).sum(1), "the - 1 is missing"),
    (lambda mean, std: (0.5 * (mean**2 + std - 1) - std.log()).sum(1), "std must be squared"),
    (lambda mean, std: (0.5 * (mean + std**2 - 1) - std.log()).sum(1), "the mean must be squared"),
    (lambda mean, std: 2 * code_cost(mean, std), "1/2 is missing"),
    (lambda mean, std: code_cost(mean, std) / math.log(2), "in bits"),
    (lambda mean, std: kl_divergence(Normal(0.0, 1.0), Normal(mean, std)).sum(1), "changed places"),
    (lambda mean, std: code_cost(mean, std).float(), "keep the type"),
    (lambda mean, std: (0.5 * mean**2).sum(1), "costs 0"),
    (lambda mean, std: code_cost(mean, std.log().exp().log()), "infinite values or nan"),
]

# ---- 05.2: what a step costs ----


def snr(u, schedule):
    return schedule.alpha(u) ** 2 / schedule.sigma(u) ** 2


def step_cost(x0, x0_hat, t, s, schedule):
    return 0.5 * (snr(s, schedule) - snr(t, schedule)) * (x0 - x0_hat).square().flatten(1).sum(1)


def step_cost_log(x0, x0_hat, t, s, schedule):
    gain = math.exp(schedule.log_snr(s)) - math.exp(schedule.log_snr(t))
    return gain / 2 * torch.stack([((a - b) ** 2).sum() for a, b in zip(x0, x0_hat, strict=True)])


def step_cost_package(x0, x0_hat, t, s, schedule):
    return md.likelihood.denoising_matching(lambda x_t, t: x0_hat, x0, torch.zeros_like(x0), t, s, schedule)


def step_cost_bells(x0, x0_hat, t, s, schedule):
    x_t = torch.zeros_like(x0)
    bells = [Normal(*md.posterior(x_t, x, t, s, schedule)) for x in (x0, x0_hat)]
    return kl_divergence(*bells).flatten(1).sum(1)


def weighed(weight):
    def cost(x0, x0_hat, t, s, schedule):
        return weight(snr(s, schedule), snr(t, schedule)) * (x0 - x0_hat).square().flatten(1).sum(1)

    return cost


def summed(total):
    """total(x0 - x0_hat) with the right weight."""

    def cost(x0, x0_hat, t, s, schedule):
        return 0.5 * (snr(s, schedule) - snr(t, schedule)) * total(x0 - x0_hat)

    return cost


def step_cost_in_place(x0, x0_hat, t, s, schedule):
    x0 -= x0_hat
    return 0.5 * (snr(s, schedule) - snr(t, schedule)) * x0.square().flatten(1).sum(1)


STEP_RIGHT = [step_cost, step_cost_log, step_cost_package, step_cost_bells]
STEP_WRONG = [
    (lambda x0, x0_hat, t, s, schedule: None, "returns None"),
    (step_cost_in_place, "changes its input x0 in place"),
    (weighed(lambda high, low: 0.5 * (low - high)), "never negative"),
    (weighed(lambda high, low: high - low), "1/2 is missing"),
    (weighed(lambda high, low: 0.5 * (high**0.5 - low**0.5)), "square both factors"),
    (weighed(lambda high, low: 0.5 * math.log(high / low)), "logarithm of the SNR"),
    (weighed(lambda high, low: 0.5 * (1 / low - 1 / high)), "noise over signal"),
    (weighed(lambda high, low: 0.5 * high), "already, at t"),
    (weighed(lambda high, low: 0.5 * low), "at t alone"),
    (weighed(lambda high, low: 0.5), "has a weight"),
    (weighed(lambda high, low: 0.5 * (high - low) / math.log(2)), "in bits"),
    (weighed(lambda high, low: 0.7 * (high - low)), "should cost"),
    (lambda x0, x0_hat, t, s, schedule: 0.5 * (t - s) * (x0 - x0_hat).square().flatten(1).sum(1), "by the times"),
    (summed(lambda miss: miss.square().flatten(1).mean(1)), "not the mean"),
    (summed(lambda miss: miss.flatten(1).norm(dim=1)), "no root"),
    (summed(lambda miss: miss.abs().flatten(1).sum(1)), "square the differences"),
    (summed(lambda miss: miss.flatten(1).sum(1) ** 2), "first square"),
    (summed(lambda miss: miss.square().sum()), "one number for the whole batch"),
    (summed(lambda miss: miss.square()), "sum the rest"),
    (summed(lambda miss: miss.square().sum(0)), "summed over the batch"),
    (summed(lambda miss: miss.square().flatten(1).sum(1).float()), "keep the type"),
]

# ---- 05.3: one rung up ----


def climb(x_s, eps, s, t, schedule):
    ratio = schedule.alpha(t) / schedule.alpha(s)
    return ratio * x_s + (schedule.sigma(t) ** 2 - ratio**2 * schedule.sigma(s) ** 2) ** 0.5 * eps


def climb_package(x_s, eps, s, t, schedule):
    q = md.likelihood.hvae.forward(x_s, s, t, schedule)
    return q.mean + q.stddev * eps


def climb_snr(x_s, eps, s, t, schedule):
    gone = 1 - snr(t, schedule) / snr(s, schedule)
    return schedule.alpha(t) * (x_s / schedule.alpha(s)) + schedule.sigma(t) * math.sqrt(gone) * eps


def rung(mix):
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
    (lambda x_s, eps, s, t, schedule: climb(x_s, torch.randn_like(eps), s, t, schedule), "gives two answers"),
    (lambda x_s, eps, s, t, schedule: climb(x_s, eps, t, s, schedule), "Did s and t change places"),
    (rung(lambda x, e, r, f, a, ss, st: r * x + st * e), "too much noise"),
    (rung(lambda x, e, r, f, a, ss, st: r * x + f * e), "Its factor is the root"),
    (rung(lambda x, e, r, f, a, ss, st: r * x + (st**2 - ss**2) ** 0.5 * e), "fades with the picture"),
    (rung(lambda x, e, r, f, a, ss, st: r * x + (st - r * ss) * e), "variances add"),
    (rung(lambda x, e, r, f, a, ss, st: r * x + (st - ss) * e), "variances add"),
    (rung(lambda x, e, r, f, a, ss, st: r * x), "no fresh noise"),
    (rung(lambda x, e, r, f, a, ss, st: r * x - f**0.5 * e), "wrong sign"),
    (rung(lambda x, e, r, f, a, ss, st: a * x + st * e), "x_s is not clean"),
    (rung(lambda x, e, r, f, a, ss, st: a * x + f**0.5 * e), "faint already"),
    (rung(lambda x, e, r, f, a, ss, st: x + f**0.5 * e), "must fade"),
    (rung(lambda x, e, r, f, a, ss, st: x / r + f**0.5 * e), "upside down"),
    (rung(lambda x, e, r, f, a, ss, st: r**2 * x + f**0.5 * e), "the ratio is squared"),
    (rung(lambda x, e, r, f, a, ss, st: r * x + e), "the root of the variance that is missing"),
    (rung(lambda x, e, r, f, a, ss, st: r * x + (1 - r**2) ** 0.5 * st * e), "not what is missing"),
    (rung(lambda x, e, r, f, a, ss, st: r * x + 2 * f**0.5 * e), "away"),
    (rung(lambda x, e, r, f, a, ss, st: (r * x + f**0.5 * e)[0]), "have the shape"),
    (rung(lambda x, e, r, f, a, ss, st: (r * x + f**0.5 * e).float()), "keep the type"),
]

BANK = {
    "05.1": (CODE_RIGHT, CODE_WRONG),
    "05.2": (STEP_RIGHT, STEP_WRONG),
    "05.3": (CLIMB_RIGHT, CLIMB_WRONG),
}
