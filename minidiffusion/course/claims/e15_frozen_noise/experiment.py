"""E6. Is it the fresh noise that keeps a model from copying?

One network, one set of images, one number of steps. Only the noise that is mixed into the images differs: new at every
step, one of ten that each image keeps, or always the same one. The times are new in all arms. All arms sample with the
guess clipped to [-1, 1], because without it one of them diverges.

A fourth arm has fresh noise in its input but none in its target: it learns E[x0 | x_t] instead of x0, which is known
for a finite set of images. It does not decide the claim, but it tells which of the two kinds of noise matters.

Images have 196 dimensions here; points on a plane might behave differently.
"""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

import minidiffusion as md

PICTURES, SIDE, COUNT = 32, 14, 256
MARKS = {"lesson": (200, 600), "full": (100, 200, 400, 800, 1600)}
ARMS = {
    "fresh": "fresh noise",
    "ten": "ten noises a picture",
    "one": "one noise a picture",
    "mean": "target E[x0 | x_t]",
}


def pictures(split: str) -> torch.Tensor:
    """Images of Fashion-MNIST at 14 x 14, one per row."""
    images = md.datasets.to_float(md.datasets.load("fashion_mnist_6k", split)[0])
    return torch.nn.functional.avg_pool2d(images, 28 // SIDE).flatten(1)


def frozen(data: torch.Tensor, noises: int, generator: torch.Generator) -> md.objectives.Loss:
    """The usual loss, but each image has a fixed set of noises, from which one is chosen."""
    bank = torch.randn(len(data), noises, data.shape[1], generator=generator)

    def loss(denoiser: md.Denoiser, x0: torch.Tensor, t: torch.Tensor, eps: torch.Tensor, cond: None) -> torch.Tensor:
        which = torch.cdist(x0, data).argmin(1)
        chosen = torch.randint(noises, (len(x0),), generator=generator)
        return md.objectives.loss_per_item(denoiser, x0, t, bank[which, chosen], "min_snr")

    return loss


def towards_the_mean(data: torch.Tensor, schedule: md.schedule.Schedule) -> md.objectives.Loss:
    """The usual loss, but with the target E[x0 | x_t] instead of x0."""
    oracle = md.oracle.dataset(data, schedule)

    def loss(denoiser: md.Denoiser, x0: torch.Tensor, t: torch.Tensor, eps: torch.Tensor, cond: None) -> torch.Tensor:
        x_t = md.diffuse(x0, t, eps, schedule)
        weight = schedule.log_snr(t.double()).exp().clamp(max=5.0).float()  # min_snr
        return weight * (denoiser(x_t, t) - oracle(x_t, t)).square().mean(1)

    return loss


def run(seed: int, scale: str, device: torch.device) -> dict:
    generator = torch.Generator().manual_seed(seed)
    train, test = pictures("train"), pictures("test")
    data = train[torch.randperm(len(train), generator=generator)[:PICTURES]]
    schedule, marks = md.schedule.cosine(), MARKS[scale]
    x_1 = md.prior((COUNT, SIDE**2), schedule, generator)
    losses = {
        "fresh": None,
        "ten": frozen(data, 10, generator),
        "one": frozen(data, 1, generator),
        "mean": towards_the_mean(data, schedule),
    }
    lines = {}
    for name, loss in losses.items():
        torch.manual_seed(seed)
        net = md.Denoiser(md.nets.MLP(SIDE**2, 256, 2), schedule, md.heads.X0)
        lines[name] = {"copies": [], "distance": []}
        settings = dict(batch_size=64, learning_rate=2e-3, ema_decay=0.99, precision="float32", seed=seed)
        for step in md.fit(net, data, marks[-1], weighting="min_snr", loss=loss, **settings):
            if step.number in marks:
                x0 = md.sample(md.guidance.clipped(step.ema), x_1, steps=25)
                lines[name]["copies"].append(md.metrics.copy_ratio(x0, data).share)
                lines[name]["distance"].append(md.metrics.frechet_distance(x0, test[:COUNT]))
    end = {name: line["copies"][-1] for name, line in lines.items()}
    best = {name: min(line["distance"]) for name, line in lines.items()}
    return {
        "marks": list(marks),
        "arms": lines,
        "frozen_over_fresh": best["one"] / best["fresh"],
        "mean_over_fresh": best["mean"] / best["fresh"],
        "more_copies_with_one_noise": end["one"] - end["fresh"],
        "more_copies_with_ten_noises": end["ten"] - end["fresh"],
        "more_copies_with_the_mean_for_target": end["mean"] - end["fresh"],
    }


def plot(runs: list[dict]) -> Figure:
    def mean(arm: str, key: str) -> list[float]:
        return torch.tensor([run["arms"][arm][key] for run in runs]).mean(0).tolist()

    lines = {title: (runs[0]["marks"], mean(arm, "copies")) for arm, title in ARMS.items()}
    figure = md.plots.curves(lines, "steps of training", "share of samples that are copies", x_scale="log")
    figure.axes[0].set_ylim(-0.02, 1.05)
    return figure
