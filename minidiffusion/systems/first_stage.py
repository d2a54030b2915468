"""The first stage of a latent diffusion model: an autoencoder that shrinks pictures to latents, trained once.

    loss = |x - x_hat| + 2 (x - x_hat)^2 + 0.5 |grad x - grad x_hat| + 0.001 KL(q(z | x) || N(0, I))

Rombach et al. 2022, section 3.1 with its KL penalty. Their perceptual and adversarial losses need networks that were
trained on photographs; for flat drawings, the error of the gradient in their place keeps the edges sharp.

A second round trains the decoder alone, on latents with noise, so that it also cleans the small mistakes of the latents
that diffusion generates; the latents stay what they are. Zheng et al. 2025 (RAE) call it noise-augmented decoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Generator, Tensor

from ..data import to_float
from ..nets.autoencoder import PATCH, Autoencoder
from ..training.descend import Step, descend


def reconstruction_loss(
    net: Autoencoder,
    x: Float[Tensor, "batch 3 height width"],
    eps: Float[Tensor, "batch latent row column"],
    noise: Float[Tensor, "batch 1 1 1"] | float = 0.0,
) -> Float[Tensor, "batch"]:
    """The loss of each picture with the latents mean + (std + noise) eps; noise is in units of the scaled latents."""
    mean, log_std = net.moments(x)
    error = x - net.reconstruct(mean + (log_std.exp() + noise * net.scale) * eps)
    kl = 0.5 * (mean**2 + (2 * log_std).exp() - 1) - log_std
    edges = error.diff(dim=2).abs().flatten(1).mean(1) + error.diff(dim=3).abs().flatten(1).mean(1)
    pixels = (error.abs() + 2 * error**2).flatten(1).mean(1)
    return pixels + 0.5 * edges + 1e-3 * kl.flatten(1).mean(1)


def fit_autoencoder(
    net: Autoencoder,
    pictures: UInt8[Tensor, "count 3 height width"],
    steps: int,
    batch_size: int = 32,
    noise: float = 0.0,
    **options: Any,
) -> Iterator[Step]:
    """Train `net` in place, yielding a step after each of `steps` steps. options: of `descend`.

    noise: the most that a picture's latents get, of another strength for each picture.
    """

    def draw(generator: Generator) -> tuple[Tensor, ...]:
        x = pictures[torch.randint(len(pictures), (batch_size,), generator=generator)]
        sides = [side // PATCH for side in x.shape[2:]]
        eps = torch.randn(batch_size, net.latent, *sides, generator=generator)
        return x, eps, noise * torch.rand(batch_size, 1, 1, 1, generator=generator)

    def loss(x: Tensor, eps: Tensor, noise: Tensor) -> Tensor:
        return reconstruction_loss(net, to_float(x), eps, noise)

    return descend(net, draw, loss, steps, **options)


@torch.no_grad()
def set_scale(net: Autoencoder, pictures: UInt8[Tensor, "count 3 height width"]) -> None:
    """Make the latents of these pictures have unit variance, as in their section 4.3.2 (appendix G)."""
    net.scale.copy_(net.moments(to_float(pictures).to(net.scale.device))[0].std())
