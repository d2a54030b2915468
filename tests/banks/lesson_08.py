"""Answers that students give to the exercises of lesson 08."""

import math

import torch

import minidiffusion as md

# ---- 08.1: a schedule that ends in noise ----


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

# ---- 08.2: how much fresh noise is enough ----


def kappa(spread, pixels, schedule):
    signal = schedule.alpha(1.0) * pixels**0.5 * spread
    return signal / (signal**2 + schedule.sigma(1.0) ** 2) ** 0.5


def eta_needed(rest, spread, pixels, schedule):
    return max(math.log(rest) / math.log(kappa(spread, pixels, schedule)) - 1, 0) ** 0.5


def eta_by_snr(rest, spread, pixels, schedule):
    snr = math.exp(schedule.log_snr(1.0)) * pixels * spread**2
    return torch.tensor(2 * math.log(rest) / math.log(snr / (1 + snr)) - 1, dtype=torch.float64).clamp(min=0).sqrt()


def eta_by_bisection(rest, spread, pixels, schedule):
    low, high, lost = 0.0, 100.0, kappa(spread, pixels, schedule)
    if lost <= rest:
        return 0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if lost ** (1 + middle**2) > rest else (low, middle)
    return high


def eta_from(solve):
    """An eta_needed from solve(log rest / log kappa)."""
    return lambda rest, spread, n, schedule: solve(math.log(rest) / math.log(kappa(spread, n, schedule)))


def eta_for(share):
    """An eta_needed with another kappa, share(alpha, sigma, spread, pixels)."""

    def eta(rest, spread, n, schedule):
        other = share(schedule.alpha(1.0), schedule.sigma(1.0), spread, n)
        return max(math.log(rest) / math.log(other) - 1, 0) ** 0.5

    return eta


def of(signal, noise):
    return signal / math.hypot(signal, noise)


ETA_RIGHT = [eta_needed, eta_by_snr, eta_by_bisection]
ETA_WRONG = [
    (lambda *inputs: None, "returns None"),
    (0.5, "without brackets"),
    (lambda rest, spread, n, schedule: (math.log(rest) / math.log(kappa(spread, n, schedule)) - 1) ** 0.5, "must be 0"),
    (eta_from(lambda ratio: abs(ratio - 1) ** 0.5), "Return 0"),
    (eta_from(lambda ratio: max(ratio - 1, 0)), "Take its square root"),
    (eta_from(lambda ratio: ratio), "that is 1 + eta squared"),
    (eta_from(lambda ratio: ratio**0.5), "subtract 1 before"),
    (eta_from(lambda ratio: ratio**-0.5), "upside down"),
    (eta_for(lambda a, sd, s, n: of(a * s * n**0.5, sd) ** 2), "you squared kappa"),
    (eta_for(lambda a, sd, s, n: of(a * s, sd)), "for one pixel"),
    (eta_for(lambda a, sd, s, n: of(a * s * n, sd)), "sqrt(pixels), not by pixels"),
    (eta_for(lambda a, sd, s, n: of(a * n**0.5, sd)), "kappa needs the spread"),
    (eta_for(lambda a, sd, s, n: of(s * n**0.5, sd)), "kappa needs alpha(1)"),
    (eta_for(lambda a, sd, s, n: a), "Use spread and pixels"),
    (lambda rest, spread, n, schedule: eta_needed(1 - rest, spread, n, schedule), "not the share that must be kept"),
    (eta_from(lambda ratio: 1 + max(ratio - 1, 0) ** 0.5 if ratio > 1 else 0), "a smaller eta is enough"),
    (eta_from(lambda ratio: 0.5 * max(ratio - 1, 0) ** 0.5), "still loses"),
    (lambda rest, spread, n, schedule: torch.tensor([rest, spread]), "must be one number"),
    (lambda rest, spread, n, schedule: schedule.alpha_bar[-1], "stops"),
]

# ---- 08.3: the right start ----


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
    "08.1": (END_RIGHT, END_WRONG),
    "08.2": (ETA_RIGHT, ETA_WRONG),
    "08.3": (START_RIGHT, START_WRONG),
}
