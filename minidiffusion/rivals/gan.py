"""The generative adversarial network (Goodfellow et al. 2014): a generator against a discriminator.

    loss             of D                                           of G
    non_saturating   softplus(-D(x)) + softplus(D(G(z)))            softplus(-D(G(z)))
    relativistic     softplus(-(D(x) - D(G(z))))                    softplus(D(x) - D(G(z)))

The first is that of 2014 (their sec. 3) and was the usual one until 2022; it judges real and generated images
separately. The second compares a real image with a generated one (Jolicoeur-Martineau 2019), so a generator no longer
gains by producing one mode only. `penalty` is the gamma of R1 + R2, gamma / 2 (|grad D(x)|^2 + |grad D(G(z))|^2)
(Mescheder et al. 2018, eq. 9); with it, the game has an equilibrium that training finds. The relativistic loss with
both penalties is that of R3GAN (Huang et al. 2024, sec. 2).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from .. import check
from ..training.descend import learning_rate_at, update_ema

LOSSES = ("non_saturating", "relativistic")


@dataclass(frozen=True)
class GANStep:
    """What one training step of a GAN did."""

    number: int  # 1 after the first step
    generator_loss: float
    discriminator_loss: float  # without the penalty
    ema: nn.Module  # the generator with averaged weights, one object that every step updates: sample from it


class GAN(nn.Module):
    """A generator, z ~ N(0, I) (batch, latent) -> x, and a discriminator, x -> (batch, 1), high if x is real."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module, latent: int):
        super().__init__()
        self.generator, self.discriminator, self.latent = generator, discriminator, latent


def discriminator_loss(real: Tensor, fake: Tensor, loss: str) -> Tensor:
    """The loss of the discriminator: small if it scores real images high and generated ones low. Both (batch, 1)."""
    if loss == "relativistic":
        return F.softplus(fake - real).mean()
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(real: Tensor, fake: Tensor, loss: str) -> Tensor:
    """The loss of the generator: small if generated images score high or, if relativistic, higher than real ones."""
    return F.softplus(real - fake).mean() if loss == "relativistic" else F.softplus(-fake).mean()


def gradient_penalty(discriminator: nn.Module, x: Float[Tensor, "batch *shape"]) -> tuple[Tensor, Tensor]:
    """The scores of x, (batch, 1), and the mean over x of |grad D(x)|^2."""
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
) -> Iterator[GANStep]:
    """Train `gan` in place, yielding a GANStep after each of `steps` steps, in which both players take one.

    learning_rate: of the generator. loss: one of LOSSES. penalty: gamma of R1 + R2, or 0 for none. FloatingPointError
    if a loss is not finite.
    """
    check.items("data", data)
    check.whole("steps", steps)
    check.whole("batch_size", batch_size)
    check.number("learning_rate", learning_rate, 0.0, 1.0)
    check.one_of("loss", loss, LOSSES)
    check.number("penalty", penalty, 0.0)
    check.number("ema_decay", ema_decay, 0.0, 1.0)
    check.whole("seed", seed, 0)
    rng = torch.Generator().manual_seed(seed)
    # Little momentum, because the opponent of each player keeps changing. And the discriminator learns four times as
    # fast as the generator: if it falls behind, the two chase each other in circles (Heusel et al. 2017).
    players = (gan.generator, learning_rate), (gan.discriminator, 4 * learning_rate)
    optimisers = [torch.optim.Adam(player.parameters(), betas=(0.5, 0.99), fused=True) for player, _ in players]
    ema = copy.deepcopy(gan.generator).eval().requires_grad_(False)

    def generate(x: Tensor) -> Tensor:
        return gan.generator(torch.randn(batch_size, gan.latent, generator=rng).to(x))

    def train() -> Iterator[GANStep]:
        for number in range(1, steps + 1):
            for optimiser, (_, peak) in zip(optimisers, players, strict=True):
                for group in optimiser.param_groups:
                    group["lr"] = learning_rate_at(number, steps, peak)
            x = data[torch.randint(len(data), (batch_size,), generator=rng)]

            # a step of the discriminator
            with torch.no_grad():
                fake = generate(x)
            penalties = torch.zeros(())
            if penalty:
                real_scores, r1 = gradient_penalty(gan.discriminator, x)
                fake_scores, r2 = gradient_penalty(gan.discriminator, fake)
                penalties = penalty / 2 * (r1 + r2)
            else:
                real_scores, fake_scores = gan.discriminator(torch.cat([x, fake])).chunk(2)
            d_loss = discriminator_loss(real_scores, fake_scores, loss)
            optimisers[1].zero_grad()
            (d_loss + penalties).backward()
            optimisers[1].step()

            # a step of the generator
            gan.discriminator.requires_grad_(False)
            if loss == "relativistic":  # only this loss compares with the real images
                real_scores = gan.discriminator(x)
            g_loss = generator_loss(real_scores, gan.discriminator(generate(x)), loss)
            gan.discriminator.requires_grad_(True)
            optimisers[0].zero_grad()
            g_loss.backward()
            optimisers[0].step()

            if not (d_loss + g_loss).isfinite():
                raise FloatingPointError(f"step {number} has losses of {g_loss:.4g} and {d_loss:.4g}")
            update_ema(ema, gan.generator, ema_decay, number)
            yield GANStep(number, g_loss.item(), d_loss.item(), ema)

    return train()
