"""Samplers: walk from noise to data, one denoiser call after another.

A step is a function (denoise, x_t, t, s, walk) -> (x_s, x0_hat), from the level t to the level s of less noise; it
reads like the paper's, with t.alpha for alpha_t. One loop, `trajectory`, calls it along a grid of times and yields
after each; `sample` keeps only the end. A step of your own is welcome: `sample(..., method=my_step)`.
"""

from .deterministic import dpmpp_2m, euler, heun, unipc
from .grids import karras, uniform, uniform_log_snr
from .loop import METHODS, Step, sample, trajectory
from .stochastic import consistency, ddim, ddpm, edm_churn, euler_ancestral, langevin, predictor_corrector
from .walk import Visit, Walk, eps_hat, line

__all__ = [
    "METHODS",
    "Step",
    "Visit",
    "Walk",
    "consistency",
    "ddim",
    "ddpm",
    "dpmpp_2m",
    "edm_churn",
    "eps_hat",
    "euler",
    "euler_ancestral",
    "heun",
    "karras",
    "langevin",
    "line",
    "predictor_corrector",
    "sample",
    "trajectory",
    "uniform",
    "uniform_log_snr",
    "unipc",
]
