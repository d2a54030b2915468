"""minidiffusion: diffusion models from scratch, to be read.

Everything is a statement about one function, the best guess of the clean x0 in a noisy x_t:

    denoise(x_t, t, cond=None) -> x0_hat
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

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
from .consistency import consistency_loss
from .training import fit
from . import rivals
from .checkpoint import load, save, shipped
from . import checkpoint, device, metrics
from . import exercises
from .verdicts import short, verdict

if TYPE_CHECKING:
    from . import plots

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
    "consistency_loss",
    "fit",
    "rivals",
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


def __getattr__(name: str) -> ModuleType:
    """`plots`, when it is first asked for: matplotlib takes longer to import than all the rest."""
    if name == "plots":
        return importlib.import_module(".plots", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
