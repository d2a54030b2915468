"""Samplers: from noise to data, one call of the denoiser after another.

A step is a function (denoise, x_t, t, s, ...) -> (x_s, x0_hat), from the level t to the level s of less noise, and
reads like its paper. One loop, `trajectory`, yields after each step; `sample` keeps only the end.
"""

from .deterministic import dpmpp_2m, euler, heun, unipc
from .grids import karras, uniform, uniform_log_snr
from .loop import METHODS, SamplerStep, sample, trajectory
from .stochastic import consistency, ddim, ddpm, edm_churn, euler_ancestral, langevin, predictor_corrector
