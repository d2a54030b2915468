"""Attention: among the places of an image, and from there to the words of the condition."""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from .base import zeroed
from .embedding import is_word


def attend(
    q: Float[Tensor, "b h n d"], k: Float[Tensor, "b h m d"], v: Float[Tensor, "b h m d"], mask: Tensor | None = None
) -> Float[Tensor, "b h n d"]:
    """softmax(q k^T / sqrt(d)) v (Vaswani et al. 2017, eq. 1) in each of h heads; weight 0 where the mask is False."""
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:
        # On a CPU in bfloat16, the fused kernel's backward pass is five to ten times slower than the plain formula
        scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5
        return (scores if mask is None else scores.masked_fill(~mask, -torch.inf)).softmax(3) @ v
    return F.scaled_dot_product_attention(q, k, v, mask)


class CrossAttention(nn.Module):
    """What x (batch, place, width) gains by attending to words (batch, word, context) (Rombach et al. 2022, sec. 3.3).

    Zero-initialised. Words of zeros are padding and have no influence; where all are zero, exactly zero is added.
    """

    def __init__(self, width: int, context: int, heads: int):
        super().__init__()
        self.heads, self.q = heads, nn.Linear(width, width)
        self.kv, self.out = nn.Linear(context, 2 * width, bias=False), zeroed(nn.Linear(width, width, bias=False))

    def forward(self, x: Tensor, words: Tensor) -> Tensor:
        q, k, v, mask = self.parts(x, words)
        return self.out(rearrange(attend(q, k, v, mask), "b h n d -> b n (h d)"))

    def parts(self, x: Tensor, words: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Queries, keys, values (batch, head, n, size) and the mask (batch, 1, 1, word) that is False on padding."""
        parts = self.q(F.layer_norm(x, x.shape[2:])), *self.kv(words).chunk(2, dim=2)
        q, k, v = (rearrange(part, "b n (h d) -> b h n d", h=self.heads) for part in parts)
        # a softmax over no words would be nan, so where all are padding we attend to them: without bias, they are zero
        real = is_word(words)
        return q, k, v, (real | ~real.any(1, keepdim=True))[:, None, None]
