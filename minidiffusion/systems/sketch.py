"""A sketch of the latents from the words alone, which the U-Net of Stable Diffusion sees beside the noise.

The decoder of DALL-E 2 has one, too: of its small pictures, from the image embedding and the words.

words --> their mean and the start --> residual layers over all places at once --> sketch --+
z_t ----------------------------------------------------------------------------------------+--> U-Net, with the words

This part is ours, not the paper's. A convolution has the same weights at every place, so it is slow to learn where the
parts of a thing belong; a plain layer has weights of its own for each place, and learns the same in minutes
(figures/systems). Where words leave a choice, the sketch is a blur, and the diffusion chooses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Generator, Tensor, nn

from ..check import must_be
from ..data.emoji import Captions
from ..nets.base import Net
from ..nets.embedding import Cond, is_word
from ..nets.unet import UNet
from ..training.descend import Step, descend
from .batches import Batches
from .contrastive import CLIP
from .decoder import DROP_IMAGE, DROP_TEXT, TOKENS
from .latent_diffusion import DROP
from .priors import stretched


class Residual(nn.Module):
    """x + linear(silu(linear(norm(x)))), for vectors (batch, width)."""

    def __init__(self, width: int):
        super().__init__()
        self.norm, self.first, self.last = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.last(F.silu(self.first(self.norm(x))))


def summary(words: Float[Tensor, "batch word context"]) -> Float[Tensor, "batch 2*context"]:
    """The first vector, which stands for the whole text or the image, and the mean of all vectors but padding."""
    mean = words.sum(1) / is_word(words).sum(1, keepdim=True).clamp(min=1)
    return torch.cat([words[:, 0], mean], dim=1)


class Sketch(Net):
    """net(words) -> the mean of the latents with these words, as far as it knows; padding has no influence.

    For DALL-E 2 the words begin with an image embedding, see `condition`, and the latents are small pictures.
    latent, side: channels and side of the latents. context: size of a word. width, depth: of the residual layers.
    """

    def __init__(self, latent: int = 8, side: int = 16, context: int = 128, width: int = 1024, depth: int = 2):
        super().__init__()
        self.shape = (latent, side, side)
        self.layers = nn.Sequential(
            nn.Linear(2 * context, width),
            *(Residual(width) for _ in range(depth)),
            nn.LayerNorm(width),
            nn.Linear(width, latent * side * side),
        )

    def forward(self, words: Float[Tensor, "batch word context"]) -> Float[Tensor, "batch latent side side"]:
        return self.from_summary(summary(words))

    def from_summary(self, words: Float[Tensor, "batch size"]) -> Float[Tensor, "batch latent side side"]:
        """The same from what `summary` returns."""
        return self.layers(words).unflatten(1, self.shape)


class SketchedUNet(Net):
    """net(z_t, t, words): a U-Net that sees z_t and the sketch of the words; without words, that of no words.

    The sketch is trained before, and stays as it is. latent, side, width, depth: as in Sketch. widths, blocks, context,
    patch: as in UNet. ValueError: bad z or words.
    """

    def __init__(
        self, latent: int = 8, side: int = 16, widths: Sequence[int] = (128, 192), blocks: Sequence[int] = (2, 2),
        context: int = 128, patch: int = 2, width: int = 1024, depth: int = 2,
    ):  # fmt: skip
        super().__init__()
        self.sketch = Sketch(latent, side, context, width, depth)
        self.unet = UNet(2 * latent, widths, blocks, context=context, patch=patch)

    def forward(
        self, z: Float[Tensor, "batch latent side side"], t: Float[Tensor, "batch"], words: Cond | None = None
    ) -> Float[Tensor, "batch latent side side"]:
        latent, side, _ = self.sketch.shape
        must_be(f"(batch, {latent}, {side}, {side})", "z", z, z.shape[1:] == self.sketch.shape)
        self.unet.condition.check(words, len(z))
        with torch.no_grad():
            sketch = self.sketch(self.unet.condition.words(t, words))
        return self.unet(torch.cat([z, sketch], dim=1), t, words)[:, :latent]  # it has outputs for the sketch, too

    def start_from(self, sketch: Sketch, unet: UNet) -> None:
        """Begin as a U-Net of the same sizes that was trained without a sketch, and does not look at it yet."""
        self.sketch.load_state_dict(sketch.state_dict())
        self.sketch.requires_grad_(False)
        known, mine = unet.state_dict(), self.unet.state_dict()
        for name in ("first.weight", "last.2.weight", "last.2.bias"):  # of the doubled channels, those of z come first
            wider = torch.zeros_like(mine[name])
            wider[tuple(slice(size) for size in known[name].shape)] = known[name]
            known[name] = wider
        self.unet.load_state_dict(known)


def fit_sketch(
    sketch: Sketch,
    latents: Float[Tensor, "count latent row column"],
    captions: Captions,
    clip: CLIP,
    steps: int,
    batch_size: int = 256,
    images: Float[Tensor, "count choice width"] | None = None,
    **options: Any,
) -> Iterator[Step]:
    """Train a sketch by least squares on the words of captions. Yields a step after each of `steps` steps.

    A tenth has no words. images: embeddings to choose from for each picture, if the sketch is for DALL-E 2's decoder;
    they come before the words, and both are dropped as often as in `fit_decoder`. Without any
    of them, the sketch is the mean picture. options: of `descend`.
    """
    batches, device = Batches.of(captions, clip.tokenizer), clip.log_scale.device
    with torch.no_grad():  # once for all, because reading takes as long as learning
        texts = (clip.text_encoder(part.to(device)) for part in batches.tokens.flatten(0, 1).split(1000))
        read = [torch.cat([x[:, 0], x.sum(1), is_word(x).sum(1, keepdim=True)], dim=1).cpu() for x in texts]
    known = torch.cat(read).unflatten(0, batches.tokens.shape[:2])  # of each text the start, the sum and the count
    width = known.shape[2] // 2

    def draw(generator: Generator) -> tuple[Tensor, ...]:
        index = batches.pictures(batch_size, generator)
        _, variant = batches.words(index, generator)
        drop = DROP if images is None else DROP_TEXT
        kept = torch.rand(batch_size, 1, generator=generator) >= drop
        first, summed, number = (known[index, variant] * kept).split([width, width, 1], dim=1)
        if images is not None:
            choice = torch.randint(images.shape[1], (batch_size,), generator=generator)
            seen = torch.rand(batch_size, 1, generator=generator) >= DROP_IMAGE
            image = stretched(images[index, choice]) * seen
            first, summed, number = image, summed + TOKENS * image, number + TOKENS * seen
        return latents[index].float(), torch.cat([first, summed / number.clamp(min=1)], dim=1)

    def loss(z: Tensor, words: Tensor) -> Tensor:
        return (sketch.from_summary(words) - z).square().flatten(1).mean(1)

    return descend(sketch, draw, loss, steps, **options)
