"""Point (c) in training: is it the Gaussian that makes the pictures good, or that the prior was chosen beforehand?

Flow matching learns the velocity E[x_1 - x_0 | x_t] on straight paths x_t = (1 - t) x_0 + t x_1. Following it from x_1
back to x_0 turns the distribution of x_1 into that of the pictures if there is only one way to follow it from each x_1
(Liu et al. 2022, theorem 3.3), so x_1 need not be Gaussian. For `signs` the condition fails, because all straight lines
out of x_1 follow the velocity there, so theory promises nothing. Each arm has its own prior, in training and sampling:

gaussian     N(0, I)
uniform, laplace, signs
             independent in every pixel, mean 0 and variance 1, but not Gaussian: flat, with heavy tails, or -1 and 1
             only. These are chosen beforehand as well.
fitted       a Gaussian with the mean and the covariance of the training pictures: not chosen beforehand, but taken from
             the data, and so already much like them
tied         x_1 depends on its picture, as the codes of a VAE do: half of its variance is noise, and half is the
             picture itself, whitened and turned by a fixed rotation. Sampling knows no picture, so it starts from
             N(0, I), which has the mean and the covariance of these x_1 and is not their distribution. In `tied, codes`
             it starts from codes of training pictures, which shows what the mismatch costs.

All arms share the U-Net, the data, the steps and the judge of e18_unets, and get the best of four learning rates, tried
with a seed that is not used again (`tune`; rates.json). Samples take 32 steps of Euler's method.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

import minidiffusion as md
from minidiffusion.course import ledger

e18 = ledger.load("e18_unets")
STEPS, COUNT, SAMPLER_STEPS = {"lesson": 60, "full": 600}, {"lesson": 200, "full": 1000}, 32
SHARE = 0.5  # of the variance of a tied x_1, how much is the picture
INDEPENDENT = ("uniform", "laplace", "signs")
SCORED = ("gaussian", *INDEPENDENT, "fitted", "tied")

# from N(0, 1) to another distribution with mean 0 and variance 1, number by number
MADE: dict[str, Callable[[Tensor], Tensor]] = {
    "gaussian": lambda eps: eps,
    "uniform": lambda eps: math.sqrt(3) * torch.erf(eps / math.sqrt(2)),
    "laplace": lambda eps: -eps.sign() * torch.special.erfc(eps.abs() / math.sqrt(2)).log() / math.sqrt(2),
    "signs": torch.sign,
}


@functools.cache
def whitening() -> tuple[Tensor, Tensor, Tensor]:
    """The mean of the training pictures, what turns white noise into their covariance, and the inverse of that."""
    x = e18.pictures()[0].flatten(1).double()
    values, vectors = torch.linalg.eigh(torch.cov(x.T))
    root = values.clamp(min=1e-6).sqrt()
    return x.mean(0), vectors * root, (vectors / root).T


@functools.cache
def rotation() -> Tensor:
    size = len(whitening()[0])
    return torch.linalg.qr(torch.randn(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).Q


def start(arm: str, x0: Tensor, eps: Tensor) -> Tensor:
    """The x_1 of a picture and its noise, under the prior of this arm."""
    if arm in MADE:
        return MADE[arm](eps)
    mean, colour, whiten = whitening()
    if arm == "fitted":
        made = mean + eps.flatten(1).double() @ colour.T
    else:
        code = (x0.flatten(1).double() - mean) @ whiten.T @ rotation().T
        made = math.sqrt(SHARE) * code + math.sqrt(1 - SHARE) * eps.flatten(1).double()
    return made.view_as(eps).to(eps)


def arms(scale: str) -> list[str]:
    return list(SCORED) if scale == "full" else ["gaussian", "uniform", "fitted", "tied"]


def training(arm: str, seed: int, steps: int, rate: float) -> Iterator[Any]:
    torch.manual_seed(seed)
    net: Any = md.nets.UNet(1, (32, 64), (1, 1)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(denoiser: md.Denoiser, x0: Tensor, t: Tensor, eps: Tensor, cond: None) -> Tensor:
        return md.objectives.loss_per_item(denoiser, x0, t, start(arm, x0, eps))

    model = md.Denoiser(net, md.schedule.flow(), md.heads.FLOW)
    options = dict(batch_size=e18.BATCH, learning_rate=rate, ema_decay=0.995, seed=seed)
    return md.fit(model, e18.pictures()[0], steps, loss=loss, precision="float32", **options)  # type: ignore[arg-type]


def drawn(model: md.Denoiser, arm: str, count: int, seed: int) -> Tensor:
    """Samples from the prior of this arm; for "tied" from N(0, I), for "tied, codes" from codes of pictures."""
    generator, train = torch.Generator().manual_seed(seed), e18.pictures()[0]
    eps = torch.randn(count, *train.shape[1:], generator=generator)
    x_1 = eps if arm == "tied" else start(arm, train[torch.randperm(len(train), generator=generator)[:count]], eps)
    with torch.no_grad():
        found = [md.sample(model, part, steps=SAMPLER_STEPS, method="ddim") for part in x_1.split(250)]
    return torch.cat(found)


def job(arm: str, seed: int, scale: str, device: torch.device) -> dict[str, Any]:
    """Train under one prior with one seed, and judge its pictures; `diverged` if a loss was no longer finite."""
    try:
        *_, step = training(arm, seed, STEPS[scale], e18.rate_of(arm, __file__) if scale == "full" else e18.ONE_RATE)
    except FloatingPointError:
        return {"diverged": True}
    pictures = {arm: drawn(step.ema, arm, COUNT[scale], seed)}
    if arm == "tied":
        pictures["tied, codes"] = drawn(step.ema, "tied, codes", COUNT[scale], seed)
    return {
        "diverged": False,
        "loss": float(f"{step.loss:.4g}"),
        "scores": {name: e18.judged(x) for name, x in pictures.items()},
        "shown": {name: md.datasets.to_uint8(x[:10].clamp(-1, 1)).flatten(1).tolist() for name, x in pictures.items()},
    }


def tune(arm: str) -> dict[str, float | None]:
    """The Frechet distance under this prior after a third of a training, with each rate; None if it diverges."""

    def distance(rate: float) -> float:
        *_, step = training(arm, e18.TUNING_SEED, STEPS["full"] // 3, rate)
        return float(e18.judged(drawn(step.ema, arm, 500, e18.TUNING_SEED))["frechet"])

    return dict(e18.tried(distance))


yardsticks = e18.yardsticks


def combined(found: dict[str, dict[str, Any]], scale: str) -> dict[str, Any]:
    """The comparisons of one seed. A training that diverged counts as a distance of 1,000."""
    distance = {arm: 1e3 if one["diverged"] else one["scores"][arm]["frechet"] for arm, one in found.items()}
    others = [distance[arm] for arm in INDEPENDENT if arm in distance]
    return {
        "arms": found,
        "other_shapes_over_gaussian": math.exp(sum(map(math.log, others)) / len(others)) / distance["gaussian"],
        "fitted_over_gaussian": distance["fitted"] / distance["gaussian"],
        "tied_over_gaussian": distance["tied"] / distance["gaussian"],
    }


def run(seed: int, scale: str, device: torch.device) -> dict[str, Any]:
    return combined({arm: job(arm, seed, scale, device) for arm in arms(scale)}, scale)


def plot(runs: list[dict[str, Any]]) -> Figure:
    """Left, the Frechet distance under each prior, a point for each seed; right, ten pictures of each."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subfigures(1, 2)
    axis, shown = left.subplots(), {}
    for arm in runs[0]["arms"]:
        for one in runs[0]["arms"][arm].get("shown", {}).items():
            shown[one[0]] = one[1]
    names = list(shown)
    for i, name in enumerate(names):
        found = [run["arms"][name.split(",")[0]] for run in runs]
        values = [one["scores"][name]["frechet"] for one in found if not one["diverged"]]
        axis.plot(values, [i] * len(values), md.plots.MARKERS[0], color=md.plots.COLOURS[0], ms=5)
    axis.set_xscale("log")
    axis.set_xticks([1.5, 2, 3, 4, 6, 8], ["1.5", "2", "3", "4", "6", "8"])
    axis.minorticks_off()
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.grid(axis="x", color="0.9")
    axis.set_xlabel("Frechet distance")
    for line, name in zip(right.subplots(len(names), 1), names, strict=True):
        x = md.datasets.to_float(torch.tensor(shown[name], dtype=torch.uint8)).view(-1, 1, 14, 14)
        line.imshow(md.plots.tile(x, columns=10, gap=1))
        line.set_axis_off()
        line.set_title(name, fontsize=8, loc="left", pad=2)
    return figure
