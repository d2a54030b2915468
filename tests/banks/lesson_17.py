"""Answers that students give to the exercises of lesson 17."""

import math

import torch

import minidiffusion as md

# ---- 17.1: one step up ----


def eps_in(x_t, x0, t, schedule):
    return (x_t - schedule.alpha(t) * x0) / schedule.sigma(t) if schedule.sigma(t) > 0 else torch.zeros_like(x_t)


def mixed(mix):
    """A step made from mix(x_t, x0, eps, alpha, sigma), where alpha and sigma belong to s."""

    def step(x_t, x0_hat, t, s, schedule):
        return mix(x_t, x0_hat, eps_in(x_t, x0_hat, t, schedule), schedule.alpha(s), schedule.sigma(s))

    return step


def step_at_zero_first(x_t, x0_hat, t, s, schedule):
    if t == 0:
        return schedule.alpha(s) * x0_hat
    scale = schedule.sigma(s) / schedule.sigma(t)
    return scale * x_t + (schedule.alpha(s) - schedule.alpha(t) * scale) * x0_hat


def step_package(x_t, x0_hat, t, s, schedule):
    return md.guidance.invert(lambda x, t, cond=None: x0_hat, x_t, schedule, times=[t, s])


def step_that_divides(x_t, x0_hat, t, s, schedule):
    eps = (x_t - schedule.alpha(t) * x0_hat) / torch.tensor(schedule.sigma(t), dtype=x_t.dtype)
    return schedule.alpha(s) * x0_hat + schedule.sigma(s) * eps


def step_with_x_for_noise_at_zero(x_t, x0_hat, t, s, schedule):
    eps = x_t if t == 0 else eps_in(x_t, x0_hat, t, schedule)
    return schedule.alpha(s) * x0_hat + schedule.sigma(s) * eps


def step_in_place(x_t, x0_hat, t, s, schedule):
    x_t -= schedule.alpha(t) * x0_hat
    return schedule.alpha(s) * x0_hat + schedule.sigma(s) * x_t / schedule.sigma(t)


UP_RIGHT = [mixed(lambda x, x0, eps, a, s: a * x0 + s * eps), step_at_zero_first, step_package]
UP_WRONG = [
    (lambda x_t, x0, t, s, schedule: None, "returns None"),
    (step_in_place, "changes its input x_t in place"),
    (step_that_divides, "you divide by sigma(0)"),
    (step_with_x_for_noise_at_zero, "no noise to carry along"),
    (lambda x_t, x0, t, s, schedule: x_t, "is still"),
    (mixed(lambda x, x0, eps, a, s: s * x0 + a * eps), "are swapped"),
    (mixed(lambda x, x0, eps, a, s: a * x0), "has no noise"),
    (mixed(lambda x, x0, eps, a, s: a * x0 - s * eps), "wrong sign"),
    (mixed(lambda x, x0, eps, a, s: a * x0 + s * x), "x_t as the noise"),
    (mixed(lambda x, x0, eps, a, s: a * x + s * eps), "should be x0_hat"),
    (mixed(lambda x, x0, eps, a, s: x0 + s * eps), "its factor alpha(s)"),
    (mixed(lambda x, x0, eps, a, s: eps), "the noise alone"),
    (mixed(lambda x, x0, eps, a, s: a * x0 + s * torch.randn_like(eps)), "two different answers"),
    (mixed(lambda x, x0, eps, a, s: (a * x0 + s * eps)[0]), "have the shape"),
    (mixed(lambda x, x0, eps, a, s: (a * x0 + s * eps).float()), "keep the type"),
    (
        lambda x_t, x0, t, s, schedule: schedule.alpha(s) * x0 + schedule.sigma(s) * (x_t - schedule.alpha(t) * x0),
        "divide it by sigma(t)",
    ),
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


VARIANCE_RIGHT = [variance_of_the_start, variance_by_mean_squares, variance_by_covariance]
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
