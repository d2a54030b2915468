"""E11. Is the noise that an image grows from a code of the image?

Exact, on a plane with three Gaussians. Sampling without fresh noise is run backwards, from the data to x_1, and then
forwards again: do we get the data back? And does x_1 tell which Gaussian its sample will belong to? A nearest-neighbour
classifier predicts it from x_1, for sampling without fresh noise and for ddpm, which adds fresh noise at every step.
Its skill is (accuracy - chance) / (1 - chance).
"""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

import minidiffusion as md

COUNT = {"lesson": 1000, "full": 4000}
STEPS = (10, 20, 50, 100, 200)


def skill(x_1: torch.Tensor, classes: torch.Tensor) -> float:
    """The skill of predicting the classes of the second half from seven nearest neighbours in the first half."""
    half = len(x_1) // 2
    near = torch.cdist(x_1[half:], x_1[:half]).topk(7, largest=False).indices
    right = (classes[:half][near].mode(1).values == classes[half:]).double().mean().item()
    chance = classes[half:].bincount().max().item() / len(classes[half:])
    return (right - chance) / (1 - chance)


def run(seed: int, scale: str, device: torch.device) -> dict:
    generator = torch.Generator().manual_seed(seed)
    schedule = md.schedule.cosine()
    means = torch.tensor([[1.5, 0.0], [-0.75, 1.3], [-0.75, -1.3]])
    oracle = md.oracle.mixture(torch.ones(3), means, 0.05 * torch.eye(2).expand(3, 2, 2), schedule)

    x0 = oracle.sample(COUNT[scale], generator)
    errors = []
    for steps in STEPS:
        x_1 = md.guidance.invert(oracle, x0, steps=steps)
        back = md.sample(oracle, x_1, steps=steps)
        errors.append(((back - x0).square().mean() / x0.var(0).mean()).sqrt().item())

    x_1 = md.prior((COUNT[scale], 2), schedule, generator)
    stable_diffusion = md.nets.Autoencoder().encode(torch.zeros(1, 3, 64, 64))
    skills = {}
    for method in ("ddim", "ddpm"):
        end = md.sample(oracle, x_1, steps=100, method=method, generator=generator)
        skills[method] = skill(x_1, torch.cdist(end, means.to(end)).argmin(1))
    return {
        "steps": list(STEPS),
        "errors": errors,
        "round_trip_error": errors[-1],
        "numbers_in_pixels": 1.0,  # by definition: x_t has the shape of x0
        "numbers_in_stable_diffusion": stable_diffusion.numel() / (3 * 64 * 64),
        "skill_without_fresh_noise": skills["ddim"],
        "skill_with_fresh_noise": skills["ddpm"],
    }


def plot(runs: list[dict]) -> Figure:
    mean = torch.tensor([run["errors"] for run in runs]).mean(0).tolist()
    lines = {"to x_1 and back": (runs[0]["steps"], mean)}
    return md.plots.curves(
        lines, "steps each way", "error, in standard deviations of data", x_scale="log", y_scale="log"
    )
