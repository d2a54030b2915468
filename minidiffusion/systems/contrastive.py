"""CLIP: a text encoder and an image encoder that learn, by contrast, to give a caption and its picture one direction.

    loss = -log softmax of the right pair, over the pictures of a batch and over its captions, averaged

Radford et al. 2021, figure 3. Stable Diffusion uses the words of its text encoder, and DALL-E 2 both embeddings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Generator, Tensor, nn

from .. import check
from ..data import to_float
from ..data.emoji import Captions
from ..nets.autoencoder import ImageEncoder
from ..nets.base import Net
from ..nets.text import TextEncoder, Tokenizer
from ..training.descend import Step, descend
from ..training.distributed import processes
from .batches import Batches


class CLIP(Net):
    """text(prompts) and image(pictures) -> unit vectors; words(prompts) -> a vector for each word.

    vocabulary: the words that it knows. width: of a word. embedding: of the common space. depth: layers for the text.
    """

    def __init__(self, vocabulary: Sequence[str], width: int = 128, embedding: int = 128, depth: int = 2):
        super().__init__()
        self.tokenizer, self.embedding = Tokenizer(vocabulary), embedding
        self.text_encoder = TextEncoder(len(vocabulary), width, depth)
        self.text_head = nn.Linear(width, embedding, bias=False)
        self.image_encoder = ImageEncoder(embedding)
        self.log_scale = nn.Parameter(torch.tensor(2.66))  # of the inverse temperature, which starts at 14 as in CLIP

    def words(self, prompts: Sequence[str]) -> Float[Tensor, "batch 24 width"]:
        """A vector for the whole prompt, then one for each of its words, then zeros: what a U-Net attends to."""
        return self.text_encoder(self.tokenizer(prompts).to(self.log_scale.device))

    def text(self, prompts: Sequence[str]) -> Float[Tensor, "batch embedding"]:
        """Unit vectors, the embeddings of these prompts."""
        return self.embed_words(self.words(prompts))

    def embed_words(self, words: Float[Tensor, "batch word width"]) -> Float[Tensor, "batch embedding"]:
        return F.normalize(self.text_head(words[:, 0]).float(), dim=1)

    def image(self, pictures: Float[Tensor, "batch 3 64 64"]) -> Float[Tensor, "batch embedding"]:
        """Unit vectors, the embeddings of these pictures, floats in [-1, 1]."""
        return F.normalize(self.image_encoder(pictures).float(), dim=1)


def contrastive_loss(
    clip: CLIP,
    pictures: Float[Tensor, "batch 3 64 64"],
    tokens: Int[Tensor, "batch word"],
    same: Bool[Tensor, "batch batch"],
) -> Float[Tensor, "batch"]:
    """The loss of each pair. same: captions i and j are both right for picture i, so j is no wrong answer for it."""
    image, text = clip.image(pictures), clip.embed_words(clip.text_encoder(tokens))
    logits = clip.log_scale.clamp(max=4.6).exp() * image @ text.T  # at most 100, as in the paper
    logits = logits.masked_fill(same & ~torch.eye(len(same), dtype=torch.bool, device=same.device), -torch.inf)
    right = torch.arange(len(logits), device=logits.device)
    by_picture, by_text = (F.cross_entropy(part, right, reduction="none") for part in (logits, logits.T))
    return (by_picture + by_text) / 2


def move(pictures: UInt8[Tensor, "batch 3 64 64"], generator: Generator) -> UInt8[Tensor, "batch 3 64 64"]:
    """Each picture shifted by up to 6 pixels and scaled by up to 15% in each direction; its border is repeated.

    Pictures that are never twice the same are harder to learn by heart.
    """
    count, side = len(pictures), pictures.shape[2]
    u = 2 * torch.rand(4, count, 1, generator=generator) - 1
    centred = torch.arange(side) - (side - 1) / 2
    scaled, shift = (1 + 0.15 * u[:2]) * centred, 6 * u[2:]
    rows, columns = (scaled + shift + (side - 1) / 2).round().long().clamp(0, side - 1)
    item, channel = torch.arange(count)[:, None, None, None], torch.arange(3)[:, None, None]
    return pictures[item, channel, rows[:, None, :, None], columns[:, None, None, :]]


def fit_clip(
    clip: CLIP,
    pictures: UInt8[Tensor, "count 3 64 64"],
    captions: Captions,
    steps: int,
    batch_size: int = 256,
    moved: bool = False,
    **options: Any,
) -> Iterator[Step]:
    """Train `clip` in place, yielding a step after each of `steps` steps. options: of `descend`.

    Half of each batch are siblings of the other half: the same thing in another style or tone, so that telling things
    apart is not enough. moved: shift and scale each picture a little, see `move`.
    """
    even = batch_size >= 2 and batch_size % 2 == 0
    check.must_be("an even number of at least 2, half of them siblings", "batch_size", batch_size, even)
    if processes()[1] > 1:
        raise ValueError("fit_clip needs one process, because each pair is told from all others of its batch")
    batches = Batches.of(captions, clip.tokenizer)

    def draw(generator: Generator) -> tuple[Tensor, ...]:
        index = batches.pictures(batch_size // 2, generator)
        index = torch.cat([index, batches.siblings(index, generator)])
        tokens, variant = batches.words(index, generator)
        images = move(pictures[index], generator) if moved else pictures[index]
        return images, tokens, batches.caption[index], batches.style[index], variant

    def loss(images: Tensor, tokens: Tensor, caption: Tensor, style: Tensor, variant: Tensor) -> Tensor:
        same = caption[:, None] == caption  # of picture i and text j, which says the style unless its variant is 1
        same &= (style[:, None] == style) | (variant == 1)
        return contrastive_loss(clip, to_float(images), tokens, same)

    return descend(clip, draw, loss, steps, **options)
