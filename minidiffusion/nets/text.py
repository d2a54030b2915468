"""A text encoder: words become numbers, numbers become vectors, and a transformer lets each word see the others."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from .attention import attend

LENGTH = 24  # words of a prompt, with the start; every prompt is padded to it, so that each gets the same arithmetic
PADDING, START = 0, 1


class Tokenizer:
    """Splits a prompt into words and gives each its number: 0 is padding, 1 the start, 2 and more the vocabulary."""

    def __init__(self, vocabulary: Sequence[str]):
        self.vocabulary = list(vocabulary)
        self.number = {word: i for i, word in enumerate(self.vocabulary, start=2)}

    @staticmethod
    def split(prompt: str) -> list[str]:
        """The words of a prompt in lower case, with hyphens inside, and signs such as # alone; commas are dropped."""
        return re.findall(r"\w+(?:[-'.]\w+)*|[^\w\s,;:.\"'\u2019]", prompt.lower().replace("\u2019", "'"))

    def words(self, prompt: str) -> tuple[list[str], list[str]]:
        """The words of a prompt that are known, and those that are not. A hyphenated word may be known by its parts."""
        known: list[str] = []
        unknown: list[str] = []
        for word in self.split(prompt):
            parts = [word] if word in self.number else word.split("-")
            for part in filter(None, parts):
                (known if part in self.number else unknown).append(part)
        return known, unknown

    def near(self, word: str) -> list[str]:
        """Up to three words of the vocabulary that are spelled like this one."""
        return difflib.get_close_matches(word[:40], self.vocabulary, 3, 0.75)

    def __call__(self, prompts: Sequence[str]) -> Int[Tensor, "batch 24"]:
        """The start and the numbers of up to 23 known words of each prompt, then padding; all padding without words."""
        tokens = torch.full((len(prompts), LENGTH), PADDING)
        for row, prompt in zip(tokens, prompts, strict=True):
            known = self.words(prompt)[0][: LENGTH - 1]
            if known:
                row[: len(known) + 1] = torch.tensor([START, *(self.number[word] for word in known)])
        return tokens


class Layer(nn.Module):
    """x + attention(norm(x)), then x + two linear layers of norm(x) (Vaswani et al. 2017; norms first, as in GPT-2)."""

    def __init__(self, width: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.layers = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Float[Tensor, "batch word width"], mask: Tensor | None = None) -> Tensor:
        q, k, v = rearrange(self.qkv(self.norm1(x)), "b n (part h d) -> part b h n d", part=3, d=32)
        x = x + self.out(rearrange(attend(q, k, v, mask), "b h n d -> b n (h d)"))
        return x + self.layers(self.norm2(x))


class TextEncoder(nn.Module):
    """Numbers of words (batch, word) -> a vector for each (batch, word, width), of unit variance; padding becomes 0.

    The first vector, at the start, stands for the whole text. Padding has no influence on the others.
    """

    def __init__(self, words: int, width: int = 128, depth: int = 2):
        super().__init__()
        self.embed = nn.Embedding(words + 2, width)
        self.place = nn.Parameter(0.1 * torch.randn(LENGTH, width))
        nn.init.normal_(self.embed.weight, std=0.3)
        self.layers = nn.ModuleList(Layer(width) for _ in range(depth))

    def forward(self, tokens: Int[Tensor, "batch word"]) -> Float[Tensor, "batch word width"]:
        real = tokens != PADDING
        seen = (real | ~real.any(1, keepdim=True))[:, None, None]  # a softmax over no words would be nan
        x = self.embed(tokens) + self.place[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x, seen)
        return F.layer_norm(x.float(), x.shape[2:]) * real[:, :, None]
