"""An autoencoder of pictures, and an encoder that gives one vector for a picture."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from .base import Net, zeroed
from .unet import Block, Norm

PATCH = 4  # pixels along the side of the square that one latent position stands for


class Autoencoder(Net):
    """Pictures (batch, 3, height, width) -> latents (batch, latent, height / 4, width / 4), and back.

    Both ways are a linear map of 4x4 patches, which starts as their principal components (see `start_from`), plus a
    network that corrects it and starts at zero. So training begins with the best linear autoencoder.
    """

    def __init__(self, latent: int = 8, width: int = 96):
        super().__init__()
        self.latent = latent
        self.analyse = nn.Conv2d(3, latent, PATCH, stride=PATCH)
        self.synthesise = nn.ConvTranspose2d(latent, 3, PATCH, stride=PATCH)
        self.encoder = nn.Sequential(
            *(nn.PixelUnshuffle(PATCH), nn.Conv2d(3 * PATCH**2, width, 3, padding=1), Block(width), Block(width)),
            *(Norm(width), nn.SiLU(), zeroed(nn.Conv2d(width, 2 * latent, 3, padding=1))),
        )
        self.decoder = nn.Sequential(
            *(nn.Conv2d(latent, width, 3, padding=1), Block(width), Block(width), Block(width)),
            *(nn.Conv2d(width, 256, 1), nn.PixelShuffle(2), Block(64)),
            *(Norm(64), nn.SiLU(), zeroed(nn.Conv2d(64, 12, 3, padding=1)), nn.PixelShuffle(2)),
        )
        self.register_buffer("scale", torch.ones(()))  # the latents are divided by it, and then have unit variance
        self.scale: Tensor

    @torch.no_grad()
    def start_from(self, pictures: Float[Tensor, "count 3 height width"]) -> None:
        """Set the linear maps to the principal components of the patches of these pictures, in unit variance."""
        patches = rearrange(pictures, "n c (i p) (j q) -> (n i j) (c p q)", p=PATCH, q=PATCH).double()
        mean, (values, vectors) = patches.mean(0), torch.linalg.eigh(patches.T.cov())
        values, vectors = values[-self.latent :].flip(0), vectors[:, -self.latent :].flip(1)
        size = values.mean().sqrt()  # one for all, so that the noise of a latent costs the same in each of them
        self.analyse.weight.copy_((vectors.T / size).view_as(self.analyse.weight))
        self.analyse.bias.copy_(-(mean @ vectors) / size)  # type: ignore[union-attr]
        self.synthesise.weight.copy_((vectors.T * size).view_as(self.synthesise.weight))
        self.synthesise.bias.copy_(mean.view(3, -1).mean(1))  # type: ignore[union-attr]

    def moments(self, x: Float[Tensor, "batch 3 height width"]) -> tuple[Tensor, Tensor]:
        """Mean and log std of the latents, before they are scaled."""
        mean, log_std = self.encoder(x).float().chunk(2, dim=1)
        return self.analyse(x).float() + mean, log_std - 3.0

    def reconstruct(self, z: Float[Tensor, "batch latent row column"]) -> Float[Tensor, "batch 3 height width"]:
        """The pictures of latents before they are scaled."""
        return self.synthesise(z).float() + self.decoder(z).float()

    def encode(self, x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch latent row column"]:
        """The latents of pictures in [-1, 1], of unit variance on the training data."""
        return self.moments(x)[0] / self.scale

    def decode(self, z: Float[Tensor, "batch latent row column"]) -> Float[Tensor, "batch 3 height width"]:
        """The pictures of latents, in [-1, 1]."""
        return self.reconstruct(z * self.scale).clamp(-1, 1)


class ImageEncoder(nn.Module):
    """Pictures (batch, 3, 64, 64) -> one vector each (batch, out). Residual blocks at 16x16, 8x8 and 4x4."""

    def __init__(self, out: int = 128, widths: tuple[int, int, int] = (96, 160, 192)):
        super().__init__()
        fine, middle, coarse = widths
        self.body = nn.Sequential(
            *(nn.PixelUnshuffle(PATCH), nn.Conv2d(3 * PATCH**2, fine, 3, padding=1), Block(fine), Block(fine)),
            *(nn.Conv2d(fine, middle, 2, stride=2), Block(middle), Block(middle)),
            *(nn.Conv2d(middle, coarse, 2, stride=2), Block(coarse), Norm(coarse), nn.SiLU()),
        )
        self.pool = nn.Linear(coarse * 16, out)

    def forward(self, x: Float[Tensor, "batch 3 64 64"]) -> Float[Tensor, "batch out"]:
        return self.pool(self.body(x.contiguous(memory_format=torch.channels_last)).flatten(1))
