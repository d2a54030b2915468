"""E12, uneven pixels. Do the skewed pixel values of an image make it a bad target?

Fashion-MNIST at 7 x 7. First we measure how uneven the pixels of a single image are (skewness and excess kurtosis), and
how much the means and standard deviations of images differ. Then small MLPs are trained side by side
(course/stacked.py), with outputs x0 and eps and five weightings of the error in x0:

    untold      the network sees x_t and t
    told        it also sees the image's own mean m and standard deviation s, in training and in sampling
    own         told, and it predicts (x0 - m) / s: the image's own mean and scale are removed from the target

The difference between "own" and "told" is exactly the article's point, because both have the same information. For
sampling, m and s come from images outside the training set.
"""

from __future__ import annotations

import itertools
import math

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import minidiffusion as md
from minidiffusion.course.stacked import Arm, Stack, fit_stack

SIDE = 7
WEIGHTINGS = ("constant", "snr", "min_snr", "truncated_snr", "snr_plus_one")
LABELS = ("1", "snr", "min(snr,5)", "max(snr,1)", "snr+1")
KINDS = {"x0": ("x0", 0, 0), "eps": ("eps", 0, 0), "x0 told": ("x0", 1, 0), "eps told": ("eps", 1, 0)}
KINDS |= {"x0 own": ("x0", 1, 1)}
STEPS = {"lesson": 400, "full": 800}
SCHEDULE = md.schedule.cosine()
GRID = [SCHEDULE.time(level) for level in torch.linspace(-10, 10, 21).tolist()] + [0.0]


class Told(nn.Module):
    """An MLP that also gets m and s: told decides whether it uses them as input, own whether it rescales by them."""

    def __init__(self, told: int, own: int):
        super().__init__()
        self.net = md.nets.MLP(SIDE**2 + 2, 128, 2)
        for weight in self.net.last[1].parameters():
            nn.init.zeros_(weight)
        self.told: Tensor
        self.own: Tensor
        self.register_buffer("told", torch.tensor(float(told)))
        self.register_buffer("own", torch.tensor(float(own)))

    def forward(self, x: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        output = self.net(torch.cat([x, self.told * cond], 1), t)[:, : SIDE**2]
        m, s = cond[:, :1], cond[:, 1:]
        return self.own * m + (self.own * s + 1 - self.own) * output


def moments(rows: Tensor) -> dict[str, float]:
    """How uneven single images are: the mean over images of |skewness| and of excess kurtosis."""
    rows = rows.double()
    z = (rows - rows.mean(1, keepdim=True)) / rows.std(1, keepdim=True, correction=0)
    return {
        "skewness": z.pow(3).mean(1).abs().mean().item(),
        "kurtosis": (z.pow(4).mean(1) - 3).mean().item(),
        "spread_of_means": rows.mean(1).std().item(),
        "smallest_and_largest_spread": rows.std(1).quantile(torch.tensor([0.05, 0.95], dtype=torch.float64)).tolist(),
    }


def energy_distance(a: Tensor, b: Tensor) -> float:
    """2 E|a - b| - E|a - a'| - E|b - b'| (Szekely and Rizzo 2013), in the form that is never below 0."""
    a, b = a.double(), b.double()
    return (2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()).item()


def run(seed: int, scale: str, device: torch.device) -> dict:
    generator = torch.Generator().manual_seed(seed)
    full = [md.datasets.to_float(md.datasets.load("fashion_mnist_6k", split)[0]) for split in ("train", "test")]
    small = [nn.functional.avg_pool2d(images, 28 // SIDE).flatten(1) for images in full]
    mean, std = small[0].mean(), small[0].std()
    train, test = ((rows - mean) / std for rows in small)
    told, told_test = (torch.stack([rows.mean(1), rows.std(1)], 1) for rows in (train, test))

    kinds = list(itertools.product(KINDS, WEIGHTINGS))
    nets = []
    for kind, _ in kinds:
        torch.manual_seed(seed)  # the same initial weights for all
        nets.append(Told(*KINDS[kind][1:]))
    stack = Stack(nets, [Arm(KINDS[kind][0], weighting) for kind, weighting in kinds], SCHEDULE)
    *_, step = fit_stack(stack, train, STEPS[scale], cond=told, learning_rate=3e-3, seed=seed)

    x_1 = md.prior((len(test), SIDE**2), SCHEDULE, torch.Generator().manual_seed(seed))[:, None]
    order = torch.randperm(len(test), generator=generator)
    with torch.no_grad():
        x_1, cond = x_1.expand(-1, len(kinds), -1), told_test[order]
        x0 = md.sample(step.ema, x_1, times=GRID, cond=cond, method="dpmpp_2m").nan_to_num(1e6).clamp(-1e6, 1e6)
    distance: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
    for i, (kind, weighting) in enumerate(kinds):
        distance[kind][weighting] = energy_distance(x0[:, i], test)

    def ratio(over: str, under: str) -> float:
        logs = [math.log(distance[over][w] / distance[under][w]) for w in WEIGHTINGS]
        return math.exp(sum(logs) / len(logs))

    own = (train - told[:, :1]) / told[:, 1:]
    of_pictures, of_noise = moments(full[0].flatten(1)), moments(torch.randn(2000, 784, generator=generator))
    spread = {"pictures": of_pictures, "noise": of_noise}
    wide = {name: one["smallest_and_largest_spread"] for name, one in spread.items()}
    return {
        "pictures_28": of_pictures,
        "pictures_7": moments(train),
        "noise_28": of_noise,
        "own_target_7": moments(own),
        "distance": distance,
        "real_distance": energy_distance(train[:1000], test),
        "skewness": of_pictures["skewness"],
        "spread_of_pictures": wide["pictures"][1] / wide["pictures"][0],
        "spread_of_noise": wide["noise"][1] / wide["noise"][0],
        "x0_over_eps": ratio("x0", "eps"),
        "own_over_told": ratio("x0 own", "x0 told"),
        "own_over_eps_told": ratio("x0 own", "eps told"),
    }


def plot(runs: list[dict]) -> Figure:
    middle = {
        kind: [math.exp(sum(math.log(run["distance"][kind][w]) for run in runs) / len(runs)) for w in WEIGHTINGS]
        for kind in KINDS
    }
    names = {
        "x0": "x0",
        "eps": "eps",
        "x0 told": "x0, told mean and spread",
        "eps told": "eps, told mean and spread",
        "x0 own": "x0 without its mean and spread",
    }
    lines = {names[kind]: (LABELS, values) for kind, values in middle.items()}
    return md.plots.curves(lines, "weight of the error in x0", "energy distance to the data", y_scale="log")
