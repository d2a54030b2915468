"""Answers that students give to the exercises of lesson 08."""

import torch

# ---- 08.1: draw from the cloud ----


def code_in_place(mean, log_std, eps):
    mean += log_std.exp() * eps
    return mean


def code_in_two_lines(mean, log_std, eps):
    std = torch.exp(log_std)
    return torch.addcmul(mean, std, eps)


CODE_RIGHT = [
    lambda mean, log_std, eps: mean + log_std.exp() * eps,
    code_in_two_lines,
    lambda m, s, e: e * (s.exp()) + m,
    lambda m, s, e: m + (2 * s).exp().sqrt() * e,
]
CODE_WRONG = [
    (lambda m, s, e: m + s * e, "take its exponential"),
    (lambda m, s, e: m + (0.5 * s).exp() * e, "no 0.5"),
    (lambda m, s, e: m + (2 * s).exp() * e, "that is the variance"),
    (lambda m, s, e: m, "has no noise"),
    (lambda m, s, e: s.exp() * e, "the mean is missing"),
    (lambda m, s, e: m * s.exp() + e, "have changed places"),
    (lambda m, s, e: s.exp() * (m + e), "multiply eps alone"),
    (lambda m, s, e: m - s.exp() * e, "wrong sign"),
    (lambda m, s, e: m + s.exp(), "no eps in your code"),
    (lambda m, s, e: m + s.exp() * torch.randn_like(e), "gives two answers"),
    (lambda m, s, e: m + s.exp() * e[:1], "the noise of the first"),
    (code_in_place, "changes its input mean in place"),
    (lambda m, s, e: (m + s.exp() * e).float(), "keep the type"),
    (lambda m, s, e: (m + s.exp() * e).sum(1), "have the shape"),
    (lambda m, s, e: m + 1.1 * s.exp() * e, "away from mean + std eps"),
]

# ---- 08.2: the cloud's term ----


def term_by_library(mean, std):
    prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(std))
    return torch.distributions.kl_divergence(torch.distributions.Normal(mean, std), prior).sum(1)


def term_in_place(mean, std):
    mean.pow_(2)
    return (0.5 * (mean + std**2 - 1) - std.log()).sum(1)


TERM_RIGHT = [
    lambda mean, std: (0.5 * (mean**2 + std**2 - 1) - std.log()).sum(1),
    term_by_library,
    lambda m, s: 0.5 * (m.square() + s.square() - 1 - s.square().log()).sum(dim=-1),
]
TERM_WRONG = [
    (lambda m, s: 0.5 * (m**2 + s**2 - 1) - s.log(), "sum over them"),
    (lambda m, s: (0.5 * (m**2 + s**2 - 1) - s.log()).sum(), "one number for the whole batch"),
    (lambda m, s: (0.5 * (m**2 + s**2 - 1) - s.log()).sum(1).mean(), "one number for the whole batch"),
    (lambda m, s: (0.5 * (m**2 + s**2 - 1) - s.log()).mean(1), "add up"),
    (lambda m, s: -(0.5 * (m**2 + s**2 - 1) - s.log()).sum(1), "never below 0"),
    (lambda m, s: (m**2 + s**2 - 1 - 2 * s.log()).sum(1), "twice too large"),
    (lambda m, s: (0.5 * (m**2 + s**2 - 1)).sum(1), "log std is missing"),
    (lambda m, s: (0.5 * (m**2 + s**2 - 1) + s.log()).sum(1), "the logarithm has the wrong sign"),
    (lambda m, s: (0.5 * (m**2 + s**2) - s.log()).sum(1), "the -1 is missing"),
    (lambda m, s: (0.5 * (m**2 + s - 1) - s.log()).sum(1), "std comes squared"),
    (lambda m, s: (0.5 * (m + s**2 - 1) - s.log()).sum(1), "the mean comes squared"),
    (lambda m, s: 0.5 * (m**2 + s**2 - 1 - s.log()).sum(1), "outside the bracket"),
    (lambda m, s: (0.5 * (m**2 + s**2 - 1) - (s**2).log()).sum(1), "not of its square"),
    (lambda m, s: (0.5 * (m**2 + s**2 - 1) - s.log()).sum(0), "have the shape"),
    (term_in_place, "changes its input mean in place"),
    (lambda m, s: (0.5 * (m**2 + s**2 - 1) - s.log()).sum(1) + 1, "for mean 0 and std 1 it must be 0"),
]

# ---- 08.3: draw from all clouds ----


def all_clouds(mean, std, count, generator):
    chosen = torch.randint(len(mean), (count,), generator=generator)
    return mean[chosen] + std[chosen] * torch.randn(count, mean.shape[1], generator=generator)


def all_by_multinomial(mean, std, count, generator):
    chosen = torch.multinomial(torch.ones(len(mean)), count, replacement=True, generator=generator)
    return torch.normal(mean[chosen], std[chosen], generator=generator)


def all_by_loop(mean, std, count, generator):
    codes = []
    for _ in range(count):
        i = int(torch.randint(len(mean), (1,), generator=generator))
        codes.append(mean[i] + std[i] * torch.randn(mean.shape[1], generator=generator))
    return torch.stack(codes)


def with_noise(noise, width=lambda std: std):
    def draw(mean, std, count, generator):
        chosen = torch.randint(len(mean), (count,), generator=generator)
        return mean[chosen] + width(std[chosen]) * noise(count, mean.shape[1], generator)

    return draw


def in_turn(mean, std, count, generator):
    chosen = torch.arange(count) % len(mean)
    return mean[chosen] + std[chosen] * torch.randn(count, mean.shape[1], generator=generator)


def each_half(mean, std, count, generator):
    chosen = torch.arange(count) * len(mean) // count
    return mean[chosen] + std[chosen] * torch.randn(count, mean.shape[1], generator=generator)


def means_mixed(mean, std, count, generator):
    return mean.mean(0) + std.mean(0) * torch.randn(count, mean.shape[1], generator=generator)


def without_generator(mean, std, count, generator):
    return all_clouds(mean, std, count, torch.default_generator)


def with_own_seed(mean, std, count, generator):
    return all_clouds(mean, std, count, torch.Generator().manual_seed(0))


def never_the_last(mean, std, count, generator):
    chosen = torch.randint(len(mean) - 1, (count,), generator=generator)
    return mean[chosen] + std[chosen] * torch.randn(count, mean.shape[1], generator=generator)


def one_each(mean, std, count, generator):
    return mean + std * torch.randn(mean.shape, generator=generator)


NORMAL = with_noise(lambda n, d, g: torch.randn(n, d, generator=g))
ALL_RIGHT = [all_clouds, all_by_multinomial, all_by_loop, NORMAL]
ALL_WRONG = [
    (one_each, "one code for each cloud"),
    (without_generator, "hand `generator` to both"),
    (with_own_seed, "another generator gives the same codes"),
    (means_mixed, "do not mix their means"),
    (never_the_last, "must serve half"),
    (in_turn, "a fixed order"),
    (each_half, "a fixed order"),
    (with_noise(lambda n, d, g: 0.0 * torch.randn(n, d, generator=g)), "middles of the clouds"),
    (with_noise(lambda n, d, g: torch.randn(n, d, generator=g), torch.square), "not by its square"),
    (with_noise(lambda n, d, g: torch.randn(n, d, generator=g), torch.ones_like), "came out with"),
    (with_noise(lambda n, d, g: torch.randn(n, 1, generator=g)), "the same noise"),
    (with_noise(lambda n, d, g: torch.randn(n, d, generator=g) + 1), "another place than its mean"),
    (lambda mean, std, count, generator: all_clouds(mean, std, count, generator).double(), "keep the type"),
    (lambda mean, std, count, generator: all_clouds(mean, std, 10, generator), "have the shape"),
]

BANK = {"08.1": (CODE_RIGHT, CODE_WRONG), "08.2": (TERM_RIGHT, TERM_WRONG), "08.3": (ALL_RIGHT, ALL_WRONG)}
