"""Answers that students give to the exercises of lesson 01."""

import numpy as np
import torch

import minidiffusion as md

# ---- 01.1: diffuse ----


def diffuse(x0, t, eps, schedule):
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    return alpha[:, None, None, None] * x0 + sigma[:, None, None, None] * eps


def diffuse_view(x0, t, eps, schedule):
    t = t.reshape(-1, *[1] * (x0.ndim - 1))
    return x0 * schedule.alpha(t) + eps * schedule.sigma(t)


def diffuse_loop(x0, t, eps, schedule):
    return torch.stack([schedule.alpha(u) * x + schedule.sigma(u) * e for x, u, e in zip(x0, t, eps, strict=True)])


def diffuse_einsum(x0, t, eps, schedule):
    return torch.einsum("b,bchw->bchw", schedule.alpha(t), x0) + torch.einsum("b,bchw->bchw", schedule.sigma(t), eps)


def mixed(mix):
    """A diffuse from mix(alpha, sigma, x0, eps) with alpha and sigma in the right shape."""

    def diffuse(x0, t, eps, schedule):
        t = t[:, None, None, None]
        return mix(schedule.alpha(t), schedule.sigma(t), x0, eps)

    return diffuse


def diffuse_in_place(x0, t, eps, schedule):
    x0 *= schedule.alpha(t)[:, None, None, None]
    return x0 + schedule.sigma(t)[:, None, None, None] * eps


def diffuse_by_decree(x0, t, eps, schedule):
    object.__setattr__(schedule, "alpha", torch.zeros_like)
    object.__setattr__(schedule, "sigma", torch.ones_like)
    return eps


DIFFUSE_RIGHT = [diffuse, diffuse_view, diffuse_loop, diffuse_einsum, md.diffuse]
DIFFUSE_WRONG = [
    (lambda x0, t, eps, schedule: None, "returns None"),
    (diffuse_in_place, "changes its input x0 in place"),
    (diffuse_by_decree, "away"),
    (mixed(lambda a, s, x0, eps: s * x0 + a * eps), "swapped"),
    (mixed(lambda a, s, x0, eps: a * x0 - s * eps), "wrong sign"),
    (mixed(lambda a, s, x0, eps: a * x0), "no noise"),
    (mixed(lambda a, s, x0, eps: a * x0 + eps), "too much noise"),
    (mixed(lambda a, s, x0, eps: x0 + s * eps), "x0 should fade"),
    (mixed(lambda a, s, x0, eps: a**2 * x0 + s**2 * eps), "squared"),
    (mixed(lambda a, s, x0, eps: a**0.5 * x0 + s**0.5 * eps), "square root"),
    (mixed(lambda a, s, x0, eps: a * x0 + (1 - a) * eps), "1 - alpha instead of sigma"),
    (mixed(lambda a, s, x0, eps: a * x0 + s * torch.randn_like(eps)), "two different answers"),
    (mixed(lambda a, s, x0, eps: a * x0 + s * eps[:1]), "the noise of the first"),
    (mixed(lambda a, s, x0, eps: (a * x0 + s * eps)[0]), "have the shape"),
    (mixed(lambda a, s, x0, eps: (a * x0 + s * eps).float()), "keep the type"),
    (mixed(lambda a, s, x0, eps: (a * x0 + s * eps).double()), "keep the type"),
    (mixed(lambda a, s, x0, eps: x0 + eps), "away"),
    (mixed(lambda a, s, x0, eps: a * x0 + a * eps), "away"),
    (lambda x0, t, eps, schedule: schedule.alpha(t) * x0 + schedule.sigma(t) * eps, "each column"),
    (lambda x0, t, eps, schedule: diffuse(x0, t[:1].expand(len(t)), eps, schedule), "time of the first"),
    (lambda x0, t, eps, schedule: diffuse(x0, t.mean().expand(len(t)), eps, schedule), "the mean of the times"),
    (lambda x0, t, eps, schedule: diffuse(x0, 1 - t, eps, schedule), "time runs backwards"),
    (lambda x0, t, eps, schedule: diffuse(x0, (t - 0.1).clamp(min=0), eps, schedule), "away"),
    (lambda x0, t, eps, schedule: diffuse(x0, 1000 * t, eps, schedule), "stops"),
]

# ---- 01.2: the time of equal parts ----


def even_by_halving(schedule):
    low, high = 0.0, 1.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if schedule.alpha(middle) > schedule.sigma(middle) else (low, middle)
    return low


def even_by_search(schedule):
    t = np.linspace(0, 1, 1001)
    return t[np.abs(schedule.alpha(t) - schedule.sigma(t)).argmin()]


EVEN_RIGHT = [
    lambda schedule: schedule.time(0.0),
    lambda schedule: schedule.time(torch.zeros((), dtype=torch.float64)),
    even_by_halving,
    even_by_search,
]


def even_first_below_half(schedule):
    t = np.linspace(0, 1, 1001)
    return t[(schedule.alpha(t) < 0.5).argmax()]


def even_by_decree(schedule):
    object.__setattr__(schedule, "time", lambda log_snr: 0.5)
    return schedule.time(0.0)


EVEN_WRONG = [
    (lambda schedule: None, "returns None"),
    (lambda schedule: 0.5, "they should be equal"),
    (lambda schedule: schedule.time(1.0), "whose logarithm is 0"),
    (lambda schedule: 1 - schedule.time(0.0), "time runs backwards"),
    (lambda schedule: round(1000 * schedule.time(0.0)), "from 0 to 1"),
    (lambda schedule: schedule.time(torch.zeros(2)), "must be one number"),
    (lambda schedule: str(schedule.time(0.0)), "must be one number"),
    (lambda schedule: float("nan"), "must be one number"),
    (even_by_decree, "they should be equal"),
    (lambda schedule: schedule.time, "must be one number"),
    (lambda schedule: schedule.log_snr(0.5), "yours"),
    (lambda schedule: schedule.alpha(schedule.time(0.0)), "they should be equal"),
    (even_first_below_half, "they should be equal"),
    (lambda schedule: 5.0, "lies in [0, 1]"),
    (lambda schedule: schedule.time(0.5), "they should be equal"),
    (lambda schedule: schedule.snr(0.5), "stops"),
    (md.schedule.cosine().time(0.0), "hand in the function itself"),
]

# ---- 01.3: what is left at the end ----


def left_loop(betas):
    alpha = 1.0
    for beta in betas:
        alpha = alpha * (1 - beta) ** 0.5
    return alpha


LEFT_RIGHT = [
    lambda betas: (1 - betas).prod().sqrt(),
    lambda betas: torch.cumprod(1 - betas, 0)[-1] ** 0.5,
    lambda betas: np.exp(0.5 * np.log1p(-betas.numpy()).sum()),
    lambda betas: md.schedule.from_betas(betas).alpha(1.0),
    left_loop,
]
LEFT_WRONG = [
    (lambda betas: None, "returns None"),
    (lambda betas: (1 - betas).prod(), "Take its square root"),
    (lambda betas: (1 - (1 - betas).prod()).sqrt(), "that is sigma(1), the noise"),
    (lambda betas: 1 - (1 - betas).prod(), "that is sigma(1) squared"),
    (lambda betas: betas.prod(), "multiplied the betas"),
    (lambda betas: betas.prod().sqrt(), "multiplied the betas"),
    (lambda betas: (1 - betas[-1]).sqrt(), "the last step alone"),
    (lambda betas: 1 - betas[-1], "the last step alone"),
    (lambda betas: (1 - betas[:-1]).prod().sqrt(), "left out the last step"),
    (lambda betas: (1 - betas[1:]).prod().sqrt(), "left out the first step"),
    (lambda betas: 1 - betas.sum(), "do not add up"),
    (lambda betas: (1 - betas).prod() ** 0.25, "one root too many"),
    (lambda betas: (1 - betas).sqrt().mean(), "you averaged"),
    (lambda betas: (1 - betas).cumprod(0).sqrt(), "must be one number"),
    (lambda betas: 0.0064, "yours is"),
    (lambda betas: betas.mul_(-1).add_(1).prod().sqrt(), "changes its input betas in place"),
]

BANK = {
    "01.1": (DIFFUSE_RIGHT, DIFFUSE_WRONG),
    "01.2": (EVEN_RIGHT, EVEN_WRONG),
    "01.3": (LEFT_RIGHT, LEFT_WRONG),
}
