"""DALL-E 2's priors (Ramesh et al. 2022, sec. 2.2): from the embedding of a text to embeddings of pictures of it.

The diffusion prior is a denoiser of embeddings. The autoregressive prior writes the embedding down as a sequence of
digits, one principal component after another, and predicts each digit from those before it. Both read z_t, CLIP's
embedding of the text. Embeddings are unit vectors times sqrt(width), so that their numbers have variance 1 or so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Generator, Tensor, nn

from .. import check
from ..denoiser import Denoiser
from ..nets.base import Net
from ..nets.text import Layer
from ..objectives.weighted import draw_times, loss_per_item
from ..training.descend import Step, descend
from .batches import variants

DROP = 0.1  # of the texts, for guidance


def stretched(z: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
    """z with the length sqrt(width), whatever its length was."""
    return F.normalize(z.float(), dim=1) * z.shape[1] ** 0.5


def fit_prior(
    denoiser: Denoiser,
    images: Float[Tensor, "count width"],
    texts: Float[Tensor, "count variant width"],
    steps: int,
    batch_size: int = 256,
    weighting: str = "uniform",
    **options: Any,
) -> Iterator[Step]:
    """Train a denoiser of image embeddings, each with the embedding of one of its texts as the condition.

    Yields a step after each of `steps` steps. texts: at least three for each picture, in the order of `variants`, which
    says how often each is read. options: of `descend`.
    """
    images, texts = stretched(images), stretched(texts.flatten(0, 1)).view_as(texts)

    def draw(generator: Generator) -> tuple[Tensor, ...]:
        index = torch.randint(len(images), (batch_size,), generator=generator)
        variant = variants(batch_size, texts.shape[1], generator)
        kept = torch.rand(batch_size, 1, generator=generator) >= DROP
        z = images[index]
        return (
            z,
            draw_times(batch_size, generator),
            torch.randn(z.shape, generator=generator),
            texts[index, variant] * kept,
        )

    def loss(z: Tensor, t: Tensor, eps: Tensor, text: Tensor) -> Tensor:
        return loss_per_item(denoiser, z, t, eps, weighting, text)

    return descend(denoiser, draw, loss, steps, **options)


class AutoregressivePrior(Net):
    """digits (batch, component), z_t (batch, width) -> logits of each digit, given z_t and the digits before it.

    A digit is the quantile, one of `bins`, in which a principal component of the embedding lies (their sec. 2.2:
    1,024 bins of 319 components). `start_from` finds components and quantiles.
    """

    def __init__(self, width: int = 128, components: int = 40, bins: int = 64, size: int = 128, depth: int = 3):
        super().__init__()
        self.components, self.bins = components, bins
        self.text, self.digit = nn.Linear(width, size), nn.Embedding(components * bins, size)
        self.place = nn.Parameter(0.1 * torch.randn(components, size))
        self.layers = nn.ModuleList(Layer(size) for _ in range(depth))
        self.last = nn.Sequential(nn.LayerNorm(size), nn.Linear(size, bins))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("axes", torch.zeros(width, components))
        self.register_buffer("centres", torch.zeros(components, bins))  # the mean of each quantile
        self.mean: Tensor
        self.axes: Tensor
        self.centres: Tensor

    @torch.no_grad()
    def start_from(self, images: Float[Tensor, "count width"]) -> None:
        """Find the principal components of these embeddings, and the quantiles of each."""
        check.must_be(f"at least {self.bins} of them, one for each bin", "images", images, len(images) >= self.bins)
        z = stretched(images)
        self.mean.copy_(z.mean(0))
        self.axes.copy_(torch.linalg.svd(z - self.mean, full_matrices=False).Vh[: self.components].T)
        parts = ((z - self.mean) @ self.axes).sort(dim=0).values
        self.centres.copy_(torch.stack([part.mean(0) for part in parts.tensor_split(self.bins)], dim=1))

    def digits(self, images: Float[Tensor, "count width"]) -> Int[Tensor, "count component"]:
        """The digits of these embeddings: of each component, the number of the nearest centre."""
        parts = (stretched(images) - self.mean) @ self.axes
        borders = (self.centres[:, 1:] + self.centres[:, :-1]) / 2
        return torch.searchsorted(borders.contiguous(), parts.T.contiguous()).T

    def embedding(self, digits: Int[Tensor, "batch component"]) -> Float[Tensor, "batch width"]:
        """The embeddings with these digits, of length sqrt(width)."""
        parts = torch.gather(self.centres.T, 0, digits)
        return stretched(self.mean + parts @ self.axes.T)

    def forward(self, digits: Int[Tensor, "batch before"], text: Float[Tensor, "batch width"]) -> Tensor:
        offsets = self.bins * torch.arange(digits.shape[1], device=digits.device)
        x = torch.cat([self.text(stretched(text))[:, None], self.digit(digits + offsets)], dim=1)
        x = (x + self.place[: x.shape[1]])[:, : self.components]
        causal = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
        for layer in self.layers:
            x = layer(x, causal)
        return self.last(x)

    @torch.no_grad()
    def sample(
        self, text: Float[Tensor, "batch width"], generator: Generator | None = None, temperature: float = 1.0
    ) -> Float[Tensor, "batch width"]:
        """One embedding for each text, digit by digit."""
        digits = torch.zeros(len(text), 0, dtype=torch.long, device=text.device)
        for _ in range(self.components):
            chances = (self(digits, text)[:, -1].float() / temperature).softmax(1)
            chances = chances if generator is None else chances.to(generator.device)
            digits = torch.cat([digits, torch.multinomial(chances, 1, generator=generator).to(digits)], dim=1)
        return self.embedding(digits)


def fit_autoregressive(
    net: AutoregressivePrior,
    images: Float[Tensor, "count width"],
    texts: Float[Tensor, "count variant width"],
    steps: int,
    batch_size: int = 128,
    **options: Any,
) -> Iterator[Step]:
    """Train `net` on the digits of image embeddings. Yields a step after each of `steps`; options: of `descend`."""
    digits = net.digits(images.to(net.mean.device)).cpu()

    def draw(generator: Generator) -> tuple[Tensor, Tensor]:
        index = torch.randint(len(digits), (batch_size,), generator=generator)
        variant = variants(batch_size, texts.shape[1], generator)
        return digits[index], texts[index, variant]

    def loss(right: Tensor, text: Tensor) -> Tensor:
        logits = net(right[:, :-1], text)
        return F.cross_entropy(logits.float().transpose(1, 2), right, reduction="none").mean(1)

    return descend(net, draw, loss, steps, **options)
