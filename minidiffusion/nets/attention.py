"""Attention: every place asks every other, or the words of the condition, for what it should know."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def attend(
    q: Float[Tensor, "batch head place width"],
    k: Float[Tensor, "batch head other width"],
    v: Float[Tensor, "batch head other width"],
) -> Float[Tensor, "batch head place width"]:
    """softmax(q k^T / sqrt(width)) v (Vaswani et al. 2017, eq. 1)."""
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:
        # there the fused kernel's way back takes five to ten times as long as that of the formula
        return (q @ k.transpose(2, 3) / q.shape[3] ** 0.5).softmax(3) @ v
    return F.scaled_dot_product_attention(q, k, v)


class CrossAttention(nn.Module):
    """What each place of a picture hears from the words (Rombach et al. 2022, sec. 3.3); at first, nothing.

    Nothing but words is ever added: words of zeros add exactly zero.
    """

    def __init__(self, width: int, context: int, heads: int):
        super().__init__()
        self.heads, self.q = heads, nn.Linear(width, width)
        self.kv, self.out = nn.Linear(context, 2 * width, bias=False), nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(
        self, x: Float[Tensor, "batch place width"], words: Float[Tensor, "batch word context"]
    ) -> Float[Tensor, "batch place width"]:
        parts = self.q(F.layer_norm(x, x.shape[2:])), *self.kv(words).chunk(2, dim=2)
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)
        return self.out(attend(q, k, v).transpose(1, 2).flatten(2))
