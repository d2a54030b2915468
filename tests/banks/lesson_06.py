"""Answers that students give to the exercises of lesson 06."""

import math

import torch

import minidiffusion as md

# ---- 06.1: the step with fresh noise ----


def fresh(t, s, eta, schedule):
    kept = schedule.alpha(t) * schedule.sigma(s) / (schedule.alpha(s) * schedule.sigma(t))
    return eta * schedule.sigma(s) * (1 - kept**2) ** 0.5


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
    """A step from mix(alpha_s, sigma_s, tau, x0_hat, eps_hat, z)."""

    def step(x_t, x0_hat, t, s, eta, schedule, z):
        eps = eps_in(x_t, x0_hat, t, schedule)
        return mix(schedule.alpha(s), schedule.sigma(s), fresh(t, s, eta, schedule), x0_hat, eps, z)

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


STEP_RIGHT = [step, step_by_snr, step_by_posterior]
STEP_WRONG = [
    (lambda *inputs: None, "returns None"),
    (step_in_place, "changes its input z in place"),
    (step_upside_down, "root of a negative number"),
    (mixed(lambda a, sd, tau, x0, e, z: a * x0 + sd * e + tau * z), "too much noise"),
    (mixed(lambda a, sd, tau, x0, e, z: a * x0 + (sd**2 - tau**2) ** 0.5 * e), "the new noise is missing"),
    (mixed(lambda a, sd, tau, x0, e, z: a * x0 + sd * e), "the step of lesson 00"),
    (mixed(lambda a, sd, tau, x0, e, z: a * x0 + (sd - tau) * e + tau * z), "variances add"),
    (mixed(lambda a, sd, tau, x0, e, z: a * x0 + (sd**2 - tau**2) * e + tau * z), "take its root"),
    (mixed(lambda a, sd, tau, x0, e, z: a * x0 + (sd**2 - tau**2) ** 0.5 * e + tau**2 * z), "not with tau^2"),
    (mixed(lambda a, sd, tau, x0, e, z: a * x0 + (sd**2 - tau**2) ** 0.5 * z + tau * e), "changed places"),
    (mixed(lambda a, sd, tau, x0, e, z: a * x0 + sd * z), "all the old noise away"),
    (mixed(lambda a, sd, tau, x0, e, z: a * x0 + (sd**2 - tau**2) ** 0.5 * e - tau * z), "z has the wrong sign"),
    (mixed(lambda a, sd, tau, x0, e, z: a * x0 - (sd**2 - tau**2) ** 0.5 * e + tau * z), "the old noise has the wrong"),
    (mixed(lambda a, sd, tau, x0, e, z: x0 + (sd**2 - tau**2) ** 0.5 * e + tau * z), "as faint"),
    (
        mixed(lambda a, sd, tau, x0, e, z: a * x0 + (sd**2 - tau**2) ** 0.5 * e + tau * torch.randn_like(z)),
        "gives two answers",
    ),
    (step_with_eta(lambda eta: 1.0), "whatever eta is"),
    (step_with_eta(lambda eta: eta**2), "eta is squared"),
    (step_with_eta(lambda eta: 0.6 * eta), "away"),
    (lambda x, x0, t, s, eta, schedule, z: step(x, x0, t, s, eta, schedule, z).float(), "keep the type"),
    (lambda x, x0, t, s, eta, schedule, z: step(x, x0, t, s, eta, schedule, z).double(), "keep the type"),
    (lambda x, x0, t, s, eta, schedule, z: step(x, x0, t, s, eta, schedule, z)[0], "have the shape"),
    (
        lambda x, x0, t, s, eta, schedule, z: (
            step(x, x0, t, s, eta, schedule, z)
            + (schedule.sigma(s) ** 2 - fresh(t, s, eta, schedule) ** 2) ** 0.5 * (x - eps_in(x, x0, t, schedule))
        ),
        "took x_t for the noise",
    ),
    (
        lambda x, x0, t, s, eta, schedule, z: (
            step(x, x0, t, s, eta, schedule, z) + (schedule.alpha(t) - schedule.alpha(s)) * x0
        ),
        "needs alpha(s)",
    ),
    (
        step(torch.zeros(2, 2), torch.zeros(2, 2), 0.5, 0.2, 1.0, md.schedule.flow(), torch.zeros(2, 2)),
        "without brackets",
    ),
]

# ---- 06.2: what is left of the start ----


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


def left_by_walking(times, eta, schedule):
    number = md.oracle.gaussian(torch.zeros(1), torch.eye(1), schedule)
    ends = []
    for start in (0.0, 1.0):
        x_1 = torch.full((1, 1), start, dtype=torch.float64)
        generator = torch.Generator().manual_seed(0)
        ends.append(md.sample(number, x_1, times=times, eta=eta, generator=generator))
    return (ends[1] - ends[0]).item()


def steps(times):
    return list(zip(times, times[1:], strict=False))


LEFT_RIGHT = [left, left_by_logs, left_by_walking]
LEFT_WRONG = [
    (lambda times, eta, schedule: None, "returns None"),
    (lambda times, eta, schedule: schedule.alpha(1.0) ** (eta**2), "limit of many small steps"),
    (lambda times, eta, schedule: schedule.alpha(1.0) ** eta, "eta is squared"),
    (lambda times, eta, schedule: sum(factor(t, s, eta, schedule) for t, s in steps(times)), "do not add"),
    (lambda times, eta, schedule: factor(*times[:2], eta, schedule), "first step alone"),
    (lambda times, eta, schedule: factor(*times[-2:], eta, schedule), "last step alone"),
    (lambda times, eta, schedule: left(times[:3], eta, schedule), "last step is missing"),
    (lambda times, eta, schedule: left(times[1:], eta, schedule), "first step is missing"),
    (
        lambda times, eta, schedule: math.prod(schedule.alpha(s) * schedule.alpha(t) for t, s in steps(times)),
        "through the old noise is missing",
    ),
    (
        lambda times, eta, schedule: math.prod(
            factor(t, s, eta, schedule) - schedule.alpha(s) * schedule.alpha(t) for t, s in steps(times)
        ),
        "through the guess is missing",
    ),
    (
        lambda times, eta, schedule: math.prod(
            schedule.alpha(s) * schedule.alpha(t) + (schedule.sigma(s) ** 2 - fresh(t, s, eta, schedule) ** 2) ** 0.5
            for t, s in steps(times)
        ),
        "the factor sigma_t",
    ),
    (lambda times, eta, schedule: left(times, 0.0, schedule), "without new noise"),
    (lambda times, eta, schedule: left(times, 1.0, schedule), "with eta = 1"),
    (lambda times, eta, schedule: 1 - left(times, eta, schedule), "what is lost"),
    (lambda times, eta, schedule: left(times, eta**2, schedule), "yours is"),
    (lambda times, eta, schedule: [factor(t, s, eta, schedule) for t, s in steps(times)], "must be one number"),
    (lambda times, eta, schedule: times[len(times)], "stops"),
]

# ---- 06.3: a prior that is wrong in its shape ----


def even_prior(shape, generator):
    return 3**0.5 * (2 * torch.rand(shape, generator=generator) - 1)


def even_centred(shape, generator):
    return (torch.rand(*shape, generator=generator, dtype=torch.float64) - 0.5) * math.sqrt(12)


def even_filled(shape, generator):
    return torch.empty(shape).uniform_(-math.sqrt(3), math.sqrt(3), generator=generator)


EVEN_RIGHT = [even_prior, even_centred, even_filled]
EVEN_WRONG = [
    (lambda shape, generator: None, "returns None"),
    (lambda shape, generator: torch.rand(shape, generator=generator), "the mean must be 0"),
    (lambda shape, generator: 2 * torch.rand(shape, generator=generator) - 1, "a^2 / 3"),
    (lambda shape, generator: 3 * (2 * torch.rand(shape, generator=generator) - 1), "a^2 / 3"),
    (lambda shape, generator: torch.randn(shape, generator=generator), "outside the interval"),
    (lambda shape, generator: 2.0 * torch.randint(2, shape, generator=generator) - 1, "not spread evenly"),
    (lambda shape, generator: 3**0.5 * (2 * torch.rand(shape) - 1), "the same seed gives two answers"),
    (lambda shape, generator: even_prior(shape, torch.Generator().manual_seed(0)), "another seed"),
    (lambda shape, generator: even_prior((shape[0], 1), generator).expand(shape), "hang together"),
    (lambda shape, generator: even_prior((1, shape[1]), generator).expand(shape), "must be"),
    (lambda shape, generator: even_prior(shape[:1], generator), "have the shape"),
    (lambda shape, generator: even_prior(shape, generator).numpy(), "must be a tensor"),
    (lambda shape, generator: torch.randint(-1, 2, shape, generator=generator), "numbers with a fraction"),
    (even_prior((4, 2), torch.Generator().manual_seed(0)), "without brackets"),
]

BANK = {
    "06.1": (STEP_RIGHT, STEP_WRONG),
    "06.2": (LEFT_RIGHT, LEFT_WRONG),
    "06.3": (EVEN_RIGHT, EVEN_WRONG),
}
