"""Implicit maximum likelihood (Li and Malik 2018): the GAN's generator and prior, without a discriminator.

Draw several codes for each picture of the batch, find for each picture the nearest of all that were drawn, and pull
that one nearer. Every picture has somebody who answers for it, so no mode can be lost; and nobody is asked whether
what no picture called for looks real.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..training.fit import learning_rate_at, update_ema


@dataclass(frozen=True)
class Step:
    """What one step of training did."""

    number: int  # 1 after the first step
    loss: float  # squared distance a pixel of a picture to the nearest draw
    ema: nn.Module  # the averaged generator


def fit(
    generator: nn.Module,
    latent: int,
    data: Float[Tensor, "count *shape"],
    steps: int,
    batch_size: int = 128,
    draws: int = 4,
    learning_rate: float = 1e-3,
    ema_decay: float = 0.999,
    seed: int = 0,
) -> Iterator[Step]:
    """Train `generator` in place; yields a Step after each of `steps` steps. draws: codes for each picture.

    FloatingPointError at a loss that is not finite.
    """
    if steps < 1 or batch_size < 1 or draws < 1:
        raise ValueError(f"steps, batch_size and draws must be 1 or more, got {steps}, {batch_size}, {draws}")
    random = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(generator.parameters(), betas=(0.9, 0.99), fused=True)
    ema = copy.deepcopy(generator).eval().requires_grad_(False)
    for number in range(1, steps + 1):
        x = data[torch.randint(len(data), (batch_size,), generator=random)]
        z = torch.randn(draws * batch_size, latent, generator=random).to(x)
        with torch.no_grad():
            nearest = torch.cdist(x.flatten(1), generator(z).flatten(1)).argmin(1)
        loss = (generator(z[nearest]) - x).square().mean()
        if not loss.isfinite():
            raise FloatingPointError(f"step {number} has a loss of {loss:.4g}")
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(generator.parameters(), 1.0)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate_at(number, steps, learning_rate)
        optimiser.step()
        update_ema(ema, generator, min(ema_decay, number / (number + 10)))
        yield Step(number, loss.item(), ema)
