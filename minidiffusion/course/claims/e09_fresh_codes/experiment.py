"""E6, for the VAE. Each training step samples new noise. What if it did not?

Two identical VAEs learn from a thousand images of Fashion-MNIST at 14 x 14. One uses fresh noise in z = mean + std eps
at every step; the other samples one eps per image and keeps it. We record the negative bound on a thousand test
images, in nats per image, with the same fresh noise for both. If longer training brought no new constraint, the first
could gain nothing after the second has reached its best.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

import minidiffusion as md
from minidiffusion import rivals
from minidiffusion.training import update_ema

SHAPE, LATENT, WIDTH, PICTURES, BATCH = (1, 14, 14), 8, 128, 1000, 100
STEPS, EVERY = {"lesson": 1800, "full": 2000}, 50


def trained(train: Tensor, test: Tensor, fresh: bool, steps: int, seed: int) -> list[float]:
    """Train, and return the negative bound on the test images after every EVERY steps."""
    torch.manual_seed(seed)
    vae = rivals.VAE(rivals.Body(SHAPE, (2 * LATENT,), WIDTH, 2), rivals.Body((LATENT,), SHAPE, WIDTH, 2))
    ema = copy.deepcopy(vae).requires_grad_(False)
    optimiser = torch.optim.AdamW(vae.parameters(), lr=1e-3, betas=(0.9, 0.99), fused=True)
    generator = torch.Generator().manual_seed(seed)
    kept = torch.randn(len(train), LATENT, generator=generator)
    asked = torch.randn(len(test), LATENT, generator=generator)
    bounds = []
    for number in range(1, steps + 1):
        index = torch.randint(len(train), (BATCH,), generator=generator)
        drawn = torch.randn(BATCH, LATENT, generator=generator)  # also when unused, so that both see the same batches
        bound = vae.bound(train[index], drawn if fresh else kept[index])
        optimiser.zero_grad()
        (bound.reconstruction + bound.kl).mean().backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 100.0)
        optimiser.step()
        update_ema(ema, vae, min(0.99, number / (number + 10)))
        if number % EVERY == 0:
            bound = ema.bound(test, asked)
            bounds.append((bound.reconstruction + bound.kl).mean().item())
    return bounds


def run(seed: int, scale: str, device: torch.device) -> dict:
    generator = torch.Generator().manual_seed(seed)
    train, test = (
        F.avg_pool2d(md.datasets.to_float(md.datasets.load("fashion_mnist_6k", s)[0]), 2) for s in ("train", "test")
    )
    train = train[torch.randperm(len(train), generator=generator)[:PICTURES]]
    fresh, frozen = (trained(train, test, kind, STEPS[scale], seed) for kind in (True, False))
    turned = frozen.index(min(frozen))  # where the VAE with frozen noise is at its best
    return {
        "every": EVERY,
        "fresh": fresh,
        "frozen": frozen,
        "steps_to_best": {"fresh": EVERY * (1 + fresh.index(min(fresh))), "frozen": EVERY * (1 + turned)},
        "gain_after_frozen_is_best": fresh[turned] - min(fresh),
        "lost_after_its_best": fresh[-1] - min(fresh),
        "best_fresh_below_best_frozen": min(frozen) - min(fresh),
        "frozen_lost_by_the_end": frozen[-1] - min(frozen),
    }


def plot(runs: list[dict]) -> Figure:
    steps = [runs[0]["every"] * (i + 1) for i in range(len(runs[0]["fresh"]))]
    lines = {
        f"{name} noise": (steps, torch.tensor([run[name] for run in runs]).mean(0).tolist())
        for name in ("fresh", "frozen")
    }
    figure = md.plots.curves(lines, "steps of training", "nats a test picture (lower is better)")
    low = min(min(line[1]) for line in lines.values())
    figure.axes[0].set_ylim(low - 10, low + 150)
    return figure
