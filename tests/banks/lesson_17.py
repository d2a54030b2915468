"""Answers that students give to the exercises of lesson 17."""

import math

import torch

import minidiffusion as md

# ---- 17.1: the whole way up ----


def eps_in(x_t, x0, t, schedule):
    return (x_t - schedule.alpha(t) * x0) / schedule.sigma(t) if schedule.sigma(t) > 0 else torch.zeros_like(x_t)


def climbing(mix, noise=eps_in):
    """A way up whose steps are mix(x_t, x0, eps, alpha, sigma), where alpha and sigma belong to s."""

    def climb(denoise, x0, times, schedule):
        x = x0
        for t, s in zip(times[:-1], times[1:], strict=True):
            x0_hat = denoise(x, t)
            x = mix(x, x0_hat, noise(x, x0_hat, t, schedule), schedule.alpha(s), schedule.sigma(s))
        return x

    return climb


def step(x, x0, eps, a, s):
    return a * x0 + s * eps


def climb_in_the_lesson(denoise, x0, times, schedule):
    x = x0
    for t, s in zip(times[:-1], times[1:], strict=True):
        x0_hat, eps_hat = x, torch.zeros_like(x)
        if schedule.sigma(t) > 0:
            x0_hat = denoise(x, t)
            eps_hat = (x - schedule.alpha(t) * x0_hat) / schedule.sigma(t)
        x = schedule.alpha(s) * x0_hat + schedule.sigma(s) * eps_hat
    return x


def climb_by_the_package(denoise, x0, times, schedule):
    return md.guidance.invert(lambda x, t, cond=None: denoise(x, t), x0, schedule, times=list(times))


def climb_one_more(denoise, x0, times, schedule):
    x = climb_in_the_lesson(denoise, x0, times, schedule)
    denoise(x, times[-1])
    return x


def climb_ahead(denoise, x0, times, schedule):
    x = x0
    for t, s in zip(times[:-1], times[1:], strict=True):
        x0_hat = denoise(x, s)
        x = step(x, x0_hat, eps_in(x, x0_hat, t, schedule), schedule.alpha(s), schedule.sigma(s))
    return x


def climb_from_the_picture(denoise, x0, times, schedule):
    for t, s in zip(times[:-1], times[1:], strict=True):
        x0_hat = denoise(x0, t)
        x = step(x0, x0_hat, eps_in(x0, x0_hat, t, schedule), schedule.alpha(s), schedule.sigma(s))
    return x


def climb_looking(at):
    """The right steps, but denoise gets at(x, x0, alpha)."""

    def climb(denoise, x0, times, schedule):
        return climb_in_the_lesson(lambda x, t: denoise(at(x, x0, schedule.alpha(t)), t), x0, times, schedule)

    return climb


def climb_short(denoise, x0, times, schedule):
    x = x0
    for t, s in zip(times[:-1], times[1:], strict=True):
        last, x0_hat = x, denoise(x, t)
        x = step(x, x0_hat, eps_in(x, x0_hat, t, schedule), schedule.alpha(s), schedule.sigma(s))
    return last


def climb_to_a_guess(denoise, x0, times, schedule):
    x = x0
    for t, s in zip(times[:-1], times[1:], strict=True):
        x0_hat = denoise(x, t)
        x = step(x, x0_hat, eps_in(x, x0_hat, t, schedule), schedule.alpha(s), schedule.sigma(s))
    return x0_hat


def climb_in_place(denoise, x0, times, schedule):
    x = x0
    for t, s in zip(times[:-1], times[1:], strict=True):
        x0_hat = denoise(x, t)
        eps = eps_in(x, x0_hat, t, schedule)
        x *= 0
        x += step(x, x0_hat, eps, schedule.alpha(s), schedule.sigma(s))
    return x


def climb_down(denoise, x0, times, schedule):
    return climb_in_the_lesson(denoise, x0, times[::-1], schedule)


def climb_halfway(denoise, x0, times, schedule):
    return climb_in_the_lesson(denoise, x0, times[:2], schedule)


def climb_without_looking(denoise, x0, times, schedule):
    for t in times[:-1]:
        denoise(x0, t)
    return x0


def dividing(x, x0, t, schedule):
    return (x - schedule.alpha(t) * x0) / torch.tensor(schedule.sigma(t), dtype=x.dtype)


def not_divided(x, x0, t, schedule):
    return x - schedule.alpha(t) * x0 if t > 0 else torch.zeros_like(x)


UP_RIGHT = [climb_in_the_lesson, climbing(step), climb_by_the_package]
UP_WRONG = [
    (lambda denoise, x0, times, schedule: None, "returns None"),
    (climb_in_place, "changes its input x0 in place"),
    (climb_one_more, "once too often"),
    (climb_ahead, "at s, where the step ends"),
    (climb_down, "here they rise"),
    (climb_halfway, "call the network at"),
    (climb_from_the_picture, "every call of denoise gets the same x"),
    (climb_looking(lambda x, x0, alpha: x0), "every call of denoise gets the same x"),
    (climb_looking(lambda x, x0, alpha: x / alpha), "not the state at this time"),
    (climb_short, "from before the last step"),
    (climb_to_a_guess, "you return the last guess"),
    (climb_without_looking, "is still the picture"),
    (climbing(step, dividing), "division by 0"),
    (climbing(step, not_divided), "divide it by sigma(t)"),
    (climbing(step, lambda x, x0, t, schedule: x if t == 0 else eps_in(x, x0, t, schedule)), "no noise to carry along"),
    (climbing(lambda x, x0, eps, a, s: s * x0 + a * eps), "are swapped"),
    (climbing(lambda x, x0, eps, a, s: a * x0), "has no noise"),
    (climbing(lambda x, x0, eps, a, s: a * x0 - s * eps), "wrong sign"),
    (climbing(lambda x, x0, eps, a, s: a * x0 + s * x), "x_t as the noise"),
    (climbing(lambda x, x0, eps, a, s: a * x + s * eps), "should be x0_hat"),
    (climbing(lambda x, x0, eps, a, s: x0 + s * eps), "its factor alpha(s)"),
    (climbing(lambda x, x0, eps, a, s: eps), "the noise alone"),
    (climbing(lambda x, x0, eps, a, s: a * x0 + s * torch.randn_like(eps)), "two different answers"),
    (lambda *inputs: climb_in_the_lesson(*inputs)[0], "have the shape"),
    (lambda *inputs: climb_in_the_lesson(*inputs).float(), "keep the type"),
]

# ---- 17.2: a point on the arc ----


def angle(x, y):
    return torch.acos((x * y).sum() / (x.norm() * y.norm()))


def arc(x, y, w):
    omega = angle(x, y)
    return (torch.sin((1 - w) * omega) * x + torch.sin(w * omega) * y) / torch.sin(omega)


def arc_with_math(x, y, w):
    omega = math.acos(float(torch.dot(x, y)) / math.sqrt(float(torch.dot(x, x)) * float(torch.dot(y, y))))
    return math.sin((1 - w) * omega) / math.sin(omega) * x + math.sin(w * omega) / math.sin(omega) * y


def arc_of_the_angle(take):
    """The arc, computed with the angle take(x, y)."""

    def point(x, y, w):
        omega = take(x, y)
        return (torch.sin((1 - w) * omega) * x + torch.sin(w * omega) * y) / torch.sin(omega)

    return point


def arc_in_place(x, y, w):
    x /= x.norm()
    return arc(x, y, w)


ARC_RIGHT = [arc, arc_with_math, lambda x, y, w: md.guidance.interpolate(x[None], y[None], [w])[0, 0]]
ARC_WRONG = [
    (lambda x, y, w: None, "returns None"),
    (arc_in_place, "changes its input x in place"),
    (lambda x, y, w: arc(y, x, w), "are swapped"),
    (lambda x, y, w: (1 - w) * x + w * y, "straight line, whose middle"),
    (lambda x, y, w: ((1 - w) * x + w * y) / ((1 - w) * x + w * y).norm() * x.norm(), "stretched"),
    (lambda x, y, w: arc(x, y, w) * torch.sin(angle(x, y)), "divide by the sine"),
    (lambda x, y, w: torch.cos(w * angle(x, y)) * x + torch.sin(w * angle(x, y)) * y, "90 degrees"),
    (lambda x, y, w: math.sqrt(1 - w) * x + math.sqrt(w) * y, "roots fit"),
    (arc_of_the_angle(lambda x, y: angle(x, y) / math.pi * 180), "needs radians"),
    (arc_of_the_angle(lambda x, y: x @ y / (x.norm() * y.norm())), "radians apart"),
    (lambda x, y, w: arc(x, y, w)[None], "have the shape"),
    (lambda x, y, w: arc(x, y, w).float(), "keep the type"),
    (lambda x, y, w: (x @ y)[3], "stops"),
]

# ---- 17.3: the trap of the lucky start ----


def rest_of(x):
    return x - x.mean(1, keepdim=True) - x.mean(0, keepdim=True) + x.mean()


def variance_of_the_start(x):
    P, N = x.shape
    return x.mean(0).var() - rest_of(x).square().sum() / ((P - 1) * (N - 1)) / P


def variance_by_mean_squares(x):
    P, N = x.shape
    starts = P * (x.mean(0) - x.mean()).square().sum() / (N - 1)
    total = (x - x.mean()).square().sum()
    prompts = N * (x.mean(1) - x.mean()).square().sum()
    rest = (total - prompts - (N - 1) * starts) / ((P - 1) * (N - 1))
    return ((starts - rest) / P).item()


def variance_by_covariance(x):
    """Two prompts share nothing but the start, so their covariance over the starts is what we look for."""
    cov = torch.cov(x)
    P = len(x)
    return (cov.sum() - cov.trace()) / (P * (P - 1))


def minus(luck):
    return lambda x: x.mean(0).var() - luck(x, *x.shape)


def free(P, N):
    return (P - 1) * (N - 1)


VARIANCE_RIGHT = [
    variance_of_the_start,
    variance_by_mean_squares,
    variance_by_covariance,
    lambda x: variance_of_the_start(x.float()),
]
VARIANCE_WRONG = [
    (lambda x: None, "returns None"),
    (lambda x: x.mean(0).var(), "luck included"),
    (lambda x: x.mean(0).var(correction=0), "luck included"),
    (lambda x: variance_of_the_start(x.T), "that is for the prompts"),
    (lambda x: rest_of(x).square().sum() / free(*x.shape) / len(x), "that is the luck alone"),
    (minus(lambda x, P, N: rest_of(x).square().sum() / free(P, N)), "a P-th of the variance"),
    (minus(lambda x, P, N: -rest_of(x).square().sum() / free(P, N) / P), "so subtract its part"),
    (minus(lambda x, P, N: rest_of(x).square().mean() / P), "divide the squares of the rest by"),
    (minus(lambda x, P, N: (x - x.mean(0)).square().sum() / free(P, N) / P), "take away the average of its row"),
    (
        minus(lambda x, P, N: (x - x.mean(1, keepdim=True)).square().sum() / free(P, N) / P),
        "take away the average of its column",
    ),
    (minus(lambda x, P, N: x.var() / P), "not all of x"),
    (lambda x: len(x) * variance_of_the_start(x), "do not multiply by P"),
    (lambda x: variance_of_the_start(x) - x.mean(0).var() / x.shape[1], "divide the sum over the N averages by N - 1"),
    (lambda x: variance_of_the_start(x).clamp(min=0), "do not cut it at 0"),
    (lambda x: variance_of_the_start(x) / x.var(correction=0), "not for its share"),
    (lambda x: variance_of_the_start(x).abs().sqrt(), "that is its root"),
    (lambda x: x.var(), "Check first the variance of the averages"),
    (lambda x: x.mean(0), "must be one number"),
    (lambda x: x.variance(), "stops"),
]

BANK = {"17.1": (UP_RIGHT, UP_WRONG), "17.2": (ARC_RIGHT, ARC_WRONG), "17.3": (VARIANCE_RIGHT, VARIANCE_WRONG)}
