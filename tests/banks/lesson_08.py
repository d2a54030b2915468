"""Answers that students give to the exercises of lesson 08."""

import math

import torch

import minidiffusion as md

# ---- 07.1: the mean of the samples ----


def sample_mean(mean, spread, pixels, schedule):
    a, sigma = schedule.alpha(1.0), schedule.sigma(1.0)
    v = a**2 * pixels * spread**2 + sigma**2
    return mean - a * pixels**0.5 * spread / v**0.5 * mean


def sample_mean_by_quantile(mean, spread, pixels, schedule):
    wide, a = spread * math.sqrt(pixels), schedule.alpha(1.0)
    lower = a * mean * math.sqrt(pixels) / math.hypot(a * wide, schedule.sigma(1.0))
    return mean - lower * spread


def sample_mean_by_snr(mean, spread, pixels, schedule):
    snr = math.exp(schedule.log_snr(1.0)) * pixels * spread**2
    return torch.tensor(mean * (1 - math.sqrt(snr / (1 + snr))), dtype=torch.float64)


def shared(share):
    """A sample_mean that subtracts share(a, sigma, spread, n) of the mean."""
    return lambda mean, spread, n, schedule: mean * (1 - share(schedule.alpha(1.0), schedule.sigma(1.0), spread, n))


MEAN_RIGHT = [sample_mean, sample_mean_by_quantile, sample_mean_by_snr]
MEAN_WRONG = [
    (lambda *inputs: None, "returns None"),
    (0.5, "without brackets"),
    (lambda mean, spread, n, schedule: mean, "the mean of the data"),
    (lambda mean, spread, n, schedule: mean - sample_mean(mean, spread, n, schedule), "how far the mean falls short"),
    (lambda mean, spread, n, schedule: 2 * mean - sample_mean(mean, spread, n, schedule), "the sign is wrong"),
    (shared(lambda a, sd, s, n: a**2 * n * s**2 / (a**2 * n * s**2 + sd**2)), "with fresh noise"),
    (shared(lambda a, sd, s, n: a * n**0.5 * s / (a**2 * n * s**2 + sd**2)), "v is a variance"),
    (shared(lambda a, sd, s, n: a * n**0.5 * s), "divide by the square root of v"),
    (shared(lambda a, sd, s, n: a * s / (a**2 * s**2 + sd**2) ** 0.5), "for a single number"),
    (shared(lambda a, sd, s, n: a * n * s / (a**2 * n**2 * s**2 + sd**2) ** 0.5), "sqrt(pixels), not by pixels"),
    (shared(lambda a, sd, s, n: a), "Use spread and pixels"),
    (shared(lambda a, sd, s, n: a * n**0.5 / (a**2 * n * s**2 + sd**2) ** 0.5), "needs the factor spread"),
    (lambda mean, s, n, schedule: mean - 1 + sample_mean(1.0, s, n, schedule), "multiply it by the mean"),
    (shared(lambda a, sd, s, n: a**2 * n**0.5 * s / (a**4 * n * s**2 + sd**2) ** 0.5), "yours is"),
    (lambda mean, s, n, schedule: torch.tensor([mean, s]), "must be one number"),
    (lambda mean, s, n, schedule: schedule.alpha_bar[-1], "stops"),
]

# ---- 07.2: a schedule that ends in noise ----


def end_in_noise(alphas):
    first, last = alphas[0], alphas[-1]
    return (alphas - last) * first / (first - last)


def end_by_line(alphas):
    return alphas[0] * (1 - (alphas[0] - alphas) / (alphas[0] - alphas[-1]))


def end_by_clone(alphas):
    new = alphas.clone()
    new -= alphas[-1]
    new *= alphas[0] / new[0]
    return new


def end_in_place(alphas):
    alphas -= alphas[-1].item()
    return alphas


END_RIGHT = [end_in_noise, end_by_line, end_by_clone]
END_WRONG = [
    (lambda alphas: None, "returns None"),
    (end_in_place, "changes its input alphas in place"),
    (lambda alphas: 1.0 * alphas, "unchanged"),
    (lambda alphas: alphas - alphas[-1], "did not stretch them"),
    (lambda alphas: (alphas - alphas[-1]) / (alphas[0] - alphas[-1]), "yours became 1"),
    (lambda alphas: (alphas - alphas[-1]) / (1 - alphas[-1]), "as if the first were 1"),
    (lambda alphas: alphas * alphas[0] / (alphas[0] - alphas[-1]), "did not shift them"),
    (lambda alphas: torch.cat([alphas[:-1], torch.zeros(1, dtype=alphas.dtype)]), "you changed only the last"),
    (lambda alphas: (alphas - alphas[-1]) * (alphas[0] - alphas[-1]) / alphas[0], "upside down"),
    (lambda alphas: (end_in_noise(alphas**2)).clamp(min=0).sqrt(), "alpha squared"),
    (lambda alphas: alphas[0] * torch.linspace(1, 0, len(alphas), dtype=alphas.dtype), "in between"),
    (lambda alphas: end_in_noise(alphas)[:-1], "have the shape"),
    (lambda alphas: end_in_noise(alphas).float(), "keep the type"),
    (lambda alphas: end_in_noise(alphas).tolist(), "must be a tensor"),
    (lambda alphas: end_in_noise(alphas).flip(0), "the last must be 0"),
]

# ---- 07.3: the right start ----


def right_start(mean, spread, count, schedule, generator):
    a, sigma = schedule.alpha(1.0), schedule.sigma(1.0)
    v = a**2 * spread**2 + sigma**2
    return a * mean + v**0.5 * torch.randn(count, generator=generator)


def right_start_by_noising(mean, spread, count, schedule, generator):
    x0, eps = torch.randn(2, count, generator=generator)
    return md.diffuse(mean + spread * x0, 1.0, eps, schedule)


def right_start_in_float64(mean, spread, count, schedule, generator):
    deviation = math.hypot(schedule.alpha(1.0) * spread, schedule.sigma(1.0))
    return torch.normal(schedule.alpha(1.0) * mean, deviation, (count,), generator=generator, dtype=torch.float64)


def started(moments):
    """A right_start from moments(a, sigma, mean, spread) -> mean and standard deviation."""

    def start(mean, spread, count, schedule, generator):
        centre, deviation = moments(schedule.alpha(1.0), schedule.sigma(1.0), mean, spread)
        return centre + deviation * torch.randn(count, generator=generator)

    return start


START_RIGHT = [right_start, right_start_by_noising, right_start_in_float64]
START_WRONG = [
    (lambda *inputs: None, "returns None"),
    (started(lambda a, sd, m, s: (0.0, 1.0)), "as in the prior"),
    (started(lambda a, sd, m, s: (m, (a**2 * s**2 + sd**2) ** 0.5)), "the mean of the data"),
    (started(lambda a, sd, m, s: (-a * m, (a**2 * s**2 + sd**2) ** 0.5)), "wrong sign"),
    (started(lambda a, sd, m, s: (a**2 * m, (a**2 * s**2 + sd**2) ** 0.5)), "its mean must be"),
    (started(lambda a, sd, m, s: (a * m, a**2 * s**2 + sd**2)), "Take its square root"),
    (started(lambda a, sd, m, s: (a * m, 1.0)), "the noise alone"),
    (started(lambda a, sd, m, s: (a * m, a * s)), "the noise is missing"),
    (started(lambda a, sd, m, s: (a * m, s)), "its spread is that of the data"),
    (started(lambda a, sd, m, s: (a * m, a * s + sd)), "variances add"),
    (started(lambda a, sd, m, s: (a * m, (a * s**2 + sd**2) ** 0.5)), "square alpha as well"),
    (lambda m, s, n, schedule, g: right_start(m, s, n, schedule, None), "the same seed gives two different answers"),
    (lambda m, s, n, schedule, g: right_start(m, s, n, schedule, g.manual_seed(0)), "another seed"),
    (lambda m, s, n, schedule, g: right_start(m, s, (n, 1), schedule, g), "have the shape"),
    (lambda m, s, n, schedule, g: right_start(m, s, n, schedule, g).numpy(), "must be a tensor"),
]

BANK = {
    "08.1": (MEAN_RIGHT, MEAN_WRONG),
    "08.2": (END_RIGHT, END_WRONG),
    "08.3": (START_RIGHT, START_WRONG),
}
