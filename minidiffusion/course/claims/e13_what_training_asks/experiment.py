"""Does the training loss limit what the sampler makes of the prior, although training never runs the sampler?

The data is a mixture of Gaussians in eight dimensions. A model is the exact denoiser of the same mixture with all its
means shifted, so its sampler turns the prior into that shifted mixture, whose likelihood is known. For each shift we
compare the denoising loss on the data, weighted as in the bound, with the true negative log-likelihood that the
sampler's distribution gives to the data. The loss must never be below it. Where it is close to it, a small loss leaves
the sampler no choice but to turn samples of the prior into data, in the sense of likelihood.
"""

from __future__ import annotations

import math

import torch
from matplotlib.figure import Figure

import minidiffusion as md

SHIFTS = (0.0, 0.1, 0.2, 0.4)  # of each coordinate of the means, whose Gaussians have a standard deviation of 0.22
COUNT, STEPS = {"lesson": 100, "full": 300}, {"lesson": 2000, "full": 4000}  # few steps would add to the bound
DIMENSION = 8


def run(seed: int, scale: str, device: torch.device) -> dict:
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(6, DIMENSION, generator=generator, dtype=torch.float64)
    schedule = md.schedule.cosine()
    models = [
        md.oracle.mixture(torch.ones(6), means + shift, 0.05 * torch.eye(DIMENSION).expand(6, -1, -1), schedule)
        for shift in SHIFTS
    ]
    x0 = models[0].sample(COUNT[scale], generator).double()
    truths = [-(model.log_density(x0, 0.0) / (DIMENSION * math.log(2))).mean().item() for model in models]
    bounds = [
        md.likelihood.elbo(model, x0, schedule, STEPS[scale], generator=generator).total.mean().item()
        for model in models
    ]
    gaps = [bound - truth for bound, truth in zip(bounds, truths, strict=True)]
    return {
        "shifts": list(SHIFTS),
        "truths": truths,
        "bounds": bounds,
        "bound_above_truth": sum(gaps) / len(gaps),
    }


def plot(runs: list[dict]) -> Figure:
    mean = {name: torch.tensor([run[name] for run in runs]).mean(0).tolist() for name in ("bounds", "truths")}
    lines = {
        "the loss in training, weighted as in the bound": (runs[0]["shifts"], mean["bounds"]),
        "the true value, for what the sampler makes": (runs[0]["shifts"], mean["truths"]),
    }
    return md.plots.curves(lines, "shift of the model's means", "negative log-likelihood, bits a dimension")
