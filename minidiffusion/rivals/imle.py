"""Implicit maximum likelihood (Li and Malik 2018): the generator and prior of a GAN, without a discriminator.

Generate several samples for each image of the batch, find the one that is nearest to each image, and pull it closer.
Every image has a sample that is responsible for it, so no mode can be lost. But a sample that is nearest to no image
is never corrected, however unreal it looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .. import check
from ..training.descend import Step, descend
from ..training.distributed import processes


def fit(
    generator: nn.Module,
    latent: int,
    data: Float[Tensor, "count *shape"],
    steps: int,
    batch_size: int = 128,
    draws: int = 4,
    **options: Any,
) -> Iterator[Step]:
    """Train `generator`, z (batch, latent) -> x, in place, yielding a Step after each of `steps` steps.

    The loss is the squared distance to the nearest sample, as a mean over pixels. draws: samples for each image of the
    batch. options and FloatingPointError: see `descend`, which here has precision="float32".
    """
    check.items("data", data)
    check.whole("batch_size", batch_size, processes()[1])
    check.whole("draws", draws)

    def draw(rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = data[torch.randint(len(data), (batch_size,), generator=rng)]
        z = torch.randn(draws * batch_size, latent, generator=rng).to(x)
        return x, z[torch.cdist(x.flatten(1), generator(z).flatten(1)).argmin(1)]

    def loss(x: Tensor, z: Tensor) -> Tensor:
        return (generator(z) - x).square().flatten(1).mean(1)

    return descend(generator, draw, loss, steps, **{"precision": "float32", **options})
