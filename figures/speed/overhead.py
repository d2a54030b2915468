"""What a sampler costs without its network: 50 steps on 64 images of 28x28, with a network that returns its input.

This package is measured twice, because sampling and converting the head are two different costs. `x0` is md.sample
with a denoiser that returns x0 itself. `eps` is md.sample with md.Denoiser around an eps network, a conversion that
diffusers' schedulers make too. For comparison, we also time the bare tensor operations of DDIM in both forms. Every run
includes its own setup.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from peers import Peer
from protocol import rate, summary, take_turns
from torch import Tensor

import minidiffusion as md

SHAPE, STEPS = (64, 1, 28, 28), 50
# our method, and diffusers' scheduler with the same formula; its clipping is off (ours is in guidance.clipped)
PAIRS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {"clip_sample": False}),
    "euler": ("EulerDiscreteScheduler", {}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {}),
}


def measure(peers: list[Peer], device: torch.device, rounds: int, seconds: float) -> dict[str, Any]:
    x_1 = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)).to(device)
    schedule = md.schedule.linear()
    direct = lambda x_t, t, cond=None: x_t  # noqa: E731
    eps = md.Denoiser(lambda x, t, cond=None: x, schedule, md.heads.EPS)
    contenders = {"bare, x0 ddim": lambda: bare_x0(x_1, schedule), "bare, eps ddim": lambda: bare_eps(x_1, schedule)}
    for method in PAIRS:
        contenders[f"minidiffusion, x0 {method}"] = lambda m=method: md.sample(direct, x_1, schedule, STEPS, m)
        contenders[f"minidiffusion, eps {method}"] = lambda m=method: md.sample(eps, x_1, None, STEPS, m)
    try:
        import diffusers

        for method, (name, options) in PAIRS.items():
            scheduler = getattr(diffusers, name)(**options)
            contenders[f"diffusers {method}"] = lambda s=scheduler: theirs(x_1, s)
    except ImportError:
        print("overhead: diffusers is not installed, skipped")

    def steps(work: Callable[[], Tensor]) -> Callable[[], int]:
        def counted() -> int:
            work()
            return STEPS

        return counted

    each = {name: rate(steps(work), device, seconds) for name, work in contenders.items()}
    runs = take_turns(each, rounds)
    result: dict[str, Any] = {"shape": list(SHAPE), "steps": STEPS, "unit": "microseconds a step", "methods": {}}
    for name, values in runs.items():
        project, method = name.rsplit(" ", 1)
        result["methods"].setdefault(method, {})[project] = summary([1e6 / value for value in values])
    return result


def bare_x0(x: Tensor, schedule: md.schedule.Schedule) -> Tensor:
    """DDIM (Song et al. 2021, eq. 12), given x0_hat."""
    levels = [schedule.at(t) for t in md.samplers.uniform(STEPS)]
    with torch.no_grad():
        for t, s in zip(levels, levels[1:], strict=False):
            x0, shrink = x, s.sigma / t.sigma
            x = shrink * x + (s.alpha - t.alpha * shrink) * x0
    return x


def bare_eps(x: Tensor, schedule: md.schedule.Schedule) -> Tensor:
    """DDIM, given eps_hat, as the two formulas in the paper."""
    levels = [schedule.at(t) for t in md.samplers.uniform(STEPS)]
    with torch.no_grad():
        for t, s in zip(levels, levels[1:], strict=False):
            eps = x
            x0 = (x - t.sigma * eps) / t.alpha
            x = s.alpha * x0 + s.sigma * eps
    return x


def theirs(x: Tensor, scheduler: Any) -> Tensor:
    """The loop of diffusers' pipelines."""
    scheduler.set_timesteps(STEPS, device=x.device)
    x = x * scheduler.init_noise_sigma
    with torch.no_grad():
        for t in scheduler.timesteps:
            eps = scheduler.scale_model_input(x, t)
            x = scheduler.step(eps, t, x, return_dict=False)[0]
    return x
