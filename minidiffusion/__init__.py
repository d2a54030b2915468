"""minidiffusion: diffusion models from scratch, to be read.

Everything is a statement about one function, the best guess of the clean x0 in a noisy x_t:

    denoise(x_t, t, cond=None) -> x0_hat
"""

from . import data as datasets
from . import device, heads, loss, metrics, nets, oracle, plots, process, samplers, schedule, training
from .checkpoint import load, save
from .denoiser import Denoiser
from .heads import to_eps
from .loss import denoising_loss
from .process import diffuse, posterior, prior, prior_kl
from .samplers import sample, trajectory
from .training import fit

__version__ = "0.1.0"

__all__ = [
    "Denoiser",
    "datasets",
    "denoising_loss",
    "device",
    "diffuse",
    "fit",
    "heads",
    "load",
    "loss",
    "metrics",
    "nets",
    "oracle",
    "plots",
    "posterior",
    "prior",
    "prior_kl",
    "process",
    "sample",
    "samplers",
    "save",
    "schedule",
    "to_eps",
    "training",
    "trajectory",
]
