"""minidiffusion: diffusion models from scratch, to be read.

Everything is a statement about one function, the best guess of the clean x0 in a noisy x_t:

    denoise(x_t, t, cond=None) -> x0_hat
"""

# in the order in which the lessons use them
from . import data as datasets
from . import schedule
from .process import diffuse, posterior, prior, prior_kl
from . import heads
from .heads import to_eps
from . import nets
from .denoiser import Denoiser
from .loss import denoising_loss
from . import samplers
from .samplers import sample, trajectory
from . import guidance, oracle
from . import hvae, likelihood
from .learned_variance import LearnedVariance, hybrid_loss
from .training import fit
from .checkpoint import load, save, shipped
from . import checkpoint, device, metrics
from . import exercises, plots
from .verdicts import short, verdict

__version__ = "0.1.0"

__all__ = [
    "datasets",
    "schedule",
    "diffuse",
    "posterior",
    "prior",
    "prior_kl",
    "heads",
    "to_eps",
    "nets",
    "Denoiser",
    "denoising_loss",
    "samplers",
    "sample",
    "trajectory",
    "guidance",
    "oracle",
    "hvae",
    "likelihood",
    "LearnedVariance",
    "hybrid_loss",
    "fit",
    "load",
    "save",
    "shipped",
    "checkpoint",
    "device",
    "metrics",
    "exercises",
    "plots",
    "short",
    "verdict",
]
