"""E2 with images. Does a transformer with large patches do better if it predicts the noise?

Fashion-MNIST in patches of 14 x 14: a token of 64 numbers, behind a bottleneck of 32, has to carry 196 pixels. The
control is the same network with patches of 7 x 7, where 49 pixels fit into 64 numbers without a bottleneck. Outputs are
x0 and eps, both with the error in x0 weighted by min(SNR, 5), with the same seeds and steps. We measure the error in x0
on test images at several noise levels, and the Frechet distance of samples in the features of the package's classifier.
Sampling starts at an SNR of 0.001 and is clipped, so that what eps does at pure noise (lesson 13) plays no role.
"""

from __future__ import annotations

import math
from collections import deque

import torch
from matplotlib.figure import Figure

import minidiffusion as md

ARMS = {"small patches": dict(patch=7), "large patches, bottleneck": dict(patch=14, bottleneck=32)}
HEADS = {"x0": md.heads.X0, "eps": md.heads.EPS}
LEVELS = (-4.0, -2.0, 0.0, 2.0, 4.0)  # log SNR
STEPS, SAMPLES = {"lesson": 150, "full": 500}, {"lesson": 200, "full": 500}


def run(seed: int, scale: str, device: torch.device) -> dict:
    schedule, classifier = md.schedule.cosine(), md.nets.fashion_classifier()
    images = md.datasets.load("fashion_mnist_6k", "train")[0]
    test = md.datasets.to_float(md.datasets.load("fashion_mnist_6k", "test")[0])
    real = classifier.features(test[: SAMPLES[scale]])
    start = schedule.time(math.log(0.001))
    times = [start * (1 - i / 25) for i in range(26)]
    error: dict[str, list[float]] = {}
    frechet: dict[str, float] = {}
    for arm, sizes in ARMS.items():
        for name, head in HEADS.items():
            torch.manual_seed(seed)
            net = md.nets.DiT(width=64, depth=2, **sizes)
            training = md.fit(
                md.Denoiser(net, schedule, head),
                images,
                STEPS[scale],
                batch_size=64,
                learning_rate=2e-3,
                weighting="min_snr",
                ema_decay=0.99,
                seed=seed,
            )
            denoise = deque(training, maxlen=1)[0].ema
            generator = torch.Generator().manual_seed(seed)  # the same noise for all
            error[f"{name}, {arm}"] = [_error(denoise, test, schedule.time(level), generator) for level in LEVELS]
            x = torch.randn(SAMPLES[scale], 1, 28, 28, generator=generator)
            drawn = md.sample(md.guidance.clipped(denoise), x, times=times)
            frechet[f"{name}, {arm}"] = md.metrics.frechet_distance(real, classifier.features(drawn))

    def ratio(values: dict, arm: str, at: int | None = None) -> float:
        eps, x0 = (values[f"{name}, {arm}"] for name in ("eps", "x0"))
        return eps / x0 if at is None else eps[at] / x0[at]

    small, large = ARMS
    even = LEVELS.index(0.0)
    return {
        "log_snr": list(LEVELS),
        "error": error,
        "frechet": frechet,
        "error_of_eps_over_x0": ratio(error, large, even),
        "error_of_eps_over_x0_in_detail": ratio(error, large, -1),
        "frechet_of_eps_over_x0": ratio(frechet, large),
        "error_of_eps_over_x0_where_all_fits": ratio(error, small, even),
        "frechet_of_eps_over_x0_where_all_fits": ratio(frechet, small),
    }


@torch.no_grad()
def _error(denoise: md.Denoiser, x0: torch.Tensor, t: float, generator: torch.Generator) -> float:
    """The squared error of x0_hat per pixel."""
    eps = torch.randn(x0.shape, generator=generator)
    return (denoise(md.diffuse(x0, t, eps, denoise.schedule), t) - x0).square().mean().item()


def plot(runs: list[dict]) -> Figure:
    levels = runs[0]["log_snr"]
    means = {
        name: (levels, torch.tensor([run["error"][name] for run in runs]).mean(0).tolist()) for name in runs[0]["error"]
    }
    return md.plots.curves(means, "log SNR (noise grows to the left)", "squared error in x0, a pixel", y_scale="log")
