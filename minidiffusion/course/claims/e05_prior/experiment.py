"""E5. Is the prior met, what does it cost to miss it, and what does drawing need it for?

That VAE and GAN draw their codes from N(0, I) too is their definition, and nothing to measure. What can be measured:

1. whether the noising ends in the prior: the correlation of a picture's brightness with that of its x_1, by schedule;
2. what a prior that was missed does to samples: clothes drawn by the exact denoiser of Stable Diffusion's schedule from
   N(0, I), with which the sampler starts, against the same from a real x_1;
3. what a wrong prior costs: nine Gaussians on a plane, exact, DDPM's schedule; walks that all start at 0, and walks
   from noise that is shifted by 2, without fresh noise and with it. The floor is the distance of data to data.
"""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

import minidiffusion as md

SCHEDULES = ("linear", "scaled_linear", "cosine", "flow")
PICTURES, DRAWN, POINTS = {"lesson": 600, "full": 1000}, {"lesson": 400, "full": 400}, 2000
ETAS = (0.0, 0.25, 0.5, 0.75, 1.0)


def brightness(x: torch.Tensor) -> torch.Tensor:
    return x.double().mean(dim=(1, 2, 3))


def correlations(images: torch.Tensor, generator: torch.Generator, draws: int = 10) -> dict[str, float]:
    """Of the brightness of x_0 with that of x_1: how much of it is still there at the end of the noising."""
    ends: dict[str, list[torch.Tensor]] = {name: [] for name in SCHEDULES}
    for _ in range(draws):
        eps = torch.randn(images.shape, generator=generator)
        for name in SCHEDULES:
            ends[name].append(brightness(md.diffuse(images, 1.0, eps, getattr(md.schedule, name)())))
    before = brightness(images).repeat(draws)
    return {name: torch.corrcoef(torch.stack([before, torch.cat(ends[name])]))[0, 1].item() for name in SCHEDULES}


def missed(images: torch.Tensor, count: int, generator: torch.Generator) -> dict[str, float]:
    """Mean brightness of samples less that of the pictures, in the pictures' standard deviations."""
    schedule = md.schedule.scaled_linear()
    oracle = md.oracle.dataset(images, schedule)
    noise = md.prior((count, *images.shape[1:]), schedule, generator)
    starts = {"prior": noise, "x_1": md.diffuse(oracle.sample(count, generator), 1.0, noise, schedule)}
    bias = {}
    for start, x_1 in starts.items():
        for method in ("ddim", "ddpm"):
            x0 = md.sample(oracle, x_1, steps=40, method=method, generator=generator)
            bias[f"{start}, {method}"] = (brightness(x0).mean() - brightness(images).mean()) / brightness(images).std()
    return {name: value.item() for name, value in bias.items()}


def wrong_priors(generator: torch.Generator) -> tuple[dict[str, list[float]], float]:
    """Energy distance to the data for each share of fresh noise, by start; and the floor."""
    schedule = md.schedule.linear()
    places = torch.cartesian_prod(*[torch.tensor([-1.2, 0.0, 1.2])] * 2)
    oracle = md.oracle.mixture(torch.ones(9), places, 0.02 * torch.eye(2).expand(9, 2, 2), schedule)
    data = oracle.sample(POINTS, generator)
    pairs = [(oracle.sample(POINTS, generator), oracle.sample(POINTS, generator)) for _ in range(10)]
    floor = sum(abs(md.metrics.energy_distance(a, b)) for a, b in pairs)
    noise = torch.randn(POINTS, 2, generator=generator)
    far = {
        start: [md.metrics.energy_distance(md.sample(oracle, x_1, eta=eta, generator=generator), data) for eta in ETAS]
        for start, x_1 in {"right": noise, "all at 0": 0 * noise, "shifted by 2": noise + 2}.items()
    }
    return far, floor / 10


def run(seed: int, scale: str, device: torch.device) -> dict:
    generator = torch.Generator().manual_seed(seed)
    images = torch.cat([md.datasets.load("fashion_mnist_6k", split)[0] for split in ("train", "test")])
    images = md.datasets.to_float(images)
    correlation = correlations(images, generator)
    chosen = images[torch.randperm(len(images), generator=generator)[: PICTURES[scale]]]
    bias = missed(chosen, DRAWN[scale], generator)
    far, floor = wrong_priors(generator)
    wrong = [far["all at 0"], far["shifted by 2"]]
    return {
        "correlation": correlation,
        "brightness_bias": bias,
        "etas": list(ETAS),
        "distance": far,
        "floor": floor,
        "correlation_stable_diffusion": correlation["scaled_linear"],
        "correlation_cosine": correlation["cosine"],
        "bias_from_the_prior": bias["prior, ddim"],
        "wrong_prior_without_fresh_noise": max(row[0] for row in wrong) / floor,
        "wrong_prior_with_fresh_noise": max(row[-1] for row in wrong) / floor,
    }


def plot(runs: list[dict]) -> Figure:
    floor = sum(run["floor"] for run in runs) / len(runs)

    def mean(start: str) -> list[float]:
        rows = torch.tensor([run["distance"][start] for run in runs]) / floor
        return rows.mean(0).clamp(min=0.5).tolist()  # below half a floor there is only chance

    lines = {start: (runs[0]["etas"], mean(start)) for start in runs[0]["distance"]}
    return md.plots.curves(
        lines, "share of fresh noise, eta", "distance to the data, in floors", {"five floors": 5.0}, y_scale="log"
    )
