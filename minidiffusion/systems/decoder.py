"""DALL-E 2's decoder and upsampler (Ramesh et al. 2022, sec. 2.1): from an image embedding to a picture.

The decoder is a denoiser of 32x32 pictures, each 2x2 square of pixels as one place. It attends to the embedding and to
the words, and sees a sketch of the picture that is made of both (see sketch.py; this is ours, not the paper's). The
upsampler is a denoiser of what a 64x64 picture has beyond its 32x32 one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Generator, Tensor

from ..data import to_float
from ..data.emoji import Captions
from ..denoiser import Denoiser
from ..nets.base import Net
from ..nets.unet import UNet
from ..objectives.weighted import draw_times, loss_per_item
from ..training.descend import Step, descend
from .batches import BY_THING, SHAPES, Batches, later
from .contrastive import CLIP
from .priors import stretched

DROP_IMAGE, DROP_TEXT = 0.1, 0.5  # of the embeddings and of the texts (their sec. 2.1)
TOKENS = 4  # the embedding enters as so many words, as in the paper
DETAIL = 4.0  # what the upsampler adds is multiplied by this, so that its variance is nearer to 1


def halved(pictures: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 height/2 width/2"]:
    """The pictures at half their size, each pixel the mean of four."""
    return F.avg_pool2d(pictures, 2)


def doubled(pictures: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 2*height 2*width"]:
    """The pictures at twice their size, by bicubic interpolation."""
    return F.interpolate(pictures, scale_factor=2, mode="bicubic", align_corners=False)


def condition(image: Float[Tensor, "batch width"], words: Float[Tensor, "batch word width"]) -> Tensor:
    """What the decoder attends to: the image embedding, as TOKENS equal words, and the words; zeros are left out."""
    return torch.cat([stretched(image)[:, None].expand(-1, TOKENS, -1), words], dim=1)


def squares(pictures: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 12 height/4 width/4"]:
    """What the decoder draws: the pictures at half their size, each 2x2 square of pixels as one place."""
    return F.pixel_unshuffle(halved(pictures), 2)


def all_squares(pictures: UInt8[Tensor, "count 3 64 64"]) -> Float[Tensor, "count 12 16 16"]:
    """The same for a whole data set, in half precision to save memory."""
    return torch.cat([squares(to_float(part)).half() for part in pictures.split(500)])


def fit_decoder(
    denoiser: Denoiser,
    pictures: UInt8[Tensor, "count 3 64 64"],
    captions: Captions,
    images: Float[Tensor, "count choice width"],
    clip: CLIP,
    steps: int,
    batch_size: int = 64,
    weighting: str = "uniform",
    shapes: bool = False,
    **options: Any,
) -> Iterator[Step]:
    """Train a denoiser of 32x32 pictures with an embedding of each picture and the words of its caption.

    Yields a step after each of `steps` steps. images: embeddings to choose from for each picture, such as its own and
    one that the prior imagines. shapes: see `fit_words`. options: of `descend`.
    """
    batches = Batches.of(captions, clip.tokenizer)
    data = all_squares(pictures)

    def draw(generator: Generator) -> tuple[Tensor, ...]:
        index = batches.pictures(batch_size, generator, SHAPES if shapes else BY_THING)
        tokens, _ = batches.words(index, generator)
        # one choice takes no random numbers, so that a seed still leads to the first rounds, which had one
        choice = torch.randint(images.shape[1], (batch_size,), generator=generator) if images.shape[1] > 1 else 0
        image, text = (torch.rand(batch_size, 1, generator=generator) >= drop for drop in (DROP_IMAGE, DROP_TEXT))
        x0 = data[index].float()
        eps, t = torch.randn(x0.shape, generator=generator), draw_times(batch_size, generator)
        return x0, later(t) if shapes else t, eps, images[index, choice] * image, tokens * text

    def loss(x0: Tensor, t: Tensor, eps: Tensor, image: Tensor, tokens: Tensor) -> Tensor:
        with torch.no_grad():
            cond = condition(image, clip.text_encoder(tokens))
        return loss_per_item(denoiser, x0, t, eps, weighting, cond)

    return descend(denoiser, draw, loss, steps, **options)


class Upsampler(Net):
    """net(x_t, t, small): a U-Net on the detail of a picture, 4x4 pixels as one place, that sees the small picture too.

    x_t: (batch, 48, 16, 16), see `detail`. small: (batch, 3, 32, 32). widths, blocks: as in UNet.
    """

    def __init__(self, widths: tuple[int, ...] = (96, 128), blocks: tuple[int, ...] = (2, 2)):
        super().__init__()
        self.unet = UNet(48 + 12, widths, blocks)
        self.last = torch.nn.Conv2d(60, 48, 1)

    def forward(self, x: Tensor, t: Tensor, small: Tensor) -> Tensor:
        seen = torch.cat([x, F.pixel_unshuffle(small, 2)], dim=1)
        return self.last(self.unet(seen, t))


def detail(pictures: Float[Tensor, "batch 3 height width"], small: Float[Tensor, "batch 3 side side"]) -> Tensor:
    """What the pictures have beyond the small ones: (batch, 48, side / 2, side / 2)."""
    return F.pixel_unshuffle(DETAIL * (pictures - doubled(small)), 4)


def enlarged(added: Float[Tensor, "batch 48 row column"], small: Float[Tensor, "batch 3 side side"]) -> Tensor:
    """The pictures that have this detail beyond the small ones: the inverse of `detail`."""
    return (doubled(small) + F.pixel_shuffle(added, 4) / DETAIL).clamp(-1, 1)


def corrupted(small: Float[Tensor, "batch 3 32 32"], generator: Generator) -> Float[Tensor, "batch 3 32 32"]:
    """A little blur and noise, of another strength for each picture, because a decoder's pictures are not perfect.

    Saharia et al. 2022 and Ramesh et al. 2022 (sec. 2.1) train upsamplers this way.
    """
    blur, noise = (torch.rand(len(small), 1, 1, 1, generator=generator) for _ in range(2))
    soft = F.avg_pool2d(F.pad(small, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return small.lerp(soft, 0.5 * blur) + 0.2 * noise * torch.randn(small.shape, generator=generator)


def fit_upsampler(
    denoiser: Denoiser, pictures: UInt8[Tensor, "count 3 64 64"], steps: int, batch_size: int = 32, **options: Any
) -> Iterator[Step]:
    """Train a denoiser of detail. Yields a step after each of `steps` steps; options: of `descend`."""

    def draw(generator: Generator) -> tuple[Tensor, ...]:
        x = to_float(pictures[torch.randint(len(pictures), (batch_size,), generator=generator)])
        small = corrupted(halved(x), generator)
        x0 = detail(x, small)
        return x0, draw_times(batch_size, generator), torch.randn(x0.shape, generator=generator), small

    def loss(x0: Tensor, t: Tensor, eps: Tensor, small: Tensor) -> Tensor:
        return loss_per_item(denoiser, x0, t, eps, "min_snr", small)

    return descend(denoiser, draw, loss, steps, **options)
