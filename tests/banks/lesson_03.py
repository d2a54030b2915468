"""Answers that students give to the exercises of lesson 03."""

import math

import torch

import minidiffusion as md

# ---- 03.1: the average of the lines ----


def noises(x_t, t, points):
    return (x_t[:, None] - (1 - t) * points) / t


def averaged(weigh, of=lambda eps, points: eps - points):
    """average_velocity with the weights weigh(eps), and what it averages."""

    def average_velocity(x_t, t, points):
        eps = noises(x_t, t, points)
        return (weigh(eps)[:, :, None] * of(eps, points)).sum(1)

    return average_velocity


def likely(eps):
    return (-eps.square().sum(2) / 2).softmax(dim=1)


def velocity_by_oracle(x_t, t, points):
    x0 = md.oracle.dataset(points, md.schedule.flow())(x_t, t)
    return md.to_eps(x0, x_t, t, md.schedule.flow()) - x0


def velocity_one_by_one(x_t, t, points):
    rows = []
    for x in x_t:
        eps = (x - (1 - t) * points) / t
        square = eps.square().sum(1)
        weight = torch.exp(-(square - square.min()) / 2)
        rows.append((weight / weight.sum()) @ (eps - points))
    return torch.stack(rows)


def velocity_from_the_guess(x_t, t, points):
    x0 = likely(noises(x_t, t, points)) @ points
    return (x_t - x0) / t


def velocity_in_place(x_t, t, points):
    points *= 1 - t
    return x_t


def without_softmax(eps):
    weight = torch.exp(-eps.square().sum(2) / 2)
    return weight / weight.sum(1, keepdim=True)


def nearest_line(x_t, t, points):
    eps = noises(x_t, t, points)
    return (eps - points)[torch.arange(len(x_t)), eps.norm(dim=2).argmin(1)]


def with_a_floor(eps):
    weight = torch.exp(-eps.square().sum(2) / 2)
    return weight / (weight.sum(1, keepdim=True) + 1e-30)


VELOCITY_RIGHT = [averaged(likely), velocity_by_oracle, velocity_one_by_one, velocity_from_the_guess]
VELOCITY_WRONG = [
    (lambda x_t, t, points: None, "returns None"),
    (torch.zeros(6, 2), "hand in the function itself"),
    (velocity_in_place, "changes its input points in place"),
    (lambda x_t, t, points: noises(x_t, t, points) - points, "must have the shape"),
    (lambda x_t, t, points: averaged(likely)(x_t, t, points).float(), "keep the type"),
    (lambda x_t, t, points: -averaged(likely)(x_t, t, points), "the sign is wrong"),
    (averaged(likely, lambda eps, points: eps), "the average noise"),
    (averaged(likely, lambda eps, points: points), "the average point"),
    (lambda x_t, t, points: x_t - likely(noises(x_t, t, points)) @ points, "Subtract it from the noise"),
    (lambda x_t, t, points: (noises(x_t, t, points) - points).mean(1), "all lines count alike"),
    (averaged(lambda eps: torch.exp(-eps.square().sum(2) / 2)), "Divide them by their sum"),
    (nearest_line, "the likeliest line alone"),
    (averaged(lambda eps: (-eps.square().sum(2)).softmax(1)), "forgot the 1/2"),
    (averaged(lambda eps: (eps.square().sum(2) / 2).softmax(1)), "unlikely noise counts most"),
    (averaged(lambda eps: (-eps.norm(dim=2)).softmax(1)), "square the length of eps"),
    (averaged(lambda eps: (-eps.square().sum(2) / 2).softmax(0)), "It must go over the points"),
    (averaged(lambda eps: (-eps.norm(dim=2) / 2).softmax(1)), "away. For each point there is one eps"),
    (averaged(without_softmax), "infinite values or nan"),
    (averaged(with_a_floor), "all your weights come out as 0"),
    (averaged(lambda eps: torch.nan_to_num(without_softmax(eps))), "all your weights come out as 0"),
]

# ---- 03.2: the variance after a few steps ----


def factor_of(times, variance, schedule, gain=lambda a, s, v: a * v / (a * a * v + s * s)):
    factor = 1.0
    for t, s in zip(times, times[1:], strict=False):
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        x0 = gain(alpha, sigma, variance)
        factor *= schedule.alpha(s) * x0 + schedule.sigma(s) * (1 - alpha * x0) / sigma
    return factor


def with_gain(gain):
    return lambda times, variance, schedule: factor_of(times, variance, schedule, gain) ** 2


def variance_shrink(times, variance, schedule):
    total = 1.0
    for t, s in zip(times, times[1:], strict=False):
        at, st, a, sigma = schedule.alpha(t), schedule.sigma(t), schedule.alpha(s), schedule.sigma(s)
        total *= ((at * a * variance + st * sigma) / (at**2 * variance + st**2)) ** 2
    return total


def variance_by_one_sample(times, variance, schedule):
    gaussian = md.oracle.gaussian(torch.zeros(1), torch.tensor([[variance]]), schedule)
    return md.sample(gaussian, torch.ones(1, 1, dtype=torch.float64), times=times) ** 2


def variance_recursive(times, variance, schedule):
    if len(times) == 1:
        return torch.tensor(1.0)
    return factor_of(times[:2], variance, schedule) ** 2 * variance_recursive(times[1:], variance, schedule)


def variance_of_a_few_samples(times, variance, schedule):
    gaussian = md.oracle.gaussian(torch.zeros(1), torch.tensor([[variance]]), schedule)
    return md.sample(gaussian, torch.randn(50, 1), times=times).var()


VARIANCE_RIGHT = [
    lambda times, variance, schedule: factor_of(times, variance, schedule) ** 2,
    variance_shrink,
    variance_by_one_sample,
    variance_recursive,
]
VARIANCE_WRONG = [
    (lambda times, variance, schedule: None, "returns None"),
    (factor_of, "the factor of the standard deviation"),
    (lambda times, variance, schedule: abs(factor_of(times, variance, schedule)) ** 0.5, "the root of the factor"),
    (lambda times, variance, schedule: variance * factor_of(times, variance, schedule) ** 2, "whose variance is 1"),
    (lambda times, variance, schedule: factor_of(times, variance, schedule) ** 2 / variance, "Do not divide"),
    (lambda times, variance, schedule: variance, "the variance of the data"),
    (lambda times, variance, schedule: factor_of(times[:-1], variance, schedule) ** 2, "the last step is missing"),
    (lambda times, variance, schedule: factor_of(times[1:], variance, schedule) ** 2, "the first step is missing"),
    (lambda times, variance, schedule: factor_of(times, variance**2, schedule) ** 2, "do not square `variance`"),
    (with_gain(lambda a, s, v: a * v / (a * a * v + s)), "square sigma in the prediction"),
    (with_gain(lambda a, s, v: v / (a * a * v + s * s)), "alpha in its numerator"),
    (lambda times, variance, schedule: factor_of(times[::-1], variance, schedule) ** 2, "stops"),
    (variance_of_a_few_samples, "but yours is"),
    (lambda times, variance, schedule: factor_of([1.0, times[-1]], variance, schedule) ** 2, "but yours is"),
    (lambda times, variance, schedule: [factor_of(times, variance, schedule) ** 2] * 2, "must be one number"),
]

# ---- 03.3: how hard may you shake? ----


def settled(a, sigma, variance):
    c = a * sigma**2 / variance
    return math.inf if c >= 2 else variance / (1 - c / 2)


def settled_by_iterating(a, sigma, variance):
    c, u = a * sigma**2 / variance, variance
    for _ in range(3000):
        before, u = u, (1 - c) ** 2 * u + 2 * c * variance
        if abs(u - before) < 1e-9 * u:
            return u
    return math.inf


def settled_until_it_is_huge(a, sigma, variance):  # at c = 2 it grows, but slowly
    c, u = a * sigma**2 / variance, variance
    for _ in range(3000):
        u = (1 - c) ** 2 * u + 2 * c * variance
        if u > 1e12:
            return math.inf
    return u


def settled_up_to_two(a, sigma, variance):
    c = a * sigma**2 / variance
    if c > 2:
        return math.inf
    return variance / (1 - c / 2)


def settled_as_a_tensor(a, sigma, variance):
    factor = 1 - a * sigma**2 / variance
    if abs(factor) >= 1:
        return torch.tensor(math.inf)
    return torch.tensor(2 * a * sigma**2 / (1 - factor**2), dtype=torch.float64)


def settling(formula):
    """settled_variance with formula(c, v, a, sigma), where the cloud settles at all."""

    def settled_variance(a, sigma, variance):
        c = a * sigma**2 / variance
        return math.inf if c >= 2 else formula(c, variance, a, sigma)

    return settled_variance


SETTLED_RIGHT = [settled, settled_by_iterating, settled_as_a_tensor]
SETTLED_WRONG = [
    (lambda a, sigma, variance: None, "returns None"),
    (0.5, "hand in the function itself"),
    (lambda a, sigma, variance: [variance], "must be one number"),
    (lambda a, sigma, variance: float("nan"), "must be one number"),
    (lambda a, sigma, variance: variance / (1 - a * sigma**2 / variance / 2), "Return math.inf there"),
    (settled_until_it_is_huge, "multiplies x by -1 and adds noise, so the cloud grows without end"),
    (settled_up_to_two, "division by zero"),
    (lambda a, sigma, variance: math.inf, "but yours is inf"),
    (
        lambda a, sigma, variance: math.inf if a * sigma**2 > 1.9 * variance else settled(a, sigma, variance),
        "yours is inf",
    ),
    (settling(lambda c, v, a, sigma: v), "infinitely small shakes only"),
    (settling(lambda c, v, a, sigma: v / (1 - c)), "the square has c^2 in it"),
    (settling(lambda c, v, a, sigma: v * (1 + c / 2)), "without leaving c^2 out"),
    (settling(lambda c, v, a, sigma: v * (1 - c / 2)), "upside down"),
    (settling(lambda c, v, a, sigma: v / (1 + c / 2)), "a sign is wrong"),
    (settling(lambda c, v, a, sigma: (v / (1 - c / 2)) ** 0.5), "that is a standard deviation"),
    (settling(lambda c, v, a, sigma: v / (1 - a / 2)), "you left out sigma or the variance"),
    (settling(lambda c, v, a, sigma: v / (1 - a * sigma**2 / 2)), "divide a sigma^2 by the variance"),
    (settling(lambda c, v, a, sigma: v / (1 - a * sigma / v / 2)), "the pull has sigma squared"),
    (settling(lambda c, v, a, sigma: 2 * c * v), "that one kick adds"),
    (settling(lambda c, v, a, sigma: v / (2 - c)), "it adds 2 a sigma^2"),
    (settling(lambda c, v, a, sigma: 2 * v), "square the factor 1 - c"),
]

BANK = {
    "03.1": (VELOCITY_RIGHT, VELOCITY_WRONG),
    "03.2": (VARIANCE_RIGHT, VARIANCE_WRONG),
    "03.3": (SETTLED_RIGHT, SETTLED_WRONG),
}
