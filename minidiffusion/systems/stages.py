"""What a stage of the systems' training is, and what it may use; the stages themselves are in recipes.py."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Generator, Tensor, nn

from .. import heads, schedule
from ..data import to_float
from ..data.emoji import Captions
from ..denoiser import Denoiser
from ..training.descend import Step
from ..training.device import autocast
from .batches import Batches
from .unclip import imagined


@dataclass
class World:
    """What a stage may use: the pictures with their captions, and the parts that earlier stages have trained."""

    pictures: UInt8[Tensor, "count 3 64 64"]
    captions: Captions
    parts: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def latents(self) -> Float[Tensor, "count latent 16 16"]:
        """All pictures as the trained autoencoder encodes them, in half precision to save memory."""
        return self._all(self.parts["autoencoder"].encode).half()

    @cached_property
    def images(self) -> Float[Tensor, "count width"]:
        """CLIP's embeddings of all pictures."""
        return self._all(self.parts["clip"].image)

    @cached_property
    def embeddings(self) -> Float[Tensor, "count 2 width"]:
        """CLIP's embedding of each picture, and one that the prior imagines for its caption."""
        prior, each = self.parts["prior"], [Generator().manual_seed(i) for i in range(len(self.pictures))]
        with torch.no_grad():
            texts = self.texts[:, 0].to(next(prior.parameters()).device)
            return torch.stack([self.images, imagined(prior, texts, each).cpu()], dim=1)

    @cached_property
    def texts(self) -> Float[Tensor, "count variant width"]:
        """CLIP's embeddings of every prompt that a picture may have."""
        clip = self.parts["clip"]
        tokens = Batches.of(self.captions, clip.tokenizer).tokens
        with torch.no_grad():
            parts = (part.to(clip.log_scale.device) for part in tokens.flatten(0, 1).split(1000))
            embeddings = [clip.embed_words(clip.text_encoder(part)).cpu() for part in parts]
        return torch.cat(embeddings).view(*tokens.shape[:2], -1)

    def _all(self, encode: Callable[[Tensor], Tensor]) -> Tensor:
        device = next(next(iter(self.parts.values())).parameters()).device
        with torch.no_grad(), autocast(device):
            return torch.cat([encode(to_float(part).to(device)).cpu() for part in self.pictures.split(250)])


@dataclass(frozen=True)
class Stage:
    """The training of one part, which is saved under its name."""

    name: str
    build: Callable[[World], nn.Module]  # the untrained part
    fit: Callable[..., Iterator[Step]]  # fit(part, world, steps, batch_size=..., **options of descend)
    steps: int
    batch_size: int
    learning_rate: float = 1e-3
    ema_decay: float = 0.999
    finish: Callable[[Any, World], None] = lambda part, world: None  # a last measurement before the part is saved
    show: Callable[[Any, World], Tensor] | None = None  # pictures for a sheet that shows the progress


def denoiser(net: nn.Module, factor: float = 1.0) -> Denoiser:
    """The head v on a cosine schedule, which `factor` moves towards noise; 1 is not at all.

    Flat areas make neighbours alike, so averaging over them removes much of the noise: see `schedule.shifted`.
    """
    curve = schedule.cosine() if factor == 1 else schedule.shifted(schedule.cosine(), factor)
    return Denoiser(net.to(memory_format=torch.channels_last), curve, heads.V)  # type: ignore[call-overload]


def continued(name: str) -> Callable[[World], Any]:
    """Build a part from the one that an earlier stage trained: once more from a high learning rate.

    Warm restarts (Loshchilov and Hutter 2017): the first, shorter stage ends with a part that works already.
    """
    return lambda world: copy.deepcopy(world.parts[name]).requires_grad_(True)
