"""Answers that students give to the exercises of lesson 17."""

import math

import torch

import minidiffusion as md

# ---- 14.1: one step up ----


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

# ---- 14.2: a point on the arc ----


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

BANK = {"17.1": (UP_RIGHT, UP_WRONG), "17.2": (ARC_RIGHT, ARC_WRONG)}
