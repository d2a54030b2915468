"""From what somebody typed to what a network reads, and from seeds to noise."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from .. import check, process
from ..nets.text import LENGTH, Tokenizer
from ..process import Generators
from .contrastive import CLIP


def notes(tokenizer: Tokenizer, prompt: str) -> list[str]:
    """What to tell the writer of this prompt: its unknown words, with near ones, and how much of it is too long."""
    known, unknown = tokenizer.words(prompt)
    unknown, said = list(dict.fromkeys(unknown)), []
    for word in unknown[:20]:
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


def generators(count: int, generator: Generators) -> list[Generator]:
    """A generator for each of `count` pictures: those given, or new ones whose seeds come from the one given.

    So picture i does not depend on how many others are drawn with it.
    """
    if generator is None or isinstance(generator, Generator):
        where = "cpu" if generator is None else generator.device
        seeds = [int(torch.randint(2**62, (), generator=generator, device=where)) for _ in range(count)]
        return [Generator().manual_seed(seed) for seed in seeds]
    if len(generator) != count:
        raise ValueError(f"generator must be one, or one for each of {count} pictures, got {len(generator)}")
    return list(generator)


def noise(shape: Sequence[int], generators: Sequence[Generator]) -> Float[Tensor, "count ..."]:
    """N(0, I) of this shape from each generator."""
    return process.noise((len(generators), *shape), generators)
