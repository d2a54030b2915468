"""The variational autoencoder (Kingma and Welling 2014): a code for each picture, and a picture for each code.

    -log p(x) <= E_q [-log p(x | z)] + KL(q(z | x) || N(0, I))          eq. 3, here in nats

    q(z | x) = N(mean(x), std(x)^2)         p(x | z) = N(decoder(z), s^2 I)

The first term wants codes that tell pictures apart, the second wants them all to be one N(0, I). s is one number,
learned with the rest (Rybkin et al. 2021): a fixed one is a choice of beta = 2 s^2 in disguise.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..training.fit import learning_rate_at, update_ema


@dataclass(frozen=True)
class Bound:
    """The two terms of the bound, in nats for each item."""

    reconstruction: Float[Tensor, "batch"]
    kl: Float[Tensor, "batch"]


@dataclass(frozen=True)
class Step:
    """What one step of training did."""

    number: int  # 1 after the first step
    reconstruction: float  # nats an item
    kl: float  # nats an item
    ema: VAE  # the averaged network


class VAE(nn.Module):
    """encoder(x) -> (batch, 2 latent), the mean and the log of the std of the code; decoder(z) -> x.

    std: that of the likelihood; None learns it, one number for all pixels.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, std: float | None = None):
        super().__init__()
        if std is not None and not 0 < std < math.inf:
            raise ValueError(f"std must be above 0, or None to learn it, got {std!r}")
        self.encoder, self.decoder = encoder, decoder
        self.log_std = nn.Parameter(torch.tensor(math.log(std or 1.0)), requires_grad=std is None)

    def encode(self, x: Float[Tensor, "batch *shape"]) -> tuple[Tensor, Tensor]:
        """Mean and std of q(z | x), each (batch, latent)."""
        mean, log_std = self.encoder(x).chunk(2, dim=1)
        return mean, log_std.exp()

    def decode(self, z: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch *shape"]:
        """The mean of p(x | z): what is shown. A draw would add white noise of `std`."""
        return self.decoder(z)

    def bound(self, x: Float[Tensor, "batch *shape"], eps: Float[Tensor, "batch latent"]) -> Bound:
        """The terms at z = mean + std eps, eps ~ N(0, I) (their eq. 10)."""
        mean, std = self.encode(x)
        away = (x - self.decode(mean + std * eps)).flatten(1) / self.log_std.exp()
        pixel = 0.5 * away.square() + self.log_std + 0.5 * math.log(2 * math.pi)
        kl = 0.5 * (mean.square() + std.square() - 1) - std.log()  # their appendix B
        return Bound(pixel.sum(1), kl.sum(1))


def fit(
    vae: VAE,
    data: Float[Tensor, "count *shape"],
    steps: int,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    beta: float = 1.0,
    ema_decay: float = 0.999,
    seed: int = 0,
) -> Iterator[Step]:
    """Train `vae` in place; yields a Step after each of `steps` steps, as `md.fit` does, with its optimiser.

    beta: weight of the KL (Higgins et al. 2017); 1 is the bound. FloatingPointError at a bound that is not finite.
    """
    if steps < 1 or batch_size < 1 or not 0 <= beta < math.inf:
        raise ValueError(f"steps and batch_size must be 1 or more, beta 0 or more: {steps}, {batch_size}, {beta}")
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(vae.parameters(), betas=(0.9, 0.99), fused=True)
    ema = copy.deepcopy(vae).eval().requires_grad_(False)
    latent = vae.encode(data[:1])[0].shape[1]
    for number in range(1, steps + 1):
        x = data[torch.randint(len(data), (batch_size,), generator=generator)]
        bound = vae.bound(x, torch.randn(batch_size, latent, generator=generator).to(x))
        loss = (bound.reconstruction + beta * bound.kl).mean()
        if not loss.isfinite():
            raise FloatingPointError(f"step {number} has a bound of {loss:.4g}")
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(vae.parameters(), 100.0)  # of a sum over pixels, so not the 1 of `md.fit`
        for group in optimiser.param_groups:
            group["lr"] = learning_rate_at(number, steps, learning_rate)
        optimiser.step()
        update_ema(ema, vae, min(ema_decay, number / (number + 10)))
        yield Step(number, bound.reconstruction.mean().item(), bound.kl.mean().item(), ema)
