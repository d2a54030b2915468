"""The trained systems that come with the package."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Any

import torch

from ..training.checkpoint import load
from .contrastive import CLIP
from .latent_diffusion import StableDiffusion
from .unclip import DALLE2


def part(name: str, device: str | torch.device = "cpu") -> Any:
    """A trained part by the name of its file, such as clip or decoder, ready to use."""
    with as_file(files("minidiffusion") / "weights" / f"{name}.safetensors") as path:
        return load(path, device)


def clip(device: str | torch.device = "cpu") -> CLIP:
    """CLIP: text(prompts) and image(pictures) are unit vectors in one space."""
    return part("clip", device)


def stable_diffusion(device: str | torch.device = "cpu") -> StableDiffusion:
    """Stable Diffusion, which draws 64x64 pictures of prompts in a latent space."""
    return StableDiffusion(*(part(name, device) for name in ("clip", "autoencoder", "stable_diffusion")))


def dalle2(device: str | torch.device = "cpu") -> DALLE2:
    """DALL-E 2, which draws 64x64 pictures of prompts by way of their CLIP embeddings."""
    return DALLE2(*(part(name, device) for name in ("clip", "prior", "autoregressive_prior", "decoder", "upsampler")))
