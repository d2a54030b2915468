"""Recipes: everything that decides what a training run gives, besides its seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from .. import heads, nets, schedule
from ..denoiser import Denoiser


@dataclass(frozen=True)
class Recipe:
    """What `minidiffusion train` follows. Networks, schedules and heads by name; the numbers are `fit`'s."""

    name: str
    about: str  # one line for the help
    data: str  # a set that `datasets.load` knows
    network: str
    sizes: dict[str, Any]  # the network's arguments; with `classes` it learns the labels of the set
    steps: int
    batch_size: int
    learning_rate: float
    ema_decay: float
    schedule: str = "cosine"
    head: str = "v"
    weighting: str = "min_snr"

    def denoiser(self, seed: int = 0) -> Denoiser:
        """The untrained denoiser, its first weights drawn with this seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = nets.NETS[self.network](**self.sizes)
        net.to(memory_format=torch.channels_last)  # the faster order for convolutions
        return Denoiser(net, schedule.from_config({"name": self.schedule}), heads.HEADS[self.head])


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="fashion_mnist_6k",
            about="5,000 pictures of clothes that come with the package; three and a half minutes on two cores",
            data="fashion_mnist_6k",
            network="UNet",
            sizes=dict(channels=1, widths=(16, 32, 64), blocks=(1, 2, 2), classes=10),
            steps=1300,
            batch_size=64,
            learning_rate=2e-3,
            ema_decay=0.99,
        ),
        Recipe(
            name="fashion_mnist_quick",
            about="all 60,000 of them, downloaded; ten minutes on two cores with bfloat16, twenty without",
            data="fashion_mnist",
            network="UNet",
            sizes=dict(channels=1, widths=(16, 32, 64), blocks=(1, 2, 2), classes=10),
            steps=7000,
            batch_size=64,
            learning_rate=2e-3,
            ema_decay=0.999,
            weighting="edm",  # of v's error min_snr keeps 5 / (snr + 1): too little where the last detail is learned
        ),
        Recipe(
            name="fashion_mnist",
            about="all 60,000 of them, downloaded; the checkpoint in the package followed this; 50 minutes",
            data="fashion_mnist",
            network="UNet",
            sizes=dict(channels=1, widths=(32, 64, 128), blocks=(1, 2, 2), classes=10),
            steps=6000,
            batch_size=128,
            learning_rate=1e-3,
            ema_decay=0.999,
            weighting="edm",
        ),
        Recipe(
            name="emoji",
            about="3,482 emoji in colour, without labels, in the package",
            data="emoji",
            network="UNet",
            sizes=dict(channels=3, widths=(32, 64, 128), blocks=(1, 2, 2)),
            steps=4000,
            batch_size=128,
            learning_rate=1e-3,
            ema_decay=0.999,
        ),
        Recipe(
            name="moons",
            about="points on two half circles; seconds",
            data="moons",
            network="MLP",
            sizes=dict(dimension=2, width=128, depth=3),
            steps=2000,
            batch_size=256,
            learning_rate=1e-3,
            ema_decay=0.99,
            weighting="uniform",
        ),
    )
}
