"""What the article compares diffusion with: VAE, GAN and IMLE. One generator z -> x and one prior N(0, I); what
differs is the loss."""

from . import codes, gan, imle, vae
from .gan import GAN
from .networks import Body
from .vae import VAE

__all__ = ["GAN", "VAE", "Body", "codes", "gan", "imle", "vae"]
