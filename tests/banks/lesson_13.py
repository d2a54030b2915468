"""Answers that students give to the exercises of lesson 13."""

import math

import torch

import minidiffusion as md

# ---- 13.1: the factor of each output ----


def factor(name, t, schedule):
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    return {"x0": 1.0, "eps": sigma / alpha, "v": sigma / (alpha**2 + sigma**2)}[name]


def factor_from_snr(name, t, schedule):
    if name == "eps":
        return math.exp(-schedule.log_snr(t) / 2)
    a, s = schedule.alpha(t), schedule.sigma(t)
    return 1 if name == "x0" else s / (a * a + s * s)


def factor_from_gain(name, t, schedule):
    return 1 / md.heads.HEADS[name].gain(t, torch.zeros(1, 2), schedule)


def factor_by_trying(name, t, schedule):
    one, zero = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    to_x0 = md.heads.HEADS[name].to_x0
    return (to_x0(one, zero, t, schedule) - to_x0(zero, zero, t, schedule)).abs().item()


def bent(answer):
    """An answer that replaces the schedule's curves before it computes."""

    def cheat(**inputs):
        for curve in ("alpha", "sigma", "log_snr", "time"):
            object.__setattr__(inputs["schedule"], curve, lambda value: 0.5)
        return answer(**inputs)

    return lambda *values: cheat(**dict(zip(answer.__code__.co_varnames, values, strict=False)))


def factors(**changed):
    """A `factor` with other formulas (alpha, sigma) -> number for some of the outputs."""
    formulas = {"x0": lambda a, s: 1.0, "eps": lambda a, s: s / a, "v": lambda a, s: s / (a**2 + s**2)} | changed
    return lambda name, t, schedule: formulas[name](schedule.alpha(t), schedule.sigma(t))


FACTOR_RIGHT = [factor, factor_from_snr, factor_from_gain, factor_by_trying]
FACTOR_WRONG = [
    (lambda name, t, schedule: None, "returns None"),
    (factors(eps=lambda a, s: a / s), "invert the fraction"),
    (factors(eps=lambda a, s: -s / a), "leave the sign out"),
    (factors(eps=lambda a, s: (s / a) ** 2), "squared error"),
    (factors(eps=lambda a, s: (s / a) ** 0.5), "a root too many"),
    (factors(eps=lambda a, s: s), "so divide by alpha as well"),
    (factors(eps=lambda a, s: 1 / a), "so multiply by sigma as well"),
    (factors(x0=lambda a, s: a / s), "x0_hat already"),
    (factors(x0=lambda a, s: s / a), "x0_hat already"),
    (factors(v=lambda a, s: s), "On flow it is not"),
    (factors(v=lambda a, s: a), "Use the factor of v"),
    (factors(v=lambda a, s: a / (a**2 + s**2)), "the factor of x_t"),
    (factors(v=lambda a, s: s / (a + s)), "sum of the squares"),
    (factors(v=lambda a, s: (a**2 + s**2) / s), "invert the fraction"),
    (factors(v=lambda a, s: s / a), "the factor of eps"),
    (factors(v=lambda a, s: 1.0), "for v on"),
    (lambda name, t, schedule: schedule.sigma(t) / schedule.alpha(t), "x0_hat already"),
    (lambda name, t, schedule: schedule.gain(t), "stops"),
    (lambda name, t, schedule: torch.ones(3), "must be one number"),
    (bent(factor), "for eps on cosine"),
]

# ---- 13.2: the error after a step ----


def thrown(error, t, s, schedule):
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    return (alpha * schedule.sigma(s) - sigma * schedule.alpha(s)) / (alpha**2 + sigma**2) * error


def thrown_in_two(error, t, s, schedule):
    bracket = schedule.alpha(t) ** 2 + schedule.sigma(t) ** 2
    in_x0, in_eps = -schedule.sigma(t) / bracket * error, schedule.alpha(t) / bracket * error
    return schedule.alpha(s) * in_x0 + schedule.sigma(s) * in_eps


def thrown_by_trying(error, t, s, schedule):
    def step(v_hat):
        x_t = torch.zeros_like(error)
        x0_hat = md.heads.V.to_x0(v_hat, x_t, t, schedule)
        return schedule.alpha(s) * x0_hat + schedule.sigma(s) * md.to_eps(x0_hat, x_t, t, schedule)

    return step(error) - step(torch.zeros_like(error))


def thrown_by_solving(error, t, s, schedule):
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    system = torch.tensor([[alpha, sigma], [-sigma, alpha]], dtype=error.dtype)  # (x0, eps) -> (x_t, v)
    in_x0, in_eps = torch.linalg.solve(system, torch.tensor([0.0, 1.0], dtype=error.dtype))
    return (schedule.alpha(s) * in_x0 + schedule.sigma(s) * in_eps) * error


def thrown_in_place(error, t, s, schedule):
    error *= schedule.sigma(s) * schedule.alpha(t) - schedule.alpha(s) * schedule.sigma(t)
    return error


def by(factor):
    """A `thrown` that multiplies the error by factor(alpha_s, sigma_s, alpha_t, sigma_t)."""

    def thrown(error, t, s, schedule):
        return factor(schedule.alpha(s), schedule.sigma(s), schedule.alpha(t), schedule.sigma(t)) * error

    return thrown


def over(factor):
    """The same, divided by alpha_t^2 + sigma_t^2."""
    return by(lambda a, b, alpha, sigma: factor(a, b, alpha, sigma) / (alpha**2 + sigma**2))


THROWN_RIGHT = [thrown, thrown_in_two, thrown_by_trying, thrown_by_solving]
THROWN_WRONG = [
    (lambda error, t, s, schedule: None, "returns None"),
    (thrown_in_place, "changes its input error in place"),
    (over(lambda a, b, alpha, sigma: a * sigma - b * alpha), "the sign is wrong"),
    (over(lambda a, b, alpha, sigma: abs(b * alpha - a * sigma)), "the sign is wrong"),
    (by(lambda a, b, alpha, sigma: b * alpha - a * sigma), "on flow alpha^2 + sigma^2 is not 1"),
    (by(lambda a, b, alpha, sigma: (b * alpha - a * sigma) / (alpha + sigma)), "on flow alpha^2 + sigma^2 is not 1"),
    (by(lambda a, b, alpha, sigma: (b * alpha - a * sigma) / (alpha**2 + sigma**2) ** 0.5), "not by its root"),
    (by(lambda a, b, alpha, sigma: (b * alpha - a * sigma) / (alpha**2 + sigma**2) ** 2), "once too often"),
    (by(lambda a, b, alpha, sigma: (b * alpha - a * sigma) / (a**2 + b**2)), "of the prediction, not at s"),
    (over(lambda a, b, alpha, sigma: -a * sigma), "adds back is wrong"),
    (over(lambda a, b, alpha, sigma: b * alpha), "x0_hat is wrong as well"),
    (over(lambda a, b, alpha, sigma: -sigma), "the error of x0_hat. Now take the step"),
    (over(lambda a, b, alpha, sigma: alpha), "the error of eps_hat. Now take the step"),
    (over(lambda a, b, alpha, sigma: b * alpha + a * sigma), "has a minus"),
    (over(lambda a, b, alpha, sigma: b * sigma - a * alpha), "and alpha_t with eps_hat"),
    (by(lambda a, b, alpha, sigma: (sigma * a - alpha * b) / (a**2 + b**2)), "are swapped"),
    (by(lambda a, b, alpha, sigma: b - a * sigma / alpha), "error in eps_hat, but"),
    (by(lambda a, b, alpha, sigma: a - alpha * b / sigma), "error in x0_hat, but"),
    (by(lambda a, b, alpha, sigma: 0.0), "translate from v to x0"),
    (by(lambda a, b, alpha, sigma: 1.0), "the error that came in"),
    (by(lambda a, b, alpha, sigma: 7.0), "Write x_s with v_hat"),
    (lambda error, t, s, schedule: thrown(error, t, s, schedule).mean(), "must have the shape"),
    (lambda error, t, s, schedule: thrown(error, t, s, schedule).float(), "let the error of x_s keep the type"),
    (bent(thrown), "translate from v to x0"),
]

# ---- 13.3: times that tame the noise ----


def tame(schedule, steps):
    top = math.asinh(schedule.sigma(1.0) / schedule.alpha(1.0))
    ratios = [math.sinh(top * (1 - i / steps)) for i in range(1, steps)]
    return [1.0, *[schedule.time(-2 * math.log(r)) for r in ratios], 0.0]


def tame_in_log_snr(schedule, steps):
    return md.samplers.uniform_log_snr(schedule, steps, sigma_min=0.3, sigma_max=1e6)


def tame_tensor(schedule, steps):
    return torch.tensor(tame(schedule, steps), dtype=torch.float64)


def tame_upwards(schedule, steps):
    """From the data up: the longest step that is allowed, times a factor that makes the last one end at t = 1."""

    def climb(share):
        ratios = [0.0]
        for _ in range(steps):
            ratios.append(ratios[-1] + share * math.hypot(1.0, ratios[-1]))
        return ratios

    low, high, goal = 0.0, 1.0, schedule.sigma(1.0) / schedule.alpha(1.0)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if climb(middle)[-1] < goal else (low, middle)
    return [1.0, *[schedule.time(-2 * math.log(r)) for r in climb(low)[-2:0:-1]], 0.0]


def spaced(curve, inverse):
    """Times at which curve(r) is evenly spaced."""

    def times(schedule, steps):
        top = curve(schedule.sigma(1.0) / schedule.alpha(1.0))
        ratios = [inverse(top * (1 - i / steps)) for i in range(1, steps)]
        return [1.0, *[schedule.time(-2 * math.log(r)) for r in ratios], 0.0]

    return times


TAME_RIGHT = [tame, tame_in_log_snr, tame_tensor, tame_upwards]
TAME_WRONG = [
    (lambda schedule, steps: None, "returns None"),
    (lambda schedule, steps: md.samplers.uniform(steps), "those are evenly spaced times"),
    (lambda schedule, steps: [1 - i / steps for i in range(steps + 1)], "those are evenly spaced times"),
    (md.samplers.karras, "r may fall to about half of itself"),
    (lambda schedule, steps: [(1 - i / steps) ** 2 for i in range(steps + 1)], "r may fall to about half of itself"),
    (lambda schedule, steps: [1 - (i / steps) ** 2 for i in range(steps + 1)], "r may fall to about half of itself"),
    (lambda schedule, steps: md.samplers.uniform_log_snr(schedule, steps, 3.0, 1e6), "must begin at r = 1 or below"),
    (lambda schedule, steps: md.samplers.uniform_log_snr(schedule, steps, 1e-4, 1e6), "r may fall to about half"),
    (spaced(lambda r: r, lambda u: u), "must begin at r = 1 or below"),
    (spaced(lambda r: r**0.5, lambda u: u**2), "must begin at r = 1 or below"),
    (spaced(math.atan, math.tan), "r may fall to about half of itself"),
    (lambda schedule, steps: tame(schedule, steps)[::-1], "your times rise"),
    (lambda schedule, steps: tame(schedule, steps)[:-1], "both ends included"),
    (lambda schedule, steps: [*tame(schedule, steps)[:-1], 1e-3], "end at exactly 0"),
    (lambda schedule, steps: [0.97, *tame(schedule, steps)[1:]], "the times must begin at 1"),
    (lambda schedule, steps: [1.0, 1.0, *tame(schedule, steps)[2:]], "two of your times are equal"),
    (lambda schedule, steps: 0.5, "return a list of times"),
    (lambda schedule, steps: [math.nan] * (steps + 1), "each time must be one number"),
    (0.98, "hand in the function itself"),
    (bent(tame), "two of your times are equal"),
]

BANK = {
    "13.1": (FACTOR_RIGHT, FACTOR_WRONG),
    "13.2": (THROWN_RIGHT, THROWN_WRONG),
    "13.3": (TAME_RIGHT, TAME_WRONG),
}
