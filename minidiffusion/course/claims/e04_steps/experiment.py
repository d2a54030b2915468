"""E4, on a plane. One denoiser with more and more steps; then a network that learns to need only one.

The data is a grid of 25 Gaussians, so the best denoiser is exact and only the number of steps matters. Then an MLP is
trained, and a copy of it distilled (objectives/consistency.py). Quality is the energy distance to fresh data, from the
same noise for all. The floor is the distance between two sets of data.
"""

from __future__ import annotations

import copy

import torch
from matplotlib.figure import Figure

import minidiffusion as md

STEPS = (1, 2, 3, 5, 10, 50)
COUNT, TRAINING = 2000, {"lesson": (600, 300), "full": (2000, 1000)}


def run(seed: int, scale: str, device: torch.device) -> dict:
    generator = torch.Generator().manual_seed(seed)
    schedule = md.schedule.cosine()
    side = torch.linspace(-1.5, 1.5, 5)
    means = torch.cartesian_prod(side, side)
    exact = md.oracle.mixture(torch.ones(25), means, 0.01 * torch.eye(2).expand(25, 2, 2), schedule)
    data, other = (exact.sample(COUNT, generator).double() for _ in range(2))
    x_1 = md.prior((COUNT, 2), schedule, generator)

    def distance(denoise: md.denoiser.Denoise, steps: int, method: str = "ddim") -> float:
        x0 = md.sample(denoise, x_1, steps=steps, method=method, generator=torch.Generator().manual_seed(seed))
        return md.metrics.energy_distance(x0.double(), data)

    of_exact = [distance(exact, steps) for steps in STEPS]
    training, distilling = TRAINING[scale]
    points = exact.sample(20_000, generator)
    torch.manual_seed(seed)
    settings = dict(batch_size=512, learning_rate=2e-3, ema_decay=0.99, precision="float32", seed=seed)
    net = md.Denoiser(md.nets.MLP(2, 128, 3), schedule, md.heads.V)
    *_, step = md.fit(net, points, training, **settings)
    teacher = step.ema
    student = copy.deepcopy(teacher).requires_grad_(True)
    *_, step = md.fit(student, points, distilling, loss=md.consistency_loss(teacher, 16), **settings)
    floor = abs(md.metrics.energy_distance(other, data))
    in_one = distance(step.ema, 1, "consistency")
    return {
        "steps": list(STEPS),
        "exact": of_exact,
        "floor": floor,
        "trained": [distance(teacher, steps) for steps in STEPS],
        "distilled": in_one,
        # relative to the distance after one step, because near the floor an estimate can be negative
        "left_after_fifty_steps": of_exact[-1] / of_exact[0],
        "left_after_distillation": in_one / distance(teacher, 1),
    }


def plot(runs: list[dict]) -> Figure:
    def mean(key: str) -> list[float]:
        return torch.tensor([run[key] for run in runs]).mean(0).tolist()

    steps = runs[0]["steps"]
    floor = sum(run["floor"] for run in runs) / len(runs)
    # a log axis cannot show an estimate below 0
    seen = [(n, value) for n, value in zip(steps, mean("exact"), strict=True) if value > 0]
    lines = {"exact denoiser": tuple(zip(*seen, strict=True)), "trained network": (steps, mean("trained"))}
    lines["taught to need one step"] = ([1], [mean("distilled")])
    axes = "steps", "energy distance to the data"
    levels = {"two samples of the data": floor}
    figure = md.plots.curves(lines, *axes, levels=levels, x_scale="log", y_scale="log")
    figure.axes[0].set_xticks(steps, [str(n) for n in steps])
    figure.axes[0].minorticks_off()
    return figure
