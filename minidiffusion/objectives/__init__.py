"""What training makes small: the weighted error of the guess, and two losses that ask for more than the guess."""

from .consistency import consistency_loss
from .learned_schedule import LearnedSchedule
from .learned_variance import LearnedVariance, hybrid_loss
from .weighted import WEIGHTINGS, Loss, denoising_loss, draw_times, loss_per_item
