"""Samplers: a step (denoise, x_t, t, s, ...) -> (x_s, x0_hat), t and s Levels, reads like its paper."""

from .loop import karras, sample, trajectory, uniform, uniform_log_snr
from .steps import *  # noqa: F403  every step by its name, and METHODS
