"""minidiffusion: diffusion models from scratch, to be read.

Everything is a statement about one function, the best guess of the clean x0 in a noisy x_t:

    denoise(x_t, t, cond=None) -> x0_hat
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import (
        checkpoint,
        device,
        heads,
        loss,
        metrics,
        nets,
        oracle,
        plots,
        process,
        samplers,
        schedule,
        training,
    )
    from . import data as datasets
    from .checkpoint import load, save, shipped
    from .denoiser import Denoiser
    from .heads import to_eps
    from .loss import denoising_loss
    from .process import diffuse, posterior, prior, prior_kl
    from .samplers import sample, trajectory
    from .training import fit
    from .verdicts import short, verdict

__version__ = "0.1.0"

__all__ = [
    "Denoiser",
    "checkpoint",
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
    "shipped",
    "short",
    "to_eps",
    "training",
    "trajectory",
    "verdict",
]

# The file of each name that is not a file itself. Files are imported when they are first used: the command line
# answers `--help` without waiting for torch.
_FILES = {
    "datasets": "data",
    "Denoiser": "denoiser",
    "denoising_loss": "loss",
    "diffuse": "process",
    "fit": "training",
    "load": "checkpoint",
    "posterior": "process",
    "prior": "process",
    "prior_kl": "process",
    "sample": "samplers",
    "save": "checkpoint",
    "shipped": "checkpoint",
    "short": "verdicts",
    "to_eps": "heads",
    "trajectory": "samplers",
    "verdict": "verdicts",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        file = import_module(f".{_FILES.get(name, name)}", __name__)
        return getattr(file, name) if name in _FILES and name != "datasets" else file

    def __dir__() -> list[str]:
        return __all__
