"""E12, the scale of the target. Does predicting the noise normalise what the network has to predict?

Fashion-MNIST at a tenth of its scale, at its own scale and at ten times that: the variance of each head's target at
every noise level. For a fair comparison, x0 and v are measured on data divided by its standard deviation, a constant.
"""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

import minidiffusion as md

SCALES, TIMES = (0.1, 1.0, 10.0), (0.05, 0.2, 0.4, 0.6, 0.8, 0.95)
COUNT = {"lesson": 500, "full": 5000}
DATA_STD = 0.5  # the value that EDM's head expects


def run(seed: int, scale: str, device: torch.device) -> dict:
    generator = torch.Generator().manual_seed(seed)
    schedule = md.schedule.cosine()
    images = md.datasets.to_float(md.datasets.load("fashion_mnist_6k")[0])
    images = images[torch.randperm(len(images), generator=generator)[: COUNT[scale]]].double()
    images = (images - images.mean()) / images.std()
    eps = torch.randn(images.shape, generator=generator, dtype=torch.float64)

    def variances(head: md.heads.Head, x0: torch.Tensor) -> list[float]:
        return [head.target(x0, eps, t, schedule).var().item() for t in TIMES]

    def spread(values: list[float]) -> float:
        return max(values) / min(values)

    by_scale = {
        name: [v for s in SCALES for v in variances(md.heads.HEADS[name], s * images)] for name in ("eps", "x0")
    }
    normed = {name: variances(md.heads.HEADS[name], images) for name in ("x0", "v")}
    return {
        "scales": list(SCALES),
        "x0_variance": [variances(md.heads.X0, s * images)[0] for s in SCALES],
        "eps_variance": [variances(md.heads.EPS, s * images)[0] for s in SCALES],
        "spread_of_eps_targets": spread(by_scale["eps"]),
        "spread_of_x0_targets": spread(by_scale["x0"]),
        "spread_of_x0_targets_after_one_division": spread(normed["x0"]),
        "spread_of_v_targets_after_one_division": spread(normed["v"]),
    }


def plot(runs: list[dict]) -> Figure:
    def mean(key: str) -> list[float]:
        return torch.tensor([run[key] for run in runs]).mean(0).tolist()

    scales = runs[0]["scales"]
    lines = {"x0": (scales, mean("x0_variance")), "eps": (scales, mean("eps_variance"))}
    axes = "scale of the data", "variance of the target"
    return md.plots.curves(lines, *axes, x_scale="log", y_scale="log")
