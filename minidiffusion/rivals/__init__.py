"""The rivals of diffusion in the article: VAE, GAN and IMLE.

All three have the same generator z -> x and the same prior N(0, I), so they differ only in their loss.
"""

from . import codes, gan, imle, vae
from .gan import GAN
from .networks import Body
from .vae import VAE

__all__ = ["GAN", "VAE", "Body", "codes", "gan", "imle", "vae"]
