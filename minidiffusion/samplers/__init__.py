"""Samplers: from noise to data, one call of the denoiser after another.

A step is a function (denoise, x_t, t, s, ...) -> (x_s, x0_hat), from the level t to the level s of less noise, which
reads like its paper. One loop, `trajectory`, yields after each step; `sample` keeps only the end.
"""

from .grids import karras, uniform, uniform_log_snr
from .loop import sample, trajectory
from .steps import *  # noqa: F403  every step by its name, and METHODS
