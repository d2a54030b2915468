"""From what somebody typed to what a network reads, and from seeds to noise."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from .. import check
from ..nets.text import LENGTH, Tokenizer
from .clip import CLIP

Generators = Generator | Sequence[Generator] | None


def notes(tokenizer: Tokenizer, prompt: str) -> list[str]:
    """What to tell the writer of this prompt: its unknown words, with near ones, and how much of it is too long."""
    known, unknown = tokenizer.words(prompt)
    said = []
    for word in dict.fromkeys(unknown[:20]):
        near = tokenizer.near(word)
        shown = word if len(word) <= 40 else f"{word[:40]}..."
        said.append(f"{shown}: " + (f"did you mean {' or '.join(near)}?" if near else "an unknown word, left out"))
    if len(unknown) > 20:
        said.append(f"and {len(unknown) - 20} more unknown words, left out")
    if len(known) >= LENGTH:
        said.append(f"only the first {LENGTH - 1} known words count, of {len(known)}")
    return said


@torch.no_grad()
def read(clip: CLIP, prompts: Sequence[str]) -> Float[Tensor, "batch 24 width"]:
    """The words of the prompts, each read alone, so that it does not matter which others are in the batch."""
    if isinstance(prompts, str) or not all(isinstance(prompt, str) for prompt in prompts) or not len(prompts):
        raise TypeError(f"prompts must be a list with at least one string, got {check.came(prompts)}")
    for prompt in dict.fromkeys(prompts):
        for note in notes(clip.tokenizer, prompt):
            warnings.warn(note, stacklevel=4)
    once = {prompt: clip.words([prompt]) for prompt in dict.fromkeys(prompts)}
    return torch.cat([once[prompt] for prompt in prompts])


def noise(count: int, shape: Sequence[int], generator: Generators) -> Float[Tensor, "count ..."]:
    """N(0, I) of this shape for each of `count` pictures, drawn for one after the other; generator: one, or one each."""
    each = [generator] * count if isinstance(generator, Generator) or generator is None else list(generator)
    if len(each) != count:
        raise ValueError(f"generator must be one, or one for each of {count} pictures, got {len(each)}")
    device = "cpu" if each[0] is None else each[0].device
    return torch.stack([torch.randn(tuple(shape), generator=one, device=device) for one in each])
