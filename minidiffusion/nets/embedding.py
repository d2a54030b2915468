"""How time and condition enter a network: as one vector for all layers, and as words for cross-attention."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Integer
from torch import Tensor, nn

from ..check import must_be

# A label for each item, or one embedding, or several in a row, such as the words of a text
Cond = Integer[Tensor, "batch"] | Float[Tensor, "batch *word context"]


def sinusoids(t: Float[Tensor, "batch"], size: int) -> Float[Tensor, "batch size"]:
    """Cosines and sines of t, at frequencies from 1 to 1000 because t is in [0, 1] (Vaswani et al. 2017, sec. 3.5)."""
    frequencies = torch.exp(torch.linspace(0.0, math.log(1000.0), size // 2, device=t.device))
    angles = t[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1).to(t.dtype)


def is_word(words: Float[Tensor, "batch word context"]) -> Bool[Tensor, "batch word"]:  # and not padding, all zeros
    return (words != 0).any(2)


class Condition(nn.Module):
    """(t, cond) -> (batch, size): the silu of an embedding of the time plus an embedding of the condition.

    classes > 0: cond holds labels, (batch,), and label `classes` means "any class". context > 0: cond holds embeddings,
    (batch, context), or words, (batch, word, context), whose mean is embedded. Words of zeros are padding and have no
    influence; if all are zero, exactly zero is added. None: the null label, or zeros.
    """

    def __init__(self, size: int, classes: int = 0, context: int = 0):
        if classes and context:
            raise ValueError(f"cond is a label or an embedding, so classes or context must be 0: {classes}, {context}")
        super().__init__()
        self.size, self.classes, self.context = size, classes, context
        self.time = nn.Sequential(nn.Linear(size, size), nn.SiLU(), nn.Linear(size, size))
        self.label = nn.Embedding(classes + 1, size) if classes else None
        self.mean = nn.Linear(context, size, bias=False) if context else None

    def forward(self, t: Float[Tensor, "batch"], cond: Cond | None = None) -> Float[Tensor, "batch size"]:
        self.check(cond, len(t))
        embedded = self.time(sinusoids(t, self.size))
        if self.label is not None:
            label = torch.full((len(t),), self.classes, device=t.device) if cond is None else cond.long()
            embedded = embedded + self.label(label)
        if self.mean is not None:
            words = self.words(t, cond)
            embedded = embedded + self.mean(words.sum(1) / is_word(words).sum(1, keepdim=True).clamp(min=1))
        return F.silu(embedded)

    def words(self, t: Float[Tensor, "batch"], cond: Cond | None) -> Float[Tensor, "batch word context"]:
        """The condition as words for cross-attention: padding where there is none, and of width 0 if context is 0."""
        if cond is None or not self.context:
            return t.new_zeros(len(t), 1, self.context)
        return cond[:, None] if cond.ndim == 2 else cond

    def forget(self, cond: Cond, dropped: Bool[Tensor, "batch"]) -> Cond:
        """cond, except that dropped items get the null label, or zeros, in place of theirs."""
        if self.classes:
            return cond.long().masked_fill(dropped, self.classes)
        return cond.masked_fill(dropped.view(-1, *[1] * (cond.ndim - 1)), 0)

    def check(self, cond: Cond | None, count: int, null: bool = True) -> None:
        """ValueError unless cond fits `count` items. Labels on a GPU are read only if the null label is not allowed."""
        if cond is None:
            return
        shape = tuple(cond.shape) if isinstance(cond, Tensor) else ()
        fits, wanted = False, "None, because this network was made with classes=0 and context=0"
        if self.classes:
            wanted = f"a tensor of {count} whole numbers from 0 to {self.classes - 1} ({self.classes}: any)"
            fits = shape == (count,) and not cond.is_floating_point() and cond.dtype != torch.bool
        elif self.context:
            wanted = f"embeddings of shape ({count}, {self.context}) or ({count}, words, {self.context})"
            fits = shape in ((count, self.context), (count, *shape[1:2], self.context)) and cond.is_floating_point()
        must_be(wanted, "cond", cond, fits and 0 not in shape[1:])
        if self.classes and (not null or cond.device.type == "cpu") and not torch.compiler.is_compiling():
            wrong = " and ".join(map(str, sorted({n for n in cond.tolist() if not 0 <= n < self.classes + null})[:5]))
            known = f'the labels 0 to {self.classes - 1} (and {self.classes} for "any class")'
            if wrong:
                raise ValueError(f"cond contains label {wrong}, but this network knows {known}")
