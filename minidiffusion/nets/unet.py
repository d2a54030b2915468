"""A small U-Net: look at the picture coarse and fine at once, and say one number for every pixel.

28x28 --> 14x14 --> 7x7       each level: residual blocks, at the coarsest with attention
  |         |        |
  +---------+--------+-->     on the way back up each block adds what the block opposite saw
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from .attention import CrossAttention, attend
from .embedding import Cond, Condition

SIZES: dict[str, dict[str, Any]] = {
    "small": dict(widths=(32, 64, 128), blocks=(1, 2, 2)),  # trains on two CPU cores
    "base": dict(widths=(128, 256, 256), blocks=(2, 2, 2)),  # asks for a GPU
    "large": dict(widths=(256, 512, 512), blocks=(3, 3, 3)),
}


def Norm(width: int) -> nn.GroupNorm:
    """Group norm over sixteen channels at a time (Wu and He 2018)."""
    return nn.GroupNorm(width // 16, width)


class Block(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))))), the second norm scaled and shifted by time and condition."""

    def __init__(self, width: int, embedding: int):
        super().__init__()
        self.norm1, self.conv1 = Norm(width), nn.Conv2d(width, width, 3, padding=1)
        self.norm2, self.conv2 = Norm(width), nn.Conv2d(width, width, 3, padding=1)
        self.modulate = nn.Linear(embedding, 2 * width)
        nn.init.zeros_(self.conv2.weight)  # each block starts as the identity
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        scale, shift = self.modulate(embedded)[:, :, None, None].chunk(2, dim=1)
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))
        return x + h


class Attention(nn.Module):
    """Every pixel asks every other (Vaswani et al. 2017), then the words, if there are any: for the coarsest level."""

    def __init__(self, width: int, heads: int, context: int = 0):
        super().__init__()
        self.heads, self.norm = heads, Norm(width)
        self.qkv, self.out = nn.Conv2d(width, 3 * width, 1), nn.Conv2d(width, width, 1)
        self.words = CrossAttention(width, context, heads) if context else None
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, words: Tensor | None = None) -> Tensor:
        b, c, h, w = x.shape
        # (batch, 3 * width, h, w) -> three of (batch, head, pixel, width / head)
        q, k, v = self.qkv(self.norm(x)).view(b, 3, self.heads, c // self.heads, h * w).transpose(3, 4).unbind(1)
        x = x + self.out(attend(q, k, v).transpose(2, 3).reshape(b, c, h, w))
        if self.words is not None:
            x = x + self.words(x.flatten(2).transpose(1, 2), words).transpose(1, 2).view_as(x)
        return x


class UNet(nn.Module):
    """net(x, t, cond) -> output of the shape of x (Ronneberger et al. 2015; Ho et al. 2020, appendix B).

    channels: of the pictures. widths: channels inside, from fine to coarse, multiples of 16, the last of 32; each
    level halves the side, which must divide by 2 ** (levels - 1). blocks: residual blocks at each level, on the
    way down and again on the way up; at the finest they cost most. classes, context: what cond is, a label or
    embeddings of this width, 0 for neither (Condition says more); cond=None asks for nothing. The words are attended
    to where the pixels are. answers: outputs side by side, 2 for a LearnedVariance.
    """

    def __init__(
        self,
        channels: int = 1,
        widths: Sequence[int] = (32, 64, 128),
        blocks: Sequence[int] = (1, 2, 2),
        classes: int = 0,
        context: int = 0,
        answers: int = 1,
    ):
        if not widths or len(widths) != len(blocks) or any(w % 16 for w in widths) or widths[-1] % 32:
            raise ValueError(f"widths and blocks must be as many, widths by 16 and the last by 32: {widths}, {blocks}")
        super().__init__()
        self.config: dict[str, Any] = dict(
            channels=channels,
            widths=list(widths),
            blocks=list(blocks),
            classes=classes,
            context=context,
            answers=answers,
        )
        size = 4 * widths[0]
        self.condition = Condition(size, classes, context)
        self.first = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.last = nn.Sequential(Norm(widths[0]), nn.SiLU(), nn.Conv2d(widths[0], answers * channels, 3, padding=1))
        nn.init.zeros_(self.last[2].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.last[2].bias)  # type: ignore[arg-type]

        def level(width: int, count: int) -> nn.ModuleList:
            return nn.ModuleList(Block(width, size) for _ in range(count))

        self.down = nn.ModuleList(map(level, widths, blocks))
        self.up = nn.ModuleList(map(level, reversed(widths), reversed(blocks)))
        pairs = list(zip(widths, widths[1:], strict=False))
        self.shrink = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairs)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(c, f, 2, stride=2) for f, c in reversed(pairs))
        self.attention = nn.ModuleList(Attention(widths[-1], widths[-1] // 32, context) for _ in range(2))

    def forward(
        self,
        x: Float[Tensor, "batch channel height width"],
        t: Float[Tensor, "batch"],
        cond: Cond | None = None,
    ) -> Float[Tensor, "batch answers height width"]:
        factor = 2 ** len(self.shrink)
        if x.shape[1] != self.config["channels"] or x.shape[2] % factor or x.shape[3] % factor:
            wanted = f"(batch, {self.config['channels']}, height, width), sides that divide by {factor}"
            raise ValueError(f"x must be {wanted}, got {tuple(x.shape)}")
        embedded = self.condition(t, cond)
        words = self.condition.words(t, cond) if self.config["context"] else None
        h, seen = self.first(x.contiguous(memory_format=torch.channels_last)), []
        for i, blocks in enumerate(self.down):
            if i > 0:
                h = self.shrink[i - 1](h)
            for block in blocks:  # type: ignore[attr-defined, union-attr]
                h = block(h, embedded)
                seen.append(h)
        h = self.attention[0](h, words)
        for i, blocks in enumerate(self.up):
            if i > 0:
                h = self.grow[i - 1](h)
            for block in blocks:  # type: ignore[attr-defined, union-attr]
                h = block(h + seen.pop(), embedded)
            if i == 0:
                h = self.attention[1](h, words)
        return self.last(h)
