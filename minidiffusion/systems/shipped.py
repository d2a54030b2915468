"""The trained systems that come with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..training.checkpoint import load
from .contrastive import CLIP
from .latent_diffusion import StableDiffusion
from .unclip import DALLE2

WEIGHTS = Path(__file__).parents[1] / "weights"
PARTS = {  # of each system, in the order in which its class takes them
    "stable_diffusion": ("clip", "autoencoder", "stable_diffusion"),
    "dalle2": ("clip", "prior", "autoregressive_prior", "decoder", "upsampler"),
}


def part(name: str, device: str | torch.device = "cpu", folder: Path = WEIGHTS) -> Any:
    """A trained part by the name of its file, such as clip or decoder, ready to use."""
    return load(folder / f"{name}.safetensors", device)


def clip(device: str | torch.device = "cpu", folder: Path = WEIGHTS) -> CLIP:
    """CLIP: text(prompts) and image(pictures) are unit vectors in one space.

    folder: of the parts, if they are not those of the package, but those that `minidiffusion train` has trained.
    """
    return part("clip", device, folder)


def stable_diffusion(device: str | torch.device = "cpu", folder: Path = WEIGHTS) -> StableDiffusion:
    """Stable Diffusion, which draws 64x64 pictures of prompts in a latent space. folder: see `clip`."""
    return StableDiffusion(*(part(name, device, folder) for name in PARTS["stable_diffusion"]))


def dalle2(device: str | torch.device = "cpu", folder: Path = WEIGHTS) -> DALLE2:
    """DALL-E 2, which draws 64x64 pictures of prompts by way of their CLIP embeddings. folder: see `clip`."""
    return DALLE2(*(part(name, device, folder) for name in PARTS["dalle2"]))
