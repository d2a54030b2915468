"""The variational autoencoder (Kingma and Welling 2014): a code for each image, and an image for each code.

    -log p(x) <= E_q [-log p(x | z)] + KL(q(z | x) || N(0, I))          their eq. 3, here in nats

    q(z | x) = N(mean(x), std(x)^2)         p(x | z) = N(decoder(z), s^2 I)

The first term wants the codes of different images to be different, and the second wants the code of every image to be
N(0, I). We learn s, a single number, along with the weights (Rybkin et al. 2021). Fixing s would secretly fix the
weight of the second term, beta = 2 s^2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .. import check
from ..training.descend import Step, descend
from ..training.distributed import processes


@dataclass(frozen=True)
class VAETerms:
    """The two terms of the bound, in nats for each item."""

    reconstruction: Float[Tensor, "batch"]
    kl: Float[Tensor, "batch"]


@dataclass(frozen=True)
class VAEStep(Step):
    """What one training step of a VAE did."""

    reconstruction: float  # mean over the batch, in nats
    kl: float  # mean over the batch, in nats


class VAE(nn.Module):
    """An encoder x -> (batch, 2 latent), which holds mean and log std of the code, and a decoder z -> x.

    std: the s of the likelihood, or None to learn it.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, std: float | None = None):
        super().__init__()
        if std is not None:
            check.positive("std", std)
        self.encoder, self.decoder = encoder, decoder
        self.log_std = nn.Parameter(torch.tensor(math.log(std or 1.0)), requires_grad=std is None)

    def encode(self, x: Float[Tensor, "batch *shape"]) -> tuple[Tensor, Tensor]:
        """Mean and std of q(z | x), each (batch, latent)."""
        mean, log_std = self.encoder(x).chunk(2, dim=1)
        return mean, log_std.exp()

    def decode(self, z: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch *shape"]:
        """The mean of p(x | z), which is what we show. A sample would add white noise of size s."""
        return self.decoder(z)

    def bound(self, x: Float[Tensor, "batch *shape"], eps: Float[Tensor, "batch latent"]) -> VAETerms:
        """Both terms for the codes z = mean + std eps, eps ~ N(0, I) (their eq. 10)."""
        mean, std = self.encode(x)
        error = (x - self.decode(mean + std * eps)).flatten(1) / self.log_std.exp()
        pixel = 0.5 * error.square() + self.log_std + 0.5 * math.log(2 * math.pi)
        kl = 0.5 * (mean.square() + std.square() - 1) - std.log()  # their appendix B
        return VAETerms(pixel.sum(1), kl.sum(1))


def fit(
    vae: VAE, data: Float[Tensor, "count *shape"], steps: int, batch_size: int = 128, beta: float = 1.0, **options: Any
) -> Iterator[VAEStep]:
    """Train `vae` in place, yielding a VAEStep after each of `steps` steps.

    beta: weight of the KL term (Higgins et al. 2017); with 1, the loss is the bound. options and FloatingPointError:
    see `descend`, which here has precision="float32" and clip=100.0, since the loss is a sum over pixels.
    """
    check.items("data", data)
    check.whole("batch_size", batch_size, processes()[1])
    check.number("beta", beta, 0.0)
    latent = vae.encode(data[:1])[0].shape[1]
    terms: VAETerms  # of the last batch

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = data[torch.randint(len(data), (batch_size,), generator=generator)]
        return x, torch.randn(batch_size, latent, generator=generator)

    def loss(x: Tensor, eps: Tensor) -> Tensor:
        nonlocal terms
        terms = vae.bound(x, eps)
        return terms.reconstruction + beta * terms.kl

    training = descend(vae, draw, loss, steps, **{"precision": "float32", "clip": 100.0, **options})
    return (
        VAEStep(**vars(s), reconstruction=terms.reconstruction.mean().item(), kl=terms.kl.mean().item())
        for s in training
    )
