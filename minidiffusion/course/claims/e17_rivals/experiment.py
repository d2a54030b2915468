"""E4 and E9 with images. VAE, IMLE, GAN and diffusion with one network body, one set of images and one budget.

The images are Fashion-MNIST, halved to 14 x 14. Every network is the same residual MLP of 128 units, every training has
the same budget of arithmetic (`BUDGET` floating-point operations, counted), and every learning rate is the best of six
(`tune`, with the results in trials.json). All models generate from N(0, I). Quality is the Frechet distance, precision
and recall of 1,000 samples against the 1,000 test images, in the 128 features of the package's classifier, which sees
both doubled to 28 x 28; `real` is the score of 1,000 training images.
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

import minidiffusion as md
from minidiffusion import rivals

SHAPE, LATENT, WIDTH, BATCH = (1, 14, 14), 16, 128, 128
BUDGET, COUNT = {"lesson": 5e10, "full": 4e11}, {"lesson": 500, "full": 1000}
Draw = Callable[[Tensor, torch.Generator], Tensor]  # (z, generator) -> images

TRIED = {"VAE": 1e-3, "IMLE": 1e-3, "GAN 2014": 5e-4, "GAN 2024": 5e-4, "eps": 1e-3, "x0": 1e-3, "v": 1e-3}
FACTORS, TRIAL_BUDGET = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0), 1.2e11  # six learning rates for each
# the best of them, from trials.json
RATES = {"VAE": 4e-3, "IMLE": 8e-3, "GAN 2014": 2e-3, "GAN 2024": 4e-3, "eps": 8e-3, "x0": 8e-3, "v": 8e-3}
GANS = {"GAN 2014": ("non_saturating", 0.0), "GAN 2024": ("relativistic", 0.05)}


def training(name: str, x: Tensor, steps: int, rate: float, seed: int) -> Iterator[Any]:
    """Make new networks, and train them step by step."""
    torch.manual_seed(seed)

    def body(into: tuple[int, ...], out: tuple[int, ...]) -> rivals.Body:
        return rivals.Body(into, out, WIDTH)

    settings = dict(batch_size=BATCH, learning_rate=rate, ema_decay=0.995, seed=seed)
    if name == "VAE":
        vae = rivals.VAE(body(SHAPE, (2 * LATENT,)), body((LATENT,), SHAPE))
        return rivals.vae.fit(vae, x, steps, **settings)
    if name == "IMLE":
        return rivals.imle.fit(body((LATENT,), SHAPE), LATENT, x, steps, **settings)
    if name in GANS:
        loss, penalty = GANS[name]
        gan = rivals.GAN(body((LATENT,), SHAPE), body(SHAPE, (1,)), LATENT)
        return rivals.gan.fit(gan, x, steps, loss=loss, penalty=penalty, **settings)
    net = md.Denoiser(md.nets.MLP(x[0].numel(), WIDTH, 3), md.schedule.cosine(), md.heads.HEADS[name])
    return md.fit(net, x.flatten(1), steps, weighting="min_snr", precision="float32", **settings)


class Counter(TorchDispatchMode):
    """Count the operations of matrix products. PyTorch's own counter fails if a loss contains a gradient."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            self.total += flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=out)
        return out


def cost(name: str, x: Tensor) -> int:
    """The floating-point operations of one training step."""
    with Counter() as counter:
        next(training(name, x, 1, 1e-3, 0))
    return counter.total


def drawn(name: str, ema: Any, count: int, generator: torch.Generator, steps: int = 50) -> Tensor:
    """Images from a trained model, generated from N(0, I)."""
    if name in RATES and name not in ("eps", "x0", "v"):
        z = torch.randn(count, LATENT, generator=generator)
        return ema.decode(z) if name == "VAE" else ema(z)
    x_1 = md.prior((count, ema.net.config["dimension"]), ema.schedule, generator)
    # with a single step, ddpm adds no noise, because the last step never does
    return md.sample(ema, x_1, steps=steps, method="ddpm", generator=generator).view(-1, *SHAPE)


@functools.cache
def pictures() -> tuple[Tensor, Tensor]:
    train, test = (md.datasets.to_float(md.datasets.load("fashion_mnist_6k", s)[0]) for s in ("train", "test"))
    return F.avg_pool2d(train, 2), F.avg_pool2d(test, 2)


def features(x: Tensor) -> Tensor:
    """The classifier's features of images, doubled to 28 x 28."""
    return md.nets.fashion_classifier().features(F.interpolate(x.clamp(-1, 1), scale_factor=2, mode="bilinear"))


@functools.cache
def wanted() -> Tensor:
    """The features of the test images."""
    return features(pictures()[1])


def judged(x: Tensor) -> dict[str, float]:
    """The scores of images against the test images."""
    seen = features(x)
    precision, recall = md.metrics.precision_recall(wanted(), seen)
    return {"distance": md.metrics.frechet_distance(seen, wanted()), "precision": precision, "recall": recall}


def run(seed: int, scale: str, device: torch.device) -> dict:
    train, count = pictures()[0], COUNT[scale]
    scores, steps, shown = {"real": judged(train[:count])}, {}, {}
    for name, rate in RATES.items():
        steps[name] = max(1, int(BUDGET[scale] / cost(name, train)))
        *_, step = training(name, train, steps[name], rate, seed)
        with torch.no_grad():
            x = drawn(name, step.ema, count, torch.Generator().manual_seed(seed))
            scores[name] = judged(x)
            if name == "eps":
                x_once = drawn(name, step.ema, count, torch.Generator().manual_seed(seed), steps=1)
                scores["eps, one step"] = judged(x_once)
        shown[name] = md.datasets.to_uint8(x[:8]).flatten(1).tolist()
    distance = {name: score["distance"] for name, score in scores.items()}
    others = [distance[name] for name in ("VAE", "IMLE", "GAN 2014", "GAN 2024")]
    diffusion = min(("eps", "x0", "v"), key=distance.__getitem__)
    gan = min(GANS, key=distance.__getitem__)
    losses = [distance[name] for name in ("VAE", "IMLE", gan)]
    return {
        "scores": scores,
        "steps": steps,
        "shown": shown,
        "diffusion_over_best_rival": distance[diffusion] / min(others),
        "worst_loss_over_best": max(losses) / min(losses),
        "x0_diffusion_over_gan": min(distance["x0"], distance["v"]) / distance[gan],
        "precision_over_gan": scores[diffusion]["precision"] - scores[gan]["precision"],
        "recall_over_gan": scores[diffusion]["recall"] - scores[gan]["recall"],
        "cost_of_one_step": distance["eps, one step"] / distance["eps"],
        "cost_of_one_step_over_that_of_x0": distance["eps, one step"] / distance["x0"],
    }


def trial(name: str, train: Tensor, steps: int, rate: float) -> float | None:
    """The Frechet distance after a short training, or None if it diverges."""
    try:
        *_, step = training(name, train, steps, rate, 100)
    except FloatingPointError:
        return None
    with torch.no_grad():
        x = drawn(name, step.ema, COUNT["full"], torch.Generator().manual_seed(100))
    return round(judged(x)["distance"], 3) if x.isfinite().all() else None


def tune() -> None:
    """Try six learning rates for each model, with under a third of the budget and a seed that is not used later."""
    train, trials = pictures()[0], {}
    for name, rate in TRIED.items():
        steps = int(TRIAL_BUDGET / cost(name, train))
        trials[name] = {}
        for factor in FACTORS:
            trials[name][f"{factor * rate:g}"] = trial(name, train, steps, factor * rate)
        print(name, trials[name], flush=True)
    Path(__file__).with_name("trials.json").write_text(json.dumps(trials, indent=1) + "\n")


def plot(runs: list[dict]) -> Figure:
    names = [*RATES, "eps, one step"]
    figure = Figure(figsize=(9, 6.6), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.15, 1))
    axes = left.subplots(3, 1, sharex=True)
    for axis, key in zip(axes, ("distance", "precision", "recall"), strict=True):
        for i, name in enumerate(names):
            values = [run["scores"][name][key] for run in runs]
            axis.plot([i] * len(values), values, md.plots.MARKERS[i % 8], color=md.plots.COLOURS[i % 8], ms=5)
        axis.axhline(runs[0]["scores"]["real"][key], color="0.4", lw=1, ls="--", label="real pictures")
        axis.set_ylabel(key if key != "distance" else "Frechet distance", fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    axes[0].set_yscale("log")
    axes[0].legend(frameon=False, fontsize=8)
    axes[-1].set_xticks(range(len(names)), names, rotation=60, ha="right")
    shown = runs[0]["shown"]
    lines = right.subplots(len(shown), 1)
    for axis, (name, x) in zip(lines, shown.items(), strict=True):
        x = md.datasets.to_float(torch.tensor(x, dtype=torch.uint8)).view(-1, *SHAPE)
        axis.imshow(md.plots.tile(x, columns=8, gap=1))
        axis.set_axis_off()
        axis.set_title(name, fontsize=8, loc="left", pad=2)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Try the learning rates, and write trials.json.")
    parser.parse_args()
    torch.set_num_threads(1)
    tune()
