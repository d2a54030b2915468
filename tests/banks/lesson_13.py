"""Answers that students give to the exercises of lesson 13."""

import math

import torch

import minidiffusion as md

# ---- 13.1: one formula for all outputs ----


def errors(a, b, alpha, sigma):
    bracket = a * sigma - b * alpha
    return sigma / bracket, -alpha / bracket


def errors_by_solving(a, b, alpha, sigma):
    system = torch.tensor([[alpha, sigma], [a, b]], dtype=torch.float64)  # (e_x0, e_eps) -> (of x_t, of the output)
    return torch.linalg.solve(system, torch.tensor([0.0, 1.0], dtype=torch.float64))


def errors_by_elimination(a, b, alpha, sigma):
    if sigma > alpha:  # e_eps = -alpha / sigma e_x0
        in_x0 = 1 / (a - b * alpha / sigma)
        return [in_x0, -alpha / sigma * in_x0]
    in_eps = 1 / (b - a * sigma / alpha)
    return [-sigma / alpha * in_eps, in_eps]


def errors_by_trying(a, b, alpha, sigma):
    def guess(said, x_t=0.0):  # x0 and eps from a x0 + b eps = said and alpha x0 + sigma eps = x_t
        bracket = a * sigma - b * alpha
        return (sigma * said - b * x_t) / bracket, (a * x_t - alpha * said) / bracket

    (x0, eps), (x0_off, eps_off) = guess(0.3, 1.7), guess(1.3, 1.7)
    return x0_off - x0, eps_off - eps


def for_one(formula):
    """An answer from formula(a, b, alpha, sigma, a sigma - b alpha)."""
    return lambda a, b, alpha, sigma: formula(a, b, alpha, sigma, a * sigma - b * alpha)


ERRORS_RIGHT = [errors, errors_by_solving, errors_by_elimination, errors_by_trying]
ERRORS_WRONG = [
    (lambda a, b, alpha, sigma: None, "returns None"),
    (lambda a, b, alpha, sigma: errors(a, b, alpha, sigma)[0], "return two numbers"),
    (lambda a, b, alpha, sigma: (*errors(a, b, alpha, sigma), 0.0), "return two numbers"),
    (for_one(lambda a, b, alpha, sigma, d: (-sigma / d, alpha / d)), "both signs are wrong"),
    (for_one(lambda a, b, alpha, sigma, d: (-alpha / d, sigma / d)), "the two are swapped"),
    (for_one(lambda a, b, alpha, sigma, d: (alpha / d, -sigma / d)), "alpha and sigma are swapped"),
    (for_one(lambda a, b, alpha, sigma, d: (sigma / d, alpha / d)), "the second sign is wrong"),
    (for_one(lambda a, b, alpha, sigma, d: (abs(sigma / d), abs(alpha / d))), "keep the signs"),
    (for_one(lambda a, b, alpha, sigma, d: (sigma, -alpha)), "not of the right size"),
    (for_one(lambda a, b, alpha, sigma, d: (sigma / d**2, -alpha / d**2)), "once too often"),
    (for_one(lambda a, b, alpha, sigma, d: (1 / d, -1 / d)), "must cancel"),
    (lambda a, b, alpha, sigma: (a / (a * a + b * b), b / (a * a + b * b)), "if x_t were unknown"),
    (lambda a, b, alpha, sigma: (1 / a, 1 / b), "not each of them on its own"),
    (lambda a, b, alpha, sigma: (-sigma / (alpha**2 + sigma**2), alpha / (alpha**2 + sigma**2)), "for v only"),
    (lambda a, b, alpha, sigma: (sigma / (a * sigma + b * alpha), -alpha / (a * sigma + b * alpha)), "a sign got lost"),
    (lambda a, b, alpha, sigma: (1 / (a - b * alpha / sigma), 0.0), "but x_t is known exactly"),
    (for_one(lambda a, b, alpha, sigma, d: (2 * sigma / d, -2 * alpha / d)), "change the output by 2, not by 1"),
    (lambda a, b, alpha, sigma: (1 / (a - b * alpha / sigma), 1 / (b - a * sigma / alpha)), "ZeroDivisionError"),
    (lambda a, b, alpha, sigma: (math.nan, 0.0), "the error of x0_hat"),
]

# ---- 13.2: the error after a step ----


def bent(answer):
    """An answer that replaces the schedule's curves before it computes."""

    def cheat(**inputs):
        for curve in ("alpha", "sigma", "log_snr", "time"):
            object.__setattr__(inputs["schedule"], curve, lambda value: 0.5)
        return answer(**inputs)

    return lambda *values: cheat(**dict(zip(answer.__code__.co_varnames, values, strict=False)))


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
    "13.1": (ERRORS_RIGHT, ERRORS_WRONG),
    "13.2": (THROWN_RIGHT, THROWN_WRONG),
    "13.3": (TAME_RIGHT, TAME_WRONG),
}
