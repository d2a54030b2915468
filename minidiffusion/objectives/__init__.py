"""What training makes small: the weighted error of the guess, and two losses that ask for more than the guess."""

from .consistency import consistency_loss
from .learned_variance import LearnedVariance, hybrid_loss
from .weighted import WEIGHTINGS, Loss, denoising_loss, draw_times, loss_per_item

__all__ = [
    "WEIGHTINGS",
    "LearnedVariance",
    "Loss",
    "consistency_loss",
    "denoising_loss",
    "draw_times",
    "hybrid_loss",
    "loss_per_item",
]
