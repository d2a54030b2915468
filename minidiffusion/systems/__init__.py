"""The systems that the article names, in miniature: Stable Diffusion and DALL-E 2, each part trained here.

first_stage and contrastive are the parts they begin with, and sketch is a part of our own; latent_diffusion is Stable
Diffusion; priors, decoder and unclip are DALL-E 2.
"""

from .contrastive import CLIP
from .latent_diffusion import StableDiffusion
from .shipped import clip, dalle2, stable_diffusion
from .sketch import SketchedUNet
from .unclip import DALLE2

__all__ = ["CLIP", "DALLE2", "SketchedUNet", "StableDiffusion", "clip", "dalle2", "stable_diffusion"]
