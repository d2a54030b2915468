"""Where does predicting the noise fail, and why do U-Nets never notice? The law behind point (d).

A residual MLP with `width` units learns clothes of 7x7, 14x14 and 28x28 pixels, so of D = 49, 196 and 784 dimensions.
Its width goes from a quarter of D to four times D. It predicts x0 or eps, and it has either no way around its units, or
a skip from input to output, as a U-Net has: x_t times a factor that it learns for each t.

Without the skip, everything that the network says must pass through its `width` units. The noise has D independent
numbers, and a picture has far fewer. With the skip the noise is there already, and what is left to say is the picture,
whichever of the two is predicted: eps = (x_t - alpha x0) / sigma.

The numbers are the squared errors of x0_hat on test pictures at log SNR -3, 0 and 3. Each arm tries two learning rates
and keeps the better one, judged by the first half of the test pictures; the error is that on the second half.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

import minidiffusion as md
from minidiffusion.nets.embedding import sinusoids

SIDES, RATIOS, HEADS, SKIPS = (7, 14, 28), (0.25, 0.5, 1.0, 2.0, 4.0), ("x0", "eps"), ("no skip", "skip")
WIDEST = 1568  # two times 784: four times would take longer than all the others together
RATES, STEPS, BATCH = (1e-3, 4e-3), {"lesson": 150, "full": 600}, 128
LEVELS = (-3.0, 0.0, 3.0)


class WithSkip(nn.Module):
    """A network plus its input times a factor that is learned for each t, and is 0 at first."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net, self.factor = net, nn.Sequential(nn.Linear(32, 32), nn.SiLU(), nn.Linear(32, 1))
        nn.init.zeros_(self.factor[2].weight)
        nn.init.zeros_(self.factor[2].bias)

    def forward(self, x: Tensor, t: Tensor, cond: Any = None) -> Tensor:
        return self.net(x, t, cond) + self.factor(sinusoids(t, 32)) * x


def arms(scale: str) -> list[str]:
    """Side of the pictures, width over dimension, output, skip."""
    sides, ratios = (SIDES, RATIOS) if scale == "full" else (SIDES[:1], (0.5, 2.0))
    every = itertools.product(sides, ratios, HEADS, SKIPS)
    return [f"{s} {r} {head} {skip}" for s, r, head, skip in every if s * s * r <= WIDEST]


def settings(arm: str) -> tuple[int, float, str, bool]:
    side, ratio, head, *skip = arm.split()
    return int(side), float(ratio), head, skip == ["skip"]


@functools.cache
def pictures(side: int) -> tuple[Tensor, Tensor]:
    """Training and test pictures, one in each row, with a mean of 0 and a variance of 1 over all pixels."""
    train, test = (
        F.avg_pool2d(md.datasets.to_float(md.datasets.load("fashion_mnist_6k", split)[0]), 28 // side).flatten(1)
        for split in ("train", "test")
    )
    mean, std = train.mean(), train.std()
    return (train - mean) / std, (test - mean) / std


def errors(model: md.Denoiser, x0: Tensor) -> list[float]:
    generator, found = torch.Generator().manual_seed(0), []
    for level in LEVELS:
        t = model.schedule.time(level)
        x_t = md.diffuse(x0, t, torch.randn(x0.shape, generator=generator), model.schedule)
        with torch.no_grad():
            found.append((model(x_t, t) - x0).square().mean().item())
    return found


def job(arm: str, seed: int, scale: str, device: torch.device) -> dict[str, Any]:
    """Train one arm with both rates; the errors on the second half of the test pictures of the better one."""
    side, ratio, head, skip = settings(arm)
    train, test = pictures(side)
    half, tried = len(test) // 2, []
    for rate in RATES if scale == "full" else RATES[:1]:
        torch.manual_seed(seed)
        net: nn.Module = md.nets.MLP(side * side, 4 * round(ratio * side * side / 4), 2)
        model = md.Denoiser(WithSkip(net) if skip else net, md.schedule.cosine(), md.heads.HEADS[head])
        options = dict(batch_size=BATCH, weighting="min_snr", learning_rate=rate, ema_decay=0.99, seed=seed)
        *_, step = md.fit(model, train, STEPS[scale], precision="float32", **options)  # type: ignore[arg-type]
        tried.append((sum(map(math.log, errors(step.ema, test[:half]))), rate, errors(step.ema, test[half:])))
    _, rate, found = min(tried)
    return {"rate": rate, "errors": [float(f"{error:.4g}") for error in found]}


def combined(found: dict[str, dict[str, Any]], scale: str) -> dict[str, Any]:
    """The error of eps-prediction over that of x0-prediction: a geometric mean over the three noise levels."""

    def ratio(side: int, share: float, skip: str) -> float:
        eps, x0 = (found[f"{side} {share} {head} {skip}"]["errors"] for head in ("eps", "x0"))
        return math.exp(sum(math.log(a / b) for a, b in zip(eps, x0, strict=True)) / len(LEVELS))

    known = {(s, r) for s, r, *_ in map(settings, found)}
    table = {skip: [[s, r, ratio(s, r, skip)] for s, r in sorted(known)] for skip in SKIPS}

    def mean(skip: str, low: float, high: float) -> float:
        logs = [math.log(value) for _, share, value in table[skip] if low <= share <= high]
        return math.exp(sum(logs) / len(logs))

    return {
        "arms": found,
        "eps_over_x0": table,
        "narrow_without_skip": mean("no skip", 0, 0.5),
        "narrow_with_skip": mean("skip", 0, 0.5),
        "wide_without_skip": mean("no skip", 2, 4),
    }


def run(seed: int, scale: str, device: torch.device) -> dict[str, Any]:
    return combined({arm: job(arm, seed, scale, device) for arm in arms(scale)}, scale)


def plot(runs: list[dict[str, Any]]) -> Figure:
    """The error of eps over that of x0 against width over dimension: left without the skip, right with it."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    titles = {"no skip": "without a skip", "skip": "with a skip from input to output"}
    for axis, (skip, title) in zip(axes, titles.items(), strict=True):
        for side, colour, marker in zip(SIDES, md.plots.COLOURS, md.plots.MARKERS, strict=False):
            rows = [[row for row in run["eps_over_x0"][skip] if row[0] == side] for run in runs]
            if rows[0]:
                logs = torch.tensor([[math.log(value) for _, _, value in row] for row in rows]).mean(0)
                label = f"{side}x{side} pixels: {side * side} numbers"
                axis.plot([share for _, share, _ in rows[0]], logs.exp(), marker + "-", color=colour, ms=5, label=label)
        axis.axhline(1, color="0.4", lw=1, ls="--", zorder=1)
        axis.set_title(title, fontsize=9)
        axis.set(xscale="log", yscale="log")
        axis.set_xticks(RATIOS, ["1/4", "1/2", "1", "2", "4"])
        axis.set_yticks(ticks := [1, 2, 3, 4, 5], map(str, ticks))
        axis.minorticks_off()
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("error when asked for the noise,\nover that when asked for the picture", fontsize=9)
    axes[0].legend(frameon=False, fontsize=8)
    axes[1].text(0.25, 1.06, "equal", fontsize=8, color="0.3")
    figure.supxlabel("width of the network over the number of pixels", fontsize=9)
    return figure
