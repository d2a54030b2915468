"""E7, the exact limit. What does a perfect solution of the training problem generate?

The denoiser with the smallest possible training loss on N images is known: a softmax over them (minidiffusion/oracle).
We sample from it, and count copies: samples whose nearest training image is less than a third as far away as the second
nearest (the rule of Yoon et al. 2023).
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
