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
    (mixed(lambda a, s, x0, eps: a * x0 + (1 - a**2).sqrt() * eps), "on some schedules only"),
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

# ---- 01.2: how small is small enough ----


def correlation(alpha, n, S):
    return alpha * S / (alpha**2 * S**2 + (1 - alpha**2) / n) ** 0.5


def enough_by_halving(n, S, rho):
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if correlation(middle, n, S) < rho else (low, middle)
    return low


def enough_in_two_lines(n, S, rho):
    ratio = rho**2 / (n * S**2 * (1 - rho**2))  # of alpha(1) squared and sigma(1) squared
    return torch.tensor(ratio / (1 + ratio), dtype=torch.float64).sqrt()


ENOUGH_RIGHT = [
    lambda n, S, rho: rho / (n * S**2 * (1 - rho**2) + rho**2) ** 0.5,
    lambda n, S, rho: np.sqrt(rho**2 / (rho**2 + n * S**2 - n * S**2 * rho**2)),
    enough_by_halving,
    enough_in_two_lines,
]
ENOUGH_WRONG = [
    (lambda n, S, rho: None, "returns None"),
    (lambda n, S, rho: rho**2 / (n * S**2 * (1 - rho**2) + rho**2), "that is alpha(1) squared"),
    (lambda n, S, rho: -rho / (n * S**2 * (1 - rho**2) + rho**2) ** 0.5, "take the positive root"),
    (lambda n, S, rho: (1 - rho**2 / (n * S**2 * (1 - rho**2) + rho**2)) ** 0.5, "that is sigma(1), the noise"),
    (lambda n, S, rho: rho / (n * S**2 * (1 - rho**2)) ** 0.5, "you took sigma(1) as 1"),
    (lambda n, S, rho: rho / (S * n**0.5), "Do it exactly"),
    (lambda n, S, rho: rho / (n * S**2 + rho**2) ** 0.5, "and not with the noise alone"),
    (lambda n, S, rho: rho / ((n * S**2 * (1 - rho**2)) ** 0.5 + rho), "Here the squares add up to 1"),
    (lambda n, S, rho: rho / (S**2 * (1 - rho**2) + rho**2) ** 0.5, "where is n?"),
    (lambda n, S, rho: rho / (n**2 * S**2 * (1 - rho**2) + rho**2) ** 0.5, "one n too many"),
    (lambda n, S, rho: rho / (n * S * (1 - rho**2) + rho**2) ** 0.5, "A variance needs its square"),
    (lambda n, S, rho: rho, "that is the correlation itself"),
    (lambda n, S, rho: 3.0, "lies in [0, 1]"),
    (lambda n, S, rho: 0.5, "and the correlation is"),
    (lambda n, S, rho: 0.0, "and the correlation is"),
    (lambda n, S, rho: S, "and the correlation is"),
    (lambda n, S, rho: torch.tensor([rho, S]), "must be one number"),
    (lambda n, S, rho: str(rho), "must be one number"),
    (lambda n, S, rho: float("nan"), "must be one number"),
    (lambda n, S: S, "stops"),
    (0.0028, "hand in the function itself"),
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
    (lambda betas: torch.exp(-betas.sum() / 2), "0.657 of x0 is left, but yours is 0.705"),
    (lambda betas: 0.0064, "yours is"),
    (lambda betas: betas.mul_(-1).add_(1).prod().sqrt(), "changes its input betas in place"),
]

BANK = {
    "01.1": (DIFFUSE_RIGHT, DIFFUSE_WRONG),
    "01.2": (ENOUGH_RIGHT, ENOUGH_WRONG),
    "01.3": (LEFT_RIGHT, LEFT_WRONG),
}
