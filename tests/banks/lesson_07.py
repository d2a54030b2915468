"""Answers that students give to the exercises of lesson 07."""

import itertools
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


def left_with_a_short_cut(short):
    """The product, but short(times, schedule) for eta = 1."""
    return lambda times, eta, schedule: short(times, schedule) if eta == 1 else left(times, eta, schedule)


LEFT_RIGHT = [
    left,
    left_by_logs,
    left_by_sampling,
    left_with_a_short_cut(lambda times, schedule: schedule.alpha(times[0]) / schedule.alpha(times[-1])),
]
LEFT_WRONG = [
    (lambda times, eta, schedule: None, "returns None"),
    (lambda times, eta, schedule: schedule.alpha(1.0) ** (eta**2), "limit of many small steps"),
    (left_with_a_short_cut(lambda times, schedule: schedule.alpha(1.0)), "limit of many small steps"),
    (left_with_a_short_cut(lambda times, schedule: schedule.alpha(times[0])), "of the start is left, but yours is"),
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

# ---- 07.3: where fresh noise is worth most ----


def factors(times, eta, schedule):
    return [factor(t, s, eta, schedule) for t, s in steps(times)]


def spend(times, count, schedule):
    without, with_it = factors(times, 0.0, schedule), factors(times, 1.0, schedule)
    ratio = [b / a for a, b in zip(without, with_it, strict=True)]
    chosen = sorted(range(len(ratio)), key=lambda i: ratio[i])[:count]
    return [1.0 if i in chosen else 0.0 for i in range(len(ratio))]


def spend_by_trying_all(times, count, schedule):
    pairs = steps(times)

    def left_by(plan):
        return math.prod(factor(t, s, eta, schedule) for (t, s), eta in zip(pairs, plan, strict=True))

    plans = [plan for plan in itertools.product((0, 1), repeat=len(pairs)) if sum(plan) <= count]
    return min(plans, key=left_by)


def spend_by_logs(times, count, schedule):
    gain = torch.tensor(factors(times, 0.0, schedule)).log() - torch.tensor(factors(times, 1.0, schedule)).log()
    return torch.zeros(len(gain)).index_fill(0, gain.topk(count).indices, 1.0)


def spent(score):
    """A plan that takes the steps with the largest score(t, s, schedule)."""

    def plan(times, count, schedule):
        scores = [score(t, s, schedule) for t, s in steps(times)]
        chosen = sorted(range(len(scores)), key=lambda i: -scores[i])[:count]
        return [1.0 if i in chosen else 0.0 for i in range(len(scores))]

    return plan


def gain(t, s, schedule):
    return factor(t, s, 0.0, schedule) / factor(t, s, 1.0, schedule)


def by_the_law(square):
    """The law for small steps, sigma^2 times the rise in log SNR, which is nothing in the last step."""
    return spent(
        lambda t, s, schedule: square(t, s, schedule) * (schedule.log_snr(s) - schedule.log_snr(t)) if s else 0
    )


def planned(change):
    """The right plan, changed."""
    return lambda times, count, schedule: change(spend(times, count, schedule))


SPEND_RIGHT = [spend, spend_by_trying_all, spend_by_logs]
SPEND_WRONG = [
    (lambda times, count, schedule: None, "returns None"),
    ([1.0, 0.0], "without brackets"),
    (lambda times, count, schedule: count, "a list with one eta for each step"),
    (lambda times, count, schedule: [1.0] * count, "one eta for each of the 7 steps"),
    (planned(lambda plan: [i for i, eta in enumerate(plan) if eta]), "your list has 2 entries"),
    (planned(lambda plan: [*plan, 0.0]), "not one for each time"),
    (planned(lambda plan: [0.5 * eta for eta in plan]), "must be 0 or 1"),
    (planned(lambda plan: [1 - eta for eta in plan]), "only 2 are allowed"),
    (planned(lambda plan: [0.0 for _ in plan]), "your plan has 0"),
    (planned(lambda plan: [eta if i != plan.index(1.0) else 0.0 for i, eta in enumerate(plan)]), "your plan has 1"),
    (lambda times, count, schedule: [1.0 if i < count else 0.0 for i in range(len(times) - 1)], "the first steps"),
    (
        lambda times, count, schedule: [0.0 if i < len(times) - 1 - count else 1.0 for i in range(len(times) - 1)],
        "last",
    ),
    (spent(lambda t, s, schedule: 1 / gain(t, s, schedule)), "forget least"),
    (spent(lambda t, s, schedule: -factor(t, s, 1.0, schedule)), "has a factor below 1, too"),
    (spent(lambda t, s, schedule: factor(t, s, 0.0, schedule) - factor(t, s, 1.0, schedule)), "not differences"),
    (spent(lambda t, s, schedule: fresh(t, s, 1.0, schedule)), "the most fresh noise"),
    (spent(lambda t, s, schedule: t - s), "longest in t"),
    (spent(lambda t, s, schedule: schedule.log_snr(s) - schedule.log_snr(t)), "noise to replace"),
    (spent(lambda t, s, schedule: -abs(t - 0.7)), "another one leaves"),
    (by_the_law(lambda t, s, schedule: schedule.sigma(t) * schedule.sigma(s)), "that law is for small steps"),
    (by_the_law(lambda t, s, schedule: schedule.sigma((t + s) / 2) ** 2), "that law is for small steps"),
    (
        by_the_law(lambda t, s, schedule: (schedule.sigma(t) ** 2 + schedule.sigma(s) ** 2) / 2),
        "that law is for small steps",
    ),
    (planned(lambda plan: [0.0 if i == plan.index(1.0) else eta for i, eta in enumerate(plan[:-1])] + [1.0]), "t = 0"),
    (lambda times, count, schedule: times[len(times)], "stops"),
]

BANK = {
    "07.1": (STEP_RIGHT, STEP_WRONG),
    "07.2": (LEFT_RIGHT, LEFT_WRONG),
    "07.3": (SPEND_RIGHT, SPEND_WRONG),
}
