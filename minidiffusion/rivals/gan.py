"""The generative adversarial network (Goodfellow et al. 2014): a generator, and a discriminator that scolds it.

    non_saturating   D: softplus(-D(x)) + softplus(D(G(z)))         G: softplus(-D(G(z)))
    relativistic     D: softplus(-(D(x) - D(G(z))))                 G: softplus(D(x) - D(G(z)))

The first is that of 2014 (their sec. 3), used until 2022; it judges real and fake apart. The second compares a real
picture with a fake one (Jolicoeur-Martineau 2019), and no longer rewards a generator that serves one mode only.
`penalty` is gamma of R1 + R2, gamma / 2 (|grad D(x)|^2 + |grad D(G(z))|^2) (Mescheder et al. 2018, eq. 9): with it
the game has an equilibrium that training finds. Relativistic with both is R3GAN's loss (Huang et al. 2024, sec. 2).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..training.fit import learning_rate_at, update_ema

LOSSES = ("non_saturating", "relativistic")


@dataclass(frozen=True)
class Step:
    """What one step of training did."""

    number: int  # 1 after the first step
    generator_loss: float
    discriminator_loss: float  # without the penalty
    ema: nn.Module  # the averaged generator: draw from this one


class GAN(nn.Module):
    """generator(z) -> x, for z ~ N(0, I) of shape (batch, latent); discriminator(x) -> (batch, 1), high for real."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module, latent: int):
        super().__init__()
        self.generator, self.discriminator, self.latent = generator, discriminator, latent


def discriminator_loss(real: Tensor, fake: Tensor, loss: str) -> Tensor:
    """Small if real scores are high and fake ones low; both (batch, 1)."""
    if loss == "relativistic":
        return F.softplus(fake - real).mean()
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(real: Tensor, fake: Tensor, loss: str) -> Tensor:
    """Small if fake scores are high, or, if relativistic, higher than the real ones."""
    return F.softplus(real - fake).mean() if loss == "relativistic" else F.softplus(-fake).mean()


def gradient_penalty(discriminator: nn.Module, x: Float[Tensor, "batch *shape"]) -> tuple[Tensor, Tensor]:
    """(scores, the mean over x of |grad D(x)|^2)."""
    x = x.detach().requires_grad_(True)
    scores = discriminator(x)
    (gradient,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    return scores, gradient.flatten(1).square().sum(1).mean()


def fit(
    gan: GAN,
    data: Float[Tensor, "count *shape"],
    steps: int,
    batch_size: int = 128,
    learning_rate: float = 5e-4,
    loss: str = "non_saturating",
    penalty: float = 0.0,
    ema_decay: float = 0.999,
    seed: int = 0,
) -> Iterator[Step]:
    """Train `gan` in place, discriminator and generator by turns; yields a Step after each of `steps` steps.

    learning_rate: the generator's. loss: one of LOSSES. penalty: gamma of R1 + R2, 0 for none.

    FloatingPointError at a loss that is not finite.
    """
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")
    if steps < 1 or batch_size < 1 or not 0 <= penalty < math.inf:
        raise ValueError(f"steps and batch_size must be 1 or more, penalty 0 or more: {steps}, {batch_size}, {penalty}")
    random = torch.Generator().manual_seed(seed)
    players = gan.generator, gan.discriminator
    # little momentum, for each player learns against what the other is now; and a judge that learns four times as fast
    # as the one it judges, for a slow one is led in circles (Heusel et al. 2017, two time scales)
    optimisers = [torch.optim.Adam(player.parameters(), betas=(0.5, 0.99), fused=True) for player in players]
    rates = learning_rate, 4 * learning_rate
    ema = copy.deepcopy(gan.generator).eval().requires_grad_(False)
    for number in range(1, steps + 1):
        for optimiser, rate in zip(optimisers, rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate_at(number, steps, rate)
        x = data[torch.randint(len(data), (batch_size,), generator=random)]

        def draw() -> Tensor:
            return gan.generator(torch.randn(batch_size, gan.latent, generator=random).to(x))  # noqa: B023

        with torch.no_grad():
            fake = draw()
        punished = torch.zeros(())
        if penalty:
            real_scores, r1 = gradient_penalty(gan.discriminator, x)
            fake_scores, r2 = gradient_penalty(gan.discriminator, fake)
            punished = penalty / 2 * (r1 + r2)
        else:
            real_scores, fake_scores = gan.discriminator(torch.cat([x, fake])).chunk(2)
        d_loss = discriminator_loss(real_scores, fake_scores, loss)
        optimisers[1].zero_grad()
        (d_loss + punished).backward()
        optimisers[1].step()

        gan.discriminator.requires_grad_(False)  # the generator's turn
        if loss == "relativistic":  # the other one does not look at the real ones
            real_scores = gan.discriminator(x)
        g_loss = generator_loss(real_scores, gan.discriminator(draw()), loss)
        gan.discriminator.requires_grad_(True)
        optimisers[0].zero_grad()
        g_loss.backward()
        optimisers[0].step()
        if not (d_loss + g_loss).isfinite():
            raise FloatingPointError(f"step {number} has losses of {g_loss:.4g} and {d_loss:.4g}")
        update_ema(ema, gan.generator, min(ema_decay, number / (number + 10)))
        yield Step(number, g_loss.item(), d_loss.item(), ema)
