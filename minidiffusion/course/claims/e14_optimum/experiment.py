"""E7, the exact end of it. What does the perfect solution of the training problem draw?

The denoiser that makes the training loss least on N pictures is known: a softmax over them (minidiffusion/oracle).
Walk it from random noise, and ask how many of the samples are copies: nearest training picture less than a third as
far away as the next (the rule of Yoon et al. 2023).
"""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

import minidiffusion as md

SIZES = {"lesson": (10, 100, 500), "full": (10, 100, 1000, 5000)}
COUNT = 64


def run(seed: int, scale: str, device: torch.device) -> dict:
    generator = torch.Generator().manual_seed(seed)
    images = md.datasets.to_float(md.datasets.load("fashion_mnist_6k")[0])
    copies = []
    for size in SIZES[scale]:
        chosen = images[torch.randperm(len(images), generator=generator)[:size]]
        oracle = md.oracle.dataset(chosen, md.schedule.cosine())
        x_1 = md.prior((COUNT, *images.shape[1:]), oracle.schedule, generator)
        x0 = md.sample(oracle, x_1, steps=25, method="ddpm", generator=generator)
        copies.append(md.metrics.copy_ratio(x0.flatten(1), chosen.flatten(1)).share)
    return {"sizes": list(SIZES[scale]), "copies": copies, "new_samples_at_most": 1 - min(copies)}


def plot(runs: list[dict]) -> Figure:
    mean = torch.tensor([run["copies"] for run in runs]).mean(0).tolist()
    lines = {"the exact optimum": (runs[0]["sizes"], mean)}
    figure = md.plots.curves(lines, "training pictures", "share of samples that are copies", x_scale="log")
    figure.axes[0].set_ylim(0, 1.05)
    return figure
