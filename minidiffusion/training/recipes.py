"""Recipes: everything besides the seed that decides how a training run ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from .. import heads, nets, schedule
from ..denoiser import Denoiser


@dataclass(frozen=True)
class Recipe:
    """The settings of one run of `minidiffusion train`. Those without a comment are arguments of `training.fit`."""

    name: str
    about: str  # one line for the help
    data: str  # a name that `datasets.load` knows
    sizes: dict[str, Any]  # arguments of the network; if they have `classes`, it learns the labels of the data set
    steps: int
    network: str = "UNet"  # a name in `nets.NETS`
    schedule: str = "cosine"  # a name in schedule.NAMED
    head: str = "v"  # a name in `heads.HEADS`
    weighting: str = "min_snr"
    batch_size: int = 128
    learning_rate: float = 1e-3
    ema_decay: float = 0.999

    def denoiser(self, seed: int = 0) -> Denoiser:
        """Build the untrained denoiser; the seed decides its first weights."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = nets.NETS[self.network](**self.sizes)
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # convolutions are faster in this order
        return Denoiser(net, schedule.NAMED[self.schedule](), heads.HEADS[self.head])


def own_pictures(data: str, size: int, classes: int) -> Recipe:
    """The recipe for a folder of pictures in colour, of size x size pixels, a multiple of 32.

    data: what the checkpoint says about them. The finest level of the network always has 32x32 places.
    """
    sizes = dict(channels=3, widths=(32, 64, 128), blocks=(1, 2, 2), classes=classes, patch=size // 32)
    return Recipe("own_pictures", "", data, sizes, steps=1600, batch_size=64)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="fashion_mnist_6k",
            about="5,000 images of clothes that come with the package; three and a half minutes on two cores",
            data="fashion_mnist_6k",
            sizes=dict(channels=1, widths=(16, 32, 64), blocks=(1, 2, 2), classes=10),
            steps=1300,
            batch_size=64,
            learning_rate=2e-3,
            ema_decay=0.99,
        ),
        Recipe(
            name="fashion_mnist_quick",
            about="all 60,000 images, downloaded; ten minutes on two cores with bfloat16, twenty without",
            data="fashion_mnist",
            sizes=dict(channels=1, widths=(16, 32, 64), blocks=(1, 2, 2), classes=10),
            steps=7000,
            batch_size=64,
            learning_rate=2e-3,
            weighting="edm",  # min_snr keeps 5 / (snr + 1) of v's error where snr > 5: too little for the finest detail
        ),
        Recipe(
            name="fashion_mnist",
            about="all 60,000 images, downloaded; this trained the checkpoint in the package; 50 minutes",
            data="fashion_mnist",
            sizes=dict(channels=1, widths=(32, 64, 128), blocks=(1, 2, 2), classes=10),
            steps=6000,
            weighting="edm",
        ),
        Recipe(
            name="emoji32",
            about="12,377 emoji in colour that come with the package, without captions",
            data="emoji32",
            sizes=dict(channels=3, widths=(32, 64, 128), blocks=(1, 2, 2)),
            steps=4000,
        ),
        Recipe(
            name="moons",
            about="points on two half circles; a few seconds",
            data="moons",
            network="MLP",
            sizes=dict(dimension=2, width=128, depth=3),
            steps=2000,
            batch_size=256,
            ema_decay=0.99,
            weighting="uniform",
        ),
    )
}
