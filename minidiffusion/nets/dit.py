"""A transformer for pictures: cut them into patches, let every patch ask every other, put them together again.

picture --> patches --> tokens --> blocks: attention, then two layers for each token --> patches --> picture
                                     ^ scaled, shifted and gated by time and condition

DiT (Peebles and Xie 2023), and with large patches of bare pixels and a bottleneck JiT (Li and He 2025). Then the head
should be X0: a picture's patch fits through a narrow layer, noise does not.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from .attention import CrossAttention, attend
from .embedding import Cond, Condition, sinusoids

SIZES: dict[str, dict[str, Any]] = {
    "small": dict(patch=4, width=128, depth=6),  # trains on two CPU cores
    "base": dict(patch=2, width=384, depth=12),  # asks for a GPU; DiT-S/2 of the paper
    "large": dict(patch=2, width=1024, depth=24),  # DiT-L/2
}


def patchify(x: Float[Tensor, "batch channel height width"], patch: int) -> Float[Tensor, "batch token pixels"]:
    """Squares of patch x patch pixels, row by row, each as one long vector."""
    return F.pixel_unshuffle(x, patch).flatten(2).transpose(1, 2)


def unpatchify(
    tokens: Float[Tensor, "batch token pixels"], patch: int, height: int, width: int
) -> Float[Tensor, "batch channel height width"]:
    """The picture of this height and width that `patchify` cut."""
    return F.pixel_shuffle(tokens.transpose(1, 2).unflatten(2, (height // patch, width // patch)), patch)


def positions(rows: int, columns: int, size: int, device: torch.device) -> Float[Tensor, "token size"]:
    """Where each patch is: waves of its row, then waves of its column (Peebles and Xie 2023, sec. 3.2)."""
    row, column = (sinusoids(torch.arange(n, device=device) / 1000, size // 2) for n in (rows, columns))
    return torch.cat([row.repeat_interleave(columns, dim=0), column.repeat(rows, 1)], dim=1)


def norm(x: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch token width"]:
    """Layer norm without weights of its own: time and condition scale and shift instead."""
    return F.layer_norm(x, x.shape[2:], eps=1e-6)


class Block(nn.Module):
    """x + gate attention(scale norm(x) + shift), then the same with two layers in the place of attention.

    Scale, shift and gate come from time and condition. The gates begin at zero, and so the block as the identity:
    adaLN-Zero (Peebles and Xie 2023, sec. 3.2).
    """

    def __init__(self, width: int, context: int = 0):
        super().__init__()
        self.heads = width // 64
        self.modulate = nn.Linear(width, 6 * width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.words = CrossAttention(width, context, self.heads) if context else None
        self.layers = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)

    def forward(self, x: Tensor, embedded: Tensor, words: Tensor | None = None) -> Tensor:
        scale1, shift1, gate1, scale2, shift2, gate2 = self.modulate(embedded)[:, None].chunk(6, dim=2)
        # (batch, token, 3 * width) -> three of (batch, head, token, 64)
        q, k, v = self.qkv(norm(x) * (1 + scale1) + shift1).unflatten(2, (3, self.heads, 64)).transpose(1, 3).unbind(2)
        x = x + gate1 * self.out(attend(q, k, v).transpose(1, 2).flatten(2))
        if self.words is not None:
            x = x + self.words(x, words)
        return x + gate2 * self.layers(norm(x) * (1 + scale2) + shift2)


class DiT(nn.Module):
    """net(x, t, cond) -> output of the shape of x, for pictures whose sides divide by `patch`.

    channels: of the pictures. patch: side of a patch; half of it means four times the tokens. width: numbers a token,
    a multiple of 64. depth: blocks. bottleneck: numbers a patch is squeezed into before it widens to a token, None for
    no squeezing. classes, context: what cond is, a label or embeddings of this width, 0 for neither (Condition says
    more); cond=None asks for nothing. answers: outputs side by side, 2 for a LearnedVariance.
    """

    def __init__(
        self,
        channels: int = 1,
        patch: int = 4,
        width: int = 128,
        depth: int = 6,
        bottleneck: int | None = None,
        classes: int = 0,
        context: int = 0,
        answers: int = 1,
    ):
        if width % 64 or min(channels, patch, width, depth, bottleneck or 1, answers) < 1:
            sizes = f"{channels=}, {patch=}, {width=}, {depth=}, {bottleneck=}, {answers=}"
            raise ValueError(f"width must be a multiple of 64, and the others at least 1: {sizes}")
        super().__init__()
        self.config: dict[str, Any] = dict(
            channels=channels,
            patch=patch,
            width=width,
            depth=depth,
            bottleneck=bottleneck,
            classes=classes,
            context=context,
            answers=answers,
        )
        pixels = channels * patch**2
        self.condition = Condition(width, classes, context)
        squeeze = [] if bottleneck is None else [nn.Linear(pixels, bottleneck, bias=False)]
        self.first = nn.Sequential(*squeeze, nn.Linear(bottleneck or pixels, width))
        self.blocks = nn.ModuleList(Block(width, context) for _ in range(depth))
        self.modulate, self.last = nn.Linear(width, 2 * width), nn.Linear(width, answers * pixels)
        for layer in (self.modulate, self.last):  # untrained, it says nothing
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self,
        x: Float[Tensor, "batch channel height width"],
        t: Float[Tensor, "batch"],
        cond: Cond | None = None,
    ) -> Float[Tensor, "batch answers height width"]:
        patch, (height, width) = self.config["patch"], x.shape[2:]
        if x.shape[1] != self.config["channels"] or height % patch or width % patch:
            wanted = f"(batch, {self.config['channels']}, height, width), sides that divide by {patch}"
            raise ValueError(f"x must be {wanted}, got {tuple(x.shape)}")
        embedded = self.condition(t, cond)
        words = self.condition.words(t, cond) if self.config["context"] else None
        h = self.first(patchify(x, patch))
        h = h + positions(height // patch, width // patch, h.shape[2], x.device).to(h)
        for block in self.blocks:
            h = block(h, embedded, words)
        scale, shift = self.modulate(embedded)[:, None].chunk(2, dim=2)
        return unpatchify(self.last(norm(h) * (1 + scale) + shift), patch, height, width)
