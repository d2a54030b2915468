"""E0. What is a single subtraction of the predicted noise worth, and is it one guess under two names?

Everything is exact, in eight dimensions: the data comes from six Gaussians, so the best denoiser is a formula. Its
x0_hat = (x_t - sigma eps_hat) / alpha is the mean of all the x0 that x_t may come from. We ask how much of the variance
of the data is left in it, and whether the error of eps_hat equals that of x0_hat times the SNR, as the algebra says.
"""

from __future__ import annotations

import math

import torch
from matplotlib.figure import Figure

import minidiffusion as md

TIMES = (0.05, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)
COUNT = {"lesson": 2000, "full": 20_000}


def run(seed: int, scale: str, device: torch.device) -> dict:
    generator = torch.Generator().manual_seed(seed)
    schedule = md.schedule.linear()
    means = torch.randn(6, 8, generator=generator, dtype=torch.float64)
    oracle = md.oracle.mixture(torch.ones(6), means, 0.05 * torch.eye(8).expand(6, 8, 8), schedule)
    x0 = oracle.sample(COUNT[scale], generator)
    eps = torch.randn(x0.shape, generator=generator, dtype=torch.float64)
    spreads, identity = [], 0.0
    for t in TIMES:
        x_t = md.diffuse(x0.double(), t, eps, schedule)
        x0_hat = oracle(x_t, t)
        spreads.append((x0_hat.var(0).sum() / x0.var(0).sum()).item())
        eps_hat = md.to_eps(x0_hat, x_t, t, schedule)
        in_eps = (eps - eps_hat).square().sum(1)
        in_x0 = math.exp(schedule.log_snr(t)) * (x0.double() - x0_hat).square().sum(1)
        identity = max(identity, ((in_eps - in_x0).abs().max() / in_eps.max()).item())
    return {
        "times": list(TIMES),
        "spreads": spreads,
        "spread_at_little_noise": spreads[0],
        "spread_at_pure_noise": spreads[-1],
        "identity_error": identity,
        # |d x0_hat / d eps_hat| at the start of sampling
        "error_of_x0_for_one_of_eps": schedule.sigma(1.0) / schedule.alpha(1.0),
    }


def plot(runs: list[dict]) -> Figure:
    mean = torch.tensor([run["spreads"] for run in runs]).mean(0)
    lines = {"x0_hat, one subtraction": (runs[0]["times"], mean.tolist())}
    return md.plots.curves(lines, "t, the noise in x_t", "share of the data's variance", levels={"data": 1.0})
