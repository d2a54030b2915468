"""The exact likelihood of a denoiser: its prior, transported to t = 0 by the probability-flow ODE.

This is another model of the same denoiser than the one that the bound belongs to (Song et al. 2021, eq. 39). Its
density follows from the divergence of the flow (Chen et al. 2018, eq. 8).
"""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .. import check
from ..denoiser import Denoise
from ..process import noise_like
from ..schedule import Batch, Schedule
from .bound import checked

# Where the ODE ends if log_snr has no end: what this leaves out is of the size of exp(-15) = 3e-7
ODE_LOG_SNR = 30.0


def ode_log_likelihood(
    denoise: Denoise,
    x0: Batch,
    schedule: Schedule | None = None,
    trace: str = "exact",
    rtol: float = 1e-5,
    cond: Any = None,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "batch"]:
    """log p(x0) in NATS, summed over dimensions (`bits_per_dim` turns it into bits), of the probability-flow ODE.

    Scaled to x = x_t / sqrt(alpha^2 + sigma^2), with log_snr as its time and a^2 = sigmoid(log_snr), every schedule
    has the same ODE (Song et al. 2021, eq. 13, for their eq. 39):

        dx / dlog_snr = f = a / 2 (x0_hat - a x),     d log p(x) / dlog_snr = -div f

    It is solved from x = a x0 at log_snr(0) to log_snr(1), in float64, by scipy's DOP853. p is the density of the
    model: the prior of `process.prior` at t = 1, whether or not the data's x_1 follows it. Where sigma(0) is above 0,
    as in `ve`, p is the density of what is there at t = 0: data with noise of std sigma / alpha.

    trace: "exact" takes one backward pass for each dimension, "hutchinson" one in all: unbiased, with one vector of
    random signs for each item, kept for the whole solution (Grathwohl et al. 2019, eq. 7 and 8). rtol: of the solver,
    for the batch as a whole. There are no gradients. Networks with dropout must be in `eval` mode, because the ODE must
    not change while it is solved. RuntimeError if the solver fails.
    """
    from scipy.integrate import solve_ivp  # imported here, because it takes half a second

    schedule = checked(denoise, x0, schedule)
    check.one_of("trace", trace, ("exact", "hutchinson"))
    check.positive("rtol", rtol)
    predict = denoise if cond is None else lambda x_t, t: denoise(x_t, t, cond)
    batch, dimension = len(x0), x0[0].numel()
    if trace == "exact":  # tr J is the sum of v^T J v over the axes v
        probes = torch.eye(dimension).view(dimension, 1, *x0.shape[1:]).expand(-1, *x0.shape)
    else:  # and its mean over random signs v
        probes = noise_like(x0, generator).sign()[None]

    def field(log_snr: float, state: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(state[: batch * dimension]).view(x0.shape).to(x0).requires_grad_()
        t = schedule.time(float(log_snr))
        a = math.sqrt(_sigmoid(log_snr))
        with torch.enable_grad():
            x0_hat = predict(math.hypot(schedule.alpha(t), schedule.sigma(t)) * x, t)
        if not x0_hat.requires_grad:
            raise TypeError("denoise must be differentiable in x_t, got an x0_hat without gradient")
        if not x0_hat.isfinite().all():  # scipy would never stop
            raise ValueError(f"denoise must be finite, and is not at t = {t:g}")
        jacobian_trace = torch.zeros(batch, dtype=torch.float64)
        for probe in probes.to(x0):
            (pulled,) = torch.autograd.grad(x0_hat, x, probe, retain_graph=True)
            jacobian_trace += (pulled * probe).flatten(1).sum(1).cpu()
        velocity = a / 2 * (x0_hat.detach().cpu().double().flatten() - a * torch.from_numpy(state[: batch * dimension]))
        return torch.cat([velocity, a / 2 * (jacobian_trace - a * dimension)]).numpy()

    start, end = min(schedule.log_snr(0.0), ODE_LOG_SNR), max(schedule.log_snr(1.0), -ODE_LOG_SNR)
    a = math.sqrt(_sigmoid(start))
    state = np.concatenate([a * x0.detach().cpu().double().flatten().numpy(), np.zeros(batch)])
    solution = solve_ivp(field, (start, end), state, method="DOP853", rtol=rtol, atol=rtol, t_eval=[end])
    if not solution.success:
        raise RuntimeError(f"the solver stopped at log_snr {solution.t}: {solution.message}")
    x_1, divergence = np.split(solution.y[:, -1], [batch * dimension])
    log_prior = -0.5 * (x_1.reshape(batch, dimension) ** 2 + math.log(2 * math.pi)).sum(1)
    return torch.from_numpy(log_prior + divergence + dimension * math.log(a)).to(x0)


def _sigmoid(log_snr: float) -> float:
    return 1 / (1 + math.exp(-log_snr))
