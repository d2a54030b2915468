"""Training: one loop, what is trained with it, and the files in which networks and interrupted trainings are kept."""

from .checkpoint import load, load_training, read_header, save, save_training, shipped
from .descend import Step, descend, learning_rate_at, update_ema
from .device import as_device, autocast, best_device, compiled, has_fast_bfloat16
from .fit import DenoisingStep, fit
from .recipes import RECIPES, Recipe

__all__ = [
    "RECIPES",
    "DenoisingStep",
    "Recipe",
    "Step",
    "as_device",
    "autocast",
    "best_device",
    "compiled",
    "descend",
    "fit",
    "has_fast_bfloat16",
    "learning_rate_at",
    "load",
    "load_training",
    "read_header",
    "save",
    "save_training",
    "shipped",
    "update_ema",
]
