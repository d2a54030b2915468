"""Answers that students give to the exercises of lesson 07."""

import math
from types import SimpleNamespace

import torch

import minidiffusion as md

# ---- 07.1: the step with fresh noise ----


def fresh(t, s, eta, schedule):
    ratio = schedule.alpha(t) * schedule.sigma(s) / (schedule.alpha(s) * schedule.sigma(t))
    return eta * schedule.sigma(s) * (1 - ratio**2) ** 0.5


def eps_in(x_t, x0, t, schedule):
    return (x_t - schedule.alpha(t) * x0) / schedule.sigma(t)


def step(x_t, x0_hat, t, s, eta, schedule, z):
    tau = fresh(t, s, eta, schedule)
    old = (schedule.sigma(s) ** 2 - tau**2) ** 0.5
    return schedule.alpha(s) * x0_hat + old * eps_in(x_t, x0_hat, t, schedule) + tau * z


def step_by_snr(x_t, x0_hat, t, s, eta, schedule, z):
    share = math.exp(schedule.log_snr(t) - schedule.log_snr(s))
    tau = eta * schedule.sigma(s) * math.sqrt(1 - share)
    eps = md.to_eps(x0_hat, x_t, t, schedule)
    return schedule.alpha(s) * x0_hat + math.sqrt(schedule.sigma(s) ** 2 - tau**2) * eps + tau * z


def step_by_posterior(x_t, x0_hat, t, s, eta, schedule, z):
    tau = eta * md.posterior(x_t, x0_hat, t, s, schedule)[1]
    factor = (schedule.sigma(s) ** 2 - tau**2) ** 0.5 / schedule.sigma(t)
    return factor * x_t + (schedule.alpha(s) - schedule.alpha(t) * factor) * x0_hat + tau * z


def mixed(mix):
    """A step from mix(q), where q has all that a step is made of."""

    def step(x_t, x0_hat, t, s, eta, schedule, z):
        q = SimpleNamespace(x_t=x_t, x0=x0_hat, eps=eps_in(x_t, x0_hat, t, schedule), z=z)
        q.a, q.a_t, q.sigma, q.tau = schedule.alpha(s), schedule.alpha(t), schedule.sigma(s), fresh(t, s, eta, schedule)
        q.old = (q.sigma**2 - q.tau**2) ** 0.5
        return mix(q)

    return step


def step_in_place(x_t, x0_hat, t, s, eta, schedule, z):
    z *= fresh(t, s, eta, schedule)
    return step(x_t, x0_hat, t, s, 0.0, schedule, z) + z


def step_upside_down(x_t, x0_hat, t, s, eta, schedule, z):
    share = math.exp(schedule.log_snr(t) - schedule.log_snr(s))
    tau = eta * schedule.sigma(s) * (1 - 1 / share) ** 0.5
    return schedule.alpha(s) * x0_hat + eps_in(x_t, x0_hat, t, schedule) + tau * z


def step_with_eta(change):
    return lambda x, x0, t, s, eta, schedule, z: step(x, x0, t, s, change(eta), schedule, z)


def step_then(change):
    return lambda *inputs: change(step(*inputs))


STEP_RIGHT = [step, step_by_snr, step_by_posterior]
STEP_WRONG = [
    (lambda *inputs: None, "returns None"),
    (step_in_place, "changes its input z in place"),
    (step_upside_down, "square root of a negative number"),
    (mixed(lambda q: q.a * q.x0 + q.sigma * q.eps + q.tau * q.z), "too much noise"),
    (mixed(lambda q: q.a * q.x0 + q.old * q.eps), "the fresh noise is missing"),
    (mixed(lambda q: q.a * q.x0 + q.sigma * q.eps), "the step of lesson 00"),
    (mixed(lambda q: q.a * q.x0 + (q.sigma - q.tau) * q.eps + q.tau * q.z), "variances add"),
    (mixed(lambda q: q.a * q.x0 + q.old**2 * q.eps + q.tau * q.z), "Take its square root"),
    (mixed(lambda q: q.a * q.x0 + q.old * q.eps + q.tau**2 * q.z), "not by tau^2"),
    (mixed(lambda q: q.a * q.x0 + q.old * q.z + q.tau * q.eps), "swapped"),
    (mixed(lambda q: q.a * q.x0 + q.sigma * q.z), "you replaced all of the old noise"),
    (mixed(lambda q: q.a * q.x0 + q.old * q.eps - q.tau * q.z), "z has the wrong sign"),
    (mixed(lambda q: q.a * q.x0 - q.old * q.eps + q.tau * q.z), "the old noise has the wrong sign"),
    (mixed(lambda q: q.a * q.x0 + q.old * q.x_t + q.tau * q.z), "used x_t as the noise"),
    (mixed(lambda q: q.x0 + q.old * q.eps + q.tau * q.z), "its factor alpha(s)"),
    (mixed(lambda q: q.a_t * q.x0 + q.old * q.eps + q.tau * q.z), "At s it needs alpha(s)"),
    (mixed(lambda q: q.a * q.x0 + q.old * q.eps + q.tau * torch.randn_like(q.z)), "two different answers"),
    (step_with_eta(lambda eta: 1.0), "whatever eta is"),
    (step_with_eta(lambda eta: eta**2), "you squared eta"),
    (step_with_eta(lambda eta: 0.6 * eta), "away"),
    (step_then(lambda x_s: x_s.float()), "keep the type"),
    (step_then(lambda x_s: x_s.double()), "keep the type"),
    (step_then(lambda x_s: x_s[0]), "have the shape"),
    (torch.zeros(2, 2), "without brackets"),
]

# ---- 07.2: how much of the start is left ----


def factor(t, s, eta, schedule):
    old = (schedule.sigma(s) ** 2 - fresh(t, s, eta, schedule) ** 2) ** 0.5
    return schedule.alpha(s) * schedule.alpha(t) + old * schedule.sigma(t)


def left(times, eta, schedule):
    product = 1.0
    for t, s in zip(times, times[1:], strict=False):
        product *= factor(t, s, eta, schedule)
    return product


def left_by_logs(times, eta, schedule):
    return math.exp(sum(math.log(factor(times[i], times[i + 1], eta, schedule)) for i in range(len(times) - 1)))


def left_by_sampling(times, eta, schedule):
    gaussian = md.oracle.gaussian(torch.zeros(1), torch.eye(1), schedule)
    ends = []
    for start in (0.0, 1.0):
        x_1 = torch.full((1, 1), start, dtype=torch.float64)
        generator = torch.Generator().manual_seed(0)
        ends.append(md.sample(gaussian, x_1, times=times, eta=eta, generator=generator))
    return (ends[1] - ends[0]).item()


def steps(times):
    return list(zip(times, times[1:], strict=False))


def multiplied(rule):
    """The product of rule(alpha_s alpha_t, sqrt(sigma_s^2 - tau^2), sigma_t) over the steps."""

    def product(times, eta, schedule):
        factors = []
        for t, s in steps(times):
            old = (schedule.sigma(s) ** 2 - fresh(t, s, eta, schedule) ** 2) ** 0.5
            factors.append(rule(schedule.alpha(s) * schedule.alpha(t), old, schedule.sigma(t)))
        return math.prod(factors)

    return product


LEFT_RIGHT = [left, left_by_logs, left_by_sampling]
LEFT_WRONG = [
    (lambda times, eta, schedule: None, "returns None"),
    (lambda times, eta, schedule: schedule.alpha(1.0) ** (eta**2), "limit of many small steps"),
    (lambda times, eta, schedule: schedule.alpha(1.0) ** eta, "has eta^2"),
    (lambda times, eta, schedule: sum(factor(t, s, eta, schedule) for t, s in steps(times)), "you added the factors"),
    (lambda times, eta, schedule: factor(*times[:2], eta, schedule), "first step alone"),
    (lambda times, eta, schedule: factor(*times[-2:], eta, schedule), "last step alone"),
    (lambda times, eta, schedule: left(times[:3], eta, schedule), "last step is missing"),
    (lambda times, eta, schedule: left(times[1:], eta, schedule), "first step is missing"),
    (multiplied(lambda signal, old, sigma_t: signal), "through the old noise is missing"),
    (multiplied(lambda signal, old, sigma_t: old * sigma_t), "through the prediction is missing"),
    (multiplied(lambda signal, old, sigma_t: signal + old), "by sigma_t as well"),
    (lambda times, eta, schedule: left(times, 0.0, schedule), "for eta = 0"),
    (lambda times, eta, schedule: left(times, 1.0, schedule), "for eta = 1, whatever eta is"),
    (lambda times, eta, schedule: 1 - left(times, eta, schedule), "the part that is lost"),
    (lambda times, eta, schedule: left(times, eta**2, schedule), "yours is"),
    (lambda times, eta, schedule: [factor(t, s, eta, schedule) for t, s in steps(times)], "must be one number"),
    (lambda times, eta, schedule: times[len(times)], "stops"),
]

# ---- 07.3: mistakes of equal size ----


def equal_size(wrong, distance, target):
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if distance(wrong(middle)) < target else (low, middle)
    return high


def equal_size_on_a_grid(wrong, distance, target):
    return min((i / 2000 for i in range(2001)), key=lambda c: abs(distance(wrong(c)) - target))


def equal_size_upwards(wrong, distance, target):
    c = 0.0
    while c < 1 and distance(wrong(c)) < target:
        c += 0.0005
    return torch.tensor(min(c, 1.0))


def halved(times, larger=lambda d, target: d < target, end=lambda low, high: high):
    def size(wrong, distance, target):
        low, high = 0.0, 1.0
        for _ in range(times):
            middle = (low + high) / 2
            low, high = (middle, high) if larger(distance(wrong(middle)), target) else (low, middle)
        return end(low, high)

    return size


SIZE_RIGHT = [equal_size, equal_size_on_a_grid, equal_size_upwards]
SIZE_WRONG = [
    (lambda wrong, distance, target: None, "returns None"),
    (0.3, "without brackets"),
    (lambda wrong, distance, target: 0.5, "after the first middle"),
    (halved(4, end=lambda low, high: (low + high) / 2), "right to 0.001"),
    (halved(20, larger=lambda d, target: d > target), "you end at"),
    (halved(20, end=lambda low, high: 1 - high), "the wrong way"),
    (halved(20, end=lambda low, high: (low, high)), "must be one number"),
    (lambda wrong, distance, target: distance(target), "wants a start"),
    (lambda wrong, distance, target: wrong(target), "must be one number"),
    (lambda wrong, distance, target: target / distance(wrong(1.0)), "you return the target"),
    (lambda wrong, distance, target: distance(wrong(0.5)), "after the first middle"),
    (lambda wrong, distance, target: halved(20)(wrong, distance, target) ** 2, "the distance is"),
    (lambda wrong, distance, target: equal_size(wrong, distance, target) % 0.99, "return 1"),
    (lambda wrong, distance, target: min(range(2), key=lambda c: abs(distance(wrong(c)) - target)), "you end at 0"),
    (lambda wrong, distance, target: wrong.start, "stops"),
]

BANK = {
    "07.1": (STEP_RIGHT, STEP_WRONG),
    "07.2": (LEFT_RIGHT, LEFT_WRONG),
    "07.3": (SIZE_RIGHT, SIZE_WRONG),
}
