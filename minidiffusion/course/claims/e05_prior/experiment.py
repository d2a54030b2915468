"""E5. Does the noising end in the prior, what does a mismatch cost, and what does sampling need the prior for?

VAEs and GANs sample their codes from N(0, I) by definition, so there is nothing to measure. What we can measure:

1. whether the noising ends in the prior: for each schedule, the correlation of an image's brightness with that of x_1;
2. what a mismatch does to samples: the exact denoiser on Stable Diffusion's schedule, on images of clothes, started
   from N(0, I), as samplers do, and from a real x_1;
3. what a wrong prior costs: nine Gaussians on a plane, exact, DDPM's schedule, with all samples started at 0 or from
   noise shifted by 2, without and with fresh noise. The floor is the distance between two sets of data.
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
    """The correlation of the brightness of x_0 and x_1: how much of it survives the noising."""
    ends: dict[str, list[torch.Tensor]] = {name: [] for name in SCHEDULES}
    for _ in range(draws):
        eps = torch.randn(images.shape, generator=generator)
        for name in SCHEDULES:
            ends[name].append(brightness(md.diffuse(images, 1.0, eps, getattr(md.schedule, name)())))
    before = brightness(images).repeat(draws)
    return {name: torch.corrcoef(torch.stack([before, torch.cat(ends[name])]))[0, 1].item() for name in SCHEDULES}


def missed(images: torch.Tensor, count: int, generator: torch.Generator) -> dict[str, float]:
    """Mean brightness of the samples minus that of the images, in standard deviations of the images."""
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
    """The energy distance to the data by starting noise and share of fresh noise, and the floor."""
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
        return rows.mean(0).clamp(min=0.5).tolist()  # below half a floor there is only sampling noise

    names = {"right": "start: N(0, I)", "all at 0": "start: all at 0", "shifted by 2": "start: shifted by 2"}
    lines = {names[start]: (runs[0]["etas"], mean(start)) for start in runs[0]["distance"]}
    y_label = "distance to the data /\ndistance of two samples of it"
    return md.plots.curves(lines, "share of fresh noise, eta", y_label, {"five times": 5.0}, y_scale="log")
