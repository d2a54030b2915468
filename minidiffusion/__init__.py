"""minidiffusion: diffusion models from scratch, to be read.

Everything is a statement about one function, the best guess of the clean x0 given a noisy x_t:

    denoise(x_t, t, cond=None) -> x0_hat
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

# in the order in which they are read: each room imports only from the rooms above it
from . import schedule
from .process import diffuse, posterior, prior
from . import heads
from .heads import to_eps
from .denoiser import Denoiser
from . import objectives
from .objectives import LearnedVariance, consistency_loss, denoising_loss, hybrid_loss
from . import samplers
from .samplers import sample, trajectory
from . import guidance, oracle, likelihood, metrics, nets
from .likelihood import prior_kl
from . import data as datasets
from . import training
from .training import fit, load, save, shipped
from . import rivals, systems

if TYPE_CHECKING:
    from . import course, plots

__version__ = "0.2.0"

__all__ = [
    "schedule",
    "diffuse",
    "posterior",
    "prior",
    "prior_kl",
    "heads",
    "to_eps",
    "Denoiser",
    "objectives",
    "LearnedVariance",
    "consistency_loss",
    "denoising_loss",
    "hybrid_loss",
    "samplers",
    "sample",
    "trajectory",
    "guidance",
    "oracle",
    "likelihood",
    "metrics",
    "nets",
    "datasets",
    "training",
    "fit",
    "load",
    "save",
    "shipped",
    "rivals",
    "systems",
    "plots",
    "course",
]


def __getattr__(name: str) -> ModuleType:
    """Load `plots` and `course` on first use: importing matplotlib takes longer than importing everything else."""
    if name in ("plots", "course"):
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
