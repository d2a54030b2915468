"""A small U-Net: it looks at an image at several resolutions and gives one output for every pixel.

28x28 --> 14x14 --> 7x7       each level: residual blocks; the coarsest has attention too
  |         |        |
  +---------+--------+-->     on the way up, each block adds the output of its counterpart on the way down
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from .attention import CrossAttention, attend
from .base import Net, check_images, zeroed
from .embedding import Cond, Condition


def Norm(width: int) -> nn.GroupNorm:  # over sixteen channels at a time (Wu and He 2018)
    return nn.GroupNorm(width // 16, width)


class Block(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))))), the second norm scaled and shifted by time and condition.

    embedding: the size of the vector that holds these two, or 0 without them.
    """

    def __init__(self, width: int, embedding: int = 0):
        super().__init__()
        self.norm1, self.conv1 = Norm(width), nn.Conv2d(width, width, 3, padding=1)
        self.norm2, self.conv2 = Norm(width), zeroed(nn.Conv2d(width, width, 3, padding=1))
        self.modulate = nn.Linear(embedding, 2 * width) if embedding else None

    def forward(self, x: Tensor, embedded: Tensor | None = None) -> Tensor:
        h = self.norm2(self.conv1(F.silu(self.norm1(x))))
        if self.modulate is not None:
            scale, shift = self.modulate(embedded)[:, :, None, None].chunk(2, dim=1)
            h = h * (1 + scale) + shift
        return x + self.conv2(F.silu(h))


class Attention(nn.Module):
    """Self-attention over all `pixels` (Vaswani et al. 2017), then cross-attention to words of the size `context`."""

    def __init__(self, width: int, context: int, pixels: bool):  # neither is a must: 0 and False leave them out
        super().__init__()
        self.pixels, self.head = pixels, math.gcd(width, 32)
        if pixels:
            self.norm, self.qkv = Norm(width), nn.Conv2d(width, 3 * width, 1)
            self.out = zeroed(nn.Conv2d(width, width, 1))
        self.words = CrossAttention(width, context, width // self.head) if context else None

    def forward(self, x: Tensor, words: Tensor) -> Tensor:
        if self.pixels:
            parts = rearrange(self.qkv(self.norm(x)), "b (part h d) y x -> part b h (y x) d", part=3, d=self.head)
            x = x + self.out(rearrange(attend(*parts), "b h (y x) d -> b (h d) y x", y=x.shape[2]))
        if self.words is not None:
            attended = self.words(rearrange(x, "b width y x -> b (y x) width"), words)
            x = x + rearrange(attended, "b (y x) width -> b width y x", y=x.shape[2])
        return x


class UNet(Net):
    """net(x, t, cond) -> output of the shape of x (Ronneberger et al. 2015; Ho et al. 2020, appendix B).

    channels: of the images, whose sides halve len(widths) - 1 times. widths: channels inside, from fine to coarse,
    multiples of 16; a head of the attention is 32 wide, or 16. blocks: residual blocks at each level, down and up.
    classes, context: what cond holds (see Condition). The coarsest level attends to its own pixels; with context, every
    level attends to the words and all but the finest to their pixels. answers: outputs side by side, 2 for
    LearnedVariance. patch: the finest level has a place for each square of patch x patch pixels, which is faster.
    ValueError: bad sizes, x or cond.
    """

    def __init__(
        self,
        channels: int = 1,
        widths: Sequence[int] = (32, 64, 128),
        blocks: Sequence[int] = (1, 2, 2),
        classes: int = 0,
        context: int = 0,
        answers: int = 1,
        patch: int = 1,
    ):
        if not widths or len(widths) != len(blocks) or any(w % 16 for w in widths):
            raise ValueError(f"widths and blocks must pair up, widths in multiples of 16, got {widths}, {blocks}")
        super().__init__()
        size = 4 * widths[0]
        self.condition = Condition(size, classes, context)
        self.patch, inside = patch, channels * patch**2
        self.first = nn.Conv2d(inside, widths[0], 3, padding=1)
        last = zeroed(nn.Conv2d(widths[0], answers * inside, 3, padding=1))
        self.last = nn.Sequential(Norm(widths[0]), nn.SiLU(), last)
        levels = list(zip(widths, blocks, strict=True))
        self.down = nn.ModuleList(nn.ModuleList(Block(w, size) for _ in range(n)) for w, n in levels)
        self.up = nn.ModuleList(nn.ModuleList(Block(w, size) for _ in range(n)) for w, n in reversed(levels))
        self.shrink = nn.ModuleList(nn.Conv2d(*pair, 2, stride=2) for pair in pairwise(widths))
        self.grow = nn.ModuleList(nn.ConvTranspose2d(*pair, 2, stride=2) for pair in pairwise(reversed(widths)))
        pixels = [i == 0 or (context > 0 and i < len(widths) - 1) for i in range(len(widths))]
        self.attention = nn.ModuleList(  # two for each level, the coarsest first: on the way down and on the way up
            Attention(w, context, own) for w, own in zip(reversed(widths), pixels, strict=True) for _ in range(2)
        )

    def forward(
        self, x: Float[Tensor, "batch channel height width"], t: Float[Tensor, "batch"], cond: Cond | None = None
    ) -> Float[Tensor, "batch answers height width"]:
        check_images(x, self.first.in_channels // self.patch**2, self.patch * 2 ** len(self.shrink))
        embedded, words = self.condition(t, cond), self.condition.words(t, cond)
        x = F.pixel_unshuffle(x, self.patch) if self.patch > 1 else x
        h, skips = self.first(x.contiguous(memory_format=torch.channels_last)), []
        for i, blocks in enumerate(self.down):
            h = self.shrink[i - 1](h) if i > 0 else h
            for block in blocks:  # type: ignore[attr-defined, union-attr]
                h = block(h, embedded)
                skips.append(h)
            h = self.attention[-2 * (i + 1)](h, words)
        for i, blocks in enumerate(self.up):
            h = self.grow[i - 1](h) if i > 0 else h
            for block in blocks:  # type: ignore[attr-defined, union-attr]
                h = block(h + skips.pop(), embedded)
            h = self.attention[2 * i + 1](h, words)
        h = self.last(h)
        return F.pixel_shuffle(h, self.patch) if self.patch > 1 else h
