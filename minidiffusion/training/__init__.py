"""Training: one loop, what is trained with it, and the files in which networks and interrupted trainings are kept."""

from .checkpoint import load, load_training, read_header, save, save_training, schedule_from, shipped
from .compiled import compiled
from .descend import DenoisingStep, Step, descend, fit, learning_rate_at, update_ema
from .device import as_device, autocast, has_fast_bfloat16
from .recipes import RECIPES, Recipe
