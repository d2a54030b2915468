"""A transformer for images: cut the image into patches, let the patches attend to each other, and reassemble it.

image --> patches --> tokens --> blocks: attention, then two layers for each token --> patches --> image
                                   ^ scaled, shifted and gated by time and condition

DiT (Peebles and Xie 2023); with large patches of plain pixels and a bottleneck it is JiT (Li and He 2025). Choose the
head X0 for that: a patch of a clean image passes through a narrow layer with little loss, and noise does not.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from .attention import CrossAttention, attend
from .base import Net, check_images, zeroed
from .embedding import Cond, Condition, sinusoids


def patchify(x: Float[Tensor, "batch channel height width"], patch: int) -> Float[Tensor, "batch token pixels"]:
    """Cut each image into patches of patch x patch pixels, row by row, and flatten each patch into a token."""
    # tokens last and then transposed, because the layer that follows rounds bfloat16 by the layout in memory
    return rearrange(x, "b c (row p) (column q) -> b (c p q) (row column)", p=patch, q=patch).transpose(1, 2)


def unpatchify(
    tokens: Float[Tensor, "batch token pixels"], patch: int, height: int, width: int
) -> Float[Tensor, "batch channel height width"]:
    """The image of this height and width, reassembled from its patches: the inverse of `patchify`."""
    sides = dict(row=height // patch, column=width // patch, p=patch, q=patch)
    return rearrange(tokens, "b (row column) (c p q) -> b c (row p) (column q)", **sides)


def positions(rows: int, columns: int, size: int, device: torch.device) -> Float[Tensor, "token size"]:
    """The position of each patch: sinusoids of its row, then of its column (Peebles and Xie 2023, sec. 3.2)."""
    row, column = (sinusoids(torch.arange(n, device=device) / 1000, size // 2) for n in (rows, columns))
    return torch.cat([row.repeat_interleave(columns, dim=0), column.repeat(rows, 1)], dim=1)


def norm(x: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch token width"]:
    """Layer norm without parameters, because time and condition provide the scale and shift."""
    return F.layer_norm(x, x.shape[2:], eps=1e-6)


class Block(nn.Module):
    """x + gate attention(scale norm(x) + shift), then the same with two layers in place of the attention.

    Time and condition provide scale, shift and gate. Zero-initialised gates make each block start as the identity:
    adaLN-Zero (Peebles and Xie 2023, sec. 3.2).
    """

    def __init__(self, width: int, context: int = 0):
        super().__init__()
        self.modulate = zeroed(nn.Linear(width, 6 * width))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.words = CrossAttention(width, context, width // 64) if context else None
        self.layers = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, embedded: Tensor, words: Tensor | None = None) -> Tensor:
        scale1, shift1, gate1, scale2, shift2, gate2 = self.modulate(embedded)[:, None].chunk(6, dim=2)
        parts = self.qkv(norm(x) * (1 + scale1) + shift1)
        q, k, v = rearrange(parts, "b n (part h d) -> part b h n d", part=3, d=64)
        x = x + gate1 * self.out(rearrange(attend(q, k, v), "b h n d -> b n (h d)"))
        if self.words is not None:
            x = x + self.words(x, words)
        return x + gate2 * self.layers(norm(x) * (1 + scale2) + shift2)


class DiT(Net):
    """net(x, t, cond) -> output of the shape of x, for images whose sides are divisible by `patch`.

    channels: of the images. patch: side of a patch; halving it gives four times as many tokens. width: of a token, a
    multiple of 64. depth: number of blocks. bottleneck: each patch is squeezed to so many numbers before it widens to a
    token, None for no squeezing. classes, context: what cond holds (see Condition). answers: number of outputs side by
    side, 2 for a LearnedVariance. ValueError: sizes that do not fit, or a wrong x or cond.
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
            raise ValueError(f"width must be a multiple of 64, and the others at least 1, got {sizes}")
        super().__init__()
        self.channels, self.patch, pixels = channels, patch, channels * patch**2
        self.condition = Condition(width, classes, context)
        squeeze = [] if bottleneck is None else [nn.Linear(pixels, bottleneck, bias=False)]
        self.first = nn.Sequential(*squeeze, nn.Linear(bottleneck or pixels, width))
        self.blocks = nn.ModuleList(Block(width, context) for _ in range(depth))
        self.modulate, self.last = zeroed(nn.Linear(width, 2 * width)), zeroed(nn.Linear(width, answers * pixels))

    def forward(
        self, x: Float[Tensor, "batch channel height width"], t: Float[Tensor, "batch"], cond: Cond | None = None
    ) -> Float[Tensor, "batch answers height width"]:
        check_images(x, self.channels, self.patch)
        patch, height, width = self.patch, *x.shape[2:]
        embedded, words = self.condition(t, cond), self.condition.words(t, cond)
        h = self.first(patchify(x, patch))
        h = h + positions(height // patch, width // patch, h.shape[2], x.device).to(h)
        for block in self.blocks:
            h = block(h, embedded, words)
        scale, shift = self.modulate(embedded)[:, None].chunk(2, dim=2)
        return unpatchify(self.last(norm(h) * (1 + scale) + shift), patch, height, width)
