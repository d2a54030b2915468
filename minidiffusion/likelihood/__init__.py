"""How probable a diffusion model finds given data: a bound, an exact value, and where the bound comes from."""

from . import hvae
from .bound import T0_LOG_SNR, Bound, bits_per_dim, denoising_matching, elbo, prior_kl, reconstruction
from .ode import ode_log_likelihood
