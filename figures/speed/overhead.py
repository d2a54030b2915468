"""What a sampler costs without its network: 50 steps on 64 pictures of 28x28, and a network that hands back its input.

Twice for this package, because a sampler and a conversion of heads are two things: `x0`, md.sample with a denoiser
that says x0 itself; `eps`, md.sample through md.Denoiser with an eps network, which is what diffusers' schedulers
convert too. Beside them the bare tensor operations of DDIM for each. Every run contains what has to be set up for it;
this package's schedule remembers its levels from one run to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import minidiffusion as md
from peers import Peer
from protocol import rate, summary, take_turns

SHAPE, STEPS = (64, 1, 28, 28), 50
# ours, and theirs of the same formula; DDIM's clipping, which ours leaves to guidance.clipped, is switched off
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
    """DDIM (Song et al. 2021, eq. 12) where x0_hat is known: along the line through x_t that aims at it."""
    levels = schedule.levels(md.samplers.uniform(STEPS))
    with torch.no_grad():
        for t, s in zip(levels, levels[1:], strict=False):
            x0, shrink = x, s.sigma / t.sigma
            x = shrink * x + (s.alpha - t.alpha * shrink) * x0
    return x


def bare_eps(x: Tensor, schedule: md.schedule.Schedule) -> Tensor:
    """DDIM where eps_hat is known, in the paper's two lines."""
    levels = schedule.levels(md.samplers.uniform(STEPS))
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
