"""Answers that students give to the exercises of lesson 09."""

import math

import torch

from minidiffusion import rivals

# ---- 08.1: sample from the cloud ----


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
    (lambda m, s, e: m + s * e, "Take its exponential"),
    (lambda m, s, e: m + (0.5 * s).exp() * e, "Omit the 0.5"),
    (lambda m, s, e: m + (2 * s).exp() * e, "the noise by the variance"),
    (lambda m, s, e: m, "has no noise"),
    (lambda m, s, e: s.exp() * e, "the mean is missing"),
    (lambda m, s, e: m * s.exp() + e, "swapped"),
    (lambda m, s, e: s.exp() * (m + e), "Multiply eps alone"),
    (lambda m, s, e: m - s.exp() * e, "wrong sign"),
    (lambda m, s, e: m + s.exp(), "does not use eps"),
    (lambda m, s, e: m + s.exp() * torch.randn_like(e), "two different answers"),
    (lambda m, s, e: m + s.exp() * e[:1], "the noise of the first"),
    (code_in_place, "changes its input mean in place"),
    (lambda m, s, e: (m + s.exp() * e).float(), "keep the type"),
    (lambda m, s, e: (m + s.exp() * e).sum(1), "have the shape"),
    (lambda m, s, e: m + 1.1 * s.exp() * e, "away from mean + std eps"),
]

# ---- 08.2: the density of the codes ----


def logs(z, mean, std):
    return torch.distributions.Normal(mean, std).log_prob(z[:, None]).sum(2)


def density_by_logsumexp(z, mean, std):
    return torch.logsumexp(logs(z, mean, std), 1) - math.log(len(mean))


def density_by_library(z, mean, std):
    clouds = torch.distributions.Independent(torch.distributions.Normal(mean, std), 1)
    weights = torch.distributions.Categorical(torch.ones(len(mean), dtype=z.dtype))
    return torch.distributions.MixtureSameFamily(weights, clouds).log_prob(z)


def density_by_loop(z, mean, std):
    found = []
    for code in z:
        away = (code - mean) / std
        each = -0.5 * away.square().sum(1) - std.log().sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi)
        most = each.max()
        found.append(most + (each - most).exp().mean().log())
    return torch.stack(found)


def density_in_place(z, mean, std):
    z -= mean.mean(0)
    return density_by_logsumexp(z, mean - mean.mean(0), std)


def density_that_underflows(z, mean, std):
    return logs(z, mean, std).exp().mean(1).log()


def density_with_a_floor(z, mean, std):
    return (logs(z, mean, std).exp().mean(1) + 1e-30).log()


def density_from(exponent):
    def density(z, mean, std):
        each = exponent(z[:, None] - mean, std).sum(2) - 0.5 * z.shape[1] * math.log(2 * math.pi)
        return torch.logsumexp(each, 1) - math.log(len(mean))

    return density


DENSITY_RIGHT = [
    density_by_logsumexp,
    density_by_library,
    density_by_loop,
    density_from(lambda d, s: -0.5 * (d / s) ** 2 - s.log()),
    lambda z, m, s: rivals.codes.log_q(z, m, s),
]
DENSITY_WRONG = [
    (lambda z, m, s: None, "returns None"),
    (density_in_place, "changes its input z in place"),
    (density_that_underflows, "exp underflows to 0"),
    (density_with_a_floor, "exp underflows to 0"),
    (lambda z, m, s: logs(z, m, s), "a number for each code and cloud"),
    (lambda z, m, s: torch.logsumexp(logs(z, m, s), 0), "a number for each cloud"),
    (lambda z, m, s: torch.logsumexp(logs(z, m, s), 1), "you added the clouds"),
    (lambda z, m, s: logs(z, m, s).mean(1), "the mean of the logarithms"),
    (lambda z, m, s: logs(z, m, s).amax(1), "the nearest cloud alone"),
    (lambda z, m, s: density_by_logsumexp(z, m, s).exp(), "that is the density"),
    (lambda z, m, s: density_by_logsumexp(z, m, s) / math.log(2), "in bits"),
    (lambda z, m, s: density_by_logsumexp(z, m, s) + 1.5 * math.log(2 * math.pi), "the constant of a Gaussian"),
    (density_from(lambda d, s: -0.5 * (d / s) ** 2), "log std is missing"),
    (density_from(lambda d, s: -0.5 * (d / s) ** 2 - 2 * s.log()), "by std^2. Divide it by std"),
    (density_from(lambda d, s: -((d / s) ** 2) - s.log()), "1/2 in the exponent"),
    (density_from(lambda d, s: -0.5 * d**2 / s - s.log()), "by the variance"),
    (density_from(lambda d, s: -0.5 * d**2 + 0 * s), "std is missing"),
    (lambda z, m, s: density_by_logsumexp(z, m, s).sum(), "have the shape"),
    (lambda z, m, s: density_by_logsumexp(z, m, s) + 1, "nats away"),
]

# ---- 08.3: sample from the aggregate posterior ----


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


def chosen_by(choose):
    """Codes of the clouds choose(clouds, count, generator)."""

    def sample(mean, std, count, generator):
        chosen = choose(len(mean), count, generator)
        return mean[chosen] + std[chosen] * torch.randn(count, mean.shape[1], generator=generator)

    return sample


def noised_by(noise):
    """Codes with noise(std, count, latent, generator) around the centre."""

    def sample(mean, std, count, generator):
        chosen = torch.randint(len(mean), (count,), generator=generator)
        return mean[chosen] + noise(std[chosen], count, mean.shape[1], generator)

    return sample


def means_mixed(mean, std, count, generator):
    return mean.mean(0) + std.mean(0) * torch.randn(count, mean.shape[1], generator=generator)


def one_each(mean, std, count, generator):
    return mean + std * torch.randn(mean.shape, generator=generator)


ALL_RIGHT = [all_clouds, all_by_multinomial, all_by_loop]
ALL_WRONG = [
    (one_each, "one code for each cloud"),
    (lambda mean, std, n, g: all_clouds(mean, std, n, None), "the same seed gives two different answers"),
    (lambda mean, std, n, g: all_clouds(mean, std, n, g.manual_seed(0)), "another seed gives the same answer"),
    (means_mixed, "instead of mixing their means"),
    (chosen_by(lambda clouds, n, g: torch.randint(clouds - 1, (n,), generator=g)), "should give half"),
    (chosen_by(lambda clouds, n, g: torch.arange(n) % clouds), "a fixed order"),
    (chosen_by(lambda clouds, n, g: torch.arange(n) * clouds // n), "a fixed order"),
    (noised_by(lambda std, n, d, g: 0.0 * torch.randn(n, d, generator=g)), "the centres of the clouds"),
    (noised_by(lambda std, n, d, g: std**2 * torch.randn(n, d, generator=g)), "not by its square"),
    (noised_by(lambda std, n, d, g: torch.randn(n, d, generator=g)), "but yours has"),
    (noised_by(lambda std, n, d, g: std * torch.randn(n, 1, generator=g)), "the same noise"),
    (noised_by(lambda std, n, d, g: std * torch.randn(n, d, generator=g) + 1), "does not lie around its mean"),
    (lambda mean, std, n, g: all_clouds(mean, std, n, g).double(), "keep the type"),
    (lambda mean, std, n, g: all_clouds(mean, std, 10, g), "have the shape"),
]

BANK = {"09.1": (CODE_RIGHT, CODE_WRONG), "09.2": (DENSITY_RIGHT, DENSITY_WRONG), "09.3": (ALL_RIGHT, ALL_WRONG)}
