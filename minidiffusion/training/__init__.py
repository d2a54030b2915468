"""Training: one loop, all that it needs to go on later, and the file that it ends in."""

from .checkpoint import load, load_training, read_header, save, save_training, shipped
from .device import as_device, autocast, best_device, compiled, has_fast_bfloat16
from .fit import Step, fit, learning_rate_at, update_ema
from .recipes import RECIPES, Recipe

__all__ = [
    "RECIPES",
    "Recipe",
    "Step",
    "as_device",
    "autocast",
    "best_device",
    "compiled",
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
