"""Which pictures and which words meet in a training step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor

from ..data.emoji import TONES, Captions
from ..nets.text import LENGTH, Tokenizer

BY_THING = 0.5  # this share of a batch draws a thing first and then one of its pictures, because people have so many
SHAPES = 0.9  # the same share in a round that works on the shapes of things
PLAIN, TAGS = 0.2, 0.15  # how often a caption comes without its style, or with keywords in its place
VARIANTS = 4  # choices of keywords for each picture


def variants(count: int, choices: int, generator: Generator) -> Int64[Tensor, "batch"]:
    """Which text a picture comes with: 0 is its caption with the style, 1 without it, and from 2 on are keywords."""
    u = torch.rand(count, generator=generator)
    tags = 2 + torch.randint(choices - 2, (count,), generator=generator)
    return torch.where(u < TAGS, tags, (u < TAGS + PLAIN).long())


def later(t: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
    """Even times in [0, 1], moved so that three quarters are in the later half, whose noise decides on shapes."""
    return torch.where(t < 0.25, 2 * t, (2 * t + 1) / 3)


def vocabulary(captions: Captions) -> list[str]:
    """All words of the captions, styles and keywords, in the order of the alphabet."""
    texts = [*captions.prompts(), *(tag for tags in captions.tags for tag in tags)]
    return sorted({word for text in texts for word in Tokenizer.split(text)})


def keywords(captions: Captions, seed: int = 0) -> list[list[str]]:
    """For each picture, VARIANTS prompts of one to four of its keywords in any order, with its tone and its style."""
    generator = torch.Generator().manual_seed(seed)
    table = []
    for i, caption in enumerate(captions):
        tags = captions.tags[i] or [caption]
        tone = [f"{TONES[captions.tone[i]]} skin tone"] if 1 <= captions.tone[i] <= 5 else []
        row = []
        for _ in range(VARIANTS):
            count = int(torch.randint(1, 5, (), generator=generator))
            chosen = [tags[j] for j in torch.randperm(len(tags), generator=generator)[:count]]
            row.append(", ".join([*chosen, *tone, f"{captions.style[i]} style"]))
        table.append(row)
    return table


@dataclass(frozen=True)
class Batches:
    """Draws indices of pictures, and words for them. Make one with `Batches.of(captions, tokenizer)`."""

    order: Int64[Tensor, "count"]  # the pictures, those of one thing after another
    start: Int64[Tensor, "things"]  # where each thing begins in `order`
    size: Int64[Tensor, "things"]
    thing: Int64[Tensor, "count"]
    caption: Int64[Tensor, "count"]  # equal numbers mean equal captions
    style: Int64[Tensor, "count"]
    tokens: Int64[Tensor, "count variant word"]  # the caption with its style, without it, then keywords

    @classmethod
    def of(cls, captions: Captions, tokenizer: Tokenizer) -> Batches:
        thing, caption, style = (_numbers(names) for names in (captions.thing, captions, captions.style))
        order, size = thing.argsort(stable=True), thing.bincount()
        prompts = zip(captions.prompts(), captions, *zip(*keywords(captions), strict=True), strict=True)
        tokens = tokenizer([prompt for row in prompts for prompt in row]).view(len(captions), -1, LENGTH)
        return cls(order, size.cumsum(0) - size, size, thing, caption, style, tokens)

    def pictures(self, count: int, generator: Generator, share: float = BY_THING) -> Int64[Tensor, "batch"]:
        """Indices of `count` pictures: this share of them by thing, the others evenly from all."""
        anywhere = torch.randint(len(self.order), (count,), generator=generator)
        things = torch.randint(len(self.size), (count,), generator=generator)
        by_thing = torch.rand(count, generator=generator) < share
        return torch.where(by_thing, self.one_of(things, generator), anywhere)

    def siblings(self, index: Int64[Tensor, "batch"], generator: Generator) -> Int64[Tensor, "batch"]:
        """For each picture one of the same thing, mostly in another style or tone; now and then it is the same."""
        return self.one_of(self.thing[index], generator)

    def one_of(self, things: Int64[Tensor, "batch"], generator: Generator) -> Int64[Tensor, "batch"]:
        place = (torch.rand(len(things), generator=generator) * self.size[things]).long()
        return self.order[self.start[things] + place]

    def words(self, index: Int64[Tensor, "batch"], generator: Generator) -> tuple[Tensor, Tensor]:
        """Tokens (batch, word) for each picture, and the variant that they are: 0 has the style, 1 has not."""
        variant = variants(len(index), self.tokens.shape[1], generator)
        return self.tokens[index, variant], variant


def _numbers(names: Sequence[str]) -> Int64[Tensor, "count"]:
    known = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return torch.tensor([known[name] for name in names])
