"""Does the training loss limit what the sampler makes of the prior, although training never runs the sampler?

The data is a mixture of Gaussians in eight dimensions, so its true negative log-likelihood is known. We compute the
bound that the denoising loss is, with the exact denoiser and with denoisers that are wrong on purpose: they shrink
x0_hat. The bound can never be below the truth, it is close to it for the exact denoiser, and it grows with the error.
So a small loss leaves the sampler no choice but to turn samples of the prior into data, in the sense of likelihood.
"""

from __future__ import annotations

import math

import torch
from matplotlib.figure import Figure
from torch import Tensor

import minidiffusion as md

SHRINK = (1.0, 0.95, 0.9, 0.8)  # factors of x0_hat; 1 is the exact denoiser
COUNT, STEPS = {"lesson": 100, "full": 300}, {"lesson": 2000, "full": 4000}  # few steps would add to the bound
DIMENSION = 8


def run(seed: int, scale: str, device: torch.device) -> dict:
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(6, DIMENSION, generator=generator, dtype=torch.float64)
    schedule = md.schedule.cosine()
    oracle = md.oracle.mixture(torch.ones(6), means, 0.05 * torch.eye(DIMENSION).expand(6, -1, -1), schedule)
    x0 = oracle.sample(COUNT[scale], generator).double()
    truth = -(oracle.log_density(x0, 0.0) / (DIMENSION * math.log(2))).mean().item()
    bounds = []
    for shrink in SHRINK:

        def denoise(x_t: Tensor, t: float, cond: None = None, shrink: float = shrink) -> Tensor:
            return shrink * oracle(x_t, t)

        noise = torch.Generator().manual_seed(seed)
        bounds.append(
            md.likelihood.elbo(denoise, x0, schedule, steps=STEPS[scale], generator=noise).total.mean().item()
        )
    return {
        "shrink": list(SHRINK),
        "truth": truth,
        "bounds": bounds,
        "bound_above_truth": bounds[0] - truth,
    }


def plot(runs: list[dict]) -> Figure:
    middle = torch.tensor([[bound - run["truth"] for bound in run["bounds"]] for run in runs]).mean(0)
    lines = {"bound": ([1 - shrink for shrink in runs[0]["shrink"]], middle.tolist())}
    return md.plots.curves(lines, "x0_hat is too small by this share", "bits a dimension above the truth")
