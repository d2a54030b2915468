"""How time and condition enter a network: one vector, added up, and words to be attended to."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

# What may be asked for: a label, or an embedding, or several of them in a row, such as the words of a text
Cond = Int[Tensor, "batch"] | Float[Tensor, "batch *word context"]


def sinusoids(t: Float[Tensor, "batch"], size: int) -> Float[Tensor, "batch size"]:
    """Waves of t from slow to fast, so that near times look alike and far ones do not (Vaswani et al. 2017)."""
    frequencies = torch.exp(torch.linspace(0.0, math.log(1000.0), size // 2, device=t.device))
    angles = t[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class Condition(nn.Module):
    """(t, cond) -> one vector: time, plus the label, or plus the mean of the words. One route for what is asked for.

    classes > 0: cond is a label for each item, where number `classes` is the null label, "anything".
    context > 0: cond is an embedding for each item (batch, context), of an image say, or words (batch, word, context);
    an embedding is a single word. Words of zeros ask for nothing, and add exactly nothing.
    None asks for nothing for all.
    """

    def __init__(self, size: int, classes: int = 0, context: int = 0):
        if classes and context:
            raise ValueError(f"cond is a label or an embedding, so classes or context must be 0: {classes}, {context}")
        super().__init__()
        self.size, self.classes, self.context = size, classes, context
        self.time = nn.Sequential(nn.Linear(size, size), nn.SiLU(), nn.Linear(size, size))
        self.label = nn.Embedding(classes + 1, size) if classes else None
        self.mean = nn.Linear(context, size, bias=False) if context else None

    def forward(self, t: Float[Tensor, "batch"], cond: Cond | None = None) -> Tensor:
        embedded = self.time(sinusoids(t, self.size))
        if self.label is not None:
            if cond is None:
                cond = torch.full((len(t),), self.classes, device=t.device)
            if cond.shape != t.shape or cond.is_floating_point():
                raise ValueError(f"cond must hold one whole number for each of {len(t)} items, got {cond!r}")
            embedded = embedded + self.label(cond)
        elif self.mean is not None:
            embedded = embedded + self.mean(self.words(t, cond).mean(1))
        elif cond is not None:
            raise ValueError("cond must be None: this network was made with classes=0 and context=0")
        return nn.functional.silu(embedded)

    def words(self, t: Float[Tensor, "batch"], cond: Cond | None) -> Float[Tensor, "batch word context"]:
        """The condition as words, for layers that attend to them."""
        if cond is None:
            return t.new_zeros(len(t), 1, self.context)
        if cond.ndim not in (2, 3) or (len(cond), cond.shape[-1]) != (len(t), self.context) or 0 in cond.shape:
            wanted = f"({len(t)}, {self.context}) or ({len(t)}, words, {self.context})"
            raise ValueError(f"cond must be embeddings of shape {wanted}, got {tuple(cond.shape)}")
        return cond[:, None] if cond.ndim == 2 else cond
