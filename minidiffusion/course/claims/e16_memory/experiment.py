"""E7. Does training for too long cost novelty?

One network for each number of images, all else equal. At several points of its training it samples from the same noise.
We count copies (the nearest training image is less than a third as far away as the second nearest) and measure how
close the samples are to images outside the training set. At each point we also measure the error of the guess on
images outside the training set; at its minimum, one would stop. For comparison, the exact optimum of the same training
problem samples from the same noise.
"""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

import minidiffusion as md

SIZES = {"lesson": (64,), "full": (16, 64, 256)}
MARKS = {"lesson": (100, 200, 400, 1600), "full": (50, 100, 200, 400, 800, 1600, 2400)}
AT, COUNT, SIDE = 64, 256, 14


def pictures(split: str) -> torch.Tensor:
    """Images of Fashion-MNIST at 14 x 14, one per row."""
    images = md.datasets.to_float(md.datasets.load("fashion_mnist_6k", split)[0])
    return torch.nn.functional.avg_pool2d(images, 28 // SIDE).flatten(1)


def run(seed: int, scale: str, device: torch.device) -> dict:
    generator = torch.Generator().manual_seed(seed)
    train, test = pictures("train"), pictures("test")
    train = train[torch.randperm(len(train), generator=generator)]
    schedule, marks = md.schedule.cosine(), MARKS[scale]
    x_1 = md.prior((COUNT, SIDE**2), schedule, generator)
    t, eps = torch.linspace(0.02, 0.98, len(test)), torch.randn(test.shape, generator=generator)

    def error(denoise: md.Denoiser, data: torch.Tensor) -> float:
        """The squared error of the guess, weighted as in training."""
        x0 = data[torch.arange(len(test)) % len(data)]
        with torch.no_grad():
            return md.objectives.loss_per_item(denoise, x0, t, eps, "min_snr").mean().item()

    lines: dict[str, dict] = {}
    for size in SIZES[scale]:
        data = train[:size]
        torch.manual_seed(seed)
        net = md.Denoiser(md.nets.MLP(SIDE**2, 256, 2), schedule, md.heads.X0)
        line: dict[str, list] = {"copies": [], "seen": [], "unseen": [], "distance": []}
        settings = dict(batch_size=64, learning_rate=2e-3, weighting="min_snr", ema_decay=0.99, seed=seed)
        for step in md.fit(net, data, marks[-1], precision="float32", **settings):
            if step.number in marks:
                x0 = md.sample(step.ema, x_1, steps=25)
                line["copies"].append(md.metrics.copy_ratio(x0, data).share)
                line["seen"].append(error(step.ema, data))
                line["unseen"].append(error(step.ema, test))
                line["distance"].append(md.metrics.frechet_distance(x0, test[:COUNT]))
        oracle = md.sample(md.oracle.dataset(data, schedule), x_1, steps=25)
        line["exact"] = md.metrics.copy_ratio(oracle, data).share
        line["real"] = md.metrics.copy_ratio(test, data).share  # images that no model generated
        lines[str(size)] = line
    at = lines[str(AT)]
    best = at["unseen"].index(min(at["unseen"]))
    return {
        "marks": list(marks),
        "sizes": lines,
        "best_step": marks[best],
        "copies_gained_after_the_best_step": at["copies"][-1] - at["copies"][best],
    }


def plot(runs: list[dict]) -> Figure:
    lines = {}
    for size in runs[0]["sizes"]:
        mean = torch.tensor([run["sizes"][size]["copies"] for run in runs]).mean(0).tolist()
        lines[f"{size} pictures"] = (runs[0]["marks"], mean)
    exact = min(line["exact"] for run in runs for line in run["sizes"].values())
    figure = md.plots.curves(
        lines, "steps of training", "share of samples that are copies", {"exact optimum": exact}, x_scale="log"
    )
    figure.axes[0].set_ylim(-0.02, 1.05)
    return figure
